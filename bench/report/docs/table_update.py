"""One table of a page with the figures of its records: rows changed in place, and rows added."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from bench.config import card_names
from bench.errors import DocsError, listed, quoted
from bench.record import Record
from bench.report.docs import docs_row, row_update, table_lines
from bench.report.docs.docs_grid import Grid, gaps_of_row
from bench.report.docs.docs_page import ReadTable
from bench.report.docs.page_lines import PageLines
from bench.report.render import markdown

#: The resolution of a row, and the frames in a table of videos.
Size = tuple[str, ...]
#: How many columns hold figures.
_FIGURES = 4
_MOST_SIZES = 8


@dataclass(frozen=True, slots=True)
class RowCounts:
    """How many rows of a device were changed, added, or had the same figures already."""

    changed: int = 0
    added: int = 0
    same: int = 0

    def __add__(self, other: RowCounts) -> RowCounts:
        return RowCounts(self.changed + other.changed, self.added + other.added, self.same + other.same)


class TableUpdate:
    """Writes records into one table of `lines`. `sizes` is the page's order of sizes."""

    def __init__(self, lines: PageLines, table: ReadTable, sizes: Iterable[Size]) -> None:
        self.notes: list[str] = []
        self.devices: dict[str, RowCounts] = {}
        self._lines = lines
        self._place = table.table.place
        self._title = f"{table.spec.title} {table.operation}"
        self._rows = {docs_row.names(row, table.spec): row for row in table.table.rows}
        self._sizes = [*(names[1:] for names in self._rows), *sizes]
        header, rule = self._place.line, self._place.line + 1
        self._style = row_update.style_of(lines[rule], table.table.rows, table.operation)
        numbers = [row.place.line for row in table.table.rows]
        self._last = max([rule, *numbers])
        self._layout = table_lines.layout(lines[header], lines[rule], [lines[line] for line in numbers], _FIGURES)

    def update(self, grid: Grid) -> None:
        """Write the records of the table. Raises DocsError if it is not clear which rows are a device's."""
        self._sizes = list(dict.fromkeys([*self._sizes, *(names[1:] for names in grid)]))
        labels = self._labels(dict.fromkeys(gpu for gpu, *_ in grid))
        there = list(dict.fromkeys(label for label, *_ in self._rows))
        for gpu in sorted(labels, key=lambda gpu: there.index(labels[gpu]) if labels[gpu] in there else len(there)):
            pairs = {names[1:]: pair for names, pair in grid.items() if names[0] == gpu}
            self._update_device(gpu, labels[gpu], pairs)

    def _labels(self, measured: Iterable[str]) -> dict[str, str]:
        """What the page calls each device: the same, another spelling of it, or the same if it is new there."""
        there = list(dict.fromkeys(label for label, *_ in self._rows))
        labels: dict[str, str] = {}
        for gpu in measured:
            alike = [gpu] if gpu in there else [label for label in there if card_names.are_same(gpu, label)]
            if len(alike) > 1:
                raise DocsError(
                    f"{self._place}: {quoted(gpu)} of the results may be {listed(map(quoted, alike))} of this table. "
                    "Give these rows one name."
                )
            label = alike[0] if alike else gpu
            twin = next((other for other, name in labels.items() if name == label), None)
            if twin is not None:
                raise DocsError(
                    f"{self._place}: {quoted(twin)} and {quoted(gpu)} of the results are both {quoted(label)} of this "
                    "table. Name the results of one of them."
                )
            labels[gpu] = label
        return labels

    def _update_device(self, gpu: str, label: str, pairs: Mapping[Size, Mapping[bool, Record]]) -> None:
        counts = RowCounts()
        for size in sorted(pairs, key=self._sizes.index):
            row = self._rows.get((label, *size))
            gaps = gaps_of_row(self._title, (gpu, *size), pairs[size])
            if row is None:
                counts += RowCounts(added=self._add(label, size, pairs[size]))
                self.notes += gaps
            else:
                is_changed = self._change(row, pairs[size])
                counts += RowCounts(changed=is_changed, same=not is_changed)
                self.notes += [f"{gap.removesuffix('.')}; the page keeps what it has." for gap in gaps]
        self.devices[gpu] = counts
        self._note_kept_rows(gpu, label, pairs)

    def _change(self, row: docs_row.Row, pair: Mapping[bool, Record]) -> bool:
        """Write the figures into a row of the page. Returns whether it changed."""
        cells = row_update.changed_cells(row.cells[-_FIGURES:], pair, self._style)
        if not any(cells):
            return False
        line = row.place.line
        self._lines.replace(line, self._layout.changed(self._lines[line], cells))
        return True

    def _add(self, label: str, size: Size, pair: Mapping[bool, Record]) -> bool:
        """Write a new row. Returns whether there was any figure for it."""
        figures = row_update.added_cells(pair, self._style)
        if figures is None:
            return False
        own = self._own_rows(label)
        name = table_lines.first_cell(self._lines[min(own.values())]) if own else markdown.safe(label)
        self._lines.add_below(self._above(size, own), self._layout.added([name, *size, *figures]))
        return True

    def _own_rows(self, label: str) -> dict[Size, int]:
        """The lines of a device's rows on the page."""
        return {names[1:]: row.place.line for names, row in self._rows.items() if names[0] == label}

    def _above(self, size: Size, own: Mapping[Size, int]) -> int:
        """The line below which a device's row of this size belongs, given the lines of its other rows."""
        if not own or max(own.values()) - min(own.values()) >= len(own):  # new, or its rows are apart
            return self._last
        smaller = (line for other, line in own.items() if self._sizes.index(other) < self._sizes.index(size))
        return max(smaller, default=min(own.values()) - 1)

    def _note_kept_rows(self, gpu: str, label: str, sizes: Container[Size]) -> None:
        if label != gpu:
            self.notes.append(f"{gpu} is called {label} on the page, which keeps that name.")
        kept = [" ".join(size) for size in self._own_rows(label) if size not in sizes]
        if kept:
            self.notes.append(
                f"{self._title} on {gpu}: the results have no {listed(kept, _MOST_SIZES)}, so the page keeps that."
            )
