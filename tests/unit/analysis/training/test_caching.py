"""Which batches are measured, which one follows a failure, and what a data set takes."""

from __future__ import annotations

import pytest
from factories import a_case, measured, out_of_memory
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.training.caching import (
    batches_to,
    data_set,
    fastest,
    images_per_second,
    latent_bytes,
    step_down,
    with_batch,
)

GIB = 2**30


@pytest.mark.parametrize(
    ("largest", "batches"), [(0, ()), (1, (1,)), (2, (1, 2)), (5, (1, 2, 4, 5)), (16, (1, 2, 4, 8, 16))]
)
def test_powers_of_2_lead_to_the_largest_batch(largest: int, batches: tuple[int, ...]) -> None:
    assert batches_to(largest) == batches


def test_the_quickest_batch_makes_the_most_images_a_second() -> None:
    # Given batches of which the second is quicker an image than the first, and the third no more
    records = [measured(seconds, case=a_case(batch=batch)) for batch, seconds in ((1, 0.1), (4, 0.2), (8, 0.4))]
    records.append(out_of_memory(case=a_case(batch=16)))
    assert [images_per_second(record) for record in records] == [pytest.approx(10), pytest.approx(20), 20, None]
    best = fastest(records)
    assert best is not None
    assert best.case.axes["batch"] == 4
    assert fastest(records[-1:]) is None


def test_after_a_failure_the_growth_is_corrected_by_what_was_measured() -> None:
    # Given peaks that are twice as high as predicted: 1 GiB an image instead of 0.5
    predicted = {batch: (1 + batch) * GIB // 2 for batch in (1, 2, 4, 8, 14)}
    known = {batch: (1 + batch) * GIB for batch in (1, 2, 4)}
    # When the largest failed at 8 GiB, then 7 images are 1 + 7 GiB
    assert step_down(14, known, predicted, 8 * GIB) == 7


def test_a_prediction_that_seems_right_is_still_lowered_by_an_eighth() -> None:
    predicted = {batch: batch * GIB for batch in (1, 8, 16)}
    assert step_down(16, {1: GIB, 8: 8 * GIB}, predicted, 16 * GIB) == 14


@pytest.mark.parametrize(("failed", "known"), [(1, {}), (2, {1: GIB}), (16, {}), (9, {8: 9 * GIB})])
def test_between_the_failure_and_what_was_measured_there_may_be_nothing(failed: int, known: dict[int, int]) -> None:
    predicted = {batch: batch * GIB for batch in (1, 8, failed)}
    assert step_down(failed, known, predicted, 8 * GIB) is None


@given(
    failed=st.integers(2, 500), known=st.integers(1, 499), peak=st.integers(1, 2**40), capacity=st.integers(1, 2**40)
)
def test_the_next_batch_lies_between(failed: int, known: int, peak: int, capacity: int) -> None:
    predicted = {batch: batch * GIB for batch in (known, failed)}
    lowered = step_down(failed, {known: peak}, predicted, capacity)
    assert lowered is None or known < lowered < failed


def test_latents_take_an_eighth_of_the_sides_in_the_case_s_precision() -> None:
    case = a_case(model="sdxl", size=1024, dtype="float16", batch=7)
    assert latent_bytes(case) == 4 * 128 * 128 * 2
    wanted = data_set(10_000, case, 25.0)
    assert (wanted.seconds, wanted.latent_bytes) == (400, 10_000 * 131_072)
    assert data_set(10, case, None).seconds is None


def test_latents_of_videos_have_frames() -> None:
    case = a_case(model="wan-2.1", width=832, height=480, frames=81, dtype="bfloat16")
    assert latent_bytes(case) == 16 * 21 * 60 * 104 * 2


def test_only_the_batch_of_a_case_changes() -> None:
    case = a_case(size=96)
    assert with_batch(case, 3) == a_case(size=96, batch=3)
