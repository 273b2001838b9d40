"""Cells that several pages share: a record's time and memory, its device, its precision. Reads records; never torch."""

from __future__ import annotations

from bench.core.units import format_bytes, format_relative
from bench.record import Case, Device, Measured, OutOfMemory, Record
from bench.report.document import Cell

OOM = "OOM"


def time(record: Record | None) -> Cell:
    """The median of a record's calls in seconds, or its outcome in a word; a cell without a value for no record."""
    if record is None:
        return Cell()
    if isinstance(record.outcome, Measured):
        return Cell(record.timing.median_s, kind=record.kind) if record.timing else Cell()
    return Cell(text=outcome(record), kind=record.kind)


def memory(record: Record | None) -> Cell:
    """The peak of a record in per cent, as the docs give it, or OOM; a cell without a value if it is not known."""
    if record is None:
        return Cell()
    if isinstance(record.outcome, OutOfMemory):
        return Cell(text=OOM, kind=record.kind)
    percent = record.memory.percent if record.memory else None
    return Cell(percent, kind=record.kind) if percent is not None else Cell()


def share(value: float | None) -> Cell:
    """A share in per cent with one decimal, however large it is; a cell without a value for None."""
    return Cell() if value is None else Cell(value, text=f"{value:.1%}")


def change(value: float) -> Cell:
    """A relative change in per cent, with its sign."""
    return Cell(value, text=format_relative(value))


def outcome(record: Record) -> str:
    """A record's outcome in a word or two: `OOM`, `timed out`."""
    return OOM if isinstance(record.outcome, OutOfMemory) else record.outcome.status.replace("_", " ")


def device_name(device: Device, limit_bytes: int | None = None) -> str:
    """A device's name, with the VRAM limit if there is one."""
    return device.name if limit_bytes is None else f"{device.name}, limited to {format_bytes(limit_bytes)}"


def precision(case: Case, record: Record | None, *also: str) -> str:
    """`float16 (assumed), weights hub`: what tells cases of one size apart; `also` comes after the dtype."""
    parts = [case.dtype + (" (assumed)" if record is not None and "dtype" in record.assumed else ""), *also]
    parts += [f"weights {case.weights}"] if case.weights != "random" else []
    parts += [case.variant] if case.variant != "default" else []
    return ", ".join(parts)
