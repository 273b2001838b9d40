"""What is known of an option on a card: measured goes before published, and published before predicted."""

from __future__ import annotations

import pytest
from factories import GIB, a_case, a_device, changed, measured, out_of_memory, published
from observed import TRUTH, all_observed
from ways import CARD, IMAGE, WORK, a_place, foreseen

from bench.analysis.advise import peaks, times
from bench.analysis.advise.card import Place
from bench.analysis.advise.peaks import Peak
from bench.analysis.speed.extrapolation import Range
from bench.config import load_gpus
from bench.core.work import Work
from bench.record import Device, Memory, Record, Tile

HERE = a_device(name=CARD, total_bytes=8 * GIB)
CLOCK = times.Clock(TRUTH, all_observed(), None)


def a_measurement(gib: float, seconds: float = 1.0, **fields: object) -> Record:
    memory = Memory(percent=gib / 8 * 100, peak_bytes=int(gib * GIB))
    return measured(seconds, **{"case": IMAGE, "device": HERE, "memory": memory} | fields)


def a_row(percent: float, seconds: float = 2.0) -> Record:
    return published(seconds, percent, case=IMAGE, device=a_device(name=CARD, total_bytes=None))


def peak(records: list[Record], place: Place | None = None, gib: float = 3.0, **fields: object) -> Peak:
    return peaks.of(IMAGE, place or a_place(), records, foreseen(gib, **fields))


def time(records: list[Record], place: Place | None = None) -> times.Time | None:
    return times.of(IMAGE, place or a_place(), records, peak(records, place), CLOCK, WORK)


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
    assert times.of(IMAGE, place, tight, peak(tight, place, verdict="tight"), CLOCK, WORK).kind == "predicted"  # type: ignore[union-attr]


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
    found = times.of(IMAGE, a_place(), [], peak([], verdict="tight"), CLOCK, WORK)
    assert found is not None
    assert found.seconds is None
    assert found.between == Range(pytest.approx(TRUTH.seconds(WORK, "float32", a_place().gpu)), None)  # type: ignore[arg-type]
    assert times.TIGHT in found.beyond
    # but one that was measured there is as it was
    tight = [a_measurement(7.9, 3.0)]
    assert times.of(IMAGE, a_place(), tight, peak(tight), CLOCK, WORK) == times.Time(3.0, "measured")


def test_on_an_architecture_that_no_time_is_of_the_prediction_is_a_range() -> None:
    hopper = a_place(card="NVIDIA H200", gpu=load_gpus().cards["NVIDIA H200"])
    work = Work(convolution_flops=10**14, elements=10**9)
    known = times.clock(all_observed())
    found = times.of(IMAGE, hopper, [], peak([], hopper), known, work)
    assert found is not None
    assert (found.kind, found.seconds) == ("predicted", None)
    assert found.between is not None
    assert found.least_s == found.between.least_s < found.most_s == found.between.most_s
    # and of one card alone, whose error on another nobody knows, only the least is known
    alone = times.of(IMAGE, hopper, [], peak([], hopper), CLOCK, work)
    assert alone is not None
    assert alone.between == Range(found.between.least_s, None)


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


def test_a_predicted_time_tells_what_it_goes_beyond() -> None:
    found = time([])
    assert found is not None
    assert found.seconds == pytest.approx(TRUTH.seconds(WORK, "float32", a_place().gpu))  # type: ignore[arg-type]
    assert "decode (fitted on encode alone)" in found.beyond


def test_there_is_no_time_without_a_model_or_a_card() -> None:
    fits = peak([])
    assert times.of(IMAGE, a_place(), [], fits, None, WORK) is None
    assert times.of(IMAGE, a_place(card=None, gpu=None), [], fits, CLOCK, WORK) is None


def test_a_clock_needs_both_widths_and_has_errors_from_two_cards_on() -> None:
    seen = all_observed()
    assert times.clock([]) is None
    alone = times.clock([one for one in seen if one.card == "one"])
    assert alone is not None
    assert alone.errors is None
    whole = times.clock(seen)
    assert whole is not None
    assert whole.errors is not None
    assert whole.errors.median < 0.01


def test_other_tiles_other_precisions_and_batches_are_other_calls() -> None:
    others = [
        a_measurement(5, case=changed(IMAGE, **change))
        for change in ({"tiling": Tile(tile=512, overlap=128)}, {"dtype": "float16"}, {"batch": 2})
    ]
    assert peak(others).kind == "predicted"
    assert peak([a_measurement(5, case=a_case(**IMAGE.model_dump(exclude={"id", "weights"}), weights="hub"))]).kind == (
        "measured"
    )
