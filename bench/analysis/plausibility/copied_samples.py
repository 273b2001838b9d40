"""Whether a time was copied from other records: most of its samples are there too, and that is no chance.

A clock of nanoseconds never repeats itself. Events of CUDA do: many cards count them in steps of about a microsecond,
so that two runs of one short case have many samples in common.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field

from bench.record import Record, Timing

#: The coarsest steps of the clocks (seconds): events of CUDA have been seen to go by 1.024 us (its documentation says
#: about half a microsecond), and the performance counter of Windows by 100 ns.
_STEP_S = {"cuda_event": 1.1e-6, "perf_counter": 1e-7}
#: Samples are copied if chance alone gives as many common ones less often than this.
_CHANCE = 1e-6
#: Samples in the same order are copied if there are as many, and as many different ones among them.
_LEAST_SERIES, _LEAST_VALUES = 5, 3


@dataclass(slots=True)
class Samples:
    """The samples of records, and which record has them."""

    _times: dict[float, Record] = field(default_factory=dict)
    _series: dict[tuple[float, ...], Record] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        """Add those of a record; the first one that has a sample counts."""
        for stage in record.stages:
            if stage.timing is not None:
                self._series.setdefault(stage.timing.samples_s, record)
                self._times |= {second: record for second in stage.timing.samples_s if second not in self._times}

    def copied(self, timing: Timing) -> tuple[int, Record] | None:
        """How many samples of a timing are among these, and a record that has one, if they were copied."""
        samples = timing.samples_s
        if samples in self._series and len(samples) >= _LEAST_SERIES and len(set(samples)) >= _LEAST_VALUES:
            return len(samples), self._series[samples]
        common = [second for second in samples if second in self._times]
        if len(samples) < 3 or 2 * len(common) <= len(samples):
            return None
        return (len(common), self._times[common[0]]) if _chance(timing, len(common), self._times) < _CHANCE else None


def _chance(timing: Timing, common: int, others: Collection[float]) -> float:
    """How likely at least so many samples are among the others, if these fill the steps near the samples by chance."""
    samples, step_s = sorted(timing.samples_s), _STEP_S.get(timing.clock, 0.0)
    low, high = samples[0], samples[-1]
    lower, upper = samples[len(samples) // 4], samples[(3 * len(samples)) // 4]
    near = sum(low <= second <= high for second in others)
    width_s = 2 * (upper - lower) + step_s  # where most samples are, whatever the outliers
    each = min(1.0, near * step_s / width_s) if width_s else 0.0
    return math.comb(len(samples), common) * each**common
