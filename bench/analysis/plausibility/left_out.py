"""What the program writes of every case that it measures: without it a record escapes the checks, so it was edited."""

from __future__ import annotations

from collections.abc import Iterator

from bench.analysis.plausibility.finding import Finding, Subject
from bench.record import Measured, Memory, Record, Stage

_CLOCKS = {"cuda": "cuda_event", "cpu": "perf_counter"}
_PROGRAM = "`bench run`"


def check(subject: Subject) -> Iterator[Finding]:
    """Fields of a case that was measured on this machine. An endpoint's records have others."""
    record = subject.record
    if record.kind != "measured" or record.remote is not None or record.device.kind == "endpoint":
        return
    for field in _missing(record):
        yield subject.refuse("left out", f"{field} is missing", "the program always writes it", _PROGRAM)
    for field in _seldom_missing(record):
        yield subject.doubt("left out", f"{field} is missing", "the program writes it of a GPU", _PROGRAM)
    clock = _CLOCKS.get(record.device.kind)
    for stage in record.stages:
        if stage.timing is not None and stage.timing.clock != clock:
            figure = f"{stage.name}.timing.clock is {stage.timing.clock}"
            yield subject.refuse("clock", figure, f"times of {record.device.name} are by {clock}", _PROGRAM)


def _missing(record: Record) -> Iterator[str]:
    if record.environment is None:
        yield "environment"
    if not isinstance(record.outcome, Measured):
        return
    if record.measure is None:
        yield "measure"
    if record.wall_s is None:
        yield "wall_s"
    for stage in record.stages:
        yield from (f"{stage.name}.{field}" for field in _missing_of(stage, record.device.kind))


def _missing_of(stage: Stage, kind: str) -> Iterator[str]:
    if stage.timing is None or stage.timing.stopped_by is None:
        yield "timing.stopped_by"
    if stage.timing is None or stage.timing.first_call_s is None:
        yield "timing.first_call_s"
    memory = stage.memory or Memory()
    fields = ("peak_allocated_bytes", "peak_reserved_bytes") if kind == "cuda" else ("peak_rss_bytes",)
    if memory.peak_reason is None:
        yield from (f"memory.{field}" for field in fields if getattr(memory, field) is None)


def _seldom_missing(record: Record) -> Iterator[str]:
    """What NVML or an older driver may refuse."""
    if record.device.kind != "cuda":
        return
    if record.environment is not None and record.environment.gpu is None:
        yield "environment.gpu"
    if isinstance(record.outcome, Measured):
        if record.telemetry is None:
            yield "telemetry"
        for stage in record.stages:
            if stage.flops is None and not any("FLOPs" in warning for warning in record.warnings):
                yield f"{stage.name}.flops"
