"""Records as the tables of the diffusers docs, byte for byte, in the dialects of their encode and decode pages."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast, get_args

from bench.errors import DocsError, nearest, quoted
from bench.record import Record
from bench.report.docs.docs_cells import GAP, OOM, Dialect, cells, rounded
from bench.report.docs.docs_grid import Figures, Names, admitted, figures_of, gaps_of, grids, names_of, single_images
from bench.report.docs.docs_page import read_page
from bench.report.render import markdown
from bench.workloads import models

#: The head of a hunk of a unified diff: from which line of the old text on.
_HUNK = re.compile(r"@@ -(\d+)")
#: The first columns, of which only tables of videos have the last.
_NAMES = ("GPU", "Resolution", "Frames")
_SDXL_COLUMNS = ("Time (seconds)", "Memory Consumed (%)", "Tiled Time (seconds)", "Tiled Memory (%)")
#: The docs head the table of one model in other words than all the others.
_COLUMNS = {"SD v1.5": ("Time (seconds)", "Memory (%)", "Tiled Time (secs)", "Tiled Memory (%)")}


@dataclass(frozen=True, slots=True)
class Rendered:
    """The docs' markdown, a note on records that it has no room for, and one on each cell without a figure or OOM."""

    text: str
    notes: tuple[str, ...]


#: The names of a row, and the figures of the untiled and the tiled case.
_Row = tuple[Names, Figures, Figures]


def render(
    records: Sequence[Record], operation: str, dialect: str | None = None, *, predicted: bool = False
) -> Rendered:
    """One table for each model of `records` with that operation, as the docs print them.

    `dialect` is the page whose format to write: by default that of the operation. Models and rows come in the order
    in which `records` first name them. With `predicted` the records are predictions, and title and columns say so.
    Raises DocsError if the records can't share a table, or if there are none.
    """
    dialect = _dialect(dialect or operation)
    sections: list[str] = []
    kinds = ("predicted",) if predicted else ("measured", "published")
    shown, notes = single_images(admitted(records, operation, kinds))
    for title, grid in grids(shown).items():
        rows: list[_Row] = [
            ((markdown.safe(gpu), *size), figures_of(pair.get(False)), figures_of(pair.get(True)))
            for (gpu, *size), pair in grid.items()
        ]
        columns = _COLUMNS.get(title, _SDXL_COLUMNS)
        names = _NAMES[: max(len(name) for name in grid)]
        header = (*names, *(f"{name}, predicted" if predicted else name for name in columns))
        table = _encode_table(header, rows) if dialect == "encode" else _decode_table(header, rows)
        sections.append(f"{markdown.folded(f'{title} (predicted)' if predicted else title, table)}\n")
        notes += [] if predicted else gaps_of(title, grid)  # predictions have no times; the caller says so once
    return Rendered("\n".join(sections), tuple(notes))


def difference(page_text: str, rendered: str, operation: str | None = None, *, name: str = "page") -> str:
    """A unified diff from the tables of a docs page to `rendered`; empty if they hold the same.

    The page's tables are read and printed again in the dialect of `rendered`, so that padding makes no difference.
    `operation` chooses among the tables of a page that has several; on a page that names none, all tables have it.
    `name` is the page's file name; each hunk gives the page's line of its first row that differs. Raises DocsError as
    `read_page` does, and if the operation is needed and not given.
    """
    records = read_page(page_text, name, recorded_at="", otherwise=operation or "encode").records
    operations = sorted({record.case.operation for record in records})
    if operation is None and len(operations) > 1:
        raise DocsError(f"{name}: has tables of {' and '.join(operations)}. Choose one with --operation.")
    if operation is not None and operation not in operations:
        records = read_page(page_text, name, operation, recorded_at="").records
    dialect: Dialect = "decode" if "\n| --- |" in rendered else "encode"
    printed = render(records, operation or operations[0], dialect).text.splitlines()
    lines = list(difflib.unified_diff(printed, rendered.splitlines(), name, "rendered", lineterm=""))
    return "".join(f"{line}\n" for line in _placed(lines, _places(printed, records)))


def _places(printed: Sequence[str], records: Sequence[Record]) -> list[str | None]:
    """The place in the page of each printed line, `page.md:12`; None for lines that are not rows."""
    sources: dict[tuple[str, Names], str | None] = {}
    for record in records:
        gpu, *size = names_of(record)
        sources.setdefault((models.title(record.case.model), (markdown.safe(gpu), *size)), record.source)
    places: list[str | None] = []
    title = ""
    for line in printed:
        title = line.partition("<summary>")[2].partition("</summary>")[0] or title
        texts = tuple(cell.strip() for cell in line.split("|"))
        rows = ((title, texts[1 : 1 + count]) for count in (2, 3))
        places.append(next((sources[row] for row in rows if row in sources), None))
    return places


def _placed(lines: Sequence[str], places: Sequence[str | None]) -> Iterator[str]:
    """The lines of a unified diff, with `page.md:LINE` of the first differing row added to each hunk's header."""
    for at, line in enumerate(lines):
        hunk = _HUNK.match(line)
        yield f"{line} {_first_place(lines[at + 1 :], places[int(hunk[1]) - 1 :])}".rstrip() if hunk else line


def _first_place(lines: Sequence[str], places: Sequence[str | None]) -> str:
    """The place of the first line that this hunk removes; empty if it only adds lines."""
    old = 0
    for line in lines:
        if line.startswith("@@"):
            break
        if line.startswith("-") and places[old]:
            return places[old] or ""
        old += not line.startswith("+")
    return ""


def _dialect(name: str) -> Dialect:
    valid = get_args(Dialect)
    if name not in valid:
        raise DocsError(f"The docs have no tables of {quoted(name)}. {nearest(name, valid)}")
    return cast("Dialect", name)


def _encode_table(header: Sequence[str], rows: Sequence[_Row]) -> str:
    """The encode page's table: `DataFrame.to_markdown` of raw numbers, six significant digits, decimals aligned.

    The columns hold objects, so that None (printed as OOM) stays apart from nan (a gap).
    """
    import pandas as pd  # noqa: PLC0415 - half a second that no other command should pay

    texts = [(*names, *rounded(untiled), *rounded(tiled)) for names, untiled, tiled in rows]
    count = len(header) - len(_SDXL_COLUMNS)  # of names
    frame = pd.DataFrame(texts, columns=list(header), dtype=object)
    text: str = frame.to_markdown(
        index=False,
        missingval=OOM,
        # Tabulate infers both of these from the cells, and would set a column of nothing but OOM as words.
        colalign=(*["left"] * 2, *["right"] * (count - 2), *["decimal"] * len(_SDXL_COLUMNS)),
        disable_numparse=list(range(count)),
    )
    return "\n".join(_name_gaps(line) for line in text.split("\n"))


def _name_gaps(line: str) -> str:
    """A printed line with `n/a` where one of its last four cells, those of figures, is `nan`. Widths stay."""
    *names, time, memory, tiled_time, tiled_memory, end = line.split("|")
    figures = [
        cell.replace("nan", GAP) if cell.strip() == "nan" else cell for cell in (time, memory, tiled_time, tiled_memory)
    ]
    return "|".join((*names, *figures, end))


def _decode_table(header: Sequence[str], rows: Sequence[_Row]) -> str:
    """The decode page's table: nothing padded, memory in per cent, tiled time with its change against untiled."""
    figures = ([*names, *cells("decode", untiled, tiled)] for names, untiled, tiled in rows)
    lines = [header, ["---"] * len(header), *figures]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
