"""Records as the tables of the diffusers docs, byte for byte, in the dialects of their encode and decode pages."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal, cast, get_args

from bench.core import units
from bench.errors import DocsError, nearest, quoted
from bench.record import Measured, OutOfMemory, Record, describe
from bench.report.docs.docs_page import read_page
from bench.report.pages.run_details import local
from bench.report.render import markdown
from bench.workloads import models
from bench.workloads.labels import FRAMES, frames_of, label_of, size_of

Dialect = Literal["encode", "decode"]

_OOM, _GAP = "OOM", "n/a"
#: The head of a hunk of a unified diff: from which line of the old text on.
_HUNK = re.compile(r"@@ -(\d+)")
#: The first columns, of which only tables of videos have the last.
_NAMES = ("GPU", "Resolution", "Frames")
_SDXL_COLUMNS = ("Time (seconds)", "Memory Consumed (%)", "Tiled Time (seconds)", "Tiled Memory (%)")
#: The docs head the table of one model in other words than all the others.
_COLUMNS = {"SD v1.5": ("Time (seconds)", "Memory (%)", "Tiled Time (secs)", "Tiled Memory (%)")}


@dataclass(frozen=True, slots=True)
class Rendered:
    """The docs' markdown, and one sentence for each case whose cells hold neither a figure nor OOM."""

    text: str
    gaps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Figures:
    """The figures of one case for its two cells: None is out of memory, nan a gap."""

    time_s: float | None
    memory_percent: float | None


#: GPU and resolution, and frames in a table of videos.
_Names = tuple[str, ...]
#: The names of a row, and the figures of the untiled and the tiled case.
_Row = tuple[_Names, _Figures, _Figures]
#: One table's records: the names of a row -> tiled or not -> record. Rows in order of first appearance.
_Grid = dict[_Names, dict[bool, Record]]


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
    gaps: list[str] = []
    kinds = ("predicted",) if predicted else ("measured", "published")
    for title, grid in _grids(_admitted(records, operation, kinds)).items():
        rows: list[_Row] = [
            ((markdown.safe(gpu), *size), _figures(pair.get(False)), _figures(pair.get(True)))
            for (gpu, *size), pair in grid.items()
        ]
        columns = _COLUMNS.get(title, _SDXL_COLUMNS)
        names = _NAMES[: max(len(name) for name in grid)]
        header = (*names, *(f"{name}, predicted" if predicted else name for name in columns))
        table = _encode_table(header, rows) if dialect == "encode" else _decode_table(header, rows)
        sections.append(f"{markdown.folded(f'{title} (predicted)' if predicted else title, table)}\n")
        gaps += [] if predicted else _gaps(title, grid)  # predictions have no times; the caller says so once
    return Rendered("\n".join(sections), tuple(gaps))


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
    sources: dict[tuple[str, _Names], str | None] = {}
    for record in records:
        gpu, *size = _names(record)
        sources.setdefault((models.title(record.case.model), (markdown.safe(gpu), *size)), record.source)
    places: list[str | None] = []
    title = ""
    for line in printed:
        title = line.partition("<summary>")[2].partition("</summary>")[0] or title
        cells = tuple(cell.strip() for cell in line.split("|"))
        rows = ((title, cells[1 : 1 + count]) for count in (2, 3))
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


def _admitted(records: Sequence[Record], operation: str, kinds: Sequence[str]) -> list[Record]:
    """The records of that operation, without those of endpoints and of workloads that the docs have no tables of.

    Raises DocsError if there are none, or if one is of another kind than `kinds`.
    """
    records = [record for record in local(records) if models.has_docs_row(record.case)]
    chosen = [record for record in records if record.case.operation == operation]
    if not records:
        raise DocsError("There are no records to make the docs' tables from. Run `bench run`, or name a results file.")
    if all(record.kind not in kinds for record in records):
        raise DocsError(
            f"These results have only {records[0].kind} records, and these tables take {' and '.join(kinds)} figures. "
            "Name other results; for predictions use `bench predict --format docs`."
        )
    if not chosen:
        operations = ", ".join(sorted({record.case.operation for record in records}))
        runs = ", ".join(dict.fromkeys(record.run.id for record in records))
        raise DocsError(
            f"No record has operation {quoted(operation)}: there is only {operations}, from {runs}. "
            "Ask for one of these, or name other results files."
        )
    for record in chosen:
        if record.kind not in kinds:
            raise DocsError(
                f"These tables take {' and '.join(kinds)} figures only, and {label_of(record.case)} of run "
                f"{record.run.id} is {record.kind}. Leave that file out."
            )
    return chosen


def _grids(records: Sequence[Record]) -> dict[str, _Grid]:
    """The records by the title of their model; a measured one replaces a published one.

    Raises DocsError if two of one kind belong in one cell.
    """
    grids: dict[str, _Grid] = {}
    for record in records:
        title = models.title(record.case.model)
        pair = grids.setdefault(title, {}).setdefault(_names(record), {})
        tiled = record.case.tile is not None
        held = pair.get(tiled)
        if held is not None and held.kind == record.kind:
            raise _two_for_one_cell(title, held, record)
        if held is None or record.kind == "measured":  # a measured figure replaces the published one
            pair[tiled] = record
    return grids


