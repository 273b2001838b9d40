"""The order of ways, and the recommendation with its reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from factories import changed, measured, published
from observed import all_observed
from sides import compared
from ways import IMAGE, a_place, a_way, away

from bench.analysis.advise import remote_way
from bench.analysis.advise.ranking import first_local, is_remote_first, rank
from bench.analysis.advise.remote_way import RemoteWay
from bench.analysis.advise.times import Time
from bench.analysis.advise.ways import Advice, Local
from bench.analysis.speed.extrapolation import Range
from bench.analysis.speed.held_out import Cell, Errors
from bench.record import Tile

HALF = IMAGE.model_copy(update={"dtype": "float16"})


def order(ways: list[Local], far: RemoteWay | None = None) -> list[str]:
    return [one.way.option.label if isinstance(one.way, Local) else "remote" for one in advised(ways, far).ranked]


def advised(ways: list[Local], far: RemoteWay | None = None) -> Advice:
    return rank(IMAGE, a_place(), ways, far or away())


def test_what_fits_comfortably_is_untiled_where_a_tile_gains_nothing() -> None:
    found = advised([a_way(0, 1.0), a_way(1, 1.2), a_way(2, 1.4)])
    assert found.best is found.ranked[0]
    assert order([a_way(0, 1.0), a_way(1, 1.2), a_way(2, 1.4)])[0] == "untiled"
    assert found.reason == "the quickest that fits comfortably"


def test_where_the_whole_is_out_of_memory_a_tile_is_the_way() -> None:
    ways = [a_way(0, None, "out_of_memory"), a_way(1, 2.0, "tight"), a_way(2, 2.1), a_way(4, 2.4)]
    assert order(ways) == ["tile 512/128", "tile 256/64", "tile 1024/256", "remote", "untiled"]
    assert advised(ways).reason == (
        "untiled: needs 12 GiB; tile 1024/256: fits only tightly; the quickest that fits comfortably"
    )


def test_times_within_a_tenth_count_as_equal_and_then_larger_tiles_go_first() -> None:
    ways = [a_way(1, 1.09), a_way(2, 1.05), a_way(4, 1.0)]
    assert order(ways)[:3] == ["tile 1024/256", "tile 512/128", "tile 256/64"]
    assert advised(ways).reason == "within 9% of the quickest that fits comfortably, and changes the picture less"
    assert order([a_way(1, 1.2), a_way(2, 1.05), a_way(4, 1.0)])[:3] == [
        *("tile 512/128", "tile 256/64", "tile 1024/256")
    ]


def test_a_time_model_that_is_far_off_makes_more_of_them_equal() -> None:
    def way(change: int, seconds: float) -> Local:
        found = a_way(change, seconds)
        errors = Errors(2, 0.3, worst=None)  # type: ignore[arg-type]
        return Local(found.option, found.peak, Time(seconds, "predicted", errors))

    assert order([way(0, 1.25), way(1, 1.0)])[0] == "untiled"
    assert order([way(0, 1.35), way(1, 1.0)])[0] == "tile 1024/256"


def test_a_prediction_is_no_quicker_than_an_observed_time_within_the_worst_error() -> None:
    # Given a model that is off by 6% at the median and by 18% at the worst
    (one, *_) = all_observed()
    errors = Errors(2, 0.06, Cell(one, one.seconds * 1.18))

    def predicted(change: int, seconds: float) -> Local:
        found = a_way(change, seconds)
        return Local(found.option, found.peak, Time(seconds, "predicted", errors))

    # Then a tile that it takes for a little quicker is no reason to tile, and one that it takes for much quicker is
    assert order([a_way(0, 1.15), predicted(1, 1.0)])[0] == "untiled"
    assert order([a_way(0, 1.25), predicted(1, 1.0)])[0] == "tile 1024/256"
    # and two predictions, which are off to the same side, are held against each other more closely
    assert order([predicted(0, 1.15), predicted(1, 1.0)])[0] == "tile 1024/256"


def test_predictions_below_what_the_model_was_fitted_on_are_all_as_quick() -> None:
    fields = {"case": HALF, "risk": "it overflows", "time_kind": "predicted"}
    found = advised([a_way(0, 0.004, time_kind="predicted"), a_way(5, 0.001, **fields)])
    assert found.quicker is None
    assert found.ranked[1].reason == "about as long, but in lower precision"


def between(change: int, least_s: float, most_s: float | None, verdict: str = "fits", **fields: Any) -> Local:
    way = a_way(change, 1.0, verdict, **fields)
    return replace(way, time=Time(None, "predicted", None, ("hopper",), Range(least_s, most_s)))


def test_nothing_rests_on_ranges_that_overlap() -> None:
    # Given a tile whose range begins and ends below that of the whole image
    ways = [between(0, 0.5, 5.0), between(1, 0.1, 1.0), between(2, 0.3, None)]
    found = advised(ways)
    # Then what changes the picture least goes first, and no share of a time is told
    assert order(ways)[:3] == ["untiled", "tile 1024/256", "tile 512/128"]
    assert "ranges that overlap" in found.reason
    assert [one.reason for one in found.ranked[1:3]] == ["changes the picture more"] * 2
    assert found.quicker is None


def test_a_range_that_lies_below_another_is_quicker() -> None:
    assert order([between(0, 2.0, 5.0), between(1, 0.1, 1.0)])[0] == "tile 1024/256"
    assert order([between(0, 2.0, None), a_way(1, 1.0)])[0] == "tile 1024/256"


def test_remote_goes_before_a_range_only_if_all_of_it_takes_twice_as_long() -> None:
    assert order([between(0, 0.5, 5.0)], away(0.4))[0] == "untiled"
    assert order([between(0, 0.9, 5.0)], away(0.4))[0] == "remote"
    assert order([between(0, 0.9, None, "tight")], away(0.8))[0] == "remote"
    assert order([between(0, 0.7, None, "tight")], away(0.8))[0] == "untiled"


def test_remote_beside_a_range_that_it_overlaps_has_no_comparison() -> None:
    (remote,) = [each for each in advised([between(0, 0.1, 1.0)], away(0.5)).ranked if each.standing == "remote"]
    assert remote.reason == "takes none of the card's memory"


def test_a_range_of_the_serving_card_makes_a_range_from_end_to_end() -> None:
    comparison = compared([published(0.1, case=IMAGE)])
    time = Time(None, "predicted", None, ("hopper",), Range(0.1, 0.4))
    found = remote_way.predicted(IMAGE, time, "NVIDIA Test", comparison.request)
    assert found is not None
    assert found.time is not None
    assert found.time.seconds is None
    whole = comparison.remote_images[0].over_s["near"]
    assert found.time.between == Range(whole, pytest.approx(whole + 0.3))  # type: ignore[arg-type]


def test_without_all_times_what_changes_the_picture_least_goes_first() -> None:
    ways = [a_way(0, 9.0), a_way(1, None), a_way(2, 1.0)]
    assert order(ways)[:3] == ["untiled", "tile 1024/256", "tile 512/128"]
    assert "not all times are known" in advised(ways).reason


def test_a_fit_of_low_confidence_stands_with_what_is_tight() -> None:
    assert order([a_way(0, 1.0, confidence="low"), a_way(1, 2.0, confidence="medium")])[0] == "tile 1024/256"
    found = advised([a_way(0, 1.0, "tight")])
    assert found.reason == "nothing fits comfortably; chosen: leaner kernels"


def test_a_lower_precision_is_not_recommended_for_its_time_but_told() -> None:
    half = a_way(5, 0.4, case=HALF, risk="it overflows")
    found = advised([a_way(0, 1.0), half])
    assert order([a_way(0, 1.0), half])[:2] == ["untiled", "float16, untiled"]
    assert found.quicker == ("float16, untiled, 400 ms (published), 60% less time, but in lower precision")


def test_of_several_lower_precisions_that_are_quicker_the_first_in_order_is_told() -> None:
    # given two ways in a lower precision that are quicker, of which the tiled one is quicker by more than the margin
    ways = [a_way(0, 1.0), *(a_way(n, t, case=HALF, risk="it overflows") for n, t in ((5, 0.6), (6, 0.3)))]

    found = advised(ways)

    assert found.quicker is not None
    assert "300 ms" in found.quicker
    assert "600 ms" not in found.quicker


@pytest.mark.parametrize(
    ("changes", "tiles"),
    [((1,), "tile 1024/256"), ((1, 2), "tile 1024/256, tile 512/128"), ((1, 2, 4), "tile 1024/256 to tile 256/64")],
)
def test_two_tiles_are_listed_and_more_are_a_range(changes: tuple[int, ...], tiles: str) -> None:
    ways = [*(a_way(n, 2.0, "tight") for n in changes), a_way(8, 2.4)]

    assert f"{tiles}: " in advised(ways).reason


def test_a_lower_precision_is_the_way_where_nothing_else_fits_comfortably() -> None:
    ways = [a_way(0, 1.0, "tight"), a_way(5, 0.4, case=HALF, risk="it overflows")]
    assert order(ways)[0] == "float16, untiled"
    found = advised(ways)
    assert found.quicker is None
    assert found.reason == "untiled: leaner kernels (1.00 s published); the only way in float16 that fits comfortably"


def test_remote_goes_before_what_fits_comfortably_only_with_half_its_time() -> None:
    ways = [a_way(0, 1.0), a_way(1, 1.3)]
    assert order(ways, away(0.6)) == ["untiled", "tile 1024/256", "remote"]
    assert order(ways, away(0.4))[0] == "remote"
    found = advised(ways, away(0.4))
    assert (found.reason, found.quicker) == (
        "takes none of the card's memory; 60% less time than untiled (1.00 s)",
        None,
    )


def test_remote_by_a_card_of_which_nobody_has_a_time_goes_before_nothing_comfortable() -> None:
    guess = replace(away(0.1), time=Time(0.1, "predicted"))
    assert order([a_way(0, 1.0)], guess) == ["untiled", "remote"]
    assert advised([a_way(0, 1.0)], guess).quicker == "remote, by NVIDIA Big, 100 ms (predicted), 90% less time"
    assert order([a_way(0, 1.0, "tight")], guess) == ["remote", "untiled"]


def test_remote_that_is_quicker_but_not_first_is_told() -> None:
    ways = [a_way(0, 1.0), a_way(5, 0.4, case=HALF, risk="it overflows")]
    told = "remote, by NVIDIA Big, 600 ms (simulated), 40% less time"
    assert advised(ways[:1], away(0.6)).quicker == told
    assert str(advised(ways, away(0.6)).quicker).endswith(f"but in lower precision; {told}")
    assert advised(ways[:1], away(0.95)).quicker is None


def test_remote_goes_before_what_is_tight_or_lower_if_it_is_quicker_by_more_than_the_margin() -> None:
    for way in (a_way(0, 1.0, "tight"), a_way(5, 1.0, case=HALF, risk="it overflows")):
        assert order([way], away(0.95))[1] == "remote"
        assert order([way], away(0.8))[0] == "remote"


def test_remote_is_the_way_where_nothing_fits() -> None:
    ways = [a_way(0, None, "out_of_memory"), a_way(1, None, "out_of_memory", needed_bytes=9, reason="needs 9 B")]
    found = advised(ways, away(3.0))
    assert found.best is not None
    assert found.best.standing == "remote"
    assert found.reason == "nothing fits here; tile 1024/256: needs 9 B"


def test_where_nothing_fits_and_remote_has_no_figure_nothing_is_recommended() -> None:
    found = advised([a_way(0, None, "out_of_memory")])
    assert found.best is None
    assert [one.standing for one in found.ranked] == ["remote", "out_of_memory"]
    assert found.ranked[0].reason.endswith("nobody timed it")


def test_remote_without_a_time_here_to_hold_it_against_stays_behind() -> None:
    assert order([a_way(0, None), a_way(1, None, "tight")], away(0.1)) == ["untiled", "tile 1024/256", "remote"]


def test_the_remote_way_is_what_hybrid_simulates_over_the_first_network() -> None:
    records = [published(0.1, case=IMAGE)]
    comparison = compared(records)
    found = remote_way.of(comparison.remote_images[0], comparison.request)
    assert found.time is not None
    assert (found.time.kind, found.by) == ("simulated", "NVIDIA Test")
    assert found.time.seconds == comparison.remote_images[0].over_s["near"]
    assert remote_way.of(None, comparison.request).time is None
    many = compared([measured(0.1, case=changed(IMAGE, batch=2))]).remote_images[0]
    assert "an image file holds one image" in remote_way.of(many, comparison.request).reason


def test_a_predicted_time_of_the_serving_card_makes_a_predicted_remote_one() -> None:
    # Given the time that a published record of the image would have
    comparison = compared([published(0.1, case=IMAGE)])
    time = Time(0.1, "predicted", beyond=("decode",))
    found = remote_way.predicted(IMAGE, time, "NVIDIA Test", comparison.request)
    # Then it takes from end to end what it would with the record, and says what it is
    assert found is not None
    assert found.time == Time(comparison.remote_images[0].over_s["near"], "predicted", beyond=("decode",))
    assert (found.network, found.by) == ("near", "NVIDIA Test")
    # and a batch, which no image file carries, has none
    assert remote_way.predicted(changed(IMAGE, batch=2), time, "NVIDIA Test", comparison.request) is None


def test_sliced_changes_nothing_and_goes_before_tiles() -> None:
    sliced = a_way(1, 1.0, case=changed(IMAGE, variant="sliced", batch=4))
    tile = IMAGE.model_copy(update={"tiling": Tile(tile=512, overlap=128)})
    assert order([a_way(0, None, "out_of_memory"), sliced, a_way(2, 1.0, case=tile)])[0] == "sliced, untiled"
    assert [one.reason for one in advised([a_way(0, 1.0), sliced, a_way(2, 1.0, case=tile)]).ranked[1:3]] == [
        *("about as long", "about as long, changes the picture more")
    ]


@pytest.mark.parametrize("remote_s", [None, 0.1, 0.6, 5.0])
@pytest.mark.parametrize(
    "ways",
    [
        [a_way(0, 1.0), a_way(1, 1.2)],
        [a_way(0, 1.0, "tight")],
        [a_way(0, None, "out_of_memory"), a_way(2, 2.0)],
        [a_way(0, None, "out_of_memory")],
        [a_way(0, None)],
    ],
)
def test_the_two_steps_of_the_rule_give_the_recommendation(ways: list[Local], remote_s: float | None) -> None:
    # given
    remote = replace(away(), time=None if remote_s is None else Time(remote_s, "simulated"))
    # when
    first = first_local(ways)
    is_remote = is_remote_first(remote.time, first)
    # then
    best = advised(ways, remote).best
    assert (best.way if best else None) == (remote if is_remote else first)
