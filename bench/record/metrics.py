"""The values of a record's metrics, including derived ones."""

from __future__ import annotations

import math
from collections.abc import Callable

from bench.record import Ceilings, Measured, Memory, Record

#: The metrics that each stage of a call has for itself; the others are of the whole call.
OF_A_STAGE = (
    *("time", "first_call", "memory_percent", "peak_allocated", "peak_reserved", "peak_rss", "nvml_process"),
    *("flops", "achieved", "ceiling_fraction"),
)


def of_stages(record: Record, *, even_if_one: bool = False) -> dict[str, Record]:
    """A record of each stage alone, by the stage's name. Empty if the call has one stage, unless `even_if_one`."""
    if len(record.stages) < 2 and not even_if_one:
        return {}
    return {stage.name: record.model_copy(update={"stages": (stage,)}) for stage in record.stages}


def of_stage(record: Record, ceilings: Ceilings | None = None) -> dict[str, float | None]:
    """The values of the metrics that a stage has, for a record that `of_stages` made."""
    return {name: value for name, value in values(record, ceilings).items() if name in OF_A_STAGE}


def values(record: Record, ceilings: Ceilings | None = None) -> dict[str, float | None]:
    """The value of each metric of `core.units.METRICS` that the record has or that follows from it, in its unit.

    `ceilings` are those of the record's device, if they were measured. A case that was not measured has no values. A
    value that is not finite, such as a rate over a time near 0, is None.
    """
    if not isinstance(record.outcome, Measured):
        return {}
    figures = {**_timed(record, ceilings), **_memory(record), "flops": record.flops, "energy": _energy(record)}
    return {name: _if_finite(figure) for name, figure in figures.items()}


def value(name: str, record: Record) -> float | None:
    """The value of one metric as in `values` without ceilings, but much faster; None if there is none."""
    if not isinstance(record.outcome, Measured):
        return None
    if name in _MEMORY:
        memory = record.memory
        return None if memory is None else _if_finite(_MEMORY[name](memory))
    if name == "energy":
        return _if_finite(_energy(record))
    if name == "flops":
        return _if_finite(record.flops)
    return _if_finite(_timed(record, None).get(name))


def _if_finite(figure: float | None) -> float | None:
    try:
        return figure if figure is not None and math.isfinite(figure) else None
    except OverflowError:  # a whole number beyond the greatest float
        return None


def _timed(record: Record, ceilings: Ceilings | None) -> dict[str, float | None]:
    timing, case = record.timing, record.case
    if timing is None:
        return {}
    figures: dict[str, float | None] = {"time": timing.median_s, "first_call": timing.first_call_s}
    if timing.median_s > 0:
        if {"width", "height"} <= case.axes.keys():
            figures["pixel_rate"] = case.axes.product("width", "height", "frames", "batch") / timing.median_s
        if record.flops is not None:
            figures["achieved"] = record.flops / timing.median_s
            most = ceilings.flops_per_second(case.dtype) if ceilings else None
            figures["ceiling_fraction"] = None if most is None else record.flops / timing.median_s / most
    return figures


def _growth(memory: Memory) -> int | None:
    """By how much resident memory grew while the case ran."""
    if memory.peak_rss_bytes is None or memory.baseline_rss_bytes is None:
        return None
    return memory.peak_rss_bytes - memory.baseline_rss_bytes


_MEMORY: dict[str, Callable[[Memory], float | None]] = {
    "memory_percent": lambda memory: memory.percent,
    "peak_allocated": lambda memory: memory.peak_allocated_bytes,
    "peak_reserved": lambda memory: memory.peak_reserved_bytes,
    "peak_rss": _growth,
    "weights": lambda memory: memory.weights_bytes,
    "nvml_process": lambda memory: memory.nvml_process_bytes,
}


def _memory(record: Record) -> dict[str, float | None]:
    memory = record.memory
    return {} if memory is None else {name: figure(memory) for name, figure in _MEMORY.items()}


def _energy(record: Record) -> float | None:
    per_call = record.telemetry.energy_per_call_j if record.telemetry else None
    return None if per_call is None else per_call / record.case.axes.product("batch", "frames")
