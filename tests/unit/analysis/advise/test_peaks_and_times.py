"""What is known of an option on a card: measured goes before published, and published before predicted."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from factories import GIB, a_case, a_device, changed, measured, out_of_memory, published
from observed import TRUTH, all_observed, kernels
from ways import CARD, IMAGE, KERNELS, a_place, foreseen

from bench.analysis.advise import peaks, times
from bench.analysis.advise.card import Place
from bench.analysis.advise.peaks import Peak
from bench.analysis.speed.extrapolation import Range, Scope
from bench.analysis.speed.held_out import Cell, Errors
from bench.analysis.speed.observation import LEAST_S
from bench.config import load_gpus
from bench.record import Device, Memory, Record, Tile

HERE = a_device(name=CARD, total_bytes=8 * GIB)
#: Fitted on cards like that of `a_place`.
SCOPE = replace(Scope.of(all_observed()), tensor_ratios=((2, 2.0), (4, 1.0)))
CLOCK = times.Clock(TRUTH, SCOPE, spread=1.5)
#: What the model was fitted on.
FITTED = changed(IMAGE, model="sd-v1", operation="encode")


def a_measurement(gib: float, seconds: float = 1.0, **fields: object) -> Record:
    memory = Memory(percent=gib / 8 * 100, peak_bytes=int(gib * GIB))
    return measured(seconds, **{"case": IMAGE, "device": HERE, "memory": memory} | fields)


def a_row(percent: float, seconds: float = 2.0) -> Record:
    return published(seconds, percent, case=IMAGE, device=a_device(name=CARD, total_bytes=None))


def peak(records: list[Record], place: Place | None = None, gib: float = 3.0, **fields: object) -> Peak:
    return peaks.of(IMAGE, place or a_place(), records, foreseen(gib, **fields))


def time(records: list[Record], place: Place | None = None) -> times.Time | None:
    return times.of(IMAGE, place or a_place(), records, peak(records, place), CLOCK, KERNELS)


def test_measured_beats_published_beats_predicted() -> None:
    row, own = a_row(50), a_measurement(5)
    assert [peak(records).kind for records in ([row, own], [row], [])] == ["measured", "published", "predicted"]
    found = [time(records) for records in ([row, own], [row], [])]
    assert [one.kind for one in found if one] == ["measured", "published", "predicted"]
    assert [one.seconds for one in found if one][:2] == [1.0, 2.0]


def test_a_published_share_is_bytes_by_the_docs_rule() -> None:
    assert peak([a_row(50)]).reserved_bytes == 4 * GIB


def test_another_card_s_figures_are_not_this_one_s() -> None:
    other = a_measurement(5, device=a_device(name="NVIDIA GeForce RTX 3080"))
    twin = a_measurement(5, device=a_device(name=CARD, total_bytes=12 * GIB))
    assert peak([other, twin]).kind == "predicted"


def test_a_card_that_gpus_yaml_tells_from_its_twin_by_memory_is_found_by_it() -> None:
    place = a_place(card="NVIDIA GeForce RTX 4060 Ti 16GB", total_bytes=16 * GIB)
    sizes = [16, 8, None]
    found = [Device(kind="cuda", name="NVIDIA GeForce RTX 4060 Ti", total_bytes=n and n * GIB) for n in sizes]
    assert [place.is_of(a_measurement(5, device=device)) for device in found] == [True, False, False]


def test_a_card_whose_name_another_s_begins_with_is_not_that_one() -> None:
    # Given a card of as much memory
    place = a_place(card="NVIDIA GeForce RTX 4060 Ti 8GB")
    other = Device(kind="cuda", name="NVIDIA GeForce RTX 4060", total_bytes=place.total_bytes)
    assert not place.is_of(a_measurement(5, device=other))


def test_what_ran_with_next_to_nothing_left_over_is_tight() -> None:
    found = peak([a_row(96)])
    assert (found.verdict, found.is_comfortable) == ("tight", False)


def test_out_of_memory_there_is_out_of_memory_here() -> None:
    found = peak([out_of_memory(case=IMAGE, device=HERE)])
    assert (found.kind, found.verdict) == ("measured", "out_of_memory")
    assert time([out_of_memory(case=IMAGE, device=HERE)]) is None


def test_out_of_memory_under_a_limit_is_no_word_on_the_whole_card() -> None:
    assert peak([out_of_memory(case=IMAGE, device=HERE, vram_limit_bytes=4 * GIB)]).kind == "predicted"


def test_with_less_free_a_measured_peak_counts_only_if_it_fits_in_that() -> None:
    # Given 4 GiB free of the 8
    place = a_place(free_bytes=4 * GIB)
    # Then a peak of 2 is one here as well, with its time; one of 5 says nothing certain, nor does its time
    assert peak([a_measurement(2)], place).kind == "measured"
    assert time([a_measurement(2)], place).kind == "measured"  # type: ignore[union-attr]
    tight = [a_measurement(5)]
    assert peak(tight, place, verdict="tight", confidence="low").kind == "predicted"
    assert times.of(IMAGE, place, tight, peak(tight, place, verdict="tight"), CLOCK, KERNELS).kind == "predicted"  # type: ignore[union-attr]


def test_a_time_under_a_tighter_limit_is_not_one_of_the_whole_card() -> None:
    # Given a time under 6 GiB, which ran there; and one of the whole card
    limited, whole = a_measurement(2, vram_limit_bytes=6 * GIB), a_measurement(2, 0.7)
    # Then it counts under that limit, and on less of it where that is enough, but with more memory kernels differ
    six = a_place(limit_bytes=6 * GIB)
    four = a_place(free_bytes=4 * GIB)
    assert [time([limited], place).kind for place in (six, four, None)] == [  # type: ignore[union-attr]
        *("measured", "measured", "predicted")
    ]
    # and the whole card's counts in both
    assert [time([whole], place).seconds for place in (six, None)] == [0.7, 0.7]  # type: ignore[union-attr]


def test_a_predicted_time_of_a_tight_fit_is_the_least_that_it_takes() -> None:
    found = times.of(FITTED, a_place(), [], peak([], verdict="tight"), CLOCK, KERNELS)
    assert found is not None
    assert found.seconds is None
    seconds = TRUTH.seconds(KERNELS, "float32", a_place().gpu)  # type: ignore[arg-type]
    assert found.between == Range(pytest.approx(seconds / 1.5), None)  # type: ignore[arg-type]
    assert found.beyond == (times.TIGHT,)
    # but one that was measured there is as it was
    tight = [a_measurement(7.9, 3.0)]
    assert times.of(IMAGE, a_place(), tight, peak(tight), CLOCK, KERNELS) == times.Time(3.0, "measured")


def test_a_predicted_time_in_a_precision_that_the_card_emulates_is_the_least_that_it_takes() -> None:
    turing = a_place(card="Tesla T4", gpu=load_gpus().cards["Tesla T4"])
    emulated = times.of(changed(FITTED, dtype="bfloat16"), turing, [], peak([], turing), CLOCK, KERNELS)
    assert emulated is not None
    assert (emulated.seconds, emulated.most_s) == (None, math.inf)
    assert times.EMULATED in emulated.beyond
    # but not in one that it computes in
    usual = times.of(changed(FITTED, dtype="float16"), turing, [], peak([], turing), CLOCK, KERNELS)
    assert usual is not None
    assert usual.most_s < math.inf


def test_a_prediction_within_the_fit_is_a_point_and_has_the_model_s_errors() -> None:
    errors = Errors(2, 0.06, Cell(all_observed()[0], 1.0))
    found = times.of(FITTED, a_place(), [], peak([]), replace(CLOCK, errors=errors), KERNELS)
    seconds = TRUTH.seconds(KERNELS, "float32", a_place().gpu)  # type: ignore[arg-type]
    assert found == times.Time(pytest.approx(seconds), "predicted", errors)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"operation": "decode"}, "decode"),
        ({"model": "sdxl"}, "SDXL"),
        ({"dtype": "bfloat16"}, "bfloat16"),
        ({"batch": 4}, "batch 4"),
    ],
)
def test_a_prediction_beyond_the_fit_is_a_range_whatever_goes_beyond_it(change: dict[str, object], told: str) -> None:
    found = times.of(changed(FITTED, **change), a_place(), [], peak([]), CLOCK, KERNELS)
    assert found is not None
    assert found.seconds is None
    assert found.between is not None
    assert found.between.most_s == pytest.approx(found.between.least_s * 1.5**2)
    assert [word.startswith(told) for word in found.beyond] == [True]


def test_a_time_below_the_shortest_that_was_fitted_is_a_range() -> None:
    found = times.of(FITTED, a_place(), [], peak([]), CLOCK, kernels(moved={10**6: 1}))
    assert found is not None
    assert (found.seconds, found.beyond) == (None, ("times below 10 ms",))
    assert found.least_s == LEAST_S  # and counts as equal to all others of the kind


def test_on_an_architecture_that_no_time_is_of_the_prediction_is_a_range() -> None:
    hopper = a_place(card="NVIDIA H200", gpu=load_gpus().cards["NVIDIA H200"])
    work = kernels(convolution_flops=10**14, moved={10**9: 1})
    found = times.of(FITTED, hopper, [], peak([], hopper), CLOCK, work)
    assert found is not None
    assert (found.kind, found.seconds) == ("predicted", None)
    assert found.between is not None
    assert found.least_s == found.between.least_s < found.most_s == found.between.most_s
    # and if the error of an architecture left out is not known, only the least is
    alone = times.of(FITTED, hopper, [], peak([], hopper), replace(CLOCK, spread=None), work)
    assert alone is not None
    assert alone.between == Range(pytest.approx(10**14 / 494.7e12), None)  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", ["sm_count", "vector_tflops", "tensor_tflops", "bandwidth_gb_s", "l2_mib"])
def test_a_card_of_which_a_rate_is_not_known_has_no_time(rate: str) -> None:
    gpu = load_gpus().cards[CARD].model_copy(update={rate: None})
    assert gpu.unknown_rates == (rate,)
    assert times.of(FITTED, a_place(gpu=gpu), [], peak([]), CLOCK, KERNELS) is None


def test_a_variant_whose_kernels_nobody_timed_has_no_time() -> None:
    case = changed(FITTED, variant="channels-last")
    assert times.of(case, a_place(), [], peak([]), CLOCK, KERNELS) is None


def test_a_limit_is_what_memory_is_a_share_of() -> None:
    place = a_place(limit_bytes=6 * GIB, free_bytes=4 * GIB)
    assert (place.limit_or_total_bytes, place.available_bytes) == (6 * GIB, 4 * GIB)
    assert place.label == f"{CARD}, limited to 6.00 GiB, 4.00 GiB of it free"


def test_weights_that_have_no_room_are_told() -> None:
    found = peaks.of(IMAGE, a_place(), [], peaks.PredictedPeak(None, weights_bytes=9 * GIB))
    assert (found.verdict, found.has_room) == ("out_of_memory", False)
    assert "the weights alone are 9.00 GiB" in found.reason


@pytest.mark.parametrize(("gib", "said"), [(12, "needs at least 12.0 GiB"), (7, "the allocator")])
def test_why_it_is_out_of_memory(gib: float, said: str) -> None:
    assert said in peak([], gib=gib, verdict="out_of_memory").reason


def test_there_is_no_time_without_a_model_or_a_card() -> None:
    fits = peak([])
    assert times.of(IMAGE, a_place(), [], fits, None, KERNELS) is None
    assert times.of(IMAGE, a_place(card=None, gpu=None), [], fits, CLOCK, KERNELS) is None


def test_other_tiles_other_precisions_and_batches_are_other_calls() -> None:
    others = [
        a_measurement(5, case=changed(IMAGE, **change))
        for change in ({"tiling": Tile(tile=512, overlap=128)}, {"dtype": "float16"}, {"batch": 2})
    ]
    assert peak(others).kind == "predicted"
    assert peak([a_measurement(5, case=a_case(**IMAGE.model_dump(exclude={"id", "weights"}), weights="hub"))]).kind == (
        "measured"
    )
