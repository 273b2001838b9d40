"""The plot of an endpoint: where the time of a request goes, by resolution and transport, as a PNG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.record import EXECUTION, Record
from bench.report.pages.cells import call
from bench.report.pages.remote_parts import exchange, order, stack
from bench.report.plots.figure import Label, caption, drawing, label_above, most, notes_below, plain
from bench.workloads.labels import extras, size_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: What the bars are divided into, in their order: a name, a colour, and the parts of a request that it adds up. The
#: colours are of Okabe and Ito's palette, which those who see few colours can tell apart.
_GROUPS = (
    ("endpoint computes", "#D55E00", ("server: compute",)),
    ("its queue and files", "#E69F00", ("server: queue and codecs",)),
    ("waiting for the endpoint", "#CC79A7", ("wait for the server",)),
    ("network", "#0072B2", ("connect", "upload", "way and rest", "download")),
    ("your files", "#009E73", ("prepare", "decode")),
)
_COLOURS = {name: colour for name, colour, _ in _GROUPS}
_WIDTH, _BAR, _FRAME = 9.0, 0.26, 1.05  # inches; a bar with its gap; what a panel has besides
#: About the width of a panel without the names of its bars, in inches.
_INNER = _WIDTH - 1.3
#: More bars in one panel, or more panels, can't be read.
_MOST_BARS, _MOST_PANELS = 60, 12
#: A panel of longer requests (s) is in seconds.
_MOST_IN_MS = 10.0
_GAP, _ROOM = 0.6, 1.3  # between two resolutions, and above the bar whose parts are named, in bars
_HEADROOM = 1.12  # for the number beside the longest bar
_NOTE = (
    "A bar is one request over a new connection; the parts are medians of their own. network: connecting, uploading, "
    "downloading, and the rest of the wait. your files: writing and reading images or tensors here."
)


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
    with drawing(_WIDTH, _BAR * sum(heights) + _FRAME * len(panels) + 0.3) as made:
        axes = made.figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
        for panel, (title, group) in zip(axes, panels.items(), strict=True):
            _panel(panel, title, group)
        made.figure.suptitle(f"{caption(records[0].device.name)}: time of one request", fontsize=11)
        notes_below(made.figure, [_NOTE, *note])
    return made.png


def _titled(title: str, bars: int) -> str:
    left_out = bars - _MOST_BARS
    return f"{title} ({left_out} more are left out)" if left_out > 0 else title


def _panel(axes: Axes, title: str, records: Sequence[Record]) -> None:
    """Bars from the top, those of one resolution together, with the names of the parts over the first of the largest.

    The number beside a bar is the median of the whole request; the parts are medians of their own, and need not add up
    to it. All numbers of a panel are in the unit of its axis.
    """
    places, stacks = _places(records), [_grouped(stack(record)) for record in records]
    longest_s = max(sum(parts.values()) for parts in stacks)
    unit, per_second = ("ms", 1e3) if longest_s < _MOST_IN_MS else ("s", 1.0)
    labels: list[Label] = []
    for number, (at, record, parts) in enumerate(zip(places, records, stacks, strict=True)):
        left = 0.0
        for name, seconds in parts.items():
            width = seconds * per_second
            axes.barh(at, width, left=left, height=0.8, color=_COLOURS[name], linewidth=0)
            labels += [Label(name, left + width / 2, at - 0.4, _COLOURS[name])] if number == _named(records) else []
            left += width
        whole = exchange(record, "bench", "new")
        taken = whole.timing.median_s * per_second if whole else left
        text = f"{taken:,.0f} {unit}" if taken >= 100 else f"{taken:.3g} {unit}"
        axes.annotate(text, (left, at), (4, 0), textcoords="offset points", va="center", size=8)
    axes.set_yticks(places, [_name(record, records) for record in records])
    axes.set_ylim(_extent(places) - 0.6, -0.6)
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel("milliseconds" if unit == "ms" else "seconds")
    axes.set_xlim(0, _HEADROOM * longest_s * per_second)
    plain(axes, "x")
    label_above(axes, labels, _INNER)


def _grouped(parts: dict[str, float]) -> dict[str, float]:
    """The seconds of each of `_GROUPS` that has some."""
    sums = {name: sum(parts.get(part, 0.0) for part in members) for name, _, members in _GROUPS}
    return {name: seconds for name, seconds in sums.items() if seconds > 0}


def _named(records: Sequence[Record]) -> int:
    """The place of the bar whose parts are named: the first of the last resolution."""
    return next(n for n, record in enumerate(records) if size_of(record.case) == size_of(records[-1].case))


def _places(records: Sequence[Record]) -> list[float]:
    """The place of each bar, in bars from the top, with those of one resolution together and room for the names."""
    places: list[float] = []
    for n, record in enumerate(records):
        is_next = n > 0 and size_of(record.case) != size_of(records[n - 1].case)
        gap = _ROOM if n == _named(records) else _GAP if is_next else 0.0
        places.append((places[-1] + 1.0 if places else 0.0) + gap)
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
