"""Printing for people: tables and prose that fit the width of the terminal, and plain lines in a pipe or a file.

A table is laid out by `print_table` alone. Numbers are never wrapped or cut, text wraps at spaces only. If the columns
don't fit side by side, the text of the last one goes under its row; if that is not enough, each row becomes a block of
`name: value`.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TextIO

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Span, Text

from bench.report.document import Column

#: Wide enough for a case's name and its figures; a pipe has no width of its own.
_PIPED_WIDTH = 120
#: Nothing can be laid out in less.
_LEAST_WIDTH = 20
#: A column of text is narrowed to the first before headers are wrapped, and to the second before rows become blocks.
_COMFORTABLE_WIDTH, _MIN_TEXT_WIDTH = 40, 20
_INDENT = 2
#: A table of fewer columns is a list of texts, which reads better as blocks.
_MIN_TABLE_COLUMNS = 3

Draw = Callable[[Console], None]


def show(draw: Draw, *, err: bool = False) -> None:
    """Draw on standard output, or on standard error."""
    stream = sys.stderr if err else sys.stdout
    if stream.isatty():
        columns, lines = _size(stream)
        draw(Console(file=stream, width=max(columns, _LEAST_WIDTH), height=lines))
    else:
        stream.write(plain(draw))


def print_lines(lines: Iterable[str], *, err: bool = False) -> None:
    """Print lines of prose on standard output, or on standard error."""

    def draw(console: Console) -> None:
        for line in lines:
            say(console, line)

    show(draw, err=err)


def plain(draw: Draw) -> str:
    """The drawing as text that ends in a newline. It is as wide as COLUMNS says, if that is set."""
    text = io.StringIO()
    draw(Console(file=text, width=_asked_width() or _PIPED_WIDTH, force_terminal=False))
    return "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())


def say(console: Console, line: str | Text, style: str = "", indent: int = 0) -> None:
    """Print a line of prose: wrapped at spaces on a terminal, unwrapped in a pipe, for grep and cut."""
    text = line.copy() if isinstance(line, Text) else Text(line)
    if style:
        text.stylize(style)
    if console.is_terminal:
        console.print(Padding(text, (0, 0, 0, indent), expand=False) if indent else text)
    else:
        console.print(Text(" " * indent) + text, soft_wrap=True)


def print_table(
    console: Console,
    columns: Sequence[Column],
    rows: Sequence[Sequence[str | Text]],
    title: str = "",
    *,
    header: bool = True,
) -> None:
    """Print rows under the columns' names; if they don't fit, the last column under each row, or blocks."""
    cells = [[cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in rows]
    if title:
        say(console, title, "italic")
    layout = _layout(columns, cells, console.width, header=header)
    if layout is not None:
        if header and _fits_unwrapped(columns, cells, layout[0]):
            console.print(_lines(columns, cells, *layout), soft_wrap=True)
        else:
            console.print(_table(columns, cells, *layout, header=header))
        return
    layout = _layout(columns[:-1], [row[:-1] for row in cells], console.width, header=True) if header else None
    if layout is not None and len(columns) > _MIN_TABLE_COLUMNS and columns[-1].may_wrap:
        _print_notes_under_rows(console, columns, cells, *layout)
        return
    if header:
        _print_heading_names(console, columns)
    for row in cells:
        _print_block(console, columns, row)
    if header:
        console.print()


def _size(stream: TextIO) -> tuple[int, int]:
    """The columns and lines of a stream's terminal, unless COLUMNS or LINES say otherwise."""
    if stream is not sys.stderr:
        return shutil.get_terminal_size()
    try:
        columns, lines = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return shutil.get_terminal_size()
    if not columns:  # a terminal that does not know its size
        return shutil.get_terminal_size()
    return _asked_width() or columns, lines


def _asked_width() -> int | None:
    """The width that COLUMNS asks for."""
    text = os.environ.get("COLUMNS", "")
    return max(int(text), _LEAST_WIDTH) if text.isdecimal() and int(text) else None


