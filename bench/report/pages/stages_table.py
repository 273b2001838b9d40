"""The stages of calls that have several: the time and peak of each, and which one is the largest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from bench.record import Case, Record, metrics
from bench.report.document import Block, Cell, Column, Text, table_of
from bench.report.pages import measured_cells, run_details

_TEXT = "Stages: the time of a call is the sum of its stages, and its memory is the largest of theirs."
#: Legend of the columns that only calls with steps, and models whose loading is recorded, have.
STEP = ("A step", "the time of the stage divided by the steps that it made")
LOADING = ("loading", "the peak while the model was loaded, before any call")


@dataclass(frozen=True, slots=True)
class _Row:
    """A stage of a call, or its loading: a record with that stage alone, or with the peak as its only memory."""

    name: str
    record: Record
    is_largest: bool = False

    @property
    def steps(self) -> int | None:
        return self.record.stages[0].steps


def blocks(records: Sequence[Record]) -> list[Block]:
    """A table of the stages of these calls; nothing if no call has several, and no model's loading was measured."""
    calls = [record for record in measured_cells.measured_first(records) if _has_parts(record)]
    rows = [row for record in calls for row in _rows(record)]
    if not rows:
        return []
    return [
        Text(_TEXT),
        table_of(
            rows,
            (Column("Device"), lambda row: run_details.device_label(row.record)),
            (Column("Precision"), lambda row: measured_cells.precision(row.record)),
            *measured_cells.size_columns(calls, _case),
            *(_TILES if any(row.record.case.tile for row in rows) else ()),
            (Column("Stage", in_heading=True), lambda row: row.name),
            (Column("Time (s)", "seconds", key="time"), lambda row: measured_cells.time(row.record)),
            *(_STEPS if any(row.steps for row in rows) else ()),
            (Column("Memory", "percent"), _memory),
        ),
    ]


def legend(records: Sequence[Record]) -> list[tuple[str, str]]:
    """The terms of columns and rows that these records have."""
    has_steps = any(stage.steps for record in records if _has_parts(record) for stage in record.stages)
    has_loading = any(record.loading for record in records)
    return [*([STEP] if has_steps else []), *([LOADING] if has_loading else [])]


def _has_parts(record: Record) -> bool:
    return len(record.stages) > 1 or (record.loading is not None and bool(record.stages))


def _rows(record: Record) -> Iterator[_Row]:
    """The loading, if it was measured, and then each stage."""
    if record.loading is not None:
        stage = record.stages[0].model_copy(update={"timing": None, "memory": record.loading, "steps": None})
        yield _Row("loading", record.model_copy(update={"stages": (stage,)}))
    several = len(record.stages) > 1
    for name, alone in metrics.of_stages(record, even_if_one=True).items():
        yield _Row(name, alone, several and alone.memory is not None and alone.memory == record.memory)


def _memory(row: _Row) -> Cell:
    """The peak; that of the largest stage says so."""
    cell = measured_cells.memory(row.record)
    if not row.is_largest or cell.value is None:
        return cell
    return replace(cell, note=", ".join(filter(None, (cell.note, "largest"))), tone="strong")


def _step(row: _Row) -> Cell:
    timing = row.record.timing
    if row.steps is None or timing is None:
        return Cell()
    return Cell(timing.median_s / row.steps, kind=row.record.kind)


def _case(row: _Row) -> Case:
    return row.record.case


_Columns = tuple[tuple[Column, Callable[[_Row], Cell | str | int | None]], ...]
_TILES: _Columns = (
    (Column("Tile (px)", key="tile"), lambda row: row.record.case.tile.label if row.record.case.tile else "untiled"),
)
_STEPS: _Columns = ((Column("Steps", "count"), lambda row: row.steps), (Column("A step", "seconds"), _step))
