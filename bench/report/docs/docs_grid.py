"""Records in the tables of the docs: the table, the row and the cells that each one fills, and the cells left empty."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.core import units
from bench.errors import DocsError, listed, quoted
from bench.record import Measured, OutOfMemory, Record, describe
from bench.report.pages.run_details import local
from bench.workloads import models
from bench.workloads.labels import FRAMES, extras, frames_of, label_of, size_of

_MOST_LABELS = 4


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one case for its two cells: None is out of memory, nan a gap."""

    time_s: float | None
    memory_percent: float | None


#: GPU and resolution, and frames in a table of videos.
Names = tuple[str, ...]
#: One table's records: the names of a row -> tiled or not -> record. Rows in order of first appearance.
Grid = dict[Names, dict[bool, Record]]


def admitted(records: Sequence[Record], operation: str, kinds: Sequence[str]) -> list[Record]:
    """The records of that operation, without those of endpoints and of workloads that the docs have no tables of.

    Raises DocsError if there are none, or if one is of another kind than `kinds`.
    """
    records = with_rows(records, kinds)
    chosen = [record for record in records if record.case.operation == operation]
    if not chosen:
        operations = ", ".join(sorted({record.case.operation for record in records}))
        runs = ", ".join(dict.fromkeys(record.run.id for record in records))
        raise DocsError(
            f"No record has operation {quoted(operation)}: there is only {operations}, from {runs}. "
            "Ask for one of these, or name other results files."
        )
    refuse_other_kinds(chosen, kinds)
    return chosen


def with_rows(records: Sequence[Record], kinds: Sequence[str]) -> list[Record]:
    """The records that tables in the form of the docs can show, of both operations.

    Those of endpoints are left out. Raises DocsError if there are none, or none of these kinds.
    """
    records = [record for record in local(records) if models.has_docs_row(record.case)]
    if not records:
        raise DocsError("There are no records to make the docs' tables from. Run `bench run`, or name a results file.")
    if all(record.kind not in kinds for record in records):
        raise DocsError(
            f"These results have only {records[0].kind} records, and these tables take {' and '.join(kinds)} figures. "
            "Name other results; for predictions use `bench predict --format docs`."
        )
    return records


def refuse_other_kinds(records: Sequence[Record], kinds: Sequence[str]) -> None:
    """Raise DocsError for the first record of another kind than `kinds`."""
    for record in records:
        if record.kind not in kinds:
            raise DocsError(
                f"These tables take {' and '.join(kinds)} figures only, and {label_of(record.case)} of run "
                f"{record.run.id} is {record.kind}. Leave that file out."
            )


def single_images(records: Sequence[Record]) -> tuple[list[Record], list[str]]:
    """The records of single images (or videos) as a model usually computes them, and a note on the others.

    Raises DocsError if there are only others: batches and variants, of which the docs' tables say nothing.
    """
    plain: list[Record] = []
    others: list[Record] = []
    for record in records:
        (others if extras(record.case) or record.case.variant != "default" else plain).append(record)
    if not others:
        return plain, []
    left_out = (
        "Batches and variants are left out, because the docs' tables have no room for them: "
        f"{listed((label_of(record.case) for record in others), _MOST_LABELS)}."
    )
    if not plain:
        raise DocsError(f"{left_out} Name results of single images.")
    return plain, [left_out]


def grids(records: Sequence[Record]) -> dict[str, Grid]:
    """The records by the title of their model; a measured one replaces a published one.

    Raises DocsError if two of one kind belong in one cell.
    """
    by_title: dict[str, Grid] = {}
    for record in records:
        title = models.title(record.case.model)
        pair = by_title.setdefault(title, {}).setdefault(names_of(record), {})
        tiled = record.case.tile is not None
        held = pair.get(tiled)
        if held is not None and held.kind == record.kind:
            raise _two_for_one_cell(title, held, record)
        if held is None or record.kind == "measured":  # a measured figure replaces the published one
            pair[tiled] = record
    return by_title


def _two_for_one_cell(title: str, first: Record, second: Record) -> DocsError:
    cell = f"{title} on {gpu_of(second)} at {size_of(second.case)}, {_tiling(second.case.tile is not None)}"
    if first.case.id == second.case.id:
        return DocsError(
            f"The same case twice for one cell ({cell}): {label_of(second.case)}, in runs {first.run.id} and "
            f"{second.run.id}. Pass fewer results files, or those of one run."
        )
    return DocsError(
        f"Two different cases for one cell ({cell}): {label_of(first.case)} (run {first.run.id}) and "
        f"{label_of(second.case)} (run {second.run.id}). Pass fewer results files, or narrow the sweep to one of them."
    )


def names_of(record: Record) -> Names:
    """The names of a record's row: GPU, resolution, and frames if it is of a video."""
    frames = frames_of(record.case)
    return (gpu_of(record), size_of(record.case, FRAMES), *([] if frames is None else [str(frames)]))


def gpu_of(record: Record) -> str:
    """The name of the record's device, with the VRAM limit if it ran under one."""
    limit = record.vram_limit_bytes
    return record.device.name if limit is None else f"{record.device.name} (limited to {units.format_bytes(limit)})"


def _tiling(tiled: bool) -> str:
    return "tiled" if tiled else "untiled"


def figures_of(record: Record | None) -> Figures:
    """The figures of a record for its two cells; gaps if there is no record, or if it neither ended well nor is OOM."""
    if record is not None and isinstance(record.outcome, OutOfMemory):
        return Figures(None, None)
    if record is None or not isinstance(record.outcome, Measured):
        return Figures(math.nan, math.nan)
    percent = record.memory.percent if record.memory else None
    return Figures(record.timing.median_s if record.timing else math.nan, math.nan if percent is None else percent)


def gaps_of(title: str, grid: Grid) -> list[str]:
    """A sentence for each case of a table that lacks a figure and is not out of memory."""
    return [gap for names, pair in grid.items() for gap in gaps_of_row(title, names, pair)]


def gaps_of_row(title: str, names: Names, pair: Mapping[bool, Record]) -> list[str]:
    """As `gaps_of`, of one row."""
    gpu, resolution, *frames = names
    size = " ".join([resolution, *(f"{count} frames" for count in frames)])
    reasons = ((tiled, gap_reason(pair.get(tiled))) for tiled in (False, True))
    return [f"{title} on {gpu} at {size}, {_tiling(tiled)}: {reason}." for tiled, reason in reasons if reason]


def gap_reason(record: Record | None) -> str | None:
    """Why a case lacks a figure to print; None if it has both figures or is out of memory."""
    if record is None:
        return "there is no record of it"
    if not isinstance(record.outcome, Measured):
        return None if isinstance(record.outcome, OutOfMemory) else describe(record.outcome).rstrip(".")
    figures = figures_of(record)
    values = {"time": figures.time_s, "memory percentage": figures.memory_percent}
    missing = [name for name, value in values.items() if value is not None and math.isnan(value)]
    return f"measured, but the record has no {' and no '.join(missing)}" if missing else None
