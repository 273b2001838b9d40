"""Tables of predicted memory: what each case takes, and its share of each card."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

from bench.core.units import MIB, format_bytes
from bench.record import Case, Prediction, Record, alike_but_for, grouped
from bench.report import document
from bench.report.document import Cell, Column, Tone, table_of
from bench.report.pages import cells
from bench.report.pages.cells import SURE, case_order, in_size_order
from bench.report.pages.known_peaks import KnownPeak
from bench.workloads.labels import FRAMES, extras, frames_of, label_of, size_of

WORDS = {"tight": "tight", "out_of_memory": "OOM", "unsupported": "no torch"}
#: What makes two predictions of a case the same demand.
_demanded = attrgetter("workspaces", "taken_reserved_bytes", "taken_low_bytes", "taken_high_bytes")
_TONES: dict[str, Tone] = {"tight": "warning", "out_of_memory": "bad", "unsupported": "bad"}


@dataclass(frozen=True, slots=True)
class Demand:
    """The memory that a case takes if there is enough: the same on several cards.

    Attributes:
        source: where its workspaces are from, and the architectures of the cards: `published, ada, ampere`.
    """

    case: Case
    source: str
    prediction: Prediction


@dataclass(frozen=True, slots=True)
class Group:
    """The predictions of one model, operation and precision; cases by size, untiled first."""

    title: str
    cases: tuple[Case, ...]
    records: tuple[Record, ...]

    def by_card(self) -> dict[str, dict[str, Record]]:
        """The records of each card, by case id."""
        by_card: dict[str, dict[str, Record]] = {}
        for record in self.records:
            card = cells.device_name(record.device, record.vram_limit_bytes)
            by_card.setdefault(card, {})[record.case.id] = record
        return by_card

    def demands(self) -> Iterator[Demand]:
        """Each different demand of each case once. Tiles that cover the whole image are left out."""
        for case in self.cases:
            alike: dict[object, list[Prediction]] = {}
            for record in self.records:
                prediction = record.prediction
                if record.case.id == case.id and prediction is not None and record.tiles != 1:
                    alike.setdefault(_demanded(prediction), []).append(prediction)
            for predictions in alike.values():
                architectures = sorted({each.architecture for each in predictions if each.architecture})
                source = ", ".join([predictions[0].workspaces, *architectures])
                yield Demand(case, source, _with_widest_context(predictions))


def groups(records: Iterable[Record]) -> list[Group]:
    """The predictions by model, operation, precision and batch."""
    return [
        _group(group)
        for group in grouped(records, lambda record: alike_but_for(record.case, "width", "height", "frames", "tiling"))
    ]


def demand_table(group: Group, title: str = "") -> document.Table:
    """The memory that the cases of a group take; identical rows are merged."""
    table = table_of(
        group.demands(),
        (Column("Size"), lambda demand: _tiled_size(demand.case)),
        (Column("Needed", "bytes"), lambda demand: demand.prediction.needed_allocated_bytes),
        (Column("Allocated", "bytes"), lambda demand: demand.prediction.taken_allocated_bytes),
        (Column("Reserved", "bytes"), lambda demand: demand.prediction.taken_reserved_bytes),
        (Column("Range", right=True, key="band"), lambda demand: _band(demand.prediction)),
        (Column("With CUDA context", right=True), lambda demand: _band(demand.prediction, context=True)),
        (Column("Workspaces", may_wrap=True), lambda demand: demand.source),
        title=title,
    )
    rows = {tuple(map(Column.text, table.columns, row)): row for row in table.rows}
    return replace(table, rows=tuple(rows.values()))


def stage_table(group: Group, title: str = "") -> document.Table | None:
    """What each stage of the cases of a group reserves, over all cards; None for calls of one stage."""
    ranges: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for record in group.records:
        for stage in record.stages:
            if stage.reserved_range is not None:
                ranges.setdefault((record.case.id, stage.name), []).append(stage.reserved_range)
    if not ranges:
        return None
    sizes = {case.id: _tiled_size(case) for case in group.cases}
    return table_of(
        sorted(ranges, key=lambda row: list(sizes).index(row[0])),
        (Column("Size"), lambda row: sizes[row[0]]),
        (Column("Stage"), lambda row: row[1]),
        (Column("Reserved", right=True, key="range"), lambda row: Cell(text=_over_cards(ranges[row]))),
        title=title,
    )


def _over_cards(ranges: Sequence[tuple[int, int]]) -> str:
    return _between(min(low for low, _ in ranges), max(high for _, high in ranges))


def share(record: Record | None) -> Cell:
    """`48%`, `tight 96%?`, `OOM`: a case on a card."""
    if record is None or record.prediction is None:
        return Cell()
    verdict, confidence = record.prediction.verdict, SURE[record.prediction.confidence]
    tone = _TONES.get(verdict, "plain")
    if verdict in {"out_of_memory", "unsupported"}:
        return Cell(text=f"{WORDS[verdict]}{confidence}", tone=tone)
    percent = record.memory.percent if record.memory else None
    word = "tight" if verdict == "tight" else ""
    text = f"{word} {percent:.0f}%".strip() if percent is not None else word or "fits"
    return Cell(percent, f"{text}{confidence}", tone=tone)


def _group(records: Sequence[Record]) -> Group:
    case = records[0].case
    parts = [cells.call(case), case.dtype, *extras(case)]
    parts += [case.variant] if case.variant != "default" else []
    cases = {record.case.id: record.case for record in records}
    return Group(", ".join(parts), tuple(sorted(cases.values(), key=case_order)), tuple(records))


def _with_widest_context(predictions: Sequence[Prediction]) -> Prediction:
    """Predictions that differ only in the CUDA context, as one with the widest range of it."""
    low = min(prediction.context_low_bytes for prediction in predictions)
    high = max(prediction.context_high_bytes for prediction in predictions)
    return predictions[0].model_copy(update={"context_low_bytes": low, "context_high_bytes": high})


def card_table(group: Group, title: str = "") -> document.Table:
    """One row per card, one column per case."""

    def column(case: Case) -> tuple[Column, Callable[[tuple[str, Mapping[str, Record]]], Cell]]:
        return Column(_short(case), right=True, key=_tiled_size(case)), lambda card: share(card[1].get(case.id))

    by_card = group.by_card().items()
    card = (Column("Card", may_wrap=True), lambda card: card[0])
    return table_of(by_card, card, *(column(case) for case in group.cases), title=title)


def _tiled_size(case: Case) -> str:
    """`1024x1024` or `2048x2048, tile 512/128`."""
    return size_of(case) if case.tile is None else f"{size_of(case)}, tile {case.tile.label}"


def _short(case: Case) -> str:
    """`1024`, `2048 tile 512`, `512 81 frames`: a case of a group, for a column's name."""
    sides, frames = {case.axes.get("width"), case.axes.get("height")}, frames_of(case)
    is_square = len(sides) == 1 and None not in sides
    side = str(case.axes["width"]) if is_square else size_of(case, FRAMES)
    side += "" if frames is None else f" {frames} frames"
    return side if case.tile is None else f"{side} tile {cells.tile_edge(case.tile)}"


