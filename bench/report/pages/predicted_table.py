"""Predicted memory in words and tables: what each case takes, and on which card it fits. Reads records; never torch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console

from bench.core.units import MIB, format_bytes, one_line
from bench.record import Case, Prediction, Record, alike_but_for, grouped
from bench.report.pages import run_details
from bench.report.pages.kinds import MEMORY_ASSUMED, SURE, TIGHT
from bench.report.render.terminal import Column, Draw, print_table, say
from bench.vram import assumptions
from bench.workloads import models
from bench.workloads.labels import extras, size_of

_WORDS = {"tight": "tight", "out_of_memory": "OOM", "unsupported": "no torch"}
LEGEND = (
    "Needed: live tensors with the leanest kernels, and no card with less runs it. Taken: with the kernels that are "
    "preferred while memory is free; reserved is what torch's allocator holds then, with its band. The CUDA context "
    "comes on top.",
    f"A card's cell: reserved over the card's memory, as the docs give it. tight: {TIGHT} OOM: out of memory. ? and "
    "??: medium and low confidence.",
)
SOURCES = {
    "calibrated": "workspaces of convolutions as `bench calibrate` measured them on that device",
    "published": "workspaces fitted to the docs' published peaks of this precision and architecture",
    "rule": "workspaces by a rule that nothing of this precision and architecture was held against: a wide band",
}


@dataclass(frozen=True, slots=True)
class Group:
    """The predictions of one model, operation and precision; sizes and tilings in the order in which they came."""

    title: str
    cases: tuple[Case, ...]
    records: tuple[Record, ...]

    def rows(self) -> Iterator[tuple[str, tuple[Record | None, ...]]]:
        """Each card with the record of every case, in their order."""
        by_card: dict[str, dict[str, Record]] = {}
        for record in self.records:
            by_card.setdefault(run_details.device_label(record), {})[record.case.id] = record
        for card, found in by_card.items():
            yield card, tuple(found.get(case.id) for case in self.cases)

    def demands(self) -> Iterator[tuple[Case, str, Prediction]]:
        """Of each case what it takes with memory to spare, each different demand once, with the architectures it is of.

        Tiles that cover the image are left out.
        """
        for case in self.cases:
            found: dict[tuple[object, ...], list[Prediction]] = {}
            for record in self.records:
                one = record.prediction
                if record.case.id == case.id and one is not None and record.tiles != 1:
                    key = (one.workspaces, one.taken_reserved_bytes, one.taken_low_bytes, one.taken_high_bytes)
                    found.setdefault(key, []).append(one)
            for alike in found.values():
                architectures = sorted({one.architecture for one in alike if one.architecture})
                yield case, ", ".join([alike[0].workspaces, *architectures]), _widest(alike)


def _widest(alike: Sequence[Prediction]) -> Prediction:
    """Predictions that differ in the CUDA context alone, as one with the widest range of it."""
    low = min(one.context_low_bytes for one in alike)
    high = max(one.context_high_bytes for one in alike)
    return alike[0].model_copy(update={"context_low_bytes": low, "context_high_bytes": high})


def groups(records: Iterable[Record]) -> list[Group]:
    """The predictions by model, operation, precision and batch."""
    return [
        _group(group) for group in grouped(records, lambda one: alike_but_for(one.case, "width", "height", "tiling"))
    ]


def _group(records: Sequence[Record]) -> Group:
    case = records[0].case
    also = extras(case)
    also += [case.variant] if case.variant != "default" else []
    title = ", ".join([f"{models.title(case.model)} {case.operation}", case.dtype, *also])
    cases = {record.case.id: record.case for record in records}
    return Group(title, tuple(cases.values()), tuple(records))


def tiled_size(case: Case) -> str:
    """`1024x1024` or `2048x2048, tile 512/128`."""
    return size_of(case) if case.tile is None else f"{size_of(case)}, tile {case.tile.tile}/{case.tile.overlap}"


def cell(record: Record | None) -> str:
    """`48%`, `tight 96%?`, `OOM`."""
    if record is None or record.prediction is None:
        return "-"
    sure = SURE[record.prediction.confidence]
    if record.prediction.verdict in {"out_of_memory", "unsupported"}:
        return f"{_WORDS[record.prediction.verdict]}{sure}"
    percent = record.memory.percent if record.memory else None
    word = "tight " if record.prediction.verdict == "tight" else ""
    return f"{word}{percent:.0f}%{sure}" if percent is not None else f"{word or 'fits'}{sure}"


def demand_cells(case: Case, source: str, found: Prediction) -> tuple[str, ...]:
    """Size, needed, allocated, reserved and its band, footprint with the context, and where workspaces are from."""
    low, high = found.taken_low_bytes, found.taken_high_bytes
    return (
        tiled_size(case),
        format_bytes(found.needed_allocated_bytes),
        format_bytes(found.taken_allocated_bytes),
        format_bytes(found.taken_reserved_bytes),
        f"{format_bytes(low)} to {format_bytes(high)}",
        f"{format_bytes(low + found.context_low_bytes)} to {format_bytes(high + found.context_high_bytes)}",
        source,
    )


DEMAND_HEADERS = ("Size", "Needed", "Allocated", "Reserved", "Band", "With CUDA context", "Workspaces")


def sources(records: Iterable[Record]) -> list[str]:
    """What the words of the last column mean, of those that stand in it."""
    found = dict.fromkeys(record.prediction.workspaces for record in records if record.prediction)
    return [f"{word}: {SOURCES[word]}." for word in found]


def reasons(records: Iterable[Record]) -> list[str]:
    """What each kind of verdict in the cells rests on, but for those that fit."""
    found = {
        (one.prediction.verdict, one.prediction.confidence, one.prediction.reason): None
        for one in records
        if one.prediction and one.prediction.verdict != "fits"
    }
    return [f"{_WORDS[verdict]}{SURE[sure]}: {reason}." for verdict, sure, reason in sorted(found)]


def memory_notes(records: Iterable[Record]) -> list[str]:
    """Which cards' memory is assumed, in a sentence."""
    cards = dict.fromkeys(record.device.name for record in records if "total_bytes" in record.assumed)
    return [f"Memory assumed: what each of {', '.join(cards)} {MEMORY_ASSUMED}."] if cards else []


