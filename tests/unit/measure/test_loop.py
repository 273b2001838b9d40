"""The stopping rule, on scripted calls: exact and instant."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.loop import sample
from bench.record import MeasureSettings

SETTINGS = MeasureSettings(min_samples=10, min_time=0.5, max_time=15, few_samples=3)


def script(seconds: Iterable[float]) -> Callable[[], float]:
    """A call that takes the scripted times, one after another, and no time at all to run."""
    return iter(seconds).__next__


def test_calls_that_are_long_enough_are_sampled_the_least_number_of_times() -> None:
    samples = sample(script(repeat(0.1)), SETTINGS)

    assert samples.seconds == (0.1,) * 10
    assert samples.stopped_by == "enough_samples"


def test_quick_calls_are_sampled_until_they_fill_the_least_time() -> None:
    # given calls of 1/64 s, which floats add without a rest
    samples = sample(script(repeat(1 / 64)), SETTINGS)

    # then there are as many as make half a second
    assert len(samples.seconds) == 32
    assert samples.stopped_by == "enough_samples"


@pytest.mark.parametrize(("seconds", "count"), [(8.0, 3), (5.0, 3), (4.0, 4), (2.0, 8)])
def test_slow_calls_stop_at_the_most_time(seconds: float, count: int) -> None:
    samples = sample(script(repeat(seconds)), SETTINGS)

    assert len(samples.seconds) == count
    assert samples.stopped_by == "max_time"


def test_calls_slower_than_the_most_time_are_still_sampled_a_few_times() -> None:
    samples = sample(script(repeat(100.0)), SETTINGS)

    assert len(samples.seconds) == SETTINGS.few_samples


def test_the_last_call_that_may_reach_both_ends_is_enough() -> None:
    # given a tenth call that also fills the most time
    samples = sample(script(chain(repeat(1.0, 9), [6.0])), SETTINGS)

    assert samples.stopped_by == "enough_samples"


def test_one_slow_call_among_quick_ones_does_not_end_the_sampling_early() -> None:
    # given a first call that alone fills the most time
    samples = sample(script(chain([20.0], repeat(0.1))), SETTINGS)

    # then the few that a slow call needs are taken
    assert samples.seconds == (20.0, 0.1, 0.1)
    assert samples.stopped_by == "max_time"


def test_samples_keep_the_order_of_the_calls() -> None:
    samples = sample(script([3.0, 1.0, 2.0]), MeasureSettings(min_samples=3, min_time=0))

    assert samples.seconds == (3.0, 1.0, 2.0)


def test_no_least_time_leaves_the_least_number() -> None:
    samples = sample(script(repeat(0.0)), MeasureSettings(min_samples=4, min_time=0))

    assert len(samples.seconds) == 4


def test_a_least_time_beyond_the_most_is_the_most() -> None:
    # given a least time that would take the sampling past the most
    samples = sample(script(repeat(0.5)), MeasureSettings(min_samples=2, min_time=100, max_time=1))

    # then the least number of calls is enough once they fill the most time
    assert len(samples.seconds) == 2


def test_a_single_call_can_be_enough() -> None:
    assert sample(script([0.1]), MeasureSettings(min_samples=1, min_time=0, few_samples=1)).seconds == (0.1,)


@given(
    st.floats(min_value=0.01, max_value=10),
    st.integers(min_value=1, max_value=20),
    st.floats(min_value=0, max_value=2),
    st.floats(min_value=0.1, max_value=5),
    st.integers(min_value=1, max_value=20),
)
def test_sampling_ends_no_later_than_its_rule(
    seconds: float, min_samples: int, min_time: float, max_time: float, few_samples: int
) -> None:
    # given any settings and calls of equal length
    settings = MeasureSettings(min_samples=min_samples, min_time=min_time, max_time=max_time, few_samples=few_samples)
    samples = sample(script(repeat(seconds)), settings).seconds

    # when the last call is left out, then neither rule is met: one call more was needed
    before, spent = len(samples) - 1, sum(samples[:-1])
    assert not (before >= min_samples and spent >= min(min_time, max_time))
    assert not (before >= few_samples and spent >= max_time)
