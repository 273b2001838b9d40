"""The lines of a table as a page has them: new cells put into them in the table's own layout, byte for byte."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

#: What ends a cell: a bar without a backslash before it.
BAR = re.compile(r"(?<!\\)\|")
_NUMBER = re.compile(r"[0-9]*\.?[0-9]*(?:[eE][+-]?[0-9]+)?")

_Side = Literal["left", "right", "decimal"]


@dataclass(frozen=True, slots=True)
class _Column:
    """How a column is laid out.

    `width` is that of its cells with the blanks beside the bars; None if they are not padded to one. `after` is how
    many characters stand right of the decimal point of an aligned number.
    """

    width: int | None
    side: _Side
    after: int = 0


@dataclass(frozen=True, slots=True)
class Layout:
    """How a table's lines are written: its columns, and a line to copy the bars and blanks of."""

    columns: tuple[_Column, ...]
    sample: str

    def changed(self, line: str, cells: Sequence[str | None]) -> str:
        """The line with these cells in place of its last ones; None keeps a cell as it is."""
        segments = BAR.split(line)
        first = _first(segments)
        for at, text in enumerate(cells, start=len(self.columns) - len(cells)):
            if text is not None:
                segments[first + at] = self._segment(at, segments[first + at], text)
        return "|".join(segments)

    def added(self, cells: Sequence[str]) -> str:
        """A new line with these cells."""
        segments = BAR.split(self.sample)
        first = _first(segments)
        for at, text in enumerate(cells):
            old = segments[first + at]
            blanks = (" " if end.isspace() else "" for end in (old[:1], old[-1:]))
            segments[first + at] = self._segment(at, text.join(blanks), text)
        return "|".join(segments).rstrip()

    def _segment(self, at: int, old: str, text: str) -> str:
        column = self.columns[at]
        if column.width is None:
            start = len(old) - len(old.lstrip())
            return f"{old[:start]}{text}{old[max(len(old.rstrip()), start) :]}"
        blanks = max(column.width - len(text), 2)
        if column.side == "left":
            return f" {text}{' ' * (blanks - 1)}"
        behind = 1 if column.side == "right" else column.after - _after_point(text)
        behind = min(max(behind, 1), blanks - 1)
        return f"{' ' * (blanks - behind)}{text}{' ' * behind}"


def layout(header: str, rule: str, rows: Sequence[str], figures: int) -> Layout:
    """The layout of a table with these lines. Its last `figures` columns hold figures, the others names."""
    lines = [_segments(line) for line in (header, rule, *rows)]
    names = len(lines[0]) - figures
    columns = (_column([line[at] for line in lines], is_name=at < names) for at in range(len(lines[0])))
    return Layout(tuple(columns), rows[-1] if rows else header)


def first_cell(line: str) -> str:
    """The first cell of a line, without the blanks around it."""
    return _segments(line)[0].strip()


def _column(segments: Sequence[str], *, is_name: bool) -> _Column:
    """The layout of a column, whose first two segments are the header's and the rule's."""
    header, rule, *cells = segments
    width = len(header)
    of_width = [cell for cell in cells if len(cell) == width]
    if len(rule) != width or (cells and 2 * len(of_width) <= len(cells)):
        return _Column(None, "left")
    afters = Counter(len(cell) - len(cell.rstrip()) + _after_point(cell.strip()) for cell in of_width)
    is_right = all(not cell[-2:-1].isspace() for cell in of_width)
    if is_name:
        is_left = all(not cell[1:2].isspace() for cell in of_width)
        return _Column(width, "right" if is_right and not is_left else "left")
    if not rule.strip().endswith(":"):
        return _Column(width, "left")
    if is_right and len(afters) > 1:
        return _Column(width, "right")
    return _Column(width, "decimal", max(afters, key=lambda after: afters[after], default=0))


def _after_point(text: str) -> int:
    """How many characters of a number stand behind its decimal point, or else its exponent; -1 if it has neither.

    As tabulate counts them, which `DataFrame.to_markdown` aligns numbers with.
    """
    if not _NUMBER.fullmatch(text):
        return -1
    point = text.find(".")
    point = text.lower().find("e") if point < 0 else point
    return -1 if point < 0 else len(text) - point - 1


def _first(segments: Sequence[str]) -> int:
    """The index of the first cell: what is before a bar at the start of a line is none."""
    return 0 if segments[0].strip() else 1


def _segments(line: str) -> list[str]:
    """The cells of a line with the blanks around them."""
    segments = BAR.split(line)
    return segments[_first(segments) : len(segments) - (not segments[-1].strip())]