def _band(prediction: Prediction, *, context: bool = False) -> Cell:
    low = prediction.taken_low_bytes + (prediction.context_low_bytes if context else 0)
    high = prediction.taken_high_bytes + (prediction.context_high_bytes if context else 0)
    return Cell(text=_between(low, high))


def _between(low: int, high: int) -> str:
    """`6.1 GiB to 6.4 GiB`; one figure if both are the same."""
    return format_bytes(low) if low == high else f"{format_bytes(low)} to {format_bytes(high)}"


def known_table(peaks: Sequence[KnownPeak]) -> document.Table:
    return table_of(
        in_size_order(peaks, lambda peak: peak.known.case, _card_of),
        (Column("Card"), _card_of),
        (Column("Case"), lambda peak: label_of(peak.known.case)),
        (Column("Known peak reserved", "bytes"), _known_peak),
        (Column("Predicted", "bytes"), lambda peak: Cell(peak.predicted_bytes, kind="predicted")),
        (Column("Ratio", right=True), lambda peak: _three_decimals(peak.ratio)),
        (Column("Range", right=True, key="band"), _band_of_known),
        (Column("Of peak allocated", right=True), lambda peak: _three_decimals(peak.allocated_ratio)),
        (Column("Known verdict"), lambda peak: "out of memory" if peak.out_of_memory else "fits"),
        (Column("Predicted verdict"), _predicted_verdict),
    )


def _card_of(peak: KnownPeak) -> str:
    return cells.device_name(peak.predicted.device, peak.predicted.vram_limit_bytes)


def _known_peak(peak: KnownPeak) -> Cell:
    if peak.out_of_memory:
        return Cell(text=cells.OOM, kind=peak.known.kind)
    return Cell(peak.known_bytes, kind=peak.known.kind)


def _three_decimals(ratio: float | None) -> Cell:
    return Cell() if ratio is None else Cell(ratio, f"{ratio:.3f}")


def _band_of_known(peak: KnownPeak) -> Cell:
    """The predicted band in whole MiB, as published peaks are, and whether the known peak is outside."""
    if peak.out_of_memory:
        return Cell()
    low, high = peak.prediction.reserved_low_bytes / MIB, peak.prediction.reserved_high_bytes / MIB
    return Cell(text=f"{low:,.0f} to {high:,.0f} MiB", note="outside" if peak.within is False else "")


def _predicted_verdict(peak: KnownPeak) -> Cell:
    verdict = f"{peak.prediction.verdict.replace('_', ' ')}, {peak.prediction.confidence}"
    return Cell(verdict) if peak.right else Cell(verdict, note="wrong", tone="bad")
