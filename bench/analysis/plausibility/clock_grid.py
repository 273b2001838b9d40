"""Samples against the clock that made them: no clock gives arbitrary numbers.

- `cuda_event`: CUDA returns the time between two events as a float32 of milliseconds (`cudaEventElapsedTime`), which
  this program divides by 1000.
- `perf_counter`: the difference of two float64 of seconds since the machine started. Both are multiples of the spacing
  of float64 at that size, so their difference is too: of 2**-49 s from 8 s after the start on.

Samples that were multiplied or copied from elsewhere miss this grid. Somebody who knows of it can round to it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from bench.analysis.plausibility.finding import Finding, Subject
from bench.record import Timing

#: A process that has loaded torch runs on a machine that started longer ago than this (seconds, a power of two).
_LEAST_UPTIME_S = 8.0
#: The spacing of float64 from there on.
SPACING_S = _LEAST_UPTIME_S * 2.0**-52
#: The most seconds at which that spacing is coarser than the number's own.
_MOST_S = _LEAST_UPTIME_S / 2
_SOURCES = {
    "cuda_event": "CUDA gives times of events as float32 milliseconds",
    "perf_counter": "differences of a clock that counts from the machine's start are multiples of 2**-49 s",
}
#: From how many samples on equal ones are odd: a clock of nanoseconds never repeats itself that often.
_MANY = 5
#: Below this, a clock may: events of CUDA go by a microsecond on many cards (seconds, assumed).
_SHORT_S = {"cuda_event": 1e-2, "perf_counter": 1e-3}


def check(subject: Subject) -> Iterator[Finding]:
    """Samples and first calls off their clock's grid, and samples that are all the same or round."""
    if subject.record.remote is not None:
        return
    for stage in subject.record.stages:
        timing = stage.timing
        if timing is None or timing.clock == "published":
            continue
        values = (*timing.samples_s, *([] if timing.first_call_s is None else [timing.first_call_s]))
        off = [value for value in values if not is_on_grid(value, timing)]
        if off:
            figure = f"{len(off)} of {len(values)} times of {stage.name}, such as {off[0]!r} s"
            bound = f"no {timing.clock} clock gives such numbers"
            yield subject.refuse("clock", figure, bound, _SOURCES[timing.clock])
        yield from _repeated(subject, stage.name, timing)


def is_on_grid(seconds: float, timing: Timing) -> bool:
    """Whether the clock of a timing can give this time."""
    if timing.clock == "cuda_event":
        milliseconds = seconds * 1e3
        return any(float32(milliseconds + shift * abs(milliseconds)) / 1e3 == seconds for shift in (0, -2e-16, 2e-16))
    if not 0 < seconds < _MOST_S:
        return True
    return (seconds / SPACING_S).is_integer()


def float32(value: float) -> float:
    """The nearest float32."""
    try:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    except OverflowError:
        return float("inf")


def _repeated(subject: Subject, stage: str, timing: Timing) -> Iterator[Finding]:
    samples = timing.samples_s
    if len(samples) >= _MANY and len(set(samples)) == 1:
        figure = f"all {len(samples)} samples of {stage} are {samples[0]!r} s"
        make = subject.doubt if samples[0] < _SHORT_S[timing.clock] else subject.refuse
        yield make("equal samples", figure, "calls vary", "no clock of this resolution repeats itself")
    elif timing.clock == "perf_counter" and len(samples) > 2 and all(round(each, 6) == each for each in samples):
        figure = f"all {len(samples)} samples of {stage} are whole microseconds"
        yield subject.refuse("equal samples", figure, "the clock has a finer resolution", _SOURCES["perf_counter"])
