"""The reader of docs pages: the tables that a page prints, as records of kind `published`.

Pages are written by others: everything but tables of figures is passed over, and a table of figures that cannot be read
is an error with its line. `page_tables` finds the tables, `docs_row` reads their rows."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bench.errors import DocsError, nearest, quoted
from bench.record import Record, Run, digest
from bench.report.docs import docs_row
from bench.report.docs.page_tables import PageTable, find_tables, operation_in
from bench.workloads import models
from bench.workloads.base import Spec

#: The operations that the docs have tables of.
OPERATIONS = ("encode", "decode")
#: Words of a label that are not part of a model's title.
_OTHER_WORDS = re.compile(r"\b(vae|encode|decode|encoding|decoding|memory|results?|tables?)\b|[()]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Page:
    """The figures of a docs page in its order, one record for each pair of cells, and warnings about odd figures."""

    records: tuple[Record, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadTable:
    """A table of a page with the model and the operation that it is about; `entries` are its figures, row by row."""

    table: PageTable
    spec: Spec
    operation: str
    entries: tuple[docs_row.Entry, ...]


def read_page(
    text: str, source: str, operation: str | None = None, *, recorded_at: str, otherwise: str | None = None
) -> Page:
    """Read the figures of a docs page, in either dialect, as records of kind `published`.

    `source` is the page's file name; its folders are dropped. `operation` applies to all tables. By default each table
    has the operation that the headings and the prose above it name, or else the file's name, or else `otherwise`. What
    the docs leave unsaid takes the default of the model, and is listed in `assumed`. Raises DocsError, with the line,
    for a table of figures that cannot be read.
    """
    refuse_other_operations(operation)
    name = re.split(r"[\\/]", source)[-1]
    tables = find_tables(text, name)
    warnings = [f"{table.place}: this table has no rows." for table in tables if not table.rows]
    read = [read_table(table, operation, otherwise) for table in tables if table.rows]
    warnings += [doubt for table in read for row in table.table.rows for doubt in docs_row.doubts(row)]
    entries = [entry for table in read for entry in table.entries]
    docs_row.refuse_twins(entries)
    if not entries:
        raise DocsError(f"{name}: its tables hold no figures. Is it the right file?")
    run = Run(
        id=f"published-{name.rsplit('.', 1)[0]}",
        config=name,
        plan=digest([entry.case.id for entry in entries]),
        cases=len(entries),
        started_at=recorded_at,
    )
    return Page(tuple(docs_row.record(entry, run) for entry in entries), tuple(warnings))


def refuse_other_operations(operation: str | None) -> None:
    """Raise DocsError for an operation that the docs have no tables of."""
    if operation is not None and operation not in OPERATIONS:
        raise DocsError(f"The docs have no tables of operation {quoted(operation)}. {nearest(operation, OPERATIONS)}")


def read_table(table: PageTable, operation: str | None = None, otherwise: str | None = None) -> ReadTable:
    """Read a table: its model, its operation and its figures; `operation` and `otherwise` as in `read_page`.

    Raises DocsError, with the line, if any of them can't be read.
    """
    spec = _model(table)
    table_operation = operation or _operation(table, otherwise)
    entries = (entry for row in table.rows for entry in docs_row.entries(row, spec, table_operation))
    return ReadTable(table, spec, table_operation, tuple(entries))


def _model(table: PageTable) -> Spec:
    for label in table.labels:
        title = " ".join(_OTHER_WORDS.sub(" ", label.text).split()).strip(" -:,/\N{EN DASH}\N{EM DASH}")
        spec = models.by_title(label.text) or models.by_title(title)
        if spec:
            return spec
        if title and label.binding and not label.is_sentence:
            raise _unknown_title(table, title)
    if not table.labels:
        raise DocsError(f"{table.place}: nothing above this table names its model. Write its title on the line above.")
    raise _unknown_title(table, table.labels[0].text)


def _unknown_title(table: PageTable, title: str) -> DocsError:
    titles = [spec.title for spec in models.zoo().values()]
    return DocsError(f"{table.place}: no model has the title {quoted(title)}. {nearest(title, titles)}")


def _operation(table: PageTable, otherwise: str | None) -> str:
    """The operation of a table: what the texts above it say, or else its file's name, or else `otherwise`."""
    operation = table.operation or operation_in(table.place.page.replace("_", " ")) or otherwise
    if operation is None:
        raise DocsError(
            f"{table.place}: can't tell whether this table is about encode or decode. Choose one with --operation."
        )
    return operation
