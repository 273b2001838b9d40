"""The plot of the model of times: predicted over published time, with each card and each architecture left out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.analysis.speed.evaluation import Evaluation
from bench.analysis.speed.held_out import Cell
from bench.report.plots.figure import PALETTE, Label, caption, drawing, label_ends, notes_below, plain, short_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _HEIGHT = 11.0, 4.2  # inches
#: About the height of a panel without its title and the name of its axis, in inches.
_INNER = 3.3
#: The errors that the eye compares with, as shares.
_BANDS = ((0.2, "#f0f0f0"), (0.1, "#e2e2e2"))
#: So many points that are furthest off have a name.
_MOST_NAMED, _MOST_NAME = 5, 32
_NOTE = (
    "1: exactly the published or measured time. Each point is predicted by a model that was fitted without its card, "
    "or without its architecture. Grey: 10% and 20% off. The points that are furthest off have names."
)


def draw(evaluation: Evaluation) -> bytes:
    """The PNG: one panel with each card left out, one with each architecture left out if there are several."""
    panels_of = [("without the card", evaluation.cards), ("without its architecture", evaluation.architectures)]
    panels_of = [(title, cells) for title, cells in panels_of if cells]
    with drawing(_WIDTH * (0.55 if len(panels_of) == 1 else 1), _HEIGHT) as made:
        panels = list(made.figure.subplots(1, len(panels_of), squeeze=False, sharey=True).flat)
        for panel, (title, cells) in zip(panels, panels_of, strict=True):
            panel.set_title(title, loc="left", fontsize=10)
            _panel(panel, cells)
        panels[0].set_ylabel("predicted over true time")
        for panel, (_, cells) in zip(panels, panels_of, strict=True):  # the panels share limits, which are final now
            panel.set_xlim(panel.get_xlim())
            panel.set_ylim(panel.get_ylim())
            label_ends(panel, _furthest(cells), _INNER)
        notes_below(made.figure, [_NOTE])
    return made.png


def _panel(axes: Axes, cells: Sequence[Cell]) -> None:
    for error, colour in _BANDS:
        axes.axhspan(1 - error, 1 + error, color=colour, linewidth=0)
    axes.axhline(1, color="black", linewidth=0.8)
    seconds, ratios = [cell.observed.seconds for cell in cells], [cell.error + 1 for cell in cells]
    axes.plot(seconds, ratios, linestyle="", marker="o", markersize=4, color=PALETTE[0], alpha=0.65, markeredgewidth=0)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("published or measured time in seconds")
    plain(axes, "x")


def _furthest(cells: Sequence[Cell]) -> list[Label]:
    """The cards of the largest errors, each beside its point."""
    labels: dict[tuple[str, float, float], Label] = {}
    for cell in sorted(cells, key=lambda cell: -abs(cell.log_error)):
        name, seconds, ratio = short_name(cell.observed.card), cell.observed.seconds, cell.error + 1
        label = Label(caption(name, _MOST_NAME), seconds, ratio, PALETTE[0])
        labels.setdefault((name, round(math.log10(seconds), 1), round(ratio, 2)), label)  # points that cover each other
    return list(labels.values())[:_MOST_NAMED]
