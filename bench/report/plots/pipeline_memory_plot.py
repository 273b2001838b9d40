"""The plot of where the memory of pipelines goes: weights and the largest stage, with cards as lines, as a PNG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.analysis.pipelines.memory_map import CardMemory, MemoryMap, PipelineMemory
from bench.core.units import GIB
from bench.report.pages.pipeline_words import size_of, stage_name
from bench.report.plots.figure import PALETTE, caption, drawing, notes_below, plain
from bench.workloads import models

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH = 10.0  # inches
_ROW, _AROUND = 0.62, 1.9
#: Parts with a smaller share of the axis have no room for a label.
_LABELLED = 0.055
#: Of text encoders, denoiser, VAE, and what the largest stage takes besides weights.
_COLOURS = (PALETTE[5], PALETTE[0], PALETTE[2], PALETTE[4])
_NOTE = (
    "Weights of all components (green: the VAE's), and what the largest stage takes besides them, if everything stays "
    "on the card. The lines are the memory of cards; the CUDA context takes some hundred MiB of it. All predicted."
)


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    gib: float
    colour: str


def draw(memory: MemoryMap) -> bytes | None:
    """The PNG, with a bar for each pipeline; None if there is none."""
    if not memory.pipelines:
        return None
    with drawing(_WIDTH, _AROUND + _ROW * len(memory.pipelines)) as made:
        axes = made.figure.subplots()
        bars = [(pipeline, _parts(pipeline)) for pipeline in memory.pipelines]
        most = 1.08 * max(sum(part.gib for part in parts) for _, parts in bars)
        axes.set_xlim(0, most)
        for row, (_, parts) in enumerate(bars):
            _bar(axes, row, parts, most)
        _cards(axes, memory.cards, most)
        axes.set_yticks(range(len(bars)), [_title(pipeline) for pipeline, _ in bars])
        axes.invert_yaxis()
        axes.set_xlabel("GiB")
        plain(axes, "x")
        notes_below(made.figure, [_NOTE])
    return made.png


def _title(pipeline: PipelineMemory) -> str:
    return f"{caption(models.title(pipeline.model))}\n{caption(size_of(pipeline))}"


def _parts(pipeline: PipelineMemory) -> list[_Part]:
    """The parts of a bar: weights by kind of component, then what the largest stage takes besides."""
    *encoders, denoiser, vae = pipeline.components
    whole = pipeline.way("default")
    weights = sum(component.bytes for component in pipeline.components)
    beside = 0 if whole is None else max(0, whole.largest.taken_bytes - weights)
    sizes = (sum(component.bytes for component in encoders), denoiser.bytes, vae.bytes, beside)
    names = ("text encoders", "denoiser", "VAE", "" if whole is None else stage_name(whole.largest.name))
    return [_Part(name, size / GIB, colour) for name, size, colour in zip(names, sizes, _COLOURS, strict=True)]


def _bar(axes: Axes, row: int, parts: Sequence[_Part], most: float) -> None:
    left = 0.0
    for part in parts:
        axes.barh(row, part.gib, left=left, height=0.62, color=part.colour, linewidth=0)
        if part.gib / most > _LABELLED:
            label = part.name.replace("text encoders", "text\nencoders")
            ink = "white" if part.name == "denoiser" else "black"
            middle = left + part.gib / 2
            axes.text(
                middle,
                row,
                f"{label}\n{part.gib:.1f}",
                ha="center",
                va="center",
                fontsize=7,
                color=ink,
                bbox=_box(part.colour),
            )
        left += part.gib
    axes.text(
        left + 0.006 * most,
        row,
        f"{left:.1f}",
        ha="left",
        va="center",
        fontsize=8,
        fontweight="bold",
        bbox=_box("white"),
    )


def _box(colour: str) -> dict[str, Any]:
    """A background that keeps the lines of cards off a label."""
    return {"facecolor": colour, "edgecolor": "none", "pad": 1}


def _cards(axes: Axes, cards: Sequence[CardMemory], most: float) -> None:
    """A line at the memory of each card, with its class above; cards beyond the axis are left out."""
    for card in cards:
        gib = card.total_bytes / GIB
        if gib < most:
            axes.axvline(gib, color="black", linewidth=0.8, linestyle="--")
            axes.text(
                gib, 1.01, f"{gib:.0f} GB", transform=axes.get_xaxis_transform(), ha="center", va="bottom", fontsize=7
            )
