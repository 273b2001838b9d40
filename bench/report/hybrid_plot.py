"""The plot of local against remote: seconds of one image over its resolution. Reads what `hybrid` compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench import models
from bench.hybrid.comparison import Comparison, Row, Way
from bench.report.figure import PALETTE, drawing, legend_below, plain
from bench.report.hybrid_tables import Networks, title_of
from bench.report.run_details import limited
from bench.units import format_seconds, one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _PANEL, _FRAME = 9.0, 3.6, 1.3  # inches
_STYLES = ("--", ":", "-.", (0, (1, 1)), (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (9, 3)), (0, (1, 4)))


def draw(comparison: Comparison, networks: Networks) -> bytes | None:
    """The PNG: a panel a model and operation, a line a device (its best local way), a broken one a network.

    A cross is a size at which nothing fits. None where no local case has a time.
    """
    kinds = dict.fromkeys((row.case.model, row.case.operation) for row in comparison.rows if row.local_s is not None)
    if not kinds:
        return None
    lines = _colours(comparison)
    columns = 2 if len(kinds) > 1 else 1
    height = -(-len(kinds) // columns)
    with drawing(_WIDTH * (columns + 1) / 2, _PANEL * height + _FRAME) as made:
        panels = list(made.figure.subplots(height, columns, squeeze=False).flat)
        for panel, (key, operation) in zip(panels, kinds, strict=False):
            rows = [row for row in comparison.rows if (row.case.model, row.case.operation) == (key, operation)]
            ways = [way for way in comparison.ways if (way.case.model, way.case.operation) == (key, operation)]
            panel.set_title(one_line(f"{models.title(key)} {operation}"), loc="left", fontsize=10)
            _panel(panel, rows, ways, networks, lines)
        for panel in panels[len(kinds) :]:
            panel.set_visible(False)
        legend_below(made.figure, panels[: len(kinds)], 3)
    return made.png


def _colours(comparison: Comparison) -> dict[str, str]:
    """A colour a device, the same in all panels."""
    names = dict.fromkeys(_label(row) for row in comparison.rows)
    return {name: PALETTE[n % (len(PALETTE) - 1)] for n, name in enumerate(names)}


def _label(row: Row) -> str:
    return one_line(f"{limited(row.device, row.vram_limit_bytes)} ({row.kind})")


def _panel(axes: Axes, rows: Sequence[Row], ways: Sequence[Way], networks: Networks, colours: dict[str, str]) -> None:
    sizes = sorted({_edge(row.case.width, row.case.height) for row in rows})
    for name, colour in colours.items():
        mine = {_edge(row.case.width, row.case.height): row for row in rows if _label(row) == name}
        timed = {size: row.local_s for size, row in sorted(mine.items()) if row.local_s is not None}
        axes.plot(list(timed), list(timed.values()), "o-", color=colour, label=name, markersize=3.5, linewidth=1.4)
        for size in (size for size, row in mine.items() if row.only_remote_fits):
            axes.annotate("x", (size, 0.99), xycoords=("data", "axes fraction"), color=colour, ha="center", va="top")
    for n, name in enumerate(networks):
        far = {_edge(w.case.width, w.case.height): w.remote.over_s[name] for w in ways if name in w.remote.over_s}
        points = sorted(far.items())
        label = one_line(f"remote over {title_of(name, networks)} (simulated)")
        style: dict[str, Any] = {
            "linestyle": _STYLES[n % len(_STYLES)],
            "color": ("black", "#888888")[n % 2],
            "linewidth": 1.0,
        }
        axes.plot([x for x, _ in points], [y for _, y in points], label=label, **style)
        sizes = sorted({*sizes, *far})
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sizes, [f"{size:g}" for size in sizes], rotation=45)
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(lambda value, _: format_seconds(value))
    axes.set_xlabel("edge of the image (px)")
    axes.set_ylabel("time of one image")
    plain(axes, "both")


def _edge(width: int, height: int) -> float:
    """The edge of the square of as many pixels."""
    return float(round((width * height) ** 0.5))
