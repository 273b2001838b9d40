"""Plots explain themselves: lines have names beside them, few lines are drawn, and notes say what the marks mean."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from endpoint_records import an_endpoint_record, endpoint_records
from factories import a_case, a_device, measured, out_of_memory, published
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from observed import TRUTH, WORKS, observed
from sides import NETWORKS, compared, prices
from timelines import a_timeline

from bench.analysis.cost.image_costs import VOLUMES, Costs
from bench.analysis.cost.image_costs import compare as costs_of
from bench.analysis.memory import agreement
from bench.analysis.speed.clock import Clock
from bench.analysis.speed.evaluation import Evaluation
from bench.analysis.speed.extrapolation import Scope
from bench.analysis.speed.held_out import Cell
from bench.core.units import MIB
from bench.record import Record
from bench.report.plots import (
    cost_plot,
    drawn,
    figure,
    hybrid_plot,
    memory_model_plot,
    profile_plot,
    remote_plot,
    time_plot,
)
from bench.vram.call_profile import Profiled, profile

BIG, SMALL = a_device(name="NVIDIA GeForce Big", total_bytes=None), a_device(name="NVIDIA Test", total_bytes=None)


def encode(size: int, **fields: Any) -> dict[str, Any]:
    return {"case": a_case(**{"model": "sd-v1", "operation": "encode", "size": size, "dtype": "float16"} | fields)}


def of_two_cards() -> list[Record]:
    """A quick card whose times are published, and a slow measured one without memory for the largest image."""
    return [
        published(0.01, device=BIG, **encode(512)),
        published(0.2, device=BIG, **encode(2048)),
        measured(0.05, device=SMALL, **encode(512)),
        measured(0.4, device=SMALL, **encode(1024)),
        out_of_memory(device=SMALL, **encode(2048)),
        out_of_memory(device=SMALL, **encode(2048, tiling={"tile": 512, "overlap": 128})),
    ]


def costs() -> Costs:
    """A published card that is cheaper than the measured one, and several endpoints."""
    sourced = {"source": "made up", "date": "2026-01-31"}
    cards = {
        card.name: {"rental": {"price": price, "unit": "USD/hour", **sourced}}
        for card, price in ((BIG, 0.36), (SMALL, 0.5))
    }
    endpoints = {
        f"endpoint-{n}": {"accelerator": BIG.name, "price": 1.0 + n, "unit": "USD/hour", **sourced} for n in range(4)
    }
    records = of_two_cards()[:3]
    return costs_of(records, compared(records), prices(cards=cards, endpoints=endpoints), VOLUMES)


def evaluation() -> Evaluation:
    seen = [observed("one", work, "float16", 0.1 + n) for n, work in enumerate(WORKS)]
    cells = tuple(Cell(timed, timed.seconds * 1.1) for timed in seen)
    return Evaluation(Clock(TRUTH, Scope.of(seen)), tuple(seen), cells)


def memory_cells() -> list[agreement.Cell]:
    guesses = {"ours": agreement.Guess(2**30, True, (2**29, 2**31)), "theirs": agreement.Guess(2**32, True)}
    return [agreement.Cell(published(0.1, device=BIG, **encode(512)), 2**30, 0, guesses)]


PLOTS: dict[str, Callable[[], bytes | None]] = {
    "hybrid": lambda: hybrid_plot.draw(compared(of_two_cards()), NETWORKS),
    "cost": lambda: cost_plot.draw(costs()),
    "remote": lambda: remote_plot.draw(endpoint_records()),
    "time_model": lambda: time_plot.draw(evaluation()),
    "memory_model": lambda: memory_model_plot.draw(memory_cells(), ("ours", "theirs")),
}


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts beside points, in the order in which they were drawn."""
    texts: list[str] = []
    annotate = Axes.annotate

    def noted(axes: Axes, text: str, *args: Any, **kwargs: Any) -> Any:
        texts.append(text)
        return annotate(axes, text, *args, **kwargs)

    monkeypatch.setattr(Axes, "annotate", noted)
    return texts


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that were drawn."""
    shown: list[Figure] = []
    digest = drawn.digest

    def noted(made: Figure) -> str:
        shown.append(made)
        return digest(made)

    monkeypatch.setattr(drawn, "digest", noted)
    return shown


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_has_no_legend_but_notes(name: str, figures: list[Figure]) -> None:
    PLOTS[name]()
    (shown,) = figures
    assert not shown.legends
    assert not [axes for axes in shown.axes if axes.get_legend()]
    assert shown.get_supxlabel()


def test_each_device_and_one_remote_line_are_named_at_their_ends(written: list[str]) -> None:
    PLOTS["hybrid"]()
    assert sorted(written) == ["Big", "Test", "Test OOM", "remote over Near | by"]


def test_devices_whose_short_names_are_equal_have_lines_of_their_own(written: list[str]) -> None:
    records = [measured(0.1 + n, device=a_device(name=name)) for n, name in enumerate(("NVIDIA L4", "L4"))]
    hybrid_plot.draw(compared(records), NETWORKS)
    assert written.count("L4") == 2


def test_remote_is_one_line_in_a_band_over_all_networks(figures: list[Figure]) -> None:
    comparison = compared(of_two_cards())
    hybrid_plot.draw(comparison, NETWORKS)
    (axes,) = figures[0].axes
    # the two devices and remote, and a band from the quickest to the slowest network
    assert len(axes.lines) == 3
    (band,) = axes.collections
    heights = band.get_paths()[0].vertices[:, 1]
    over = [seconds for image in comparison.remote_images for seconds in image.over_s.values()]
    assert (min(heights), max(heights)) == pytest.approx((min(over), max(over)))


def test_a_model_that_no_drawn_device_has_a_time_of_has_no_panel(figures: list[Figure]) -> None:
    # given five devices with two times each, and one with a time of another model
    records = [
        measured(0.1, device=a_device(name=f"NVIDIA {n}"), case=a_case(size=size))
        for n in range(5)
        for size in (64, 128)
    ]
    hybrid_plot.draw(compared([*records, measured(0.1, device=SMALL, **encode(512))]), NETWORKS)
    assert [axes.get_title("left") for axes in figures[0].axes] == ["Tiny encode"]


def test_panels_are_in_the_order_of_the_zoo(figures: list[Figure]) -> None:
    records = [measured(device=SMALL, case=a_case(model=model)) for model in ("tiny", "unknown", "sdxl", "sd-v1")]
    hybrid_plot.draw(compared(records), NETWORKS)
    assert [axes.get_title("left") for axes in figures[0].axes] == [
        *("SD v1.5 encode", "SDXL encode", "Tiny encode", "unknown encode")
    ]


def test_one_size_has_points_and_a_band_too(figures: list[Figure]) -> None:
    hybrid_plot.draw(compared(of_two_cards()[:1]), NETWORKS)
    (axes,) = figures[0].axes
    assert all(line.get_marker() == "o" for line in axes.lines)
    low, high = axes.collections[0].get_paths()[0].vertices[:, 1]
    (remote_s,) = axes.lines[1].get_ydata()
    assert low < high
    assert low <= remote_s <= high


def test_all_times_have_the_unit_that_the_axis_names(figures: list[Figure]) -> None:
    PLOTS["hybrid"]()
    (axes,) = figures[0].axes
    assert "seconds" in axes.get_ylabel()
    assert {axes.yaxis.get_major_formatter()(value, 0) for value in (0.005, 0.1, 100)} == {"0.005", "0.1", "100"}


def test_lines_cross_where_both_take_as_long() -> None:
    # local grows with the square of the edge, remote not at all: they meet at 1024
    ((edge, seconds, is_remote_faster),) = hybrid_plot._crossings([(512, 0.25), (2048, 4.0)], [(512, 1.0), (2048, 1.0)])
    assert (edge, seconds) == pytest.approx((1024, 1.0))
    assert is_remote_faster
    assert hybrid_plot._crossings([(512, 0.25), (1024, 0.9)], [(512, 1.0), (1024, 1.0)]) == []
    assert hybrid_plot._crossings([(512, 0.25), (1024, 4.0)], [(512, 1.0), (2048, 1.0)]) == []


def test_a_card_is_shown_as_it_is_charged_and_the_measured_one_beside_the_cheapest(written: list[str]) -> None:
    PLOTS["cost"]()
    assert sorted(written) == [
        "Big, rented:\ncomputes anyway",
        "Big, rented:\nkept for this",
        "Test, rented:\ncomputes anyway",
        "Test, rented:\nkept for this",
        "endpoint endpoint-0",
        "endpoint endpoint-1",
    ]


def test_a_card_that_is_kept_costs_more_than_one_that_computes_anyway() -> None:
    image = next(image for image in costs().images if image.case.axes["width"] == 512)
    lines = {line.name: line.cost.per_hour(1.0) for line in cost_plot._lines(image)}
    assert lines["Test, rented:\nkept for this"] == pytest.approx(0.5)
    assert lines["Test, rented:\ncomputes anyway"] == pytest.approx(0.5 * 0.05 / 3600)


def test_the_parts_of_a_request_are_named_once_a_panel(written: list[str]) -> None:
    remote_plot.draw([an_endpoint_record(case={"size": size, "transport": "jpg"}) for size in (64, 128)])
    names = [text for text in written if not text.endswith("ms")]
    assert sorted(names) == sorted(set(names))
    assert {"endpoint computes", "network", "your files"} <= set(names)


def test_the_grouped_parts_are_the_whole_request() -> None:
    record = an_endpoint_record()
    parts = remote_plot.stack(record)
    assert sum(remote_plot._grouped(parts).values()) == pytest.approx(sum(parts.values()))


def test_predictions_that_are_furthest_off_are_named(written: list[str]) -> None:
    seen = [observed("one", WORKS[0], "float16", 0.1 * 2**n) for n in range(9)]
    cells = tuple(Cell(timed, timed.seconds * (1 + n / 100)) for n, timed in enumerate(seen))
    time_plot.draw(Evaluation(Clock(TRUTH, Scope.of(seen)), tuple(seen), cells))
    assert written == ["one"] * 5


def test_a_layer_with_room_has_its_name_in_it_and_not_in_the_legend(figures: list[Figure]) -> None:
    profiled = Profiled(a_case(model="sdxl", operation="decode", size=512), "cuda", "a rule", profile(a_timeline(MIB)))
    profile_plot.draw(profiled)
    (shown,) = figures
    inside = {text.get_text() for text in shown.axes[0].texts}
    beside = {text.get_text() for text in shown.legends[0].get_texts()}
    assert "weights" in inside
    assert "input" in beside
    assert not inside & beside


@pytest.mark.parametrize(
    ("low", "high", "place"),
    [
        ([0, 0, 0, 0], [2, 2, 2, 2], (1.5, 1.0)),
        # a step down that leaves enough height, and one that does not
        ([0, 0, 0, 0], [2, 1, 1, 1], (1.5, 0.5)),
        ([0, 0, 0, 0], [0.5, 2, 2, 2], (2.0, 1.0)),
        ([0, 0, 1.5, 1.5], [2, 2, 3, 3], (1.0, 1.0)),
        ([0, 0, 0, 0], [0.5, 2, 0.5, 2], None),
    ],
)
def test_a_name_goes_where_its_layer_is_high_enough_for_longest(
    low: list[float], high: list[float], place: tuple[float, float] | None
) -> None:
    assert profile_plot._room([0, 1, 2, 3], low, high, width=2.0, height=1.0) == place


def test_names_are_short() -> None:
    names = ("NVIDIA GeForce RTX 4090", "NVIDIA L40S", "Intel(R) Xeon(R) Processor", "AMD EPYC", "NVIDIA ")
    assert [figure.short_name(name) for name in names] == ["RTX 4090", "L40S", "Intel Xeon", "AMD EPYC", "NVIDIA "]


THINGS = st.lists(st.tuples(st.floats(-1, 2), st.floats(0.001, 0.1)), max_size=9)


@given(THINGS)
def test_labels_do_not_overlap_and_stay_inside_in_their_order(things: list[tuple[float, float]]) -> None:
    wanted, widths = [place for place, _ in things], [width for _, width in things]
    places = figure.spread(wanted, widths, 0.0, 1.0)
    spans = sorted((place - width / 2, place + width / 2) for place, width in zip(places, widths, strict=True))
    assert all(end <= start + 1e-9 for (_, end), (start, _) in itertools.pairwise(spans))
    assert all(start >= -1e-9 and end <= 1 + 1e-9 for start, end in spans)
    assert all(
        places[first] <= places[other]
        for first, other in itertools.permutations(range(len(places)), 2)
        if wanted[first] < wanted[other]
    )


def test_labels_with_room_stay_where_they_are_and_others_move_the_least() -> None:
    assert figure.spread([0.2, 0.8], [0.1, 0.1], 0, 1) == pytest.approx([0.2, 0.8])
    assert figure.spread([0.5, 0.5], [0.1, 0.3], 0, 1) == pytest.approx([0.4, 0.6])
    assert figure.spread([0.99, 0.0], [0.1, 0.1], 0, 1) == pytest.approx([0.95, 0.05])
