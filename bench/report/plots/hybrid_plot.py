"""The plot of local against remote: seconds of one image over its size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from bench.analysis.hybrid.local_or_remote import Comparison
from bench.analysis.hybrid.remote_image import RemoteImage
from bench.analysis.hybrid.rows import Row
from bench.record import Case, grouped
from bench.report.pages.hybrid_tables import Networks, precision, title_of
from bench.report.plots.figure import PALETTE, Label, caption, drawing, label_ends, most, notes_below, plain, short_name
from bench.workloads import models

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _PANEL, _FRAME = 7.0, 3.4, 0.2  # inches
#: About the height of a panel without its title and the names of its axis, in inches.
_INNER = _PANEL - 0.95
#: More lines of devices can't be told apart, and more panels and ticks can't be read.
_MOST_DEVICES, _MOST_PANELS, _MOST_TICKS = 5, 12, 12
_MOST_NAME = 32
_REMOTE, _BAND = "#444444", "#e6e6e6"
_WIDTHS = {"measured": 2.2}
_OTHER_WIDTH = 1.0


@dataclass(frozen=True, slots=True)
class _Name:
    """What tells lines apart: a device, its precision if it has several, and the kind of its times."""

    device: str
    precision: str
    kind: str

    @property
    def shown(self) -> str:
        name = short_name(self.device)
        return caption(f"{name}, {self.precision}" if self.precision else name, _MOST_NAME)


@dataclass(frozen=True, slots=True)
class _Line:
    """A device's times of one model and operation: points of (edge, seconds), and the edges at which nothing fits."""

    name: str
    colour: str
    kind: str
    points: tuple[tuple[float, float], ...]
    out_of_memory: tuple[float, ...]


