"""Cells and columns that the tables of measured cases and of their stages share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from bench.core.units import format_bytes
from bench.record import Case, Record
from bench.report.document import Cell, Column
from bench.report.pages import cells, run_details
from bench.workloads.labels import FRAMES, extras, frames_of, size_of

_Shown = TypeVar("_Shown")


def measured_first(records: Sequence[Record]) -> list[Record]:
    """The records in the order of pages: measured ones before published ones."""
    return run_details.in_order(sorted(records, key=lambda record: record.kind != "measured"))


def size_columns(
    records: Iterable[Record], case_of: Callable[[_Shown], Case]
) -> list[tuple[Column, Callable[[_Shown], str | int | None]]]:
    """The columns of a row's size: with one of frames if any record has some."""
    cases = [record.case for record in records]
    columns: list[tuple[Column, Callable[[_Shown], str | int | None]]] = [
        (Column(cells.size_heading(cases), in_heading=True), lambda row: size_of(case_of(row), FRAMES))
    ]
    if any(frames_of(case) is not None for case in cases):
        columns.append((Column("Frames", "count", in_heading=True), lambda row: frames_of(case_of(row))))
    return columns


def precision(record: Record) -> Cell:
    """The precision and what else tells cases of one size apart."""
    return cells.precision(record.case, record, *extras(record.case))


def time(record: Record | None) -> Cell:
    """The median in seconds, to the millisecond as the docs print it; below 10 ms to two digits."""
    cell = cells.time(record)
    return cell if cell.value is None else replace(cell, text=_seconds(float(cell.value)))


def _seconds(value: float) -> str:
    if not 0 < value < 0.01:
        return f"{value:.3f}"
    digits = f"{value:.{1 - math.floor(math.log10(value))}f}"
    return digits.rstrip("0") if len(digits) > len("0.000") else digits


def memory(record: Record | None) -> Cell:
    """The peak in per cent, and in bytes if they are known."""
    cell = cells.memory(record)
    peak = record.memory.peak_bytes if record and record.memory else None
    return cell if cell.value is None or peak is None else replace(cell, note=format_bytes(peak))
