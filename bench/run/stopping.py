"""The timing loop, and the rule that stops it. The caller provides the timed calls.

The rule is nvbench's `stdrel` (nvbench/detail/stdrel_criterion.cuh) with fewer samples for slow calls: a minimum number
of samples over a minimum time, then until the noise is below the target, or steady above it, or the time is spent.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.core import stats
from bench.record import MeasureSettings, StoppedBy, Timing

#: How many of the last noise values are kept. nvbench keeps 512, for calls of microseconds; here a call takes
#: milliseconds to seconds, and 512 would fill `max_time`.
_WINDOW = 128
#: Steadiness is checked after every so many samples, if there are more than so many noise values.
_CHECK_EVERY, _MORE_THAN = 16, 64
#: The noise is steady if its standard deviation over the window is below this share of its mean.
_STEADY = 0.05


@dataclass(frozen=True, slots=True)
class Samples:
    """The seconds of each call in order, and why the sampling stopped."""

    seconds: tuple[float, ...]
    stopped_by: StoppedBy

    def timing(self, clock: Literal["cuda_event", "perf_counter"], first_call_s: float) -> Timing:
        """Return the record of at least one sample. `first_call_s` are the seconds of the call before the samples."""
        return Timing(
            clock=clock,
            median_s=stats.median(self.seconds),
            samples_s=self.seconds,
            interval_s=stats.interval(self.seconds),
            noise=stats.noise(self.seconds),
            outliers=stats.outliers(self.seconds),
            first_call_s=first_call_s,
            stopped_by=self.stopped_by,
        )


class StoppingRule:
    """Decides after each sample whether there are enough. The same samples always give the same decision."""

    def __init__(self, settings: MeasureSettings) -> None:
        self._settings = settings
        self._seconds: list[float] = []
        self._spent = 0.0
        self._spread = _Spread()
        self._noises: deque[float] = deque(maxlen=_WINDOW)
        self.stopped_by: StoppedBy | None = None

    @property
    def samples(self) -> Samples:
        """All samples. Raises ValueError before the rule is met."""
        if self.stopped_by is None:
            raise ValueError("the sampling has not stopped")
        return Samples(tuple(self._seconds), self.stopped_by)

    @property
    def count(self) -> int:
        """The number of samples."""
        return len(self._seconds)

    def end(self) -> None:
        """Stop for lack of time, if the rule is not met."""
        self.stopped_by = self.stopped_by or "max_time"

    @property
    def time_is_spent(self) -> bool:
        """Whether the samples fill `max_time`. After that no calls are made while another case needs more samples."""
        return self._spent >= self._settings.max_time

    def add(self, seconds: float) -> None:
        """Add a sample.

        Samples after the stop count too, while another case needs more: if they raise the noise above the target, the
        rule is no longer met.
        """
        self._seconds.append(seconds)
        self._spent += seconds
        self._spread.add(seconds)
        if self._spread.noise is not None:
            self._noises.append(self._spread.noise)
        if self.stopped_by in {None, "noise_target"}:
            self.stopped_by = self._why_stop()

    def _why_stop(self) -> StoppedBy | None:
        settings, count = self._settings, len(self._seconds)
        slow = settings.slow_call is not None and self._spent >= settings.slow_call * count
        fewest = min(settings.min_samples, settings.few_samples) if slow else settings.min_samples
        if count >= fewest and self._spent >= min(settings.min_time, settings.max_time):
            if settings.max_noise is None:
                return "enough_samples"
            if self._spread.noise is not None and self._spread.noise < settings.max_noise:
                return "noise_target"
            if self._is_steady():
                return "inherently_noisy"
        return "max_time" if count >= settings.few_samples and self.time_is_spent else None

    def _is_steady(self) -> bool:
        """Whether the noise has settled, so that more calls are unlikely to lower it soon."""
        count = len(self._noises)
        if count <= _MORE_THAN or len(self._seconds) % _CHECK_EVERY:
            return False
        mean = math.fsum(self._noises) / count
        variance = math.fsum((noise - mean) ** 2 for noise in self._noises) / (count - 1)
        return mean > 0 and math.sqrt(variance) < _STEADY * mean


class _Spread:
    """Running mean and variance (Welford 1962)."""

    def __init__(self) -> None:
        self._count, self._mean, self._squares = 0, 0.0, 0.0

    def add(self, value: float) -> None:
        self._count += 1
        deviation = value - self._mean
        self._mean += deviation / self._count
        self._squares += deviation * (value - self._mean)

    @property
    def noise(self) -> float | None:
        """Sample standard deviation over mean, as `core.stats.noise`: 0 if all values are equal, None for one."""
        if self._count < 2:
            return None
        return math.sqrt(self._squares / (self._count - 1)) / self._mean if self._squares else 0.0


def sample(time_once: Callable[[], float], settings: MeasureSettings) -> Samples:
    """Call until the rule is met."""
    return sample_interleaved([time_once], settings)[0]


def sample_interleaved(
    calls: Sequence[Callable[[], float]],
    settings: MeasureSettings,
    left_s: Callable[[], float] = lambda: math.inf,
    round_s: float = 0.0,
) -> tuple[Samples, ...]:
    """Call each in turn, forwards and backwards (A-B-B-A) so that drift affects all alike, until each rule is met.

    A call whose rule is met continues while others need samples, unless its own time is spent. All stop before the
    remaining time (`left_s`) is less than two rounds, of `round_s` seconds at first and then of the longest so far.
    The first call always has at least one sample; the others may then have none.
    """
    rules = [StoppingRule(settings) for _ in calls]
    order = list(range(len(calls)))
    while any(rule.stopped_by is None for rule in rules):
        begin = left_s()
        if begin < 2 * round_s:
            break
        for place in order:
            if rules[place].stopped_by is None or not rules[place].time_is_spent:
                rules[place].add(calls[place]())
        if begin < math.inf:
            round_s = max(round_s, begin - left_s())
        order.reverse()
    if not rules[0].count:
        rules[0].add(calls[0]())
    for rule in rules:
        rule.end()
    return tuple(rule.samples for rule in rules)