def draw(comparison: Comparison, networks: Networks) -> bytes | None:
    """The PNG: one panel per model and operation, with a line per device, and one for remote in a band of networks.

    A point is the best local way of single images (no batch, no video). The band reaches from the fastest to the
    slowest network. What does not fit into a figure is left out, with a note under it. None if no local case has a
    time.
    """
    if not is_drawn(comparison):
        return None
    rows = [row for row in comparison.rows if _single(row.case)]
    images = [image for image in comparison.remote_images if _single(image.case)]
    names = _names(rows)
    rule = "only measured ones, and then those with the most timed sizes, are"
    devices, device_note = most(_ranked(rows, names), _MOST_DEVICES, "devices", rule)
    calls, panel_note = _calls([row for row in rows if names[_key(row)] in devices])
    colours = dict(zip([name for name in dict.fromkeys(names.values()) if name in devices], PALETTE, strict=False))
    columns = 2 if len(calls) > 1 else 1
    height = -(-len(calls) // columns)
    with drawing(_WIDTH * columns, _PANEL * height + _FRAME) as made:
        panels = list(made.figure.subplots(height, columns, squeeze=False).flat)
        notes: dict[str, None] = {}
        for panel, call in zip(panels, calls, strict=False):
            panel.set_title(caption(f"{models.title(call[0])} {call[1]}"), loc="left", fontsize=10)
            of_call = [row for row in rows if (row.case.model, row.case.operation) == call]
            remote = [image for image in images if (image.case.model, image.case.operation) == call]
            notes |= dict.fromkeys(
                _panel(panel, _lines(of_call, names, colours), remote, comparison.request.network, networks)
            )
        for panel in panels[len(calls) :]:
            panel.set_visible(False)
        notes_below(made.figure, [*notes, *panel_note, *device_note])
    return made.png


def is_drawn(comparison: Comparison) -> bool:
    """Whether there is anything to draw."""
    return any(row.local_s is not None and _single(row.case) for row in comparison.rows)


def _calls(rows: Sequence[Row]) -> tuple[list[tuple[str, str]], list[str]]:
    """The models and operations that have a time, in the order of the models, and a note on those left out."""
    places = {key: place for place, key in enumerate(models.zoo())}
    every = dict.fromkeys((row.case.model, row.case.operation) for row in rows if row.local_s is not None)
    ordered = sorted(every, key=lambda call: places.get(call[0], len(places)))
    return most(ordered, _MOST_PANELS, "models and operations", "only the first of `bench models` are")


def _key(row: Row) -> tuple[str, str, str]:
    return (row.label, row.kind, precision(row))


def _single(case: Case) -> bool:
    """Whether it is one image: figures have a resolution along their axis."""
    return "width" in case.axes and case.axes.product("batch", "frames") == 1


def _names(rows: Sequence[Row]) -> dict[tuple[str, str, str], _Name]:
    """The name of each row's line, by its label, kind and precision."""
    groups = grouped(rows, lambda row: (row.label, row.kind, row.case.model, row.case.operation))
    several = {(group[0].label, group[0].kind) for group in groups if len(set(map(precision, group))) > 1}
    return {
        (label, kind, dtype): _Name(label, dtype if (label, kind) in several else "", kind)
        for label, kind, dtype in dict.fromkeys(map(_key, rows))
    }


def _ranked(rows: Sequence[Row], names: dict[tuple[str, str, str], _Name]) -> list[_Name]:
    """The lines' names: measured before published, then those with the most times, then in the order of the rows."""
    times = dict.fromkeys(names.values(), 0)
    for row in rows:
        times[names[_key(row)]] += row.local_s is not None
    return sorted(times, key=lambda name: (name.kind != "measured", -times[name]))


def _lines(rows: Sequence[Row], names: dict[tuple[str, str, str], _Name], colours: dict[_Name, str]) -> list[_Line]:
    lines = []
    for name, colour in colours.items():
        own = [row for row in rows if names[_key(row)] == name]
        points = sorted((_edge(row.case), row.local_s) for row in own if row.local_s is not None)
        never = tuple(sorted({_edge(row.case) for row in own if row.only_remote_fits}))
        lines.append(_Line(name.shown, colour, name.kind, tuple(points), never))
    return [line for line in lines if line.points or line.out_of_memory]


def _panel(
    axes: Axes, lines: Sequence[_Line], images: Sequence[RemoteImage], network: str, networks: Networks
) -> list[str]:
    """Draw a panel, and return the sentences that say what its marks mean."""
    labels = []
    for line in lines:
        x, y = [edge for edge, _ in line.points], [seconds for _, seconds in line.points]
        width = _WIDTHS.get(line.kind, _OTHER_WIDTH)
        axes.plot(x, y, "o-", color=line.colour, markersize=3, linewidth=width)
        labels += [Label(line.name, x[-1], y[-1], line.colour)] if x else []
    remote, band = _remote_points(images, network), _band(images, networks)
    if remote:
        edges, fastest, slowest = ([point[place] for point in band] for place in range(3))
        if len(edges) == 1:  # a band of one size has no width
            axes.vlines(edges, fastest, slowest, color=_BAND, linewidth=8)
        axes.fill_between(edges, fastest, slowest, color=_BAND)
        axes.plot(*zip(*remote, strict=True), "o--", color=_REMOTE, linewidth=1.4, markersize=2)
        labels.append(Label(caption(f"remote over {title_of(network, networks)}", _MOST_NAME), *remote[-1], _REMOTE))
    crossings = [crossing for line in lines for crossing in _crossings(line.points, remote)]
    for edge, seconds, _ in crossings:
        axes.plot([edge], [seconds], "o", color="black", markersize=8, fillstyle="none")
    _axes(axes, [edge for line in lines for edge in (*(x for x, _ in line.points), *line.out_of_memory)], remote)
    label_ends(axes, labels, _INNER)
    _out_of_memory(axes, lines)
    return _meanings(lines, band, networks, {wins for *_, wins in crossings})


def _meanings(
    lines: Sequence[_Line], band: Sequence[tuple[float, float, float, str, str]], networks: Networks, wins: set[bool]
) -> list[str]:
    """What the marks of a panel mean; `wins` has whether remote is faster above each crossing."""
    kinds = {line.kind for line in lines}
    lines_of = {"measured": "Thick lines: measured.", "published": "Thin lines: published in the diffusers docs."}
    sentences = [sentence for kind, sentence in lines_of.items() if kind in kinds]
    if band:
        sentences.append("Broken line: one image from end to end at an endpoint, simulated.")
        *_, low, high = band[-1]
        if low != high:
            ends = f"{title_of(low, networks)} to {title_of(high, networks)}"
            sentences.append(f"Grey band: the same over other networks, from {caption(ends, 2 * _MOST_NAME)}.")
    sentences += [f"Circle: {'larger' if larger else 'smaller'} images are faster remotely." for larger in sorted(wins)]
    sentences += ["OOM: nothing fits."] if any(line.out_of_memory for line in lines) else []
    return sentences


def _remote_points(images: Sequence[RemoteImage], network: str) -> list[tuple[float, float]]:
    return sorted((_edge(image.case), image.over_s[network]) for image in images if network in image.over_s)


def _band(images: Sequence[RemoteImage], networks: Networks) -> list[tuple[float, float, float, str, str]]:
    """At each edge the least and most seconds over any network, and the names of those two."""
    band = []
    for image in images:
        over = sorted((image.over_s[name], name) for name in networks if name in image.over_s)
        if over:
            band.append((_edge(image.case), over[0][0], over[-1][0], over[0][1], over[-1][1]))
    return sorted(band)


def _crossings(
    local: Sequence[tuple[float, float]], remote: Sequence[tuple[float, float]]
) -> list[tuple[float, float, bool]]:
    """Edge and seconds where a line crosses that of remote, and whether remote is faster from there on.

    Both are straight between sizes that both have, on logarithmic axes.
    """
    away = dict(remote)
    shared = [(math.log(x), math.log(y), math.log(away[x])) for x, y in local if x in away and y > 0]
    crossings = []
    for (x, y, other), (next_x, next_y, next_other) in pairwise(shared):
        before, after = other - y, next_other - next_y
        if before * after < 0:
            share = before / (before - after)
            crossings.append((math.exp(x + share * (next_x - x)), math.exp(y + share * (next_y - y)), after < 0))
    return crossings


def _out_of_memory(axes: Axes, lines: Sequence[_Line]) -> None:
    """Write at the top of each size which devices are out of memory there."""
    out = [(edge, line) for line in lines for edge in line.out_of_memory]
    for group in grouped(out, lambda pair: pair[0]):
        for place, (edge, line) in enumerate(group):
            axes.annotate(
                f"{line.name} OOM",
                (edge, 1.0),
                (0, -3 - 10 * place),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                color=line.colour,
                ha="center",
                va="top",
                fontsize=8,
            )


def _axes(axes: Axes, edges: Sequence[float], remote: Sequence[tuple[float, float]]) -> None:
    from matplotlib.ticker import LogLocator  # noqa: PLC0415 - with the rest of it

    sizes = sorted({*edges, *(edge for edge, _ in remote)})
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    ticks = sizes[:: -(-len(sizes) // _MOST_TICKS)]
    axes.set_xticks(ticks, [f"{size:g}" for size in ticks])
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if high > low * 100 else (1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.minorticks_off()
    axes.set_xlabel("edge of the image in pixels")
    axes.set_ylabel("seconds for one image")
    plain(axes, "both")
    axes.set_xlim(axes.get_xlim())
    axes.set_ylim(axes.get_ylim())


def _edge(case: Case) -> float:
    return float(round(case.axes.product("width", "height") ** 0.5))
