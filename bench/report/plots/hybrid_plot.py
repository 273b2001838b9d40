"""The plot of local against remote: seconds of one image over its resolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench.analysis.hybrid.local_or_remote import Comparison
from bench.analysis.hybrid.remote_image import RemoteImage
from bench.analysis.hybrid.rows import Row
from bench.core.units import format_seconds
from bench.record import Case, grouped
from bench.report.pages.hybrid_tables import Networks, precision, title_of
from bench.report.plots.figure import PALETTE, caption, drawing, legend_below, most, plain
from bench.workloads import models

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _PANEL, _FRAME = 9.0, 3.6, 1.3  # inches
#: One per network. Networks share a colour, because colours are for devices.
_MARKS = "^vsD*XP<>h"
#: More lines of devices and networks can't be told apart, and more panels and ticks can't be read.
_MOST_DEVICES, _MOST_NETWORKS, _MOST_PANELS, _MOST_TICKS = 16, 8, 12, 16


def draw(comparison: Comparison, networks: Networks) -> bytes | None:
    """The PNG: one panel per model and operation, a line per device and precision, a broken line per network.

    A point is the best local way of single images (no batch, no video); a cross is a size at which nothing fits. What
    does not fit into a figure is left out, with a note under it. None if no local case has a time.
    """
    if not is_drawn(comparison):
        return None
    rows = [row for row in comparison.rows if _single(row.case)]
    images = [image for image in comparison.remote_images if _single(image.case)]
    every = dict.fromkeys((row.case.model, row.case.operation) for row in rows if row.local_s is not None)
    kinds, panel_note = most(list(every), _MOST_PANELS, "models and operations", "only the first in the results are")
    names = _names(rows)
    lines, device_note = most(
        _ranked(rows, names), _MOST_DEVICES, "devices", "only those with the most timed sizes are"
    )
    shown, network_note = most(list(networks), _MOST_NETWORKS, "networks", "only the first in networks.yaml are")
    networks = {name: networks[name] for name in shown}
    styles = _styles([name for name in dict.fromkeys(names.values()) if name in lines])
    columns = 2 if len(kinds) > 1 else 1
    height = -(-len(kinds) // columns)
    with drawing(_WIDTH * (columns + 1) / 2, _PANEL * height + _FRAME) as made:
        panels = list(made.figure.subplots(height, columns, squeeze=False).flat)
        for panel, (key, operation) in zip(panels, kinds, strict=False):
            panel.set_title(caption(f"{models.title(key)} {operation}"), loc="left", fontsize=10)
            local = [row for row in rows if (row.case.model, row.case.operation) == (key, operation)]
            _local(panel, local, names, styles)
            remote = [image for image in images if (image.case.model, image.case.operation) == (key, operation)]
            _remote(panel, remote, networks)
            _axes(panel, [*(row.case for row in local), *(image.case for image in remote)])
        for panel in panels[len(kinds) :]:
            panel.set_visible(False)
        legend_below(made.figure, panels[: len(kinds)], 3, left_out=[*panel_note, *device_note, *network_note])
    return made.png


def is_drawn(comparison: Comparison) -> bool:
    """Whether there is anything to draw."""
    return any(row.local_s is not None and _single(row.case) for row in comparison.rows)


def _single(case: Case) -> bool:
    return case.axes.product("batch", "frames") == 1


def _names(rows: Sequence[Row]) -> dict[tuple[object, ...], str]:
    """The name of each row's line: its device, and its precision if the device has several for one image."""
    groups = grouped(rows, lambda row: (row.label, row.kind, row.case.model, row.case.operation))
    several = {(group[0].label, group[0].kind) for group in groups if len(set(map(precision, group))) > 1}
    return {
        (label, kind, dtype): caption(f"{label}{f', {dtype}' if (label, kind) in several else ''} ({kind})")
        for label, kind, dtype in dict.fromkeys((row.label, row.kind, precision(row)) for row in rows)
    }


def _ranked(rows: Sequence[Row], names: dict[tuple[object, ...], str]) -> list[str]:
    """The lines' names: those with the most times first, measured before published, then in the order of the rows."""
    times = dict.fromkeys(names.values(), 0)
    measured = set[str]()
    for row in rows:
        name = names[row.label, row.kind, precision(row)]
        times[name] += row.local_s is not None
        if row.kind == "measured":
            measured.add(name)
    return sorted(times, key=lambda name: (-times[name], name not in measured))


def _styles(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """A colour and mark for each; when the colours are used up, the mark changes."""
    colours = PALETTE[:-1]
    return {name: (colours[n % len(colours)], "oD"[n // len(colours) % 2]) for n, name in enumerate(names)}


def _local(
    axes: Axes, rows: Sequence[Row], names: dict[tuple[object, ...], str], styles: dict[str, tuple[str, str]]
) -> None:
    for name, (colour, mark) in styles.items():
        of_line = [row for row in rows if names[row.label, row.kind, precision(row)] == name]
        timed = sorted((_edge(row.case), row.local_s) for row in of_line if row.local_s is not None)
        x, y = [edge for edge, _ in timed], [seconds for _, seconds in timed]
        axes.plot(x, y, f"{mark}-", color=colour, label=name, markersize=3.5, linewidth=1.4)
        for row in of_line:
            if row.only_remote_fits:
                at = (_edge(row.case), 0.99)
                axes.annotate("x", at, xycoords=("data", "axes fraction"), color=colour, ha="center", va="top")


def _remote(axes: Axes, images: Sequence[RemoteImage], networks: Networks) -> None:
    for n, name in enumerate(networks):
        points = sorted((_edge(image.case), image.over_s[name]) for image in images if name in image.over_s)
        line = caption(f"remote over {title_of(name, networks)} (simulated)")
        x, y = [edge for edge, _ in points], [seconds for _, seconds in points]
        style: dict[str, Any] = {"color": "#444444", "linewidth": 0.9, "markersize": 4, "fillstyle": "none"}
        axes.plot(x, y, "--", marker=_MARKS[n % len(_MARKS)], label=line, **style)


def _axes(axes: Axes, cases: Sequence[Case]) -> None:
    from matplotlib.ticker import LogLocator  # noqa: PLC0415 - with the rest of it

    sizes = sorted({_edge(case) for case in cases})
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    ticks = sizes[:: -(-len(sizes) // _MOST_TICKS)]
    axes.set_xticks(ticks, [f"{size:g}" for size in ticks], rotation=45)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(lambda value, _: format_seconds(value))
    axes.minorticks_off()
    axes.set_xlabel("edge of the image (px)")
    axes.set_ylabel("time of one image")
    plain(axes, "both")


def _edge(case: Case) -> float:
    return float(round(case.axes.product("width", "height") ** 0.5))
