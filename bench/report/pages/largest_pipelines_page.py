"""The largest pictures that pipelines make on cards, as a document for the terminal and as figures for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from bench.analysis.pipelines.memory_map import LargestPicture, LargestPictures
from bench.report.document import Bullets, Cell, Column, Document, table_of
from bench.report.pages.pipeline_words import WAYS, short_card
from bench.vram import assumptions
from bench.workloads import models


def terminal(pictures: Sequence[LargestPictures], step_px: int, most_px: int) -> Document:
    """A table with a row for each pipeline, way and card."""
    rows = [(each, way) for each in pictures for way in each.ways]
    table = table_of(
        rows,
        (Column("Pipeline", splits_table=True), lambda row: f"{models.title(row[0].model)}, {row[0].dtype}"),
        (Column("Way"), lambda row: WAYS[row[1].variant]),
        (Column("Card", may_wrap=True), lambda row: short_card(row[0].card)),
        (Column("Fits / runs (px)", right=True), lambda row: _edges(row[1])),
    )
    notes = (
        "Fits / runs: the longest edge of a square picture that fits with high or medium confidence, and of one that "
        f"runs at all. Edges were tried in steps of {step_px} px up to {most_px} px (+: no longer one was tried).",
        *(f"{short_card(each.card)}: {each.no_torch}." for each in pictures if each.no_torch),
        assumptions.ASSUMPTIONS,
    )
    return Document("", (table, Bullets(notes, tone="quiet")))


def figures(pictures: Sequence[LargestPictures]) -> list[dict[str, Any]]:
    """The same for JSON, in pixels."""
    return [msgspec.to_builtins(each) for each in pictures]


def _edges(way: LargestPicture) -> Cell:
    """`1024 / 1536`; `none` if not even the smallest edge fits."""
    fits, runs = ("none" if edge is None else str(edge) for edge in (way.fits, way.runs))
    return Cell(text=f"{fits} / {runs}{'+' if way.is_most else ''}", kind="predicted")
