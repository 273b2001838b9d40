"""Plots of more than a figure can show: what is drawn is bounded, the rest counted, and matplotlib has no complaint."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from endpoint_records import an_endpoint_record, endpoint_device, endpoint_records
from factories import a_case, a_device, measured
from observed import TRUTH, WORKS, observed
from PIL import Image
from sides import NETWORKS, compared, prices

from bench.analysis.cost.image_costs import VOLUMES
from bench.analysis.cost.image_costs import compare as costs_of
from bench.analysis.speed.clock import Clock
from bench.analysis.speed.evaluation import Evaluation
from bench.analysis.speed.extrapolation import Scope
from bench.analysis.speed.held_out import Cell
from bench.config import Network
from bench.record import Record
from bench.report.pages import remote_page
from bench.report.plots import cost_plot, figure, hybrid_plot, remote_plot, time_plot
from bench.report.render import markdown

MANY = 300
_LONG = "NVIDIA Test of a Name that is far too Long for any Legend, with Words and Words and Words"


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the plots say is left out of them."""
    kept: list[str] = []
    most = figure.most

    def watched(*arguments: Any) -> Any:
        found = most(*arguments)
        kept.extend(found[1])
        return found

    for module in (hybrid_plot, cost_plot, remote_plot):
        monkeypatch.setattr(module, "most", watched)
    return kept


def drawn(draw: Callable[[], bytes | None]) -> tuple[int, int]:
    """The size of a plot in pixels; a warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = draw()
    assert image is not None
    return Image.open(io.BytesIO(image)).size


def _devices(count: int) -> list[Record]:
    """Cards of one size each, but for the last, which has two."""
    cards = [a_device(name=f"{_LONG} {n}") for n in range(count)]
    more = [measured(0.3, device=cards[-1], case=a_case(size=128))]
    return [measured(0.1 + n / 1000, device=card) for n, card in enumerate(cards)] + more


def _networks(count: int) -> dict[str, Network]:
    return {f"net-{n}": NETWORKS["near"].model_copy(update={"title": f"{_LONG} {n}"}) for n in range(count)}


def test_of_many_devices_those_of_the_most_times_are_drawn(said: list[str]) -> None:
    width, height = drawn(lambda: hybrid_plot.draw(compared(_devices(MANY)), NETWORKS))
    assert width < 2000
    assert height < 2000
    assert [sentence.split(":")[0] for sentence in said] == ["295 more devices are not drawn"]


def test_many_networks_and_models_leave_a_picture(said: list[str]) -> None:
    networks = _networks(MANY)
    paths = {name: one.path for name, one in networks.items()}
    records = [measured(case=a_case(model=f"model-{n}")) for n in range(MANY)]
    width, height = drawn(lambda: hybrid_plot.draw(compared(records, paths=paths), networks))
    assert max(width, height) < 4000
    assert [sentence.split(":")[0] for sentence in said] == ["288 more models and operations are not drawn"]


def test_many_sizes_leave_room_for_their_ticks() -> None:
    records = [measured(case=a_case(size=64 + 8 * n)) for n in range(MANY)]
    drawn(lambda: hybrid_plot.draw(compared(records), NETWORKS))


def test_of_many_cards_and_endpoints_with_a_price_the_cheapest_are_drawn(said: list[str]) -> None:
    # given cards of which the first is the quickest, all at one price, and endpoints of it
    sourced = {"source": "made up", "date": "2026-01-31"}
    records = _devices(MANY)[:-1]
    names = list(dict.fromkeys(record.device.name for record in records))
    cards = {name: {"rental": {"price": 0.36, "unit": "USD/hour", **sourced}} for name in names}
    endpoints = {
        f"endpoint-{n}": {"accelerator": names[0], "price": 1.0 + n, "unit": "USD/hour", **sourced} for n in range(MANY)
    }
    costs = costs_of(records, compared(records), prices(cards=cards, endpoints=endpoints), VOLUMES)
    # then the picture is of ordinary size, and says what is not in it
    width, height = drawn(lambda: cost_plot.draw(costs))
    assert max(width, height) < 2000
    assert [sentence.split(":")[0] for sentence in said] == [
        "299 more cards are not drawn",
        "298 more endpoints are not drawn",
    ]


def test_of_many_cards_whose_times_are_predicted_all_are_drawn() -> None:
    # given the times of many cards, each predicted without its card and without its architecture
    seen = [replace(observed("one", WORKS[0], "float16", 0.1 + n / 100), card=f"{_LONG} {n}") for n in range(MANY)]
    cells = tuple(Cell(each, each.seconds * 1.1) for each in seen)
    clock = Clock(TRUTH, Scope.of(seen))
    one, both = (
        drawn(lambda fields=fields: time_plot.draw(Evaluation(clock, tuple(seen), cells, **fields)))  # type: ignore[misc]
        for fields in ({}, {"architectures": cells})
    )
    # then the picture has a panel for each
    assert one[0] < both[0] < 2000


def test_an_endpoint_of_many_models_leaves_a_picture(said: list[str]) -> None:
    records = [an_endpoint_record(case={"model": f"model-{n}", "transport": "pt"}) for n in range(MANY)]
    width, height = drawn(lambda: remote_plot.draw(records))
    assert max(width, height) < 4000
    assert [sentence.split(":")[0] for sentence in said] == ["288 more models and operations are not drawn"]


def test_of_many_endpoints_the_first_have_a_plot_and_the_page_says_so() -> None:
    found = remote_page.endpoints([an_endpoint_record(device=endpoint_device(f"mine {n}")) for n in range(30)])
    page = markdown.render(remote_page.page(found))
    assert len(remote_page.drawn(found)) == page.count("](remote-") == 24
    assert page.count("This endpoint has no plot") == 6


def test_a_few_of_everything_are_all_drawn(said: list[str]) -> None:
    drawn(lambda: hybrid_plot.draw(compared(_devices(3)), NETWORKS))
    drawn(lambda: remote_plot.draw(endpoint_records()))
    assert said == []


def test_a_name_is_drawn_in_letters_that_the_font_has_and_kept_short() -> None:
    assert figure.caption("_hidden") == " _hidden"
    assert figure.caption("a\n\x1b日b $x$") == "a ??b $x$"
    assert len(figure.caption("x" * 1000)) == 64
