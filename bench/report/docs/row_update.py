"""The cells of one row of a page with the figures of its records in them, in the spelling of the row's table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from bench.record import Record
from bench.report.docs import docs_row
from bench.report.docs.docs_cells import GAP, OOM, Dialect, numbers, with_change
from bench.report.docs.docs_grid import figures_of

#: Time, memory, tiled time, tiled memory.
_TILED_TIME = 2


@dataclass(frozen=True, slots=True)
class Style:
    """How a table writes its figures: in which dialect, and whether with the change of the tiled time."""

    dialect: Dialect
    shows_change: bool


def style_of(rule: str, rows: Sequence[docs_row.Row], operation: str) -> Style:
    """The style of a table with these rows.

    A table without figures has that of the encode page if its rule has colons, else that of its operation's page.
    """
    numbers_there = [cell for row in rows for cell in row.cells[2:] if not _is_word(cell)]
    if not numbers_there:
        is_encode = ":" in rule or operation == "encode"
        return Style("encode", shows_change=False) if is_encode else Style("decode", shows_change=True)
    changes = [docs_row.parts(row.cells[4])[1] is not None for row in rows if not _is_word(row.cells[4])]
    has_percent = any(cell.endswith("%") for cell in numbers_there)
    return Style("decode" if has_percent else "encode", any(changes) if changes else has_percent)


def changed_cells(old: Sequence[str], pair: Mapping[bool, Record], style: Style) -> list[str | None]:
    """The four cells of a row of a page with new figures; None for a cell that stays as it is.

    A cell stays if it has the same figure already, or if the records have none for it. `pair` has the untiled and the
    tiled record.
    """
    new = _numbers(pair, style)
    bare = [docs_row.parts(cell)[0] for cell in old]
    for at in (0, _TILED_TIME):
        time, memory = new[at : at + 2]
        if time == memory == GAP:
            new[at : at + 2] = bare[at : at + 2]
        elif GAP in {time, memory}:  # only a number may stand beside the other figure
            new[at : at + 2] = [
                kept if figure == GAP and kept != OOM else figure
                for figure, kept in zip((time, memory), bare[at : at + 2], strict=True)
            ]
    cells = [None if _is_same(*figures) else figures[1] for figures in zip(bare, new, strict=True)]
    if style.shows_change and (cells[0] or cells[_TILED_TIME]):
        tiled_time = with_change(new[0], new[_TILED_TIME])
        cells[_TILED_TIME] = None if tiled_time == old[_TILED_TIME] else tiled_time
    return cells


def added_cells(pair: Mapping[bool, Record], style: Style) -> list[str] | None:
    """The four cells of a new row; None if the records have no figure for any of them."""
    new = _numbers(pair, style)
    if new == [GAP] * len(new):
        return None
    if style.shows_change:
        new[_TILED_TIME] = with_change(new[0], new[_TILED_TIME])
    return new


def _numbers(pair: Mapping[bool, Record], style: Style) -> list[str]:
    return numbers(style.dialect, figures_of(pair.get(False)), figures_of(pair.get(True)))


def _is_word(cell: str) -> bool:
    """Whether a cell of figures has no number."""
    return docs_row.parts(cell)[0] in {OOM, GAP}


def _is_same(old: str, new: str) -> bool:
    """Whether two cells without a change have the same figure, however they spell it."""
    number = docs_row.parts(new)[0]
    return old == number if _is_word(old) or _is_word(new) else Decimal(old) == Decimal(number)
