"""The plot of an endpoint: where the time of a request goes, by resolution and transport, as a PNG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.record import EXECUTION, Record
from bench.report.pages.cells import call
from bench.report.pages.remote_parts import exchange, order, stack
from bench.report.plots.figure import caption, drawing, legend_below, most, plain
from bench.workloads.labels import extras, size_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Part -> colour, in the order of the stack. Okabe and Ito's palette, which those who see few colours can tell apart.
_COLOURS = {
    "prepare": "#999999",
    "connect": "#F0E442",
    "upload": "#56B4E9",
    "server: compute": "#D55E00",
    "server: queue and codecs": "#E69F00",
    "way and rest": "#CC79A7",
    "wait for the server": "#CC79A7",
    "download": "#0072B2",
    "decode": "#009E73",
}
_WIDTH, _BAR, _FRAME = 9.0, 0.26, 0.8  # inches; a bar with its gap; what a panel, and the figure, have besides
#: More bars in one panel, or more panels, can't be read.
_MOST_BARS, _MOST_PANELS = 60, 12
#: A panel of longer requests (s) is in seconds.
_MOST_IN_MS = 10.0
_GAP = 0.6  # between two resolutions, in bars


def draw(records: Sequence[Record]) -> bytes | None:
    """The PNG of one endpoint's records: one panel per model and operation, one stacked bar per size and transport.

    The same records give the same bytes under one version of matplotlib. None if no record has a split.
    """
    panels: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda record: (record.case.model, record.case.operation, *order(record))):
        if stack(record):
            title = caption(call(record.case))
            panels.setdefault(title, []).append(record)
    if not panels:
        return None
    shown, note = most(list(panels.items()), _MOST_PANELS, "models and operations", "only the first by name are")
    panels = {_titled(title, len(group)): group[:_MOST_BARS] for title, group in shown}
    heights = [_extent(_places(group)) for group in panels.values()]
    with drawing(_WIDTH, _BAR * sum(heights) + _FRAME * (len(panels) + 1)) as made:
        axes = made.figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
        for panel, (title, group) in zip(axes, panels.items(), strict=True):
            _panel(panel, title, group)
        made.figure.suptitle(f"{caption(records[0].device.name)}: time of one request, by its parts", fontsize=11)
        legend_below(made.figure, list(axes), 4, tuple(_COLOURS), note)
    return made.png


def _titled(title: str, bars: int) -> str:
    left_out = bars - _MOST_BARS
    return f"{title} ({left_out} more are left out)" if left_out > 0 else title


def _panel(axes: Axes, title: str, records: Sequence[Record]) -> None:
    """Bars from the top, those of one resolution together.

    The number beside a bar is the median of the whole request; the parts are medians of their own, and need not add up
    to it. All numbers of a panel are in the unit of its axis.
    """
    places = _places(records)
    longest_s = max(sum(stack(record).values()) for record in records)
    unit, per_second = ("ms", 1e3) if longest_s < _MOST_IN_MS else ("s", 1.0)
    for at, record in zip(places, records, strict=True):
        left = 0.0
        for name, seconds in stack(record).items():
            width = seconds * per_second
            axes.barh(at, width, left=left, height=0.8, color=_COLOURS[name], label=name, linewidth=0)
            left += width
        whole = exchange(record, "bench", "new")
        number = whole.timing.median_s * per_second if whole else left
        text = f"{number:,.0f} {unit}" if number >= 100 else f"{number:.3g} {unit}"
        axes.annotate(text, (left, at), (4, 0), textcoords="offset points", va="center", size=8)
    axes.set_yticks(places, [_name(record, records) for record in records])
    axes.set_ylim(_extent(places) - 0.6, -0.6)
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel(f"{unit} (medians, a new connection each)")
    axes.set_xlim(0, 1.12 * longest_s * per_second)
    plain(axes, "x")


def _places(records: Sequence[Record]) -> list[float]:
    """The place of each bar, in bars from the top, with those of one resolution together."""
    places: list[float] = []
    for n, record in enumerate(records):
        gap = _GAP if n and size_of(record.case) != size_of(records[n - 1].case) else 0.0
        places.append(places[-1] + 1.0 + gap if places else 0.0)
    return places


def _extent(places: Sequence[float]) -> float:
    return places[-1] + 1.2


def _name(record: Record, among: Sequence[Record]) -> str:
    """`512x512 jpg`, and what else distinguishes it from its neighbours."""
    case = record.case
    parts = [size_of(case), case.transport or ""]
    cases = [each.case for each in among]
    alike = [each for each in cases if (size_of(each), each.transport) == (size_of(case), case.transport)]
    several = {field for field in EXECUTION if len({getattr(each, field) for each in alike}) > 1} - {"tiling"}
    parts += [case.dtype] if "dtype" in several else []
    parts += extras(case) if len({tuple(extras(each)) for each in alike}) > 1 else []
    parts += [str(getattr(case, field)) for field in ("weights", "variant") if field in several]
    return caption(" ".join(parts))