def _layout(
    columns: Sequence[Column], rows: Sequence[Sequence[Text]], room: int, *, header: bool
) -> tuple[list[int], int] | None:
    """The width of each column and the padding between them with which the rows fit; None if they can't."""
    names = [column.name if header else "" for column in columns]
    contents = [max((_widest(row[place]) for row in rows), default=0) for place in range(len(columns))]
    whole = [max(width, cell_len(name)) for width, name in zip(contents, names, strict=True)]
    if sum(whole) + _gaps_width(len(columns), 1, header=header) <= room:
        return whole, 1
    # how narrow each column may become, one step after the other
    words = [max((_longest_word(row[place].plain) for row in rows), default=0) for place in range(len(columns))]
    words = [max(word, _longest_word(name)) for word, name in zip(words, names, strict=True)]

    def least_widths(text_width: int, other_widths: Sequence[int]) -> list[int]:
        """Columns that may wrap become as narrow as `text_width`, but keep their longest word whole."""
        return [
            max(word, min(width, text_width)) if column.may_wrap else other
            for column, word, width, other in zip(columns, words, whole, other_widths, strict=True)
        ]

    unwrapped = [max(word, width) for word, width in zip(words, contents, strict=True)]
    steps = (
        least_widths(_COMFORTABLE_WIDTH, whole),
        least_widths(_COMFORTABLE_WIDTH, unwrapped),
        least_widths(_MIN_TEXT_WIDTH, unwrapped),
    )
    for padding in (1, 0):
        widths = list(whole)
        for least in steps:
            missing = sum(widths) + _gaps_width(len(columns), padding, header=header) - room
            widths = _narrowed(widths, least, missing)
        if sum(widths) + _gaps_width(len(columns), padding, header=header) <= room:
            return widths, padding
    return None


def _narrowed(widths: Sequence[int], least: Sequence[int], missing: int) -> list[int]:
    """The widths with `missing` cells taken away, from the widest that has some to give; fewer if none has."""
    narrowed = list(widths)
    for _ in range(missing):
        narrowable = [place for place in range(len(narrowed)) if narrowed[place] > least[place]]
        if not narrowable:
            break
        narrowed[max(narrowable, key=lambda place: narrowed[place])] -= 1
    return narrowed


def _gaps_width(count: int, padding: int, *, header: bool) -> int:
    """The cells between columns and at the edges."""
    return (count - 1) * (1 + 2 * padding) + 2 if header else (count - 1) * (1 + padding)


