"""The table that `bench run` and `bench remote` print when all sizes of a model and operation are finished."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from bench.core.units import format_bytes
from bench.record import Case, Record, alike_but_for, grouped
from bench.report.document import Cell, Column, Table, table_of
from bench.report.pages import cells
from bench.workloads.labels import whole_size_of

#: What the columns of the table differ in; all else tells its rows apart.
_ACROSS = ("tiling", "transport")
_ColumnOfRows = tuple[Column, Callable[[Sequence[Record]], Cell | str]]


def table(records: Sequence[Record]) -> Table:
    """One model and operation: a line for each size, small ones first, with a time and memory for each tiling.

    An endpoint's times have a column for each transport instead. Memory has no column where no record has any.
    """
    rows = grouped(cells.in_size_order(records, _case_of), lambda record: alike_but_for(record.case, *_ACROSS))
    several = len({cells.precision(record.case, record) for record in records}) > 1
    ways = list(dict.fromkeys(_way(record.case) for record in sorted(records, key=_way_order)))
    columns = [column for place, way in enumerate(ways) for column in _columns(records, way, place)]
    return table_of(
        rows,
        (Column("Size"), lambda row: whole_size_of(row[0].case)),
        *([(Column("Precision"), lambda row: cells.precision(row[0].case, row[0]))] if several else []),
        *columns,
        title=_title(records[0]),
    )


def _columns(records: Sequence[Record], way: str, place: int) -> Iterator[_ColumnOfRows]:
    """The columns of a tiling or transport: its times, and its memory if any is known. `place` makes their keys."""

    def of(row: Sequence[Record]) -> Record | None:
        return next((record for record in row if _way(record.case) == way), None)

    yield Column(way, "seconds", key=f"time_{place}"), lambda row: cells.time(of(row))
    if any(record.memory for record in records if _way(record.case) == way):
        yield Column("memory", "percent", key=f"memory_{place}"), lambda row: _memory(of(row))


def _title(record: Record) -> str:
    """`SD v1.5 decode on NVIDIA GeForce RTX 3070`; of an endpoint that these are whole requests."""
    name = f"{cells.call(record.case)} on {cells.device_name(record.device, record.vram_limit_bytes)}"
    return f"{name}, time of a whole request" if record.remote else name


def _case_of(record: Record) -> Case:
    return record.case


def _way(case: Case) -> str:
    """`untiled`, `tile 512/128` or, of an endpoint, `jpg`: the name of a column."""
    return case.transport or cells.way(case) or "time"


def _way_order(record: Record) -> tuple[object, ...]:
    tile = record.case.tile
    return (record.case.transport or "", tile is not None, -tile.tile if tile else 0)


def _memory(record: Record | None) -> Cell:
    """The peak as a share of the device's memory and in bytes; nothing for a case without a figure, such as OOM."""
    if record is None or record.memory is None:
        return Cell()
    peak = record.memory.peak_bytes
    return replace(cells.memory(record), note="" if peak is None else format_bytes(peak))
