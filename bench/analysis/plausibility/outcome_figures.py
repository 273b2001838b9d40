"""Outcomes against themselves and the prediction: out of memory with room to spare, measured without room."""

from __future__ import annotations

from collections.abc import Iterator

from bench.analysis.plausibility.finding import Expected, Finding, Subject
from bench.core.units import format_bytes
from bench.record import Measured, OutOfMemory, Record, TimedOut

#: An allocation that fails needs more than what is free; the driver keeps a little for itself (assumed: 5%).
_NEARLY = 0.95


def check(subject: Subject, expected: Expected) -> Iterator[Finding]:
    """How a case ended."""
    outcome = subject.record.outcome
    if isinstance(outcome, OutOfMemory):
        yield from _out_of_memory(subject, outcome, expected)
    if isinstance(outcome, Measured):
        yield from _measured(subject, expected)
    wall_s = subject.record.wall_s
    if isinstance(outcome, TimedOut) and wall_s is not None and wall_s < outcome.timeout_s * _NEARLY:
        figure = f"timed out after {outcome.timeout_s:g} s"
        yield subject.refuse("time-out", figure, f"the whole case took {wall_s:g} s", "wall_s")


def _out_of_memory(subject: Subject, outcome: OutOfMemory, expected: Expected) -> Iterator[Finding]:
    record = subject.record
    total = record.device.total_bytes
    free, asked = outcome.free_bytes, outcome.requested_bytes
    if any(stage.timing is not None for stage in record.stages):
        yield subject.refuse("out of memory", "the outcome is out_of_memory", "it has a time", "the record")
    if outcome.where != "device" or total is None or record.device.kind != "cuda":
        return
    if free is not None and free > total:
        figure = f"free_bytes is {format_bytes(free)}"
        yield subject.refuse("out of memory", figure, f"the card has {format_bytes(total)}", "device.total_bytes")
    if free is not None and asked is not None and asked < _NEARLY * free and record.vram_limit_bytes is None:
        figure = f"asked for {format_bytes(asked)}"
        yield subject.doubt("out of memory", figure, f"{format_bytes(free)} were free", "the allocator's message")
    yield from _with_room(subject, expected)


def _with_room(subject: Subject, expected: Expected) -> Iterator[Finding]:
    """Out of memory where the prediction fits with the upper end of its range, and would fit twice."""
    predicted = expected.memory
    if predicted is None or predicted.verdict != "fits" or predicted.confidence != "high":
        return
    high, capacity = predicted.taken_high_bytes, predicted.capacity_bytes
    make = subject.refuse if 4 * high < capacity and not _has_neighbours(subject.record) else subject.doubt
    bound = f"it takes at most {format_bytes(high)} of {format_bytes(capacity)}"
    yield make("out of memory", "the outcome is out_of_memory", bound, "`bench predict`")


def _has_neighbours(record: Record) -> bool:
    """Whether other processes may have taken memory: they had some, or nothing is known of them."""
    gpu = record.environment.gpu if record.environment else None
    neighbours = gpu.neighbours if gpu else None
    used = neighbours.bytes if neighbours else None
    total = record.device.total_bytes
    return used is None or total is None or used > total / 10


def _measured(subject: Subject, expected: Expected) -> Iterator[Finding]:
    """Measured where the live tensors exceed the whole memory, or where a prediction is sure that they do."""
    record, live = subject.record, expected.live_bytes
    whole = record.vram_limit_bytes or record.device.total_bytes
    spills = record.environment is not None and record.environment.may_spill is not None
    if live is None or whole is None or spills or record.device.kind != "cuda":
        return
    predicted = expected.memory
    bound = f"live tensors alone take {format_bytes(live)} of {format_bytes(whole)}"
    if live > whole:
        yield subject.refuse("out of memory", "the outcome is measured", bound, "the trace of the call")
    elif predicted is not None and predicted.verdict == "out_of_memory" and predicted.confidence == "high":
        yield subject.doubt("out of memory", "the outcome is measured", bound, "`bench predict`")
