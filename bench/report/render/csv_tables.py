"""A document's tables as CSV: plain values in their units, and kinds in columns of their own."""

from __future__ import annotations

import csv
import io
import re

from bench.core.units import one_line
from bench.report.document import Cell, Column, Document, Table

#: How a formula begins; spreadsheets of East Asian languages also take the wide forms.
_FORMULA_STARTS = frozenset("=+-@＝＋－＠")  # noqa: RUF001 - the wide forms are meant
#: The most characters of a file's name, without its number and ending.
_MOST_OF_NAME = 100


def render(stem: str, document: Document) -> dict[str, str]:
    """Each table by the name of its file. Texts and pictures are left out.

    A file is named after the page, the table's sections and its title: `cost-sdxl-decode-at-512x512.csv`. Tables of
    one name are numbered.
    """
    files: dict[str, str] = {}
    for sections, table in document.placed_tables():
        words = "-".join(re.findall(r"[a-z0-9]+", " ".join([*sections, table.title]).lower()))
        name = f"{stem}-{words}"[:_MOST_OF_NAME].rstrip("-")
        file, number = f"{name}.csv", 1
        while file in files:
            number += 1
            file = f"{name}-{number}.csv"
        files[file] = render_table(table)
    return files


def render_table(table: Table) -> str:
    """One table: its keys with their units, then its rows.

    A cell is written as its value, or else as its text (`OOM`). A column whose cells have kinds is followed by
    one that names them. A text that a spreadsheet would run as a formula begins with an apostrophe.
    """
    kinds = [any(row[place].kind for row in table.rows) for place in range(len(table.columns))]
    names: list[str] = []
    for column, key, has_kinds in zip(table.columns, table.keys, kinds, strict=True):
        names += [f"{key} ({column.unit})" if column.unit else key, *([f"{key} kind"] if has_kinds else [])]
    rows = [
        [
            text
            for cell, column, has_kinds in zip(row, table.columns, kinds, strict=True)
            for text in _cell(cell, column, has_kinds=has_kinds)
        ]
        for row in table.rows
    ]
    return _lines([names, *rows])


def _cell(cell: Cell, column: Column, *, has_kinds: bool) -> list[str]:
    value = cell.value if cell.value is not None else cell.text or ""
    text = plain_text(value) if isinstance(value, str) else repr(value)
    return [text, *([cell.kind or ""] if has_kinds else [])]


def plain_text(text: str) -> str:
    """One line that no spreadsheet takes for a formula."""
    plain = one_line(text)
    return f"'{plain}" if plain[:1] in _FORMULA_STARTS and plain != "-" else plain


def _lines(rows: list[list[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()
