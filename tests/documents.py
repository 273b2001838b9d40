"""What a document's tables say, as tests read it."""

from __future__ import annotations

from bench.report.document import Document, Section, Table, marked


def shown(table: Table) -> list[dict[str, str]]:
    """Each row of a table: the name of each column, and what its cell says with mark and note."""
    return [
        {
            column.name: "".join(marked(cell, column, marks=table.has_marks))
            for cell, column in zip(row, table.columns, strict=True)
        }
        for row in table.rows
    ]


def rows_of(document: Document, column: str, value: str = "") -> list[dict[str, str]]:
    """The rows of all tables that have this column, if it says this."""
    rows = [row for table in document.tables() for row in shown(table)]
    return [row for row in rows if column in row and value in ("", row[column])]


def columns_of(document: Document) -> list[list[str]]:
    """The names of the columns of each table."""
    return [[column.name for column in table.columns] for table in document.tables()]


def section(document: Document | Section, title: str) -> Document:
    """The part of a document under this heading, at any depth. Raises KeyError if there is none."""
    for block in document.blocks:
        if isinstance(block, Section):
            if block.title == title:
                return Document(title, block.blocks)
            try:
                return section(block, title)
            except KeyError:
                continue
    raise KeyError(title)
