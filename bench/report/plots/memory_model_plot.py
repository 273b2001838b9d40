"""The plot of predicted memory: estimated over published peak, of this program and of others, as a PNG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.analysis.memory.agreement import Cell
from bench.core.units import GIB
from bench.report.plots.figure import PALETTE, Label, caption, drawing, label_ends, most, notes_below, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _HEIGHT = 10.0, 4.2  # inches
#: About the height of a panel without its title and the name of its axis, in inches.
_INNER = 3.2
_MARKS = "os^D*P"
#: More estimates can't be told apart.
_MOST_ESTIMATES = len(_MARKS)
_TICKS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_NOTE = (
    "1: exactly the peak that the diffusers docs publish. Above it an estimate sets aside too much, below it too "
    "little. Each name is beside its estimate that is furthest off."
)


def draw(published: Sequence[Cell], names: Sequence[str]) -> bytes | None:
    """The PNG: a panel of untiled and one of tiled cells (if any), with a point for each cell and estimate of `names`.

    The same cells give the same bytes under one version of matplotlib. None if no cell has a peak.
    """
    with_peaks = [cell for cell in published if cell.published_bytes]
    if not with_peaks:
        return None
    shown, left_out = most(names, _MOST_ESTIMATES, "estimates", "only the first are")
    untiled = [cell for cell in with_peaks if cell.record.case.tile is None]
    tiled = [cell for cell in with_peaks if cell.record.case.tile is not None]
    panels_of = [(title, cells) for title, cells in (("untiled", untiled), ("tiled", tiled)) if cells]
    with drawing(_WIDTH, _HEIGHT) as made:
        panels = list(made.figure.subplots(1, len(panels_of), squeeze=False, sharey=True).flat)
        furthest = [_panel(panel, title, cells, shown) for panel, (title, cells) in zip(panels, panels_of, strict=True)]
        panels[0].set_ylabel("estimated over published peak")
        for panel, labels in zip(panels, furthest, strict=True):  # the panels share limits, which are final now
            panel.set_xlim(panel.get_xlim())
            panel.set_ylim(panel.get_ylim())
            label_ends(panel, labels, _INNER)
        notes_below(made.figure, [_NOTE, *left_out])
    return made.png


def _panel(axes: Axes, title: str, published: Sequence[Cell], names: Sequence[str]) -> list[Label]:
    """Draw the points, and return each estimate's name at its point that is furthest from 1."""
    axes.axhline(1.0, color="black", linewidth=0.8)
    labels = []
    for place, name in enumerate(names):
        points = [
            (cell.published_bytes / GIB, error + 1)
            for cell in published
            if cell.published_bytes and (error := cell.error(name)) is not None
        ]
        colour = PALETTE[place % len(PALETTE)]
        x, y = ([point[axis] for point in points] for axis in (0, 1))
        axes.scatter(x, y, s=22, marker=_MARKS[place], color=colour, alpha=0.65, linewidths=0)
        furthest = max(points, key=lambda point: abs(math.log(point[1])) if point[1] > 0 else math.inf, default=None)
        labels += [Label(caption(name), *furthest, colour)] if furthest else []
    for axis, scale in ((axes.xaxis, axes.set_xscale), (axes.yaxis, axes.set_yscale)):
        scale("log", base=2)
        axis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_yticks(_TICKS)
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel("published peak in GiB")
    plain(axes, "both")
    return labels
