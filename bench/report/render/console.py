"""Documents on a terminal or as plain text. This module decides what is printed; `terminal` lays it out.

Texts from files keep their width, but nothing in them reaches the terminal as a control character.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from rich import text as rich_text
from rich.console import Console

from bench.core.units import one_line
from bench.report.document import (
    Block,
    Bullets,
    Cell,
    Code,
    Column,
    Document,
    Links,
    Picture,
    Section,
    Table,
    Terms,
    Text,
    Tone,
    legend,
    marked,
)
from bench.report.render import terminal
from bench.report.render.terminal import Draw, say

_STYLES: dict[Tone, str] = {
    "plain": "",
    "strong": "bold",
    "good": "green",
    "bad": "red",
    "warning": "yellow",
    "quiet": "dim",
}


def draw(document: Document) -> Draw:
    """A function that prints a document: its blocks, then its legend and that of its marks. Pictures are only named."""

    def onto(console: Console) -> None:
        if document.title:
            say(console, one_line(document.title), "bold")
        _blocks(console, document.blocks)
        _blocks(console, document.legend)
        if kinds := document.marks():
            say(console, legend(kinds), "dim")

    return onto


def show(document: Document) -> None:
    """Print a document on standard output."""
    terminal.show(draw(document))


def render(document: Document) -> str:
    """A document as plain text, as wide as COLUMNS says, else 120 columns."""
    return terminal.plain(draw(document))


def _blocks(console: Console, blocks: Iterable[Block]) -> None:
    after_bare_table = False
    for block in blocks:
        if after_bare_table:
            console.print()
        _block(console, block)
        after_bare_table = isinstance(block, Table) and not _has_header(block.columns)


def _block(console: Console, block: Block) -> None:
    match block:
        case Text():
            say(console, one_line(block.text), _STYLES[block.tone])
        case Bullets():
            _bullets(console, block)
        case Terms() | Links():
            for name, meaning in block.items:
                say(console, one_line(f"{name}: {meaning}"), "dim")
        case Table():
            _tables(console, block)
        case Code():
            _code(console, block)
        case Picture():
            say(console, one_line(f"{block.file}: {block.description}"), "dim")
        case Section():
            say(console, one_line(block.title), "bold")
            _blocks(console, block.blocks)


def _code(console: Console, block: Code) -> None:
    """Print a program neither wrapped nor indented, so that it can be pasted."""
    console.print()
    for line in block.text.splitlines():
        console.print(rich_text.Text(one_line(line)), soft_wrap=True)
    console.print()


def _tables(console: Console, block: Table) -> None:
    for title, columns, rows in _groups(block):
        _table(console, title, columns, rows, marks=block.has_marks)


def _bullets(console: Console, block: Bullets) -> None:
    if block.title:
        say(console, f"{one_line(block.title)}:", _STYLES[block.tone])
    for item in block.items:
        say(console, one_line(item), _STYLES[block.tone], indent=2 if block.title else 0)


def _groups(table: Table) -> list[tuple[str, list[Column], list[list[Cell]]]]:
    """The tables to print: one for each combination of values of the grouping columns, named in the title."""
    inside = [place for place, column in enumerate(table.columns) if not column.splits_table]
    outside = [place for place, column in enumerate(table.columns) if column.splits_table]
    columns = [table.columns[place] for place in inside]
    rows_of: dict[tuple[str, ...], list[list[Cell]]] = {}
    for row in table.rows:
        names = tuple("".join(marked(row[place], table.columns[place], marks=table.has_marks)) for place in outside)
        rows_of.setdefault(names, []).append([row[place] for place in inside])
    return [(", ".join(filter(None, [table.title, *names])), columns, rows) for names, rows in rows_of.items()]


def _table(
    console: Console, title: str, columns: Sequence[Column], rows: Sequence[Sequence[Cell]], *, marks: bool
) -> None:
    laid = [replace(column, name=one_line(column.name)) for column in columns]
    cells = [
        [
            rich_text.Text(one_line("".join(marked(cell, column, marks=marks))), style=_STYLES[cell.tone])
            for cell, column in zip(row, columns, strict=True)
        ]
        for row in rows
    ]
    terminal.print_table(console, laid, cells, one_line(title), header=_has_header(columns))


def _has_header(columns: Sequence[Column]) -> bool:
    """Whether a column has a name: a table without a header has no blank lines around it either."""
    return any(column.name for column in columns)
