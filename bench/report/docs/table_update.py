"""One table of a page with the figures of its records: rows changed in place, and rows added."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from bench.config import card_names
from bench.errors import DocsError, listed, quoted
from bench.record import Record
from bench.report.docs import docs_row, page_tables, row_update, table_lines
from bench.report.docs.docs_grid import Grid, gaps_of_row
from bench.report.docs.docs_page import ReadTable
from bench.report.docs.page_lines import PageLines
from bench.report.render import markdown

#: The resolution of a row, and the frames in a table of videos.
Size = tuple[str, ...]
_Item = TypeVar("_Item")
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
        self._rows: dict[str, dict[Size, docs_row.Row]] = {}  # by device
        for row in table.table.rows:
            label, *size = docs_row.names(row, table.spec)
            self._rows.setdefault(label, {})[tuple(size)] = row
        self._order = _ranked([*(size for rows in self._rows.values() for size in rows), *sizes])
        header, rule = self._place.line, self._place.line + 1
        self._style = row_update.style_of(lines[rule], table.table.rows, table.operation)
        numbers = [row.place.line for row in table.table.rows]
        self._last = max([rule, *numbers])
        self._layout = table_lines.layout(lines[header], lines[rule], [lines[line] for line in numbers], _FIGURES)

    def update(self, grid: Grid) -> None:
        """Write the records of the table. Raises DocsError if it is not clear which rows are a device's."""
        by_device: dict[str, dict[Size, Mapping[bool, Record]]] = {}
        for (gpu, *size), pair in grid.items():
            by_device.setdefault(gpu, {})[tuple(size)] = pair
        self._order = _ranked([*self._order, *(names[1:] for names in grid)])
        labels = self._labels(by_device)
        devices = _ranked(self._rows)
        for gpu in sorted(labels, key=lambda gpu: devices.get(labels[gpu], len(devices))):
            self._update_device(gpu, labels[gpu], by_device[gpu])

    def _labels(self, measured: Iterable[str]) -> dict[str, str]:
        """What the page calls each device: by its own name, by another spelling of it, or not yet."""
        owners: dict[str, str] = {}
        for gpu in measured:
            own = _as_read(gpu)
            alike = [own] if own in self._rows else [label for label in self._rows if card_names.are_same(own, label)]
            if len(alike) > 1:
                raise DocsError(
                    f"{self._place}: {quoted(gpu)} of the results may be {listed(map(quoted, alike))} of this table. "
                    "Give these rows one name."
                )
            label = alike[0] if alike else own
            if owners.setdefault(label, gpu) != gpu:
                raise DocsError(
                    f"{self._place}: {quoted(owners[label])} and {quoted(gpu)} of the results are both {quoted(label)} "
                    "in this table. Name the results of one of them."
                )
            if not docs_row.is_name(label):
                raise DocsError(f"{self._place}: no row can be written for {quoted(gpu)}. Leave its results out.")
        return {gpu: label for label, gpu in owners.items()}

    def _update_device(self, gpu: str, label: str, pairs: Mapping[Size, Mapping[bool, Record]]) -> None:
        counts = RowCounts()
        own = self._rows.get(label, {})
        for size in sorted(pairs, key=self._order.__getitem__):
            gaps = gaps_of_row(self._title, (gpu, *size), pairs[size])
            if size not in own:
                counts += RowCounts(added=self._add(gpu, own, size, pairs[size]))
                self.notes += gaps
            else:
                is_changed = self._change(own[size], pairs[size])
                counts += RowCounts(changed=is_changed, same=not is_changed)
                self.notes += [f"{gap.removesuffix('.')}; the page keeps what it has." for gap in gaps]
        self.devices[gpu] = counts
        if label != _as_read(gpu):
            self.notes.append(f"{gpu} is called {label} on the page, which keeps that name.")
        kept = [" ".join(size) for size in own if size not in pairs]
        if kept:
            self.notes.append(
                f"{self._title} on {gpu}: the results have no {listed(kept, _MOST_SIZES)}, so the page keeps that."
            )

    def _change(self, row: docs_row.Row, pair: Mapping[bool, Record]) -> bool:
        """Write the figures into a row of the page. Returns whether it changed."""
        cells = row_update.changed_cells(row.cells[-_FIGURES:], pair, self._style)
        if not any(cells):
            return False
        line = row.place.line
        self._lines.replace(line, self._layout.changed(self._lines[line], cells))
        return True

    def _add(self, gpu: str, own: Mapping[Size, docs_row.Row], size: Size, pair: Mapping[bool, Record]) -> bool:
        """Write a new row beside a device's own rows. Returns whether there was any figure for it."""
        figures = row_update.added_cells(pair, self._style)
        if figures is None:
            return False
        columns = len(self._layout.columns)
        if columns != 1 + len(size) + len(figures):
            problem = "no column Frames, which its results need" if len(size) > 1 else "a column Frames, but no videos"
            raise DocsError(f"{self._place}: the table of {self._title} has {problem}. Mend its header.")
        lines = {other: row.place.line for other, row in own.items()}
        name = table_lines.first_cell(self._lines[min(lines.values())]) if lines else markdown.safe(gpu)
        self._lines.add_below(self._above(size, lines), self._layout.added([name, *size, *figures]))
        return True

    def _above(self, size: Size, own: Mapping[Size, int]) -> int:
        """The line below which a device's row of this size belongs, given the lines of its other rows."""
        if not own or max(own.values()) - min(own.values()) >= len(own):  # new, or its rows are apart
            return self._last
        before = (line for other, line in own.items() if self._order[other] < self._order[size])
        return max(before, default=min(own.values()) - 1)


def _ranked(items: Iterable[_Item]) -> dict[_Item, int]:
    """The items with their places in the order in which they first come."""
    return {item: at for at, item in enumerate(dict.fromkeys(items))}


def _as_read(gpu: str) -> str:
    """A device's name as a reader of the page reads it once it is written there."""
    return docs_row.without_breaks(page_tables.plain(markdown.safe(gpu))).replace("\N{NO-BREAK SPACE}", " ")