def _two_for_one_cell(title: str, first: Record, second: Record) -> DocsError:
    cell = f"{title} on {_gpu(second)} at {size_of(second.case)}, {_tiling(second.case.tile is not None)}"
    if first.case.id == second.case.id:
        return DocsError(
            f"The same case twice for one cell ({cell}): {label_of(second.case)}, in runs {first.run.id} and "
            f"{second.run.id}. Pass fewer results files, or those of one run."
        )
    return DocsError(
        f"Two different cases for one cell ({cell}): {label_of(first.case)} (run {first.run.id}) and "
        f"{label_of(second.case)} (run {second.run.id}). Pass fewer results files, or narrow the sweep to one of them."
    )


def _names(record: Record) -> _Names:
    """The names of a record's row: GPU, resolution, and frames if it is of a video."""
    frames = frames_of(record.case)
    return (_gpu(record), size_of(record.case, FRAMES), *([] if frames is None else [str(frames)]))


def _gpu(record: Record) -> str:
    limit = record.vram_limit_bytes
    return record.device.name if limit is None else f"{record.device.name} (limited to {units.format_bytes(limit)})"


def _tiling(tiled: bool) -> str:
    return "tiled" if tiled else "untiled"


def _figures(record: Record | None) -> _Figures:
    if record is not None and isinstance(record.outcome, OutOfMemory):
        return _Figures(None, None)
    if record is None or not isinstance(record.outcome, Measured):
        return _Figures(math.nan, math.nan)
    percent = record.memory.percent if record.memory else None
    return _Figures(record.timing.median_s if record.timing else math.nan, math.nan if percent is None else percent)


def _gaps(title: str, grid: _Grid) -> list[str]:
    sentences = []
    for (gpu, resolution, *frames), pair in grid.items():
        size = " ".join([resolution, *(f"{count} frames" for count in frames)])
        for tiled in (False, True):
            reason = _gap_reason(pair.get(tiled))
            if reason:
                sentences.append(f"{title} on {gpu} at {size}, {_tiling(tiled)}: {reason}.")
    return sentences


def _gap_reason(record: Record | None) -> str | None:
    """Why a case lacks a figure to print; None if it has both figures or is out of memory."""
    if record is None:
        return "there is no record of it"
    if not isinstance(record.outcome, Measured):
        return None if isinstance(record.outcome, OutOfMemory) else describe(record.outcome).rstrip(".")
    figures = _figures(record)
    values = {"time": figures.time_s, "memory percentage": figures.memory_percent}
    missing = [name for name, value in values.items() if value is not None and math.isnan(value)]
    return f"measured, but the record has no {' and no '.join(missing)}" if missing else None


def _encode_table(header: Sequence[str], rows: Sequence[_Row]) -> str:
    """The encode page's table: `DataFrame.to_markdown` of raw numbers, six significant digits, decimals aligned.

    The columns hold objects, so that None (printed as OOM) stays apart from nan (a gap).
    """
    import pandas as pd  # noqa: PLC0415 - half a second that no other command should pay

    cells = [(*names, *_rounded(untiled), *_rounded(tiled)) for names, untiled, tiled in rows]
    count = len(header) - len(_SDXL_COLUMNS)  # of names
    frame = pd.DataFrame(cells, columns=list(header), dtype=object)
    text: str = frame.to_markdown(
        index=False,
        missingval=_OOM,
        # Tabulate infers both of these from the cells, and would set a column of nothing but OOM as words.
        colalign=(*["left"] * 2, *["right"] * (count - 2), *["decimal"] * len(_SDXL_COLUMNS)),
        disable_numparse=list(range(count)),
    )
    return "\n".join(_name_gaps(line) for line in text.split("\n"))


def _rounded(figures: _Figures) -> tuple[float | None, float | None]:
    return (None if figures.time_s is None else round(figures.time_s, 3), figures.memory_percent)


def _name_gaps(line: str) -> str:
    """A printed line with `n/a` where one of its last four cells, those of figures, is `nan`. Widths stay."""
    *names, time, memory, tiled_time, tiled_memory, end = line.split("|")
    figures = [
        cell.replace("nan", _GAP) if cell.strip() == "nan" else cell
        for cell in (time, memory, tiled_time, tiled_memory)
    ]
    return "|".join((*names, *figures, end))


def _decode_table(header: Sequence[str], rows: Sequence[_Row]) -> str:
    """The decode page's table: nothing padded, memory in per cent, tiled time with its change against untiled."""
    lines = [header, ["---"] * len(header), *(_decode_cells(row) for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _decode_cells(row: _Row) -> list[str]:
    names, *figures = row
    untiled, tiled = (_printed(each.time_s, "{:.3f}") for each in figures)
    untiled_memory, tiled_memory = (_printed(each.memory_percent, "{:.2f}%") for each in figures)
    change = _change(untiled, tiled)
    tiled = f"{tiled} ({change})" if change else tiled
    return [*names, untiled.rstrip("0").rstrip("."), untiled_memory, tiled, tiled_memory]


def _printed(value: float | None, form: str) -> str:
    if value is None:
        return _OOM
    return _GAP if math.isnan(value) else form.format(value)


def _change(untiled: str, tiled: str) -> str | None:
    """The change from one printed time to the other: `0%`, `+0.4%`, `-12%`; None if either is not a time, or from 0.

    In decimal, so that a reader with a calculator gets the same digits.
    """
    if _GAP in (untiled, tiled) or _OOM in (untiled, tiled) or not Decimal(untiled):
        return None
    if untiled == tiled:
        return "0%"
    change = (Decimal(tiled) / Decimal(untiled) - 1) * 100
    step = Decimal("0.1") if abs(change) < 1 else Decimal(1)
    return f"{change.quantize(step, ROUND_HALF_UP):+}%"
