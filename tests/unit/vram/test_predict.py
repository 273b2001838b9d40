"""Verdicts at every edge between a card that holds all and one that holds nothing; what can't be predicted."""

from __future__ import annotations

import pytest
from factories import a_case, changed, refusal

from bench.errors import ConfigError
from bench.record import Case, Prediction, Tile
from bench.vram import cudnn
from bench.vram.cudnn import CuDnn
from bench.vram.verdict import Card, Demand, demand, predict

MIB = 2**20
#: The CUDA context: 10 to 30 MiB, so 20 by the middle; little, so that edges lie apart.
CONTEXT = (10 * MIB, 30 * MIB)
CASE = a_case(model="sd-v1", operation="decode", size=512, dtype="float16")
BACKEND = cudnn.backend("ada", "8.9", 2)


@pytest.fixture(scope="module")
def wanted() -> Demand:
    """What CASE takes."""
    return demand(CASE, BACKEND)


def on(pool_bytes: int, context: int, case: Case = CASE, backend: CuDnn = BACKEND) -> Prediction:
    """The prediction on a card whose pool has so many bytes left by the least (0), middle (1) or most (2) context."""
    taken = (CONTEXT[0], sum(CONTEXT) // 2, CONTEXT[1])[context]
    return predict(case, backend, Card(pool_bytes + taken, CONTEXT))[0]


LEAST, MIDDLE, MOST = range(3)


def test_what_the_case_takes_is_in_order(wanted: Demand) -> None:
    # Given the demand on which these tests' edges rest
    low, high = wanted.band
    # Then the leanest takes less than the preferred, which lies in the band, and what is reserved is no less than
    # what is allocated
    assert wanted.weights_bytes < wanted.lean_peaks.allocated_bytes < wanted.lean_peaks.reserved_bytes
    assert wanted.lean_peaks.reserved_bytes < wanted.preferred_peaks.reserved_bytes
    assert low <= wanted.preferred_peaks.reserved_bytes < high
    assert wanted.preferred_peaks.allocated_bytes <= wanted.preferred_peaks.reserved_bytes


def test_a_card_that_holds_the_whole_band_beside_the_largest_context_is_sure_to_do(wanted: Demand) -> None:
    found = on(wanted.band[1], MOST)
    assert (found.verdict, found.confidence) == ("fits", "high")
    assert found.capacity_bytes == wanted.band[1] + 10 * MIB


def test_one_byte_less_and_the_band_s_end_does_not_fit(wanted: Demand) -> None:
    found = on(wanted.band[1] - 1, MOST)
    assert (found.verdict, found.confidence) == ("fits", "medium")


def test_what_is_taken_fits_beside_the_largest_context(wanted: Demand) -> None:
    found = on(wanted.preferred_peaks.reserved_bytes, MOST)
    assert (found.verdict, found.confidence) == ("fits", "medium")


def test_what_is_taken_fits_only_beside_a_middling_context(wanted: Demand) -> None:
    found = on(wanted.preferred_peaks.reserved_bytes, MIDDLE)
    assert (found.verdict, found.confidence) == ("fits", "low")


def test_less_than_is_taken_is_tight_and_the_band_reaches_from_the_leanest_to_the_card(wanted: Demand) -> None:
    # Given a pool that, by the middle, has 2 MiB too few (the pool grows by no less)
    found = on(wanted.preferred_peaks.reserved_bytes - 2 * MIB, MIDDLE)
    # Then it runs with leaner kernels, and takes anything from the leanest's peak to all that there may be
    assert found.verdict == "tight"
    assert found.reserved_low_bytes == min(wanted.lean_peaks.reserved_bytes, wanted.band[0])
    assert found.reserved_high_bytes == wanted.preferred_peaks.reserved_bytes - 2 * MIB + 10 * MIB
    # And what it would take with memory to spare is told apart from it
    assert (found.taken_low_bytes, found.taken_high_bytes) == wanted.band


def test_tight_is_medium_where_the_leanest_fits_whatever_the_context(wanted: Demand) -> None:
    found = on(wanted.lean_peaks.reserved_bytes, MOST)
    assert (found.verdict, found.confidence) == ("tight", "medium")


def test_tight_is_low_where_the_leanest_fits_by_the_middle_alone(wanted: Demand) -> None:
    found = on(wanted.lean_peaks.reserved_bytes, MIDDLE)
    assert (found.verdict, found.confidence) == ("tight", "low")


def test_live_tensors_that_would_fit_but_not_as_they_are_placed_are_out_of_memory_with_little_confidence(
    wanted: Demand,
) -> None:
    found = on(wanted.lean_peaks.allocated_bytes, MIDDLE)
    assert (found.verdict, found.confidence) == ("out_of_memory", "low")


def test_less_than_live_tensors_is_out_of_memory_unless_the_context_is_small(wanted: Demand) -> None:
    found = on(wanted.lean_peaks.allocated_bytes - 512, MIDDLE)
    assert (found.verdict, found.confidence) == ("out_of_memory", "medium")


def test_less_than_live_tensors_whatever_the_context_is_surely_out_of_memory(wanted: Demand) -> None:
    assert on(wanted.lean_peaks.allocated_bytes, LEAST).confidence != "high"
    found = on(wanted.lean_peaks.allocated_bytes - 512, LEAST)
    assert (found.verdict, found.confidence) == ("out_of_memory", "high")


def test_a_card_below_the_live_tensors_needs_no_replay(wanted: Demand, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a card that holds the weights, but not the live tensors
    monkeypatch.delattr("bench.vram.verdict.replay")
    # Then the verdict takes none of the replays with a limit, which are slow for videos
    assert on(wanted.live_bytes - 1, MIDDLE).verdict == "out_of_memory"


def test_the_peak_on_a_card_is_given_where_it_runs_and_none_where_it_does_not(wanted: Demand) -> None:
    _, _, roomy = predict(CASE, BACKEND, Card(2**40, CONTEXT))
    assert roomy == wanted.preferred_peaks
    pool = wanted.preferred_peaks.reserved_bytes - 2 * MIB
    _, _, tight = predict(CASE, BACKEND, Card(pool + 20 * MIB, CONTEXT))
    assert tight is not None
    assert tight.reserved_bytes <= pool
    _, _, none = predict(CASE, BACKEND, Card(wanted.lean_peaks.allocated_bytes + 10 * MIB, CONTEXT))
    assert none is None


def test_tight_says_whether_kernels_are_leaner_or_the_cache_is_emptied(wanted: Demand) -> None:
    # Given a pool with 2 MiB too few, where giving back what was cached is enough
    crowded = on(wanted.preferred_peaks.reserved_bytes - 2 * MIB, MIDDLE)
    assert "cache" in crowded.reason
    assert crowded.kernels == "preferred"
    # And one for the leanest kernels alone, beside the largest context
    lean = on(wanted.lean_peaks.reserved_bytes, MOST)
    assert "cache" not in lean.reason
    assert lean.kernels == "low_workspace"


def test_the_kernels_on_a_card_are_told_if_it_runs_there_and_only_then(wanted: Demand) -> None:
    assert on(wanted.band[1], MOST).kernels == "preferred"
    assert on(wanted.lean_peaks.allocated_bytes - 512, LEAST).kernels is None
    assert on(0, LEAST).kernels is None


def test_more_memory_never_makes_a_verdict_worse(wanted: Demand) -> None:
    order = ("out_of_memory", "tight", "fits")
    low, high = wanted.weights_bytes, wanted.band[1]
    verdicts = [on(low + (high - low) * step // 40, MIDDLE).verdict for step in range(1, 41)]
    assert verdicts == sorted(verdicts, key=order.index)
    assert set(verdicts) == set(order)


def test_a_card_that_can_t_hold_the_weights_is_out_of_memory_and_says_why(wanted: Demand) -> None:
    found, _, here = predict(CASE, BACKEND, Card(wanted.weights_bytes + 10 * MIB - 1, CONTEXT))
    assert (found.verdict, found.confidence, here) == ("out_of_memory", "high", None)
    assert "weights" in found.reason


def test_a_card_smaller_than_the_largest_context_has_nothing_left_beside_it() -> None:
    # Given 20 MiB, and contexts of 10, 30 and by the middle 20
    assert Card(20 * MIB, CONTEXT).capacities == (0, 0, 10 * MIB)


def test_a_layout_that_is_not_known_is_refused() -> None:
    said = refusal(ConfigError, demand, a_case(variant="channels-last"), BACKEND)
    assert all(variant in said for variant in ("'channels-last'", "default", "sliced"))


@pytest.mark.parametrize("tile", [Tile(tile=64, overlap=16), Tile(tile=512, overlap=128)], ids=str)
def test_a_tile_that_covers_the_image_is_no_tile(tile: Tile) -> None:
    assert demand(a_case(tiling=tile), BACKEND) is demand(a_case(), BACKEND)


def test_a_tile_smaller_than_one_side_is_one() -> None:
    case = a_case(width=128, height=64, tiling=Tile(tile=64, overlap=16))
    assert len(demand(case, BACKEND).passes) == 6  # at 0, 48 and 96 across, at 0 and 48 down


def test_weights_from_the_hub_are_as_large_as_random_ones() -> None:
    assert demand(a_case(weights="hub"), BACKEND) is demand(a_case(), BACKEND)


def test_half_precision_takes_half_the_weights() -> None:
    single, half = (demand(a_case(dtype=name), BACKEND).weights_bytes for name in ("float32", "float16"))
    assert single == 2 * half


def test_tiles_take_less_than_the_whole_image_and_little_more_than_one_tile() -> None:
    # Given an image of 512 whole, and in tiles of 256 that overlap by 64
    whole = demand(CASE, BACKEND)
    tiled = demand(CASE.model_copy(update={"tiling": Tile(tile=256, overlap=64)}), BACKEND)
    assert tiled.preferred_peaks.allocated_bytes < whole.preferred_peaks.allocated_bytes
    # And what it takes beyond one tile's call is no more than all tiles' pixels: 2 x 2 full ones, 2 + 2 of 256x128 at
    # the edges and one of 128x128, twice (their blends), and the result
    one = demand(changed(CASE, width=256, height=256), BACKEND)
    pixels = 4 * 256 * 256 + 4 * 256 * 128 + 128 * 128 + 512 * 512
    assert 0 < tiled.preferred_peaks.allocated_bytes - one.preferred_peaks.allocated_bytes <= 3 * 2 * 2 * pixels


def test_with_memory_to_spare_a_batch_takes_more() -> None:
    one, two = (demand(changed(CASE, batch=batch), BACKEND) for batch in (1, 2))
    assert one.preferred_peaks.reserved_bytes < two.preferred_peaks.reserved_bytes
