"""Contradictions between the fields of a record: people edit results files. Models check each field by itself."""

from __future__ import annotations

from collections.abc import Iterator

from bench.record.measurements import Memory, Timing
from bench.record.outcome import Measured
from bench.record.prediction import Prediction
from bench.record.record import Record

#: A driver that spills and a host that swaps can exceed the total memory, but not by this factor (assumed).
_BEYOND_TOTAL = 10


def contradictions(record: Record) -> Iterator[str]:
    """The contradictions in a record, a phrase each: `the outcome is measured, but there is no timing`."""
    if record.kind == "predicted" and record.prediction is None:
        yield "the kind is predicted, but there is no prediction"
    if record.prediction is not None:
        yield from _of_prediction(record.prediction)
    if isinstance(record.outcome, Measured):
        yield from _of_a_result(record)
    for stage in record.stages:
        if stage.timing is not None:
            yield from _of_timing(stage.timing, record.telemetry.throttled_samples if record.telemetry else ())
        if stage.memory is not None:
            yield from _of_memory(stage.memory, record.device.total_bytes)
    if len(record.stages) < 2:
        return
    names = [stage.name for stage in record.stages]
    if len(set(names)) < len(names):
        yield "two of its stages have the same name"
    counts = {len(stage.timing.samples_s) for stage in record.stages if stage.timing is not None}
    if len(counts) > 1:
        yield f"its stages have {' and '.join(map(str, sorted(counts)))} samples_s, but each call runs all of them"


def _of_memory(memory: Memory, total: int | None) -> Iterator[str]:
    if memory.peak_bytes and total and memory.peak_bytes > _BEYOND_TOTAL * total:
        yield f"peak_bytes is {memory.peak_bytes}, but the device has {total}"
    if memory.percent is not None and not memory.percent <= 100 * _BEYOND_TOTAL:
        yield f"memory.percent is {memory.percent:g}"


def _of_a_result(record: Record) -> Iterator[str]:
    """A measured case needs samples, a published one a time or a percentage of memory, a predicted one neither."""
    timing = record.timing
    if record.kind == "measured" and timing is None:
        yield "the outcome is measured, but there is no timing"
    elif record.kind == "measured" and timing and not timing.samples_s:
        yield "the outcome is measured, but timing has no samples_s"
    elif record.kind == "published" and timing is None and (record.memory is None or record.memory.percent is None):
        yield "the outcome is measured, but there is neither a timing nor a percentage of memory"


def _of_prediction(prediction: Prediction) -> Iterator[str]:
    """Negative amounts of memory. `capacity_bytes` may be: a small card may have less than the CUDA context."""
    for name, value in prediction:
        if name.endswith("_bytes") and name != "capacity_bytes" and value < 0:
            yield f"prediction.{name} is {value}"


def _of_timing(timing: Timing, throttled: tuple[int, ...]) -> Iterator[str]:
    count = len(timing.samples_s)
    if count and not min(timing.samples_s) <= timing.median_s <= max(timing.samples_s):
        least, most = min(timing.samples_s), max(timing.samples_s)
        yield f"median_s is {timing.median_s:g}, but samples_s are from {least:g} to {most:g}"
    if timing.interval_s is not None and not timing.interval_s[0] <= timing.median_s <= timing.interval_s[1]:
        least, most = timing.interval_s
        yield f"median_s is {timing.median_s:g}, but interval_s is from {least:g} to {most:g}"
    for name, places in (("outliers", timing.outliers), ("throttled_samples", throttled)):
        if places and max(places) >= count:
            yield f"{name} has place {max(places)}, but there are {count} samples_s"
