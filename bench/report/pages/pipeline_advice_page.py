"""Advice on pipelines for one card, as a document for the terminal, and as figures for JSON."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import msgspec

from bench.analysis.pipelines.reasons import PassedOver, Recommendation
from bench.core.units import format_bytes, format_seconds
from bench.record import AllocatorKind
from bench.report.document import Block, Bullets, Cell, Column, Document, Section, Table, Text, table_of
from bench.report.pages.cells import TIGHT
from bench.report.pages.memory_by_stage_page import components_table, stage_columns
from bench.report.pages.pipeline_words import how, short_card, size_of, stage_name, verdict_cell, way_heading, way_name
from bench.vram import assumptions
from bench.workloads import models


def terminal(advice: Sequence[Recommendation], label: str, allocator: AllocatorKind) -> Document:
    """For each pipeline the recommendation with its reasons, its components, and all ways. `label` names the card."""
    notes = (
        "Stages: the peak of torch's pool in that stage with memory to spare, weights included; the CUDA context comes "
        "on top. The largest one decides.",
        f"tight: {TIGHT} ? and ??: medium and low confidence.",
        "Copied: weights that go from host memory to the card for one call, at the least.",
        "Of the ways that run with high or medium confidence, the first of this order is advised: nothing else, model "
        "offload, tiles, remote stages, sequential offload. Nobody measured their times.",
        assumptions.stated(os.environ, allocator),
    )
    return Document("", (*(_section(each, label) for each in advice), Bullets(notes, tone="quiet")))


def figures(advice: Sequence[Recommendation]) -> dict[str, Any]:
    """The same for JSON: bytes and seconds."""
    return {"advice": [_figures(each) for each in advice]}


def headline(advice: Recommendation, label: str) -> str:
    """`SDXL txt2img, 1024x1024, 50 steps, float16 on NVIDIA GeForce RTX 3070: model offload`."""
    pipeline = advice.pipeline
    what = f"{models.title(pipeline.model)}, {size_of(pipeline)}, {pipeline.dtype}"
    return f"{what} on {label}: {'nothing runs' if advice.way is None else way_name(advice.way)}"


def _section(advice: Recommendation, label: str) -> Section:
    blocks: list[Block] = [Bullets(tuple(_why(advice)))]
    blocks += [Text("Weights"), components_table(advice.pipeline), Text("Ways"), _ways(advice)]
    return Section(headline(advice, label), tuple(blocks))


def _why(advice: Recommendation) -> list[str]:
    way, on_card = advice.way, advice.on_card
    lines = [_before(each) for each in advice.passed_over]
    if way is None or on_card is None:
        return lines
    peak = "" if on_card.peak_bytes is None else f"takes {format_bytes(on_card.peak_bytes)} and "
    lines.append(f"{way_heading(way)} {peak}{_VERBS[on_card.verdict]} ({on_card.reason}).")
    lines.append(f"In diffusers: {how(way)}.")
    if way.copied_bytes:
        lines.append(f"Each call copies at least {format_bytes(way.copied_bytes)} of weights to the card.")
    if on_card.least_s is not None:
        least = format_seconds(on_card.least_s)
        lines.append(f"Time: at least {least} (matrix products at the card's rated rates). Nothing better is known.")
    if advice.remote is not None:
        peak_bytes = advice.remote.largest.taken_bytes
        lines.append(f"With an endpoint: {way_name(advice.remote)} takes {format_bytes(peak_bytes)} here.")
    return lines


_VERBS = {"fits": "fits", "tight": "just runs"}


def _before(each: PassedOver) -> str:
    """What is to be said of a way that would come first if it ran for sure."""
    way, stage, on_card = way_name(each.way), each.stage, each.on_card
    if on_card.verdict == "unsupported":
        return f"Not {way}: {on_card.reason}."
    needed = f"{stage_name(stage.name)} needs at least {format_bytes(stage.needed_bytes)}"
    if not on_card.runs:
        return f"Not {way}: out of memory, because {needed}."
    taken = f"takes {format_bytes(stage.taken_bytes)} with memory to spare"
    return f"Perhaps {way}, with low confidence, so that it is worth a try: {needed}, and {taken}."


def _ways(advice: Recommendation) -> Table:
    return table_of(
        advice.pipeline.ways,
        (Column("Way"), way_name),
        *stage_columns(advice.pipeline),
        (Column("Copied", "bytes"), lambda way: Cell(way.copied_bytes or None, kind="predicted")),
        (Column(short_card(advice.card), key="verdict"), lambda way: verdict_cell(way.cards[advice.card])),
    )


def _figures(advice: Recommendation) -> dict[str, Any]:
    pipeline: dict[str, Any] = msgspec.to_builtins(advice.pipeline)
    ways = [{**way, **way.pop("cards")[advice.card]} for way in pipeline["ways"]]
    return {
        **{name: pipeline[name] for name in ("model", "axes", "dtype", "components")},
        "card": advice.card,
        "recommended": None if advice.way is None else {"variant": advice.way.variant, "is_tiled": advice.way.is_tiled},
        "reasons": _why(advice),
        "ways": ways,
    }
