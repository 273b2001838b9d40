"""The lines of a page, each with the characters that end it: lines are replaced and added, all others stay."""

from __future__ import annotations

import re

LINE_END = re.compile(r"\r\n|\r|\n")


class PageLines:
    """The lines of a text by their number, from 1."""

    def __init__(self, text: str) -> None:
        self._lines = LINE_END.split(text)
        self._ends = [*LINE_END.findall(text), ""]
        self._added: dict[int, list[str]] = {}

    def __getitem__(self, number: int) -> str:
        return self._lines[number - 1]

    def replace(self, number: int, line: str) -> None:
        """Write another line in place of this one."""
        self._lines[number - 1] = line

    def add_below(self, number: int, line: str) -> None:
        """Write a line below this one, and below those added there before. It ends as this one does."""
        self._added.setdefault(number, []).append(line)

    def text(self) -> str:
        """All lines. If a line is added below the last one, which need not end, its end is that of the line above."""
        parts: list[str] = []
        for number, (line, end) in enumerate(zip(self._lines, self._ends, strict=True), start=1):
            below = self._added.get(number, [])
            between = end or (self._ends[number - 2] if number > 1 else "") or "\n"
            parts += [line, *(part for text in below for part in (between, text)), end]
        return "".join(parts)