def draw(records: Sequence[Record]) -> Draw:
    """Two tables for each model, operation and precision: what a case takes, and how it stands on each card."""

    def onto(console: Console) -> None:
        for group in groups(records):
            _print(console, f"{group.title}: predicted", DEMAND_HEADERS, demand_rows(group))
            headers = ("Card", *(short(case) for case in group.cases))
            rows = [(card, *map(cell, found)) for card, found in group.rows()]
            _print(console, f"{group.title}: predicted share of each card", headers, rows)
        notes = (assumptions.stated(os.environ), *memory_notes(records), *reasons(records), *sources(records))
        for line in (*LEGEND, *notes):
            say(console, one_line(line), "dim")

    return onto


def demand_rows(group: Group) -> list[tuple[str, ...]]:
    """What the cases of a group take, each different one once, in cells under DEMAND_HEADERS."""
    return list(dict.fromkeys(demand_cells(*one) for one in group.demands()))


def short(case: Case) -> str:
    """`1024`, `2048 tile 512`: a case of a group in a column's head."""
    sides = {case.axes.get("width"), case.axes.get("height")}
    side = str(case.axes["width"]) if len(sides) == 1 and None not in sides else size_of(case)
    return side if case.tile is None else f"{side} tile {case.tile.tile}"


def _print(console: Console, title: str, headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    first, *figures = headers
    last = figures.pop() if headers is DEMAND_HEADERS else None
    columns = [Column(first, wraps=True), *(Column(name, "right") for name in figures)]
    columns += [Column(last, wraps=True)] if last else []
    print_table(console, columns, [[one_line(text) for text in row] for row in rows], one_line(title))


def mib(count: int) -> str:
    """Whole MiB, as the docs' peaks are."""
    return f"{count / MIB:,.0f}"
