"""A page as a value: texts, tables and pictures, which renderers turn into markdown, terminal text, HTML, JSON or CSV.

Everything here is plain data. Texts are plain too: `code` between backticks is the only markup, and nothing is escaped,
because each renderer escapes for itself. A table's cells hold values in seconds, bytes, shares and the like; their
columns say the unit, and the renderer writes the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from bench.core.units import Unit, format_quantity
from bench.report.lazy_rows import LazyRows

#: Where a figure comes from. If a table mixes kinds, each figure is marked.
Kind = Literal["measured", "published", "predicted", "simulated", "calibrated", "assumed"]
#: How a cell or a line stands out where the form can show it: a gate that fails, a change for the better, an aside.
Tone = Literal["plain", "strong", "good", "bad", "warning", "quiet"]

#: The mark after a figure of each kind; measured figures have none.
MARKS: dict[Kind, str] = {
    "measured": "",
    "published": "†",
    "predicted": "‡",
    "simulated": "§",
    "calibrated": "¶",
    "assumed": "*",
}
#: What each kind means, for the legend of the marks.
MEANINGS: dict[Kind, str] = {
    "measured": "measured by this program, on the device that is named",
    "published": "printed by the diffusers docs or another source",
    "predicted": "computed by a model of memory or time, without the device",
    "simulated": "a model of the network or of prices, applied to measured or published figures",
    "calibrated": "predicted with figures that were measured on such a device",
    "assumed": "not stated by the source, and taken from the model zoo",
}
#: Code in a text: between two single backticks.
_CODE_SPAN = re.compile(r"(?<!`)`([^`|<]+)`(?!`)")
_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of a table.

    Attributes:
        value: in the column's unit; None if there is none.
        text: what to write instead of the value in its unit: `OOM`, `2.1 s to 3 s`. Never escaped.
        kind: where the value comes from; None for names, sizes and the like.
        note: a few words after the figure: `tiling was not tried`.
        tone: how the cell stands out.
    """

    value: str | int | float | None = None
    text: str | None = None
    kind: Kind | None = None
    note: str = ""
    tone: Tone = "plain"

    @property
    def has_figure(self) -> bool:
        """Whether there is anything to mark: a value, or a text in its place."""
        return bool(self.text) or self.value is not None


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        name: its header. If empty, a narrow terminal appends its cell to that of the column before it.
        unit: of its values; None for text. Columns with a unit are right-aligned.
        key: its name in JSON and CSV, unique in the table; by default made of `name`.
        right: right-align text too.
        may_wrap: the text may wrap at spaces in a narrow terminal.
        in_heading: part of the first line when rows are printed as blocks; the first column always is.
        splits_table: a terminal prints one table per value, with the value in its title.
    """

    name: str
    unit: Unit | None = None
    key: str = ""
    right: bool = False
    may_wrap: bool = False
    in_heading: bool = False
    splits_table: bool = False

    @property
    def is_right_aligned(self) -> bool:
        """Whether its cells are right-aligned."""
        return self.right or self.unit is not None

    def text(self, cell: Cell) -> str:
        """The text of a cell of this column, without its mark and note; `-` for no value."""
        if cell.text is not None:
            return cell.text
        if cell.value is None:
            return "-"
        if self.unit is None or isinstance(cell.value, str):
            return str(cell.value)
        return format_quantity(cell.value, self.unit)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns; one cell per column. The rows may be made when they are looked at (`LazyRows`).

    Raises ValueError if a row has more or fewer cells than there are columns, or two columns have the same key.
    """

    columns: tuple[Column, ...]
    rows: Sequence[tuple[Cell, ...]]
    title: str = ""
    type: Literal["table"] = "table"

    def __post_init__(self) -> None:
        for row in () if isinstance(self.rows, LazyRows) else self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{len(row)} cells under {len(self.columns)} columns")
        keys = self.keys
        if len(set(keys)) != len(keys):
            raise ValueError(f"columns have the same key: {', '.join(keys)}")

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns' names in JSON and CSV."""
        return tuple(column.key or _key(column.name) for column in self.columns)

    @property
    def has_marks(self) -> bool:
        """Whether cells get marks. They don't if a column `kind` states it for the whole row."""
        return "kind" not in self.keys

    @property
    def column_kinds(self) -> tuple[Kind | None, ...]:
        """The kind of each column whose figures are all of one kind, so that a mark at its name is enough; else None.

        None too if cells get no marks.
        """
        if not self.has_marks:
            return (None,) * len(self.columns)
        kinds = [{row[place].kind for row in self.rows if row[place].has_figure} for place in range(len(self.columns))]
        return tuple(next(iter(alike)) if len(alike) == 1 else None for alike in kinds)

    def headed(self) -> Table:
        """The table with the mark of a column's only kind at its name, and none in its cells.

        For forms where a column is read as a whole.
        """
        kinds = self.column_kinds
        if not any(kinds):
            return self
        columns = tuple(
            replace(column, name=f"{column.name}{MARKS[kind]}", key=key) if kind else column
            for column, key, kind in zip(self.columns, self.keys, kinds, strict=True)
        )
        rows = tuple(
            tuple(replace(cell, kind=None) if kind else cell for cell, kind in zip(row, kinds, strict=True))
            for row in self.rows
        )
        return replace(self, columns=columns, rows=rows)


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str
    tone: Tone = "plain"
    type: Literal["text"] = "text"


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list of lines."""

    items: tuple[str, ...]
    title: str = ""
    tone: Tone = "plain"
    type: Literal["bullets"] = "bullets"


@dataclass(frozen=True, slots=True)
class Terms:
    """A legend: terms, each with what it means."""

    items: tuple[tuple[str, str], ...]
    type: Literal["terms"] = "terms"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in a file beside the page, and what it shows in words."""

    file: str
    description: str
    type: Literal["picture"] = "picture"


