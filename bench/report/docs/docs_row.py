"""One row of a docs table: its cells, read into entries and made records of kind `published`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from bench.core import units
from bench.errors import BenchError, DocsError, printable, quoted
from bench.record import Case, Device, Measured, Memory, OutOfMemory, Record, Run, Stage, Timing
from bench.workloads import models
from bench.workloads.base import Spec
from bench.workloads.labels import FRAMES, size_of

#: How many cells a row has: card, resolution, and time and memory untiled and tiled. Videos have frames besides.
_CELLS = 6
_NUMBER = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_TIME = re.compile(rf"({_NUMBER})")
_TIME_AND_CHANGE = re.compile(rf"({_NUMBER})(?:\s*\(\s*([+-]?[0-9]+(?:\.[0-9]+)?)\s*%\s*\))?")
_ANY_FIGURE = re.compile(rf"{_TIME_AND_CHANGE.pattern}\s*%?")
_PERCENT = re.compile(rf"({_NUMBER})\s*%?")
_RESOLUTION = re.compile("([0-9]{1,6})\\s*[x\N{MULTIPLICATION SIGN}]\\s*([0-9]{1,6})", re.IGNORECASE)
_LIMITED = re.compile(r"(.+) \(limited to ([^()]+)\)")

#: The figure of a cell, or out of memory, or None, which a page prints as `n/a`.
Figure = float | Literal["OOM"] | None


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a page, counted from 1; printed as `page.md:12`."""

    page: str
    line: int

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of a row as a reader sees them.

    `frames` is the cell under Frames, which is not among `cells`; None in a table without that column.
    """

    place: Place
    cells: tuple[str, ...]
    frames: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One pair of cells, read."""

    place: Place
    gpu: str
    vram_limit_bytes: int | None
    case: Case
    time_s: Figure
    memory_percent: Figure


def looks_like_one(cells: Sequence[str]) -> bool:
    """Whether there are as many cells as in a row of figures, and the second is a resolution."""
    return len(cells) in {_CELLS, _CELLS + 1} and _RESOLUTION.fullmatch(cells[1]) is not None


def entries(row: Row, spec: Spec, operation: str) -> Iterator[Entry]:
    """The pairs of cells of a row that are not empty. Raises DocsError for a cell that can't be read."""
    if len(row.cells) != _CELLS:
        raise DocsError(
            f"{row.place}: {len(row.cells)} cells in place of {_CELLS}: {printable(' | '.join(row.cells), 200)}"
        )
    gpu, limit = _gpu(row)
    width, height = _resolution(row)
    _, _, time, memory, tiled_time, tiled_memory = row.cells
    tile = models.workload(spec.key).default_tile(spec.key)
    axes = models.sized(spec.key, width, height, **_frames(row, spec))
    for tiling, time_s, percent in (
        (None, _figure(row, time, _TIME), _figure(row, memory, _PERCENT)),
        (tile, _figure(row, tiled_time, _TIME_AND_CHANGE), _figure(row, tiled_memory, _PERCENT)),
    ):
        if (time_s == "OOM") != (percent == "OOM"):
            raise DocsError(
                f"{row.place}: only one of a time and its memory is OOM: {printable(' | '.join(row.cells), 200)}"
            )
        if time_s is None and percent is None:
            continue
        case = Case(model=spec.key, operation=operation, axes=axes, dtype=spec.dtype, tiling=tiling or "off")
        yield Entry(row.place, gpu, limit, case, time_s, percent)


def names(row: Row, spec: Spec) -> tuple[str, ...]:
    """The GPU as the row spells it, the resolution (`512x768`), and the frames in a table of videos.

    Raises DocsError for a cell that can't be read.
    """
    gpu, limit = _gpu(row)
    label = gpu if limit is None else f"{gpu} (limited to {units.format_bytes(limit)})"
    width, height = _resolution(row)
    return (label, f"{width}x{height}", *map(str, _frames(row, spec).values()))


def without_breaks(text: str) -> str:
    """The text without the zero-width spaces with which `render.markdown` breaks @mentions and #references."""
    return text.replace("\N{ZERO WIDTH SPACE}", "")


def is_name(text: str) -> bool:
    """Whether a text can be the name of a GPU."""
    return bool(text.strip("* ")) and text.isprintable() and "\N{REPLACEMENT CHARACTER}" not in text


def _gpu(row: Row) -> tuple[str, int | None]:
    name = without_breaks(row.cells[0])
    if not is_name(name):
        raise DocsError(f"{row.place}: the cell {quoted(row.cells[0])} does not name a GPU.")
    limited = _LIMITED.fullmatch(name)
    if limited:
        try:
            limit = units.parse_bytes(limited[2])
        except BenchError:
            return name, None
        if units.format_bytes(limit) == limited[2]:  # else printing it again would not give the same row
            return limited[1], limit
    return name, None


