"""The plot of predicted memory: estimated over published peak, of this program and of others, as a PNG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.analysis.memory.agreement import Cell
from bench.core.units import GIB
from bench.report.plots.figure import PALETTE, caption, drawing, legend_below, most, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _HEIGHT = 10.0, 4.6  # inches
_MARKS = "os^D*P"
#: More estimates can't be told apart.
_MOST_ESTIMATES = len(_MARKS)
_TICKS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


def draw(published: Sequence[Cell], names: Sequence[str]) -> bytes | None:
    """The PNG: a panel of untiled and one of tiled cells, a point for each cell and each of the estimates in `names`.

    The same cells give the same bytes under one version of matplotlib. None if no cell has a peak.
    """
    with_peaks = [cell for cell in published if cell.published_bytes]
    if not with_peaks:
        return None
    shown, note = most(names, _MOST_ESTIMATES, "estimates", "only the first are")
    with drawing(_WIDTH, _HEIGHT) as made:
        untiled, tiled = made.figure.subplots(1, 2, sharey=True)
        _panel(untiled, "untiled", [cell for cell in with_peaks if cell.record.case.tile is None], shown)
        _panel(tiled, "tiled", [cell for cell in with_peaks if cell.record.case.tile is not None], shown)
        untiled.set_ylabel("estimated over published peak")
        made.figure.suptitle("Peak reserved memory of the docs' cells, estimated over published", fontsize=11)
        legend_below(made.figure, [untiled, tiled], len(shown), left_out=note)
    return made.png


def _panel(axes: Axes, title: str, published: Sequence[Cell], names: Sequence[str]) -> None:
    axes.axhline(1.0, color="black", linewidth=0.8)
    for n, name in enumerate(names):
        points = [
            (cell.published_bytes / GIB, error + 1)
            for cell in published
            if cell.published_bytes and (error := cell.error(name)) is not None
        ]
        colour = PALETTE[n % len(PALETTE)]
        x, y = ([point[axis] for point in points] for axis in (0, 1))
        axes.scatter(x, y, s=22, marker=_MARKS[n], label=caption(name), color=colour, alpha=0.65, linewidths=0)
    for axis, scale in ((axes.xaxis, axes.set_xscale), (axes.yaxis, axes.set_yscale)):
        scale("log", base=2)
        axis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_yticks(_TICKS)
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel("published peak (GiB)")
    plain(axes, "both")
