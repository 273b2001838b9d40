"""A docs page with the figures of results in its tables: rows are changed and added, all else stays byte for byte.

`page_tables` finds the tables, `docs_grid` puts records into rows, `row_update` makes cells of them, and `table_lines`
writes those into lines.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bench.core.units import format_count
from bench.errors import DocsError, listed
from bench.record import Record, grouped
from bench.report.docs import docs_row, record_choice
from bench.report.docs.docs_grid import Grid, grids
from bench.report.docs.docs_page import ReadTable, read_table, refuse_other_operations
from bench.report.docs.page_lines import LINE_END, PageLines
from bench.report.docs.page_tables import find_tables
from bench.report.docs.table_update import RowCounts, Size, TableUpdate
from bench.workloads import models

#: The model and the operation that a table is about.
_Subject = tuple[str, str]


@dataclass(frozen=True, slots=True)
class UpdatedPage:
    """A page with the results' figures, how many rows of each device it took, and what a user should know."""

    text: str
    devices: dict[str, RowCounts]
    notes: tuple[str, ...]


def update(text: str, name: str, records: Sequence[Record], operation: str | None = None) -> UpdatedPage:
    """The page `name` with the figures of `records` in its tables.

    Measured records are used, and published ones only if nothing was measured. Which cells of a row change,
    `row_update` says. A device's new rows stand beside its others, a new device's below all others, in the page's order
    of sizes. With `operation` only tables of it are updated; tables that do not say theirs count as such. Raises
    DocsError if a table can't be read, if it is not clear where a record belongs, if no record has a table, or if there
    are records of other kinds.
    """
    refuse_other_operations(operation)
    tables = [read_table(table, otherwise=operation) for table in find_tables(text, name)]
    docs_row.refuse_twins([entry for table in tables for entry in table.entries])
    chosen, notes = record_choice.choose(records)
    notes += [doubt for table in tables for row in table.table.rows for doubt in docs_row.doubts(row)]
    wanted = [table for table in tables if operation in (None, table.operation)]
    by_subject = grouped([record for record in chosen if operation in (None, record.case.operation)], _subject)
    notes += _without_table(chosen, tables, operation, name)
    lines = PageLines(text)
    sizes = _sizes(tables)
    devices: dict[str, RowCounts] = {}
    shown: list[Record] = []
    for table, grid in _with_records(by_subject, wanted):
        shown += [record for pair in grid.values() for record in pair.values()]
        change = TableUpdate(lines, table, sizes)
        change.update(grid)
        notes += change.notes
        for device, counts in change.devices.items():
            devices[device] = devices.get(device, RowCounts()) + counts
    notes += record_choice.doubts(shown)
    return UpdatedPage(lines.text(), devices, tuple(dict.fromkeys(notes)))


def difference(old: str, new: str, name: str) -> str:
    """A unified diff of two texts of the page `name`, its lines without the characters that end them; empty if same."""
    before, after = (
        LINE_END.split(text.encode(errors="surrogateescape").decode(errors="replace")) for text in (old, new)
    )
    lines = difflib.unified_diff(before, after, name, f"{name}, updated", lineterm="")
    return "".join(f"{line}\n" for line in lines)


def summary(page: str, updated: UpdatedPage, *, is_changed: bool) -> list[str]:
    """Which page was updated, and a line for each device with the numbers of its rows."""
    return [
        f"Updated {page}" if is_changed else f"{page} is up to date",
        *(f"  {device}: {_counted(counts)}" for device, counts in updated.devices.items()),
    ]


def _counted(counts: RowCounts) -> str:
    parts = ((counts.added, "added"), (counts.changed, "changed"), (counts.same, "with the same figures"))
    return ", ".join(f"{format_count(count, 'row')} {what}" for count, what in parts if count) or "no row"


def _subject(record: Record) -> _Subject:
    return record.case.model, record.case.operation


def _with_records(
    by_subject: Iterable[Sequence[Record]], tables: Sequence[ReadTable]
) -> Iterator[tuple[ReadTable, Grid]]:
    """The tables that the records belong in. Raises DocsError if two tables are about the same."""
    records_of = {_subject(records[0]): records for records in by_subject}
    taken: dict[_Subject, ReadTable] = {}
    for table in tables:
        subject = (table.spec.key, table.operation)
        if subject not in records_of:
            continue
        twin = taken.setdefault(subject, table)
        if twin is not table:
            raise DocsError(
                f"{table.table.place}: this table and that of {twin.table.place} are both about {table.spec.title} "
                f"{table.operation}, so it is not clear which one to update. Put their rows into one table, or "
                "name model and operation in the line above each."
            )
    for subject, table in taken.items():
        yield table, grids(records_of[subject])[table.spec.title]


def _without_table(
    records: Iterable[Record], tables: Sequence[ReadTable], operation: str | None, name: str
) -> list[str]:
    """A note on records that have no table on the page. Raises DocsError if none has one."""
    there = dict.fromkeys((table.spec.key, table.operation) for table in tables)
    given = dict.fromkeys(map(_subject, records))
    wanted = [subject for subject in given if operation in (None, subject[1])]
    lost = [subject for subject in wanted if subject not in there]
    if lost == wanted:
        raise DocsError(
            f"{name} has tables of {_listed(there)}, and the results are of {_listed(given)}. Name another page or "
            "other results."
        )
    return [f"{name} has no table of {_listed(lost)}, so these results are left out."] if lost else []


def _listed(subjects: Iterable[_Subject]) -> str:
    return listed(f"{models.title(key)} {operation}" for key, operation in subjects)


def _sizes(tables: Iterable[ReadTable]) -> list[Size]:
    """The sizes of all rows of the page in their order."""
    return list(dict.fromkeys(docs_row.names(row, table.spec)[1:] for table in tables for row in table.table.rows))
