"""Tables are laid out by hand where there may be very many rows: they read as those of tabulate and rich."""

from __future__ import annotations

import io
from collections.abc import Sequence
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console
from rich.text import Text
from tabulate import tabulate

from bench.report.document import Column
from bench.report.render import markdown, terminal

MARKDOWN = MarkdownIt("commonmark").enable("table")
TEXTS = st.sampled_from(["", "-", "12.5 ms", " x ", "a|b", "é", "漢字", "a longer text", "`code`"])
NAMES = st.sampled_from(["A", "Name", "Time (s)"])


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]], str]:
    """Headers, rows and a letter a column for its side."""
    count = draw(st.integers(3, 5))
    rows = draw(st.lists(st.lists(TEXTS, min_size=count, max_size=count), min_size=1, max_size=4))
    headers = draw(st.lists(NAMES, min_size=count, max_size=count))
    return headers, rows, "".join(draw(st.lists(st.sampled_from("lr"), min_size=count, max_size=count)))


@settings(deadline=None)
@given(tables())
def test_a_pipe_table_reads_as_tabulate_s(table: tuple[list[str], list[list[str]], str]) -> None:
    headers, rows, align = table
    sides = [{"l": "left", "r": "right"}[letter] for letter in align]
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]

    padded = tabulate(escaped, headers=headers, tablefmt="pipe", disable_numparse=True, colalign=sides)
    assert MARKDOWN.render(markdown.table(headers, rows, align)) == MARKDOWN.render(padded)


def printed(columns: Sequence[Column], rows: Sequence[Sequence[Text]], width: int) -> list[str]:
    """The lines of a table, without blanks at their ends."""
    stream = io.StringIO()
    terminal.print_table(Console(file=stream, width=width), columns, rows)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


@settings(deadline=None)
@given(tables(), st.integers(30, 120))
def test_a_table_that_needs_no_wrapping_is_rich_s(table: tuple[list[str], list[list[str]], str], width: int) -> None:
    headers, rows, align = table
    columns = [Column(name, right=side != "l") for name, side in zip(headers, align, strict=True)]
    cells = [[Text(cell, style="red") for cell in row] for row in rows]

    by_hand = printed(columns, cells, width)
    with patch.object(terminal, "_fits_unwrapped", return_value=False):
        by_rich = printed(columns, cells, width)

    assert by_hand == by_rich