def _table(
    columns: Sequence[Column], rows: Sequence[Sequence[Text]], widths: Sequence[int], padding: int, *, header: bool
) -> Table:
    table = (
        Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, padding))
        if header
        else Table.grid(padding=(0, 1 + padding, 0, 0))
    )
    for column, width in zip(columns, widths, strict=True):
        name = Text(column.name) if header else ""
        table.add_column(name, justify="right" if column.is_right_aligned else "left", width=width, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _fits_unwrapped(columns: Sequence[Column], rows: Sequence[Sequence[Text]], widths: Sequence[int]) -> bool:
    """Whether each cell is one line that its column has room for, and so is each column's name."""
    texts = ([column.name for column in columns], *([cell.plain for cell in row] for row in rows))
    return all(
        cell_len(text) <= width and text == text.strip() and "\n" not in text and "\t" not in text
        for row in texts
        for text, width in zip(row, widths, strict=True)
    )


def _lines(columns: Sequence[Column], rows: Sequence[Sequence[Text]], widths: Sequence[int], padding: int) -> Text:
    """The output of `_table` for cells that need no wrapping. Faster: rich takes a millisecond for a table's row."""
    gap = " " * (1 + 2 * padding)
    to_the_right = [column.is_right_aligned for column in columns]
    parts: list[str] = []
    spans: list[Span] = []
    length = 0
    for place, row in enumerate([[Text(column.name, style="bold") for column in columns], *rows]):
        for number, (cell, is_right, width) in enumerate(zip(row, to_the_right, widths, strict=True)):
            blank = " " * (width - cell_len(cell.plain))
            before = (gap if number else "\n ") + (blank if is_right else "")
            begin = length + len(before)
            if cell.style:
                spans.append(Span(begin, begin + len(cell.plain), cell.style))
            spans += [span.move(begin) for span in cell.spans]
            parts += (before, cell.plain, "" if is_right else blank)
            length = begin + len(cell.plain) + len(parts[-1])
        if not place:
            parts.append("\n " + "─" * (sum(widths) + len(gap) * (len(widths) - 1)))
            length += len(parts[-1])
    return Text("".join(parts) + "\n", spans=spans, end="")


def _print_notes_under_rows(
    console: Console, columns: Sequence[Column], rows: Sequence[Sequence[Text]], widths: Sequence[int], padding: int
) -> None:
    """A table of all columns but the last, whose name and text are indented under each row."""
    name = f"{columns[-1].name}: " if columns[-1].name else ""
    console.print()
    for number, row in enumerate(rows):
        table = _table(columns[:-1], [row[:-1]], widths, padding, header=True)
        table.show_header, table.show_edge = not number, False
        console.print(Padding(table, (0, 0, 0, 1), expand=False))
        if row[-1].plain:
            _print_indented(console, Text(name) + row[-1], _INDENT + 1)
    console.print()


def _print_heading_names(console: Console, columns: Sequence[Column]) -> None:
    """Print the names of the columns that are in the first line of each block, over a rule."""
    names = Text(
        " ".join(column.name for column in columns if _is_in_heading(column, columns) and column.name), style="bold"
    )
    if names.plain:
        console.print(names)
        console.print("─" * min(cell_len(names.plain), console.width))


def _is_in_heading(column: Column, columns: Sequence[Column]) -> bool:
    return column.in_heading or column is columns[0]


def _print_block(console: Console, columns: Sequence[Column], row: Sequence[Text]) -> None:
    """Print a row as a heading, and under it `name: value; name: value`. A pair is broken only if it has no room."""
    pairs = list(zip(columns, row, strict=True))
    head = [cell for column, cell in pairs if cell.plain and _is_in_heading(column, columns)]
    if head:
        console.print(Text(" ").join(head))
    room = console.width - _INDENT
    line = Text()
    for pair, wraps in _pairs([(column, cell) for column, cell in pairs if not _is_in_heading(column, columns)]):
        joined = Text("; ").join([line, pair]) if line.plain else pair
        if _widest(joined) <= room and not (line.plain and "\n" in joined.plain):
            line = joined
            continue
        if line.plain:
            _print_indented(console, line)
        line = pair
        name, colon, value = pair.plain.partition(": ")
        if colon and not wraps and _widest(pair) > room >= cell_len(value) + _INDENT:
            _print_indented(console, pair[: len(name) + 1])  # a number is not broken off its unit
            line = Text(" " * _INDENT) + pair[len(name) + 2 :]
    if line.plain:
        _print_indented(console, line)


def _pairs(cells: Sequence[tuple[Column, Text]]) -> Iterator[tuple[Text, bool]]:
    """Each `name: value`, with the cells of nameless columns appended, and whether it may wrap."""
    pair, wraps = Text(), False
    for column, cell in cells:
        if not cell.plain:
            continue
        if column.name and pair.plain:
            yield pair, wraps
            pair, wraps = Text(), False
        value = Text(f"{column.name}: ") + cell if column.name else cell
        pair, wraps = (Text(" ").join([pair, value]) if pair.plain else value), wraps or column.may_wrap
    if pair.plain:
        yield pair, wraps


def _print_indented(console: Console, text: Text, indent: int = _INDENT) -> None:
    console.print(Padding(text, (0, 0, 0, indent), expand=False))


def _widest(text: Text) -> int:
    return max((cell_len(line) for line in text.plain.splitlines()), default=0)


def _longest_word(text: str) -> int:
    return max((cell_len(word) for word in text.split()), default=0)