def _resolution(row: Row) -> tuple[int, int]:
    match = _RESOLUTION.fullmatch(row.cells[1])
    width, height = (int(match[1]), int(match[2])) if match else (0, 0)
    if not width or not height:
        raise DocsError(
            f"{row.place}: the cell {quoted(row.cells[1])} is not a resolution. Write width x height, like 512x512."
        )
    return width, height


def _frames(row: Row, spec: Spec) -> dict[str, int]:
    """The frames of a row's cases; empty for images. Raises DocsError if they are missing, or not valid."""
    axis = models.axes(spec.key).get(FRAMES)
    if axis is None or row.frames is None:
        if axis is not None and axis.default is None:
            raise DocsError(f"{row.place}: this table has no column Frames, which {quoted(spec.title)} needs. Add it.")
        return {}
    try:
        frames = axis.parse(row.frames)
    except ValueError as error:
        raise DocsError(f"{row.place}: frames: {error}.") from None
    if refusal := axis.check(frames):
        raise DocsError(f"{row.place}: {refusal}.")
    return {FRAMES: frames}


def _match(cell: str, pattern: re.Pattern[str]) -> re.Match[str] | None:
    return pattern.fullmatch(cell.replace("\N{MINUS SIGN}", "-"))


def _figure(row: Row, cell: str, pattern: re.Pattern[str]) -> Figure:
    bare = cell.lower()
    if bare in ("oom", "n/a"):
        return "OOM" if bare == "oom" else None
    match = _match(cell, pattern)
    value = float(match[1]) if match else math.inf
    if not math.isfinite(value):
        kind = "percentage" if pattern is _PERCENT else "time in seconds"
        raise DocsError(f"{row.place}: the cell {quoted(cell)} must be a {kind} of 0 or more, OOM or n/a.")
    return value


def parts(cell: str) -> tuple[str, str | None]:
    """The number of a cell of figures and the change behind it, as it spells them; `OOM` or `n/a`, and no change."""
    match = _match(cell, _ANY_FIGURE)
    if match:
        return match[1], match[2]
    return ("OOM" if cell.lower() == "oom" else "n/a"), None


def doubts(row: Row) -> Iterator[str]:
    """A warning for each figure of a row that can be read and still looks wrong."""
    _, _, time, memory, tiled_time, tiled_memory = row.cells
    for cell in (memory, tiled_memory):
        match = _match(cell, _PERCENT)
        if match and float(match[1]) > 100:
            yield f"{row.place}: {quoted(cell)} is more than all of the card's memory."
    tiled = _match(tiled_time, _TIME_AND_CHANGE)
    if tiled is None or tiled[2] is None:
        return
    untiled = _match(time, _TIME)
    if untiled is None or not Decimal(untiled[1]):
        yield f"{row.place}: {quoted(tiled_time)} prints a change, but there is no untiled time to compare it with."
        return
    change = (Decimal(tiled[1]) / Decimal(untiled[1]) - 1) * 100
    decimals = len(tiled[2].partition(".")[2])
    if abs(change - Decimal(tiled[2])) > Decimal(5).scaleb(-decimals - 1):
        yield f"{row.place}: {quoted(tiled_time)} prints another change than its times give, which is {change:+.1f}%."


def refuse_twins(entries: Sequence[Entry]) -> None:
    """Raise DocsError if two rows describe the same case. (The two entries of one row differ in tiling.)"""
    first: dict[tuple[str, int | None, str], Entry] = {}
    for entry in entries:
        key = (entry.gpu, entry.vram_limit_bytes, entry.case.id)
        twin = first.setdefault(key, entry)
        if twin is not entry:
            raise DocsError(
                f"{entry.place}: {entry.case.model} {entry.case.operation} on {quoted(entry.gpu)} at "
                f"{size_of(entry.case)} is in {twin.place} already. Delete one of the two rows; if they are of two "
                "operations, say so in the headings and leave --operation out."
            )


def record(entry: Entry, run: Run) -> Record:
    """The entry as a record of `run`; `assumed` lists what the docs do not say."""
    measured = entry.time_s != "OOM"
    unsaid = ("dtype", "batch", "weights")
    return Record(
        kind="published",
        case=entry.case,
        device=Device(kind="cuda", name=entry.gpu),
        vram_limit_bytes=entry.vram_limit_bytes,
        run=run,
        outcome=Measured() if measured else OutOfMemory(where="device"),
        stages=_stages(entry),
        assumed=(*unsaid, "tiling") if entry.case.tile else unsaid,
        source=str(entry.place),
        recorded_at=run.started_at,
    )


def _stages(entry: Entry) -> tuple[Stage, ...]:
    timing = Timing(clock="published", median_s=entry.time_s) if isinstance(entry.time_s, float) else None
    memory = Memory(percent=entry.memory_percent) if isinstance(entry.memory_percent, float) else None
    if timing is None and memory is None:
        return ()
    return (Stage(name=entry.case.operation, timing=timing, memory=memory),)
