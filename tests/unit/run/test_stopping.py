"""The stopping rule, on scripted calls: exact and instant."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable
from itertools import chain, cycle, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core import stats
from bench.record import MeasureSettings
from bench.run.stopping import StoppingRule, sample, sample_interleaved

SETTINGS = MeasureSettings(min_samples=10, min_time=0.5, max_time=15, few_samples=3, max_noise=0.005)
WHATEVER = SETTINGS.model_copy(update={"max_noise": None})


def script(seconds: Iterable[float]) -> Callable[[], float]:
    """A call that takes the scripted times, one after another, and no time at all to run."""
    return iter(seconds).__next__


def noisy(share: float, seconds: float = 0.01, seed: int = 0) -> Iterable[float]:
    """Calls of about `seconds` whose relative noise is `share`."""
    draw = random.Random(seed)
    while True:
        yield max(1e-6, draw.gauss(seconds, share * seconds))


def of_noises(noises: Iterable[float]) -> Iterable[float]:
    """Calls after each of which, from the second on, the noise of all so far is the next one given.

    With n calls of mean m and squares S (of their deviations), a call at m + d makes the mean m + d / (n + 1) and the
    squares S + d^2 n / (n + 1). That their noise is as given is a quadratic equation of d.
    """
    count, mean, squares = 1, 0.01, 0.0
    yield mean
    for noise in noises:
        share = noise**2 * count
        a = count / (count + 1) - share / (count + 1) ** 2
        b, c = -2 * share * mean / (count + 1), squares - share * mean**2
        deviation = (-b + math.sqrt(b**2 - 4 * a * c)) / (2 * a)
        yield mean + deviation
        squares += deviation**2 * count / (count + 1)
        mean += deviation / (count + 1)
        count += 1


# The noise target


def test_quiet_calls_are_sampled_the_least_number_of_times() -> None:
    samples = sample(script(repeat(0.1)), SETTINGS)

    assert samples.seconds == (0.1,) * 10
    assert samples.stopped_by == "noise_target"


def test_calls_are_sampled_until_their_noise_is_below_the_target() -> None:
    # given a first call that is off by 2%, and quiet ones after it
    samples = sample(script(chain([0.102], repeat(0.1))), SETTINGS)

    # then sampling goes on past the tenth, and ends with the first sample that brings the noise down
    assert len(samples.seconds) > 10
    assert samples.stopped_by == "noise_target"
    assert stats.noise(samples.seconds) < 0.005 <= stats.noise(samples.seconds[:-1])


def test_calls_that_are_noisy_for_good_end_once_their_noise_is_steady() -> None:
    samples = sample(script(noisy(0.05)), SETTINGS)

    assert samples.stopped_by == "inherently_noisy"
    assert 65 < len(samples.seconds) < 400
    assert stats.noise(samples.seconds) == pytest.approx(0.05, rel=0.3)


def test_noise_is_not_steady_before_a_window_of_it_lies_behind() -> None:
    # given calls whose noise is the same from the second on
    samples = sample(script(of_noises(repeat(0.05))), SETTINGS)

    # then there are more than 64 values of it all the same: 63 after 64 calls, 79 after the next 16
    assert len(samples.seconds) == 80
    assert samples.stopped_by == "inherently_noisy"


@pytest.mark.parametrize(("share", "count"), [(0.437, 144), (0.436, 160)])
def test_the_noise_is_steady_if_it_varies_by_less_than_a_twentieth_over_the_last_128_calls(
    share: float, count: int
) -> None:
    # given a noise that is `share` of c up to the 17th call, and c after it
    samples = sample(script(of_noises(chain(repeat(share * 0.05, 16), repeat(0.05)))), SETTINGS)

    # then at the 144th there are one of `share` c and 127 of c. Their mean is (127 + share) c / 128 and their standard
    # deviation (1 - share) c / sqrt(128): 4.9763% against 4.9780% with 0.437, 4.9851% against 4.9779% with 0.436
    assert len(samples.seconds) == count
    assert samples.stopped_by == "inherently_noisy"


def test_noise_that_keeps_falling_or_growing_is_not_steady_and_ends_with_the_time() -> None:
    # given calls that get slower and slower, as on a device that heats up
    samples = sample(script(0.01 * 1.05**n for n in range(1000)), SETTINGS)

    assert samples.stopped_by == "max_time"
    assert sum(samples.seconds[:-1]) < 15 <= sum(samples.seconds)


def test_without_a_target_the_noise_does_not_matter() -> None:
    samples = sample(script(noisy(0.3, seconds=0.1)), WHATEVER)

    assert len(samples.seconds) == 10
    assert samples.stopped_by == "enough_samples"


def test_a_target_needs_two_samples_even_where_one_would_do() -> None:
    # given one sample, whose noise nobody knows
    settings = MeasureSettings(min_samples=1, min_time=0, few_samples=1)

    assert sample(script([0.1, 0.1]), settings).seconds == (0.1, 0.1)
    assert sample(script([0.1]), settings.model_copy(update={"max_noise": None})).seconds == (0.1,)


def test_noise_at_the_target_is_not_below_it() -> None:
    # given calls of 1, 2 and 3 s: their standard deviation is 1 and their mean 2
    settings = MeasureSettings(min_samples=3, min_time=0, max_noise=0.5)

    # then a fourth is made: sqrt(2 / 3) over 2 is 0.41
    assert sample(script([1.0, 2.0, 3.0, 2.0]), settings).seconds == (1.0, 2.0, 3.0, 2.0)


# Least number, least time, most time


def test_quick_calls_are_sampled_until_they_fill_the_least_time() -> None:
    # given calls of 1/64 s, which floats add without a rest
    samples = sample(script(repeat(1 / 64)), SETTINGS)

    # then there are as many as make half a second
    assert len(samples.seconds) == 32


@pytest.mark.parametrize(("seconds", "count"), [(100.0, 3), (8.0, 3), (3.0, 3), (2.9, 6), (2.0, 8), (1.5, 10)])
def test_slow_calls_need_fewer_samples(seconds: float, count: int) -> None:
    # given quiet calls: from 3 s a call on, a few are enough; below, the time is spent before there are ten
    assert len(sample(script(repeat(seconds)), SETTINGS).seconds) == count


def test_without_a_bound_for_slow_calls_none_is_slow() -> None:
    settings = SETTINGS.model_copy(update={"slow_call": None, "max_time": 1e6})

    assert len(sample(script(repeat(100.0)), settings).seconds) == 10


def test_slow_and_noisy_calls_go_on_while_there_is_time() -> None:
    samples = sample(script(cycle([3.0, 4.0])), SETTINGS)

    assert samples.seconds == (3.0, 4.0, 3.0, 4.0, 3.0)
    assert samples.stopped_by == "max_time"


def test_the_most_time_ends_noisy_calls() -> None:
    samples = sample(script(cycle([0.75, 1.25])), SETTINGS)

    assert len(samples.seconds) == 15 + 1
    assert sum(samples.seconds[:-1]) < 15
    assert samples.stopped_by == "max_time"


def test_one_slow_call_among_quick_ones_does_not_end_the_sampling_before_the_few() -> None:
    # given a first call that alone fills the most time
    samples = sample(script(chain([20.0], repeat(0.1))), SETTINGS)

    assert samples.seconds == (20.0, 0.1, 0.1)
    assert samples.stopped_by == "max_time"


def test_samples_keep_the_order_of_the_calls() -> None:
    settings = MeasureSettings(min_samples=3, min_time=0, max_noise=None)

    assert sample(script([3.0, 1.0, 2.0]), settings).seconds == (3.0, 1.0, 2.0)


def test_calls_that_take_no_time_at_all_end_with_the_least_number() -> None:
    assert len(sample(script(repeat(0.0)), MeasureSettings(min_samples=4, min_time=0)).seconds) == 4


def test_a_least_time_beyond_the_most_is_the_most() -> None:
    # given a least time that would take the sampling past the most
    samples = sample(script(repeat(0.5)), MeasureSettings(min_samples=2, min_time=100, max_time=1))

    # then the least number of calls is enough once they fill the most time
    assert len(samples.seconds) == 2


def test_what_was_taken_can_t_be_had_before_the_rule_is_met() -> None:
    with pytest.raises(ValueError, match="sampling"):
        _ = StoppingRule(SETTINGS).samples


def test_the_same_samples_end_at_the_same_place() -> None:
    recorded = sample(script(noisy(0.02, seed=3)), SETTINGS).seconds

    # when the samples of a run are played again
    assert sample(script(recorded), SETTINGS).seconds == recorded


@given(
    st.lists(st.floats(min_value=0.01, max_value=10), min_size=1, max_size=8),
    st.integers(min_value=1, max_value=20),
    st.floats(min_value=0, max_value=2),
    st.floats(min_value=0.1, max_value=5),
    st.integers(min_value=1, max_value=20),
    st.one_of(st.none(), st.floats(min_value=0.001, max_value=0.5)),
)
def test_sampling_ends_no_earlier_and_no_later_than_its_rule(
    lengths: list[float], fewest: int, min_time: float, max_time: float, few: int, target: float | None
) -> None:
    # given any settings and any calls
    settings = MeasureSettings(
        min_samples=fewest, min_time=min_time, max_time=max_time, few_samples=few, max_noise=target
    )
    samples = sample(script(cycle(lengths)), settings)
    before = samples.seconds[:-1]

    # then time was not spent one call earlier, with the few that are needed in any case
    assert not (len(before) >= few and sum(before) >= max_time * (1 + 1e-9))
    # and the reason that is given holds
    if samples.stopped_by == "noise_target":
        assert target is not None
        assert stats.noise(samples.seconds) < target * (1 + 1e-6)
    elif samples.stopped_by == "max_time":
        assert sum(samples.seconds) >= max_time * (1 - 1e-9)
    else:
        assert (samples.stopped_by == "enough_samples") == (target is None)


# Taking turns


class Calls:
    """Scripted calls that write down when each of them was made."""

    def __init__(self, **lengths: Iterable[float]) -> None:
        self.made = ""
        self._lengths = {name: iter(seconds) for name, seconds in lengths.items()}

    def each(self) -> list[Callable[[], float]]:
        return [lambda name=name: self._make(name) for name in self._lengths]

    def _make(self, name: str) -> float:
        self.made += name
        return next(self._lengths[name])


def test_calls_take_turns_there_and_back() -> None:
    calls = Calls(a=repeat(1.0), b=repeat(2.0), c=repeat(3.0))
    samples = sample_interleaved(calls.each(), MeasureSettings(min_samples=4, min_time=0))

    assert calls.made == "abccbaabccba"
    assert [each.seconds for each in samples] == [(1.0,) * 4, (2.0,) * 4, (3.0,) * 4]


def test_a_call_that_has_enough_goes_on_while_another_needs_it() -> None:
    calls = Calls(a=repeat(0.01), b=chain([0.0102], repeat(0.01)))
    quiet, settling = sample_interleaved(calls.each(), MeasureSettings(min_samples=4, min_time=0))

    assert len(quiet.seconds) == len(settling.seconds) > 4
    assert quiet.stopped_by == settling.stopped_by == "noise_target"


def test_a_reason_that_is_no_longer_true_is_not_kept() -> None:
    # given a call that is quiet at first and then is not, in turns with one that needs many samples
    calls = Calls(a=chain(repeat(0.01, 60), repeat(0.05)), b=noisy(0.05))
    turned, _ = sample_interleaved(calls.each(), SETTINGS)

    assert stats.noise(turned.seconds) > 0.005
    assert turned.stopped_by != "noise_target"


def test_a_call_whose_time_is_spent_is_not_made_for_the_sake_of_another() -> None:
    # given a slow call and a quick one that is far from its noise target
    calls = Calls(a=repeat(5.0), b=noisy(0.05))
    slow, quick = sample_interleaved(calls.each(), SETTINGS)

    assert len(slow.seconds) == 3
    assert len(quick.seconds) > 65


def _within(seconds: float, *lengths: float) -> tuple[list[float], list[Callable[[], float]], Callable[[], float]]:
    """What is left of a time, calls that take of it, and how to ask for it."""
    left = [seconds]

    def call(length: float) -> Callable[[], float]:
        def take() -> float:
            left[0] -= length
            return length

        return take

    return left, [call(length) for length in lengths], lambda: left[0]


def test_turns_end_before_the_time_does() -> None:
    left, calls, ask = _within(10.0, 1.0, 2.0)
    samples = sample_interleaved(calls, MeasureSettings(min_samples=100, few_samples=100, max_time=1000), ask)

    assert [len(each.seconds) for each in samples] == [2, 2]  # a third round would leave less than two
    assert {each.stopped_by for each in samples} == {"max_time"}
    assert left[0] > 0


def test_a_round_is_begun_if_just_two_are_left() -> None:
    # given rounds of 3 s, and 12 s: 6 of them are left for the third round, 3 for the fourth
    left, calls, ask = _within(12.0, 1.0, 2.0)
    samples = sample_interleaved(calls, MeasureSettings(min_samples=100, few_samples=100, max_time=1000), ask)

    assert [len(each.seconds) for each in samples] == [3, 3]
    assert left[0] == 3


def test_a_first_round_of_unknown_length_is_made_if_any_time_is_left() -> None:
    _, calls, ask = _within(0.5, 1.0, 2.0)
    assert [each.seconds for each in sample_interleaved(calls, SETTINGS, ask)] == [(1.0,), (2.0,)]

    # but not if none is
    _, calls, ask = _within(-0.5, 1.0, 2.0)
    assert [each.seconds for each in sample_interleaved(calls, SETTINGS, ask)] == [(1.0,), ()]


def test_where_no_round_fits_the_first_call_is_made_once() -> None:
    _, calls, ask = _within(3.0, 2.0, 2.0)
    first, second = sample_interleaved(calls, SETTINGS, ask, round_s=4.0)

    assert (first.seconds, second.seconds) == ((2.0,), ())
    assert first.stopped_by == second.stopped_by == "max_time"
