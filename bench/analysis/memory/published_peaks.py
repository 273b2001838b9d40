"""Peaks in bytes from the percentages that the docs print, and how far rounding may have moved them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bench.core.units import MIB, memory_bytes
from bench.record import OutOfMemory, Record

#: Published peaks are whole even MiB, before the page rounds the percentage.
_ROUNDING_BYTES = 2 * MIB


def peak_bytes(record: Record, total_bytes: int | None) -> int | None:
    """A record's peak reserved, from its percentage if need be; None if out of memory or not known."""
    memory = record.memory
    if memory is None or isinstance(record.outcome, OutOfMemory):
        return None
    if memory.peak_reserved_bytes is not None:
        return memory.peak_reserved_bytes
    return None if memory.percent is None or total_bytes is None else memory_bytes(memory.percent, total_bytes)


def decimals(records: Iterable[Record]) -> dict[str, int]:
    """How many decimals a page's percentages have, without trailing zeros, by the run that its records stand for."""
    counts: dict[str, int] = {}
    for record in records:
        if record.kind == "published" and record.memory is not None and record.memory.percent is not None:
            digits = len(repr(record.memory.percent).partition(".")[2])
            counts[record.run.id] = max(digits, counts.get(record.run.id, 0))
    return counts


def rounding_bytes(record: Record, total_bytes: int, digits: Mapping[str, int]) -> int:
    """How far a record's peak may be from the true one: half of the last printed digit, at least one step of 2 MiB."""
    half_digit = round(total_bytes * 0.005 / 10.0 ** digits.get(record.run.id, 9))
    return max(_ROUNDING_BYTES, half_digit)