@dataclass(frozen=True, slots=True)
class Links:
    """Files beside the page, each with a few words on what it is."""

    items: tuple[tuple[str, str], ...]
    type: Literal["links"] = "links"


@dataclass(frozen=True, slots=True)
class Code:
    """A program to paste."""

    text: str
    type: Literal["code"] = "code"


@dataclass(frozen=True, slots=True)
class Section:
    """Blocks under a heading.

    Attributes:
        folded: opens on a click, where the form can do that.
        detail: left out of pages of markdown, which are to be short. HTML, JSON and CSV have it.
    """

    title: str
    blocks: tuple[Block, ...]
    folded: bool = False
    detail: bool = False
    type: Literal["section"] = "section"


Block = Text | Bullets | Terms | Table | Picture | Links | Code | Section


@dataclass(frozen=True, slots=True)
class Document:
    """A page: its title, its blocks, and the legend after them: what words and marks mean, and where it comes from."""

    title: str
    blocks: tuple[Block, ...]
    legend: tuple[Block, ...] = ()

    def tables(self) -> Iterator[Table]:
        """All tables in order, including those in sections."""
        return (table for _, table in self.placed_tables())

    def placed_tables(self) -> Iterator[tuple[tuple[str, ...], Table]]:
        """All tables in order, each with the titles of the sections around it."""
        yield from _tables(self.blocks, ())

    def marks(self) -> list[Kind]:
        """The kinds that need a legend, in the order of `MARKS`.

        Empty if all figures are measured, or a column states the kind.
        """
        kinds = {
            cell.kind for table in self.tables() if table.has_marks for row in table.rows for cell in row if cell.kind
        }
        return [] if kinds <= {"measured"} else [kind for kind in MARKS if kind in kinds]


def marked(cell: Cell, column: Column, *, marks: bool) -> tuple[str, str]:
    """A cell's text, and what follows it: the mark of its kind if `marks`, and its note in parentheses."""
    mark = MARKS[cell.kind] if marks and cell.kind and cell.has_figure else ""
    return column.text(cell), f"{mark} ({cell.note})" if cell.note else mark


def detail(title: str, *blocks: Block) -> Section:
    """A section that pages of markdown leave out, and HTML folds."""
    return Section(title, blocks, folded=True, detail=True)


def spans(text: str) -> Iterator[tuple[str, bool]]:
    """The parts of a text, each with whether it is code (was between backticks)."""
    for place, part in enumerate(_CODE_SPAN.split(text)):
        if part:
            yield part, place % 2 == 1


def legend(kinds: Sequence[Kind]) -> str:
    """A line that says what the marks of these kinds mean; empty for none."""
    marked_kinds = [f"{MARKS[kind]} {kind}: {MEANINGS[kind]}" for kind in kinds if MARKS[kind]]
    unmarked = ["unmarked: measured"] if "measured" in kinds else []
    return f"{'; '.join([*marked_kinds, *unmarked])}." if kinds else ""


def table(columns: Sequence[Column], rows: Sequence[Sequence[Cell | str | float | None]], title: str = "") -> Table:
    """A table of cells. A plain value is a cell that holds only that, None a cell without a value."""
    return Table(tuple(columns), tuple(map(_cells, rows)), title)


def table_of(
    rows: Iterable[_Row], *columns: tuple[Column, Callable[[_Row], Cell | str | float | None]], title: str = ""
) -> Table:
    """A table with one line for each of `rows`. Each column comes with the function that makes its cell of a row.

    The cells are made when they are looked at.
    """
    made = LazyRows(rows, lambda row: _cells([cell(row) for _, cell in columns]))
    return Table(tuple(column for column, _ in columns), made, title)


def _cells(values: Iterable[Cell | str | float | None]) -> tuple[Cell, ...]:
    return tuple(value if isinstance(value, Cell) else Cell(value) for value in values)


def _tables(blocks: Sequence[Block], sections: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Table]]:
    for block in blocks:
        if isinstance(block, Table):
            yield sections, block
        elif isinstance(block, Section):
            yield from _tables(block.blocks, (*sections, block.title))


def _key(name: str) -> str:
    """`tiled_memory` of `Tiled memory`."""
    return "_".join("".join(c if c.isalnum() else " " for c in name.lower()).split())
