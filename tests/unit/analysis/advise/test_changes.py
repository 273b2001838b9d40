"""What would change a recommendation, found by ranking again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from factories import a_case
from ways import IMAGE, a_place, a_way, away

from bench.analysis.advise import changes
from bench.analysis.advise.ranking import rank
from bench.analysis.advise.remote_way import RemoteWay
from bench.analysis.advise.times import Time
from bench.analysis.advise.variants import worth_measuring
from bench.analysis.advise.ways import Advice, Local
from bench.analysis.speed.extrapolation import Range
from bench.config import load_gpus


def advised(ways: list[Local], far: RemoteWay | None = None) -> Advice:
    return rank(IMAGE, a_place(), ways, far or away())


def a_network(own_s: float) -> changes.RemoteAt:
    """A remote way that takes its own time and four round trips."""
    return lambda round_trip_s: away(own_s + 4 * round_trip_s)


def predicted(way: Local, least_s: float, most_s: float | None) -> Local:
    return replace(way, time=Time(None, "predicted", None, ("decode",), Range(least_s, most_s)))


def test_the_round_trip_above_which_remote_is_no_longer_first_is_found() -> None:
    # given remote with 300 ms of its own, which comes first up to half of a local second: up to 50 ms a round trip
    change = changes.of_round_trip(advised([a_way(0, 1.0)], away(0.34)), a_network(0.3))
    assert change is not None
    assert change.condition == "round_trip_above"
    assert change.at_s == pytest.approx(0.05, abs=0.001)
    assert change.way is not None
    assert change.way.standing == "fits"


def test_the_round_trip_below_which_remote_is_first_is_found() -> None:
    change = changes.of_round_trip(advised([a_way(0, 1.0)], away(0.9)), a_network(0.3))
    assert change is not None
    assert (change.condition, change.at_s) == ("round_trip_below", pytest.approx(0.05, abs=0.001))
    assert change.way is not None
    assert change.way.standing == "remote"


def test_where_no_round_trip_changes_anything_there_is_no_change() -> None:
    assert changes.of_round_trip(advised([a_way(0, 1.0)], away(0.9)), a_network(0.6)) is None
    assert changes.of_round_trip(advised([a_way(0, None, "out_of_memory")], away(0.9)), a_network(0.6)) is None
    # and neither where the time does not depend on the network
    assert changes.of_round_trip(advised([a_way(0, 1.0)], away(0.3)), lambda _: away(0.3)) is None


def test_a_range_that_may_be_quicker_than_an_observed_time_is_worth_measuring() -> None:
    found = changes.of_measuring(advised([a_way(0, 1.0), predicted(a_way(1, 1.0), 0.2, 3.0)]))
    assert [(change.condition, change.way.way.option.label) for change in found if change.way] == [  # type: ignore[union-attr]
        ("measured", "tile 1024/256")
    ]
    assert changes.of_measuring(advised([a_way(0, 1.0), predicted(a_way(1, 1.0), 1.5, 3.0)])) == ()


def test_predictions_of_one_card_err_together() -> None:
    # given a tile whose range lies above that of the whole image at both ends, though they overlap
    ways = [predicted(a_way(0, 1.0), 0.5, 2.0), predicted(a_way(1, 1.0), 0.6, 2.4)]
    assert changes.of_measuring(advised(ways)) == ()


def test_a_range_whose_upper_end_is_unknown_may_leave_remote_first() -> None:
    found = changes.of_measuring(advised([predicted(a_way(0, 1.0), 0.5, None)], away(1.0)))
    assert [change.way.standing for change in found if change.way] == ["remote"]


def test_measured_times_need_no_measuring() -> None:
    assert changes.of_measuring(advised([a_way(0, 1.0, time_kind="measured"), a_way(1, 2.0)], away(0.9))) == ()


def test_more_memory_is_tried_for_safe_ways_that_change_the_picture_less_alone() -> None:
    def taking(way: Local) -> Local:
        return replace(way, peak=replace(way.peak, taken_bytes=9))

    lower = taking(a_way(5, 1.0, "tight", case=IMAGE.model_copy(update={"dtype": "bfloat16"}), risk="bands"))
    ways = [taking(a_way(0, None, "out_of_memory")), taking(a_way(1, 1.0, "tight")), taking(a_way(2, 1.0)), lower]
    tried = changes.to_try_with_more_memory(advised([*ways, taking(a_way(4, 1.0, "tight"))]))
    assert [way.option.change for way in tried] == [0, 1]


@pytest.mark.parametrize(
    ("card", "model", "operation", "names"),
    [
        ("NVIDIA H200", "flux", "decode", ["channels-last"]),
        ("NVIDIA B200", "flux", "decode", ["compiled"]),
        ("NVIDIA GeForce RTX 3070", "flux", "decode", ["compiled"]),
        ("NVIDIA GeForce RTX 4090", "flux", "decode", []),
        ("NVIDIA H200", "flux", "encode", []),
        ("NVIDIA H200", "sdxl", "decode", []),
    ],
)
def test_a_variant_is_worth_measuring_where_somebody_published_that_it_is_quicker(
    card: str, model: str, operation: str, names: list[str]
) -> None:
    place = a_place(card=card, gpu=load_gpus().cards[card])
    found = worth_measuring(a_case(model=model, operation=operation, size=1024), place)
    assert [variant.name for variant in found] == names
    assert all(variant.source for variant in found)
