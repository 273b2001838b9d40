"""The plot of local against remote: seconds of one image over its resolution. Reads what `hybrid` compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench import models
from bench.hybrid.comparison import Comparison
from bench.hybrid.rows import Row
from bench.hybrid.ways import Way
from bench.record import Case
from bench.report.figure import PALETTE, drawing, label, legend_below, plain
from bench.report.hybrid_tables import Networks, precision, title_of
from bench.units import format_seconds

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _PANEL, _FRAME = 9.0, 3.6, 1.3  # inches
#: One a network, which are all of one colour: those are for devices.
_MARKS = "^vsD*XP<>h"


def draw(comparison: Comparison, networks: Networks) -> bytes | None:
    """The PNG: a panel a model and operation, a line a device and precision, a broken one a network.

    A point is the best local way of single images (no batch, no video); a cross is a size at which nothing fits. None
    where no local case has a time.
    """
    if not is_drawn(comparison):
        return None
    rows = [row for row in comparison.rows if _single(row.case)]
    ways = [way for way in comparison.ways if _single(way.case)]
    kinds = dict.fromkeys((row.case.model, row.case.operation) for row in rows if row.local_s is not None)
    names = _names(rows)
    colours = {name: PALETTE[n % (len(PALETTE) - 1)] for n, name in enumerate(dict.fromkeys(names.values()))}
    columns = 2 if len(kinds) > 1 else 1
    height = -(-len(kinds) // columns)
    with drawing(_WIDTH * (columns + 1) / 2, _PANEL * height + _FRAME) as made:
        panels = list(made.figure.subplots(height, columns, squeeze=False).flat)
        for panel, (key, operation) in zip(panels, kinds, strict=False):
            panel.set_title(label(f"{models.title(key)} {operation}"), loc="left", fontsize=10)
            mine = [row for row in rows if (row.case.model, row.case.operation) == (key, operation)]
            _local(panel, mine, names, colours)
            far = [way for way in ways if (way.case.model, way.case.operation) == (key, operation)]
            _remote(panel, far, networks)
            _axes(panel, [*(row.case for row in mine), *(way.case for way in far)])
        for panel in panels[len(kinds) :]:
            panel.set_visible(False)
        legend_below(made.figure, panels[: len(kinds)], 3)
    return made.png


def is_drawn(comparison: Comparison) -> bool:
    """Whether there is anything to draw."""
    return any(row.local_s is not None and _single(row.case) for row in comparison.rows)


def _single(case: Case) -> bool:
    return case.batch == case.frames == 1


def _names(rows: Sequence[Row]) -> dict[tuple[object, ...], str]:
    """What the line of a row is called: its device, and its precision where the device has several of one image."""
    seen: dict[tuple[object, ...], set[str]] = {}
    for row in rows:
        seen.setdefault((row.label, row.kind, row.case.model, row.case.operation), set()).add(precision(row))
    several = {(key[0], key[1]) for key, found in seen.items() if len(found) > 1}
    return {
        (row.label, row.kind, precision(row)): label(
            f"{row.label}{f', {precision(row)}' if (row.label, row.kind) in several else ''} ({row.kind})"
        )
        for row in rows
    }


def _local(axes: Axes, rows: Sequence[Row], names: dict[tuple[object, ...], str], colours: dict[str, str]) -> None:
    for name, colour in colours.items():
        mine = [row for row in rows if names[row.label, row.kind, precision(row)] == name]
        timed = sorted((_edge(row.case), row.local_s) for row in mine if row.local_s is not None)
        x, y = [edge for edge, _ in timed], [taken for _, taken in timed]
        axes.plot(x, y, "o-", color=colour, label=name, markersize=3.5, linewidth=1.4)
        for row in mine:
            if row.only_remote_fits:
                at = (_edge(row.case), 0.99)
                axes.annotate("x", at, xycoords=("data", "axes fraction"), color=colour, ha="center", va="top")


def _remote(axes: Axes, ways: Sequence[Way], networks: Networks) -> None:
    for n, name in enumerate(networks):
        points = sorted((_edge(way.case), way.remote.over_s[name]) for way in ways if name in way.remote.over_s)
        label = label(f"remote over {title_of(name, networks)} (simulated)")
        x, y = [edge for edge, _ in points], [taken for _, taken in points]
        marker = _MARKS[n % len(_MARKS)]
        axes.plot(
            x, y, "--", color="#444444", linewidth=0.9, marker=marker, markersize=4, fillstyle="none", label=label
        )


def _axes(axes: Axes, cases: Sequence[Case]) -> None:
    from matplotlib.ticker import LogLocator  # noqa: PLC0415 - with the rest of it

    sizes = sorted({_edge(case) for case in cases})
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sizes, [f"{size:g}" for size in sizes], rotation=45)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(lambda value, _: format_seconds(value))
    axes.minorticks_off()
    axes.set_xlabel("edge of the image (px)")
    axes.set_ylabel("time of one image")
    plain(axes, "both")


def _edge(case: Case) -> float:
    """The edge of the square of as many pixels."""
    return float(round((case.width * case.height) ** 0.5))
