"""The section of the page `hybrid.md` on whole pipelines: local, with a remote VAE, a remote text encoder, or both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bench.analysis.hybrid.local_or_remote import Comparison
from bench.analysis.hybrid.pipeline_ways import PipelineRow, PipelineWay
from bench.core.units import format_bytes, format_seconds
from bench.report.document import Block, Bullets, Cell, Column, Section, Table, Text, detail, table_of
from bench.report.pages import cells
from bench.report.pages.hybrid_tables import Networks, title_of
from bench.report.pages.pipeline_words import WAYS
from bench.workloads import models
from bench.workloads.labels import whole_size_of

_NAMES = {**WAYS, "default": "whole here"}
_TEXT = (
    "The local part of a remote way was measured if its peak is given; otherwise its time is that of the other stages "
    "of the whole call. Remote parts are simulated over each network, one request after another."
)


@dataclass(frozen=True, slots=True)
class _Line:
    """A way of a pipeline."""

    row: PipelineRow
    way: PipelineWay


def sections(comparison: Comparison, networks: Networks, *, short: bool = False) -> list[Section]:
    """A section for each pipeline with its ways; none without pipelines. If `short`, over the first network alone."""
    shown = dict([next(iter(networks.items()))]) if short else networks
    keys = dict.fromkeys(row.case.model for row in comparison.pipelines)
    rows = {key: [row for row in comparison.pipelines if row.case.model == key] for key in keys}
    return [Section(f"{models.title(key)}: local or hybrid", _blocks(rows[key], shown)) for key in keys]


def summary(comparison: Comparison, networks: Networks) -> list[str]:
    """A line for each pipeline, size and device: the quickest way, and that with the lowest peak."""
    return [_sentence(row, networks) for row in comparison.pipelines]


def way_name(way: PipelineWay) -> str:
    """`remote VAE`, `model offload, VAE in tiles of 512/128`."""
    name = _NAMES.get(way.variant, way.variant)
    return f"{name}, VAE in tiles of {way.tiling}" if way.tiling else name


def table(rows: Sequence[PipelineRow], networks: Networks) -> Table:
    """A line for each way: its local part, what it takes, and the whole over each network."""
    return table_of(
        [_Line(row, way) for row in rows for way in row.ways],
        (Column("Device", splits_table=True), lambda line: line.row.label),
        (Column("Size"), lambda line: whole_size_of(line.row.case)),
        (Column("Precision"), lambda line: cells.precision_text(line.row.case)),
        (Column("Way"), lambda line: way_name(line.way)),
        (Column("Local part", "seconds"), _local),
        (Column("Peak", "percent"), _peak),
        (Column("Loading", "bytes"), _loading),
        *(
            (Column(f"Over {title_of(name, networks)}", "seconds", key=name), _Over(name))
            for name in networks
        ),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Over:
    """The cell of a way's whole time over a network; of a local way it is the same over all."""

    network: str

    def __call__(self, line: _Line) -> Cell:
        taken = line.way.over_s.get(self.network)
        if taken is None:
            return Cell()
        is_fastest = line.way == line.row.fastest
        return Cell(
            taken, kind="simulated" if line.way.remote else "measured", tone="strong" if is_fastest else "plain"
        )


def _blocks(rows: Sequence[PipelineRow], networks: Networks) -> tuple[Block, ...]:
    unknown = tuple(dict.fromkeys(_unknown(rows)))
    missing = [detail("What is not known", Bullets(unknown))] if unknown else []
    return (Text(_TEXT), table(rows, networks), *missing)


def _unknown(rows: Sequence[PipelineRow]) -> Iterator[str]:
    for row in rows:
        for way in row.ways:
            if way.reason and not way.is_out_of_memory:
                yield f"{way_name(way)}: {way.reason}"


def _local(line: _Line) -> Cell:
    way = line.way
    if way.record is not None:
        return cells.time(way.record)
    return Cell(way.local_s, note="computed") if way.local_s is not None else Cell()


def _peak(line: _Line) -> Cell:
    cell = cells.memory(line.way.record)
    peak = line.way.memory.peak_bytes if line.way.memory else None
    return cell if cell.value is None or peak is None else replace(cell, note=format_bytes(peak))


def _loading(line: _Line) -> Cell:
    loading = line.way.record.loading if line.way.record else None
    return Cell(loading.peak_bytes, kind="measured") if loading else Cell()


def _sentence(row: PipelineRow, networks: Networks) -> str:
    name = f"{models.title(row.case.model)} at {whole_size_of(row.case)} on {row.label}"
    if row.fastest is None:
        return f"{name}: no way has a time"
    network = next(iter(networks))
    over = f" over {title_of(network, networks)}" if row.fastest.remote else ""
    quickest = f"{way_name(row.fastest)}{over}, {format_seconds(row.fastest.over_s[network])}"
    peaks = {way_name(way): way.memory.peak_bytes for way in row.ways if way.memory and way.memory.peak_bytes}
    if not peaks:
        return f"{name}: quickest is {quickest}"
    leanest = min(peaks, key=lambda way: peaks[way])
    return f"{name}: quickest is {quickest}; lowest peak here is {leanest}, {format_bytes(peaks[leanest])}"
