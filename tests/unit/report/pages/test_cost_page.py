"""The page of costs: a golden file for its form, and what it must say."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from factories import a_case, a_device, measured, out_of_memory, published
from PIL import Image
from sides import compared, prices

from bench.analysis.cost.arithmetic import EndpointCost, LocalCost
from bench.analysis.cost.image_costs import VOLUMES, Costs, compare
from bench.record import Record, Telemetry, Tile
from bench.report.pages import cost_json, cost_page
from bench.report.plots import cost_plot

TEST = a_device(name="NVIDIA Test", total_bytes=None)
OTHER = a_device(name="NVIDIA Other", total_bytes=None)


def costs(*records: Record) -> Costs:
    return compare(records, compared(list(records)), prices(), VOLUMES)


def every_kind() -> list[Record]:
    """Published and measured times and energy, a card on which nothing fits, one without a price."""
    return [
        published(0.5, device=TEST, case=a_case(size=1024)),
        measured(0.1, device=TEST, case=a_case(size=512), telemetry=Telemetry(energy_per_call_j=20.0)),
        out_of_memory(device=TEST, case=a_case(size=2048)),
        out_of_memory(device=TEST, case=a_case(size=2048, tiling=Tile(tile=512, overlap=128))),
        measured(0.2, device=TEST, case=a_case(size=1024, dtype="float16", batch=4)),
        measured(0.1, device=OTHER, case=a_case(size=1024)),
    ]


def test_the_page_with_every_kind_of_cell(golden: Callable[[str, str], None]) -> None:
    golden("report_cost.md", cost_page.render(costs(*every_kind())))


def test_the_size_that_is_shown_first_is_the_docs_or_the_nearest() -> None:
    text = cost_page.render(costs(*every_kind()))
    assert text.index("At 1024x1024:") < text.index("<summary>At 512x512</summary>")


def test_what_has_no_price_makes_no_table_and_is_told() -> None:
    text = cost_page.render(costs(measured(0.1, device=OTHER)))
    assert "There is nothing that has both a time and a price." in text
    assert "NVIDIA Other: no price of it" in text


def test_break_evens_in_words() -> None:
    one = costs(measured(0.5, device=TEST)).images[0].local[1]
    card = replace(one, cost=LocalCost(rate=0.36, seconds=0.5, energy=0.0))
    assert cost_page.break_even_text(card, "use", EndpointCost(0.1, 0.01)) == "above 2,000/h *simulated*"
    assert cost_page.break_even_text(card, "use", EndpointCost(0.0, 0.0)) == "always *simulated*"
    assert cost_page.break_even_text(card, "use", EndpointCost(50.0, 1.0)) == "never *simulated*"
    kept = replace(one, cost=LocalCost(rate=0.5, seconds=0.1, energy=0.0))
    assert cost_page.break_even_text(kept, "hour", EndpointCost(1.0, 0.1, idle_s=3600)) == "below 0.693/h *simulated*"
    assert (
        cost_page.break_even_text(replace(one, cost=None), "use", EndpointCost(1.0, 0.1))
        == "nothing else fits *measured*"
    )
    assert cost_page.break_even_text(card, "use", None) == "-"


def test_a_card_measured_and_published_is_named_by_the_cheaper_of_both() -> None:
    found = costs(published(0.2, device=TEST, assumed=()), measured(0.1, device=TEST))
    assert "NVIDIA Test, float32, bought 0.00339" in cost_page.summary(found)[0]


def test_volumes_that_hardly_differ_have_headings_that_do() -> None:
    records = [measured(0.1, device=TEST)]
    text = cost_page.render(compare(records, compared(records), prices(), (1_234_567.0, 1_234_568.0)))
    assert "at 1,234,567/h" in text
    assert "at 1,234,568/h" in text


def test_what_costs_nothing_is_no_line(recwarn: pytest.WarningsRecorder) -> None:
    free = {"NVIDIA Test": {"rental": {"price": 0, "unit": "USD/hour", "source": "made up", "date": "2026-01-31"}}}
    records = [measured(0.1, device=TEST)]
    assert cost_plot.draw(compare(records, compared(records), prices(cards=free), VOLUMES)) is not None
    assert not recwarn.list


def test_the_same_as_json() -> None:
    told = cost_json.render(costs(*every_kind()))
    assert json.loads(json.dumps(told)) == told
    (image,) = [one for one in told["images"] if one["case"]["width"] == 512]
    bought = next(one for one in image["local"] if one["way"] == "bought")
    assert (bought["energy_j"], bought["energy_from"]) == (20.0, "measured")
    assert set(bought["break_even"]["mine"]) == {"use", "hour"}
    assert len(bought["per_1000"]) == len(told["images_per_hour"])


def test_the_plot_is_a_picture_and_the_same_each_time() -> None:
    found = costs(*every_kind())
    drawn = cost_plot.draw(found)
    assert drawn is not None
    assert Image.open(io.BytesIO(drawn)).format == "PNG"
    assert cost_plot.draw(found) == drawn
    assert cost_plot.draw(costs(measured(0.1, device=OTHER))) is None
