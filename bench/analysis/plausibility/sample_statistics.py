"""A stage's time against its own samples: everything that follows from them is computed again."""

from __future__ import annotations

from collections.abc import Iterator

from bench.analysis.plausibility.finding import Facts, Finding, Subject, differs
from bench.core import stats
from bench.core.units import format_count, format_seconds
from bench.record import Record, Stage, Timing

_SOURCE = "computed from samples_s"
#: Statistics of samples are sums of floating-point numbers, whose order may change between versions.
_ROUNDING = 1e-6
#: A first call also chooses kernels and loads them; this much quicker than any later call is odd (assumed).
_QUICKER_FIRST = 0.5
#: The recorded duration of a case is rounded to microseconds and measured by another clock (assumed: 1 ms).
_SLACK_S = 1e-3


def check(subject: Subject, facts: Facts) -> Iterator[Finding]:
    """Median, interval, noise (older versions have none), outliers, first call, count of samples, duration."""
    record = subject.record
    for stage in record.stages:
        if stage.timing is not None and stage.timing.samples_s:
            yield from _statistics(subject, stage, stage.timing)
    yield from _duration(subject)
    yield from _stopping(subject, facts)


def _statistics(subject: Subject, stage: Stage, timing: Timing) -> Iterator[Finding]:
    samples, name = timing.samples_s, f"{stage.name}.timing"
    median_s = stats.median(samples)
    if differs(timing.median_s, median_s):
        yield subject.refuse("median", f"{name}.median_s is {timing.median_s!r}", f"it is {median_s!r}", _SOURCE)
    interval = stats.interval(samples)
    if (interval is None) != (timing.interval_s is None) or any(map(differs, interval or (), timing.interval_s or ())):
        yield subject.refuse("interval", f"{name}.interval_s is {timing.interval_s}", f"it is {interval}", _SOURCE)
    noise = stats.noise(samples)
    if timing.noise is not None and abs(timing.noise - (noise or 0.0)) > _ROUNDING * max(timing.noise, _ROUNDING):
        yield subject.refuse("noise", f"{name}.noise is {timing.noise}", f"it is {noise}", _SOURCE)
    outliers = stats.outliers(samples)
    if timing.outliers != outliers:
        yield subject.doubt("outliers", f"{name}.outliers are {timing.outliers}", f"they are {outliers}", _SOURCE)
    if timing.first_call_s is not None and timing.first_call_s < _QUICKER_FIRST * min(samples):
        yield subject.doubt(
            "first call",
            f"{name}.first_call_s is {format_seconds(timing.first_call_s)}",
            f"no later call took less than {format_seconds(min(samples))}",
            "a first call also chooses and loads kernels",
        )


def called_s(record: Record) -> float:
    """Seconds of all calls that a record lists: samples and first calls."""
    return sum(
        sum(stage.timing.samples_s) + (stage.timing.first_call_s or 0.0)
        for stage in record.stages
        if stage.timing is not None
    )


def _duration(subject: Subject) -> Iterator[Finding]:
    record, calls_s = subject.record, called_s(subject.record)
    if record.wall_s is None or record.interleaved_with or record.remote is not None:
        return
    if record.wall_s + _SLACK_S < calls_s * (1 - _ROUNDING):
        figure = f"wall_s is {format_seconds(record.wall_s)}"
        yield subject.refuse("duration", figure, f"its calls alone took {format_seconds(calls_s)}", _SOURCE)


def _stopping(subject: Subject, facts: Facts) -> Iterator[Finding]:
    """Sampling stops by a rule that sees nothing but the samples, so samples must stop where the rule does."""
    record, timing = subject.record, subject.record.timing
    if timing is None or not timing.samples_s or record.interleaved_with or record.measure is None:
        return
    if timing.stopped_by is None or record.remote is not None:
        return
    count, replayed = len(timing.samples_s), facts.replay(record)
    if replayed == (count, timing.stopped_by):
        return
    stop = "more would follow" if replayed is None else f"it stops after {replayed[0]} ({replayed[1]})"
    figure = f"{format_count(count, 'sample')}, stopped_by {timing.stopped_by}"
    yield subject.refuse("stopping rule", figure, stop, "the rule of `measure`, replayed over samples_s")
