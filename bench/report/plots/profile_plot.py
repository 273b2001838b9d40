"""The plot of a call's profile: live bytes by part of the model over the call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.core.units import GIB, MIB, format_bytes
from bench.report.pages.profile_page import place_of, title_of
from bench.report.plots.figure import PALETTE, caption, drawing, plain
from bench.vram.call_profile import (
    OTHER,
    WORKSPACES,
    Layers,
    Profile,
    Profiled,
    aligned_positions,
    layers,
    live_bytes_of_call,
    stage_starts,
    steps,
)
from bench.vram.timeline import Timeline

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _HEIGHT = 11.0, 6.0  # inches
#: Weights, what is in no other layer, and workspaces; the other layers take the palette's first colours.
_FIXED = {"weights": "#999999", OTHER: "#d5d5d5", WORKSPACES: PALETTE[6]}
#: Only changes of at least this share of the peak are drawn: the others would take most of the room.
_LEAST_STEP = 0.005
#: With more visits to parts than this, the axis shows percentages of the call, not the parts' names.
_MOST_NAMED = 24
#: A part is named if its visit takes at least this share of the call.
_LEAST_NAMED = 0.02
#: A line with more points than this is thin, or it would hide what is under it.
_MANY_POINTS, _STRETCHES = 700, 350
_HEADROOM = 1.18
#: The room that a letter and a line of a layer's name take, in inches, in a figure of `_WIDTH` by `_HEIGHT`.
_LETTER_WIDTH, _LINE_HEIGHT = 0.09, 0.24
#: Names of light layers are black.
_TEXT = {OTHER: "black", WORKSPACES: "black"}


def draw(profiled: Profiled) -> bytes:
    """The PNG: predicted bytes in layers and in total, the peak marked, and measured bytes as a broken line.

    A layer has its name in it if there is room, otherwise in the legend.
    """
    predicted = profiled.predicted
    tops = [predicted.peak_bytes, *([profiled.measured.peak_bytes] if profiled.measured else [])]
    unit, name = (GIB, "GiB") if max(tops) >= GIB / 2 else (MIB, "MiB")
    along = steps(predicted.timeline, int(predicted.peak_bytes * _LEAST_STEP))
    with drawing(_WIDTH, _HEIGHT) as made:
        axes = made.figure.subplots()
        axes.set_title(f"{caption(title_of(profiled))}: live memory by part", loc="left", fontsize=10)
        top = max(tops) / unit * _HEADROOM
        _stack(axes, layers(predicted.timeline), along, unit, top)
        if profiled.measured:
            _measured(axes, profiled, profiled.measured.timeline, along, unit)
        _peak(axes, predicted, along, unit)
        axes.set_ylim(0, top)
        axes.set_xlim(0, along[-1])
        axes.set_ylabel(f"live memory ({name})")
        _name_parts(axes, predicted.timeline, along)
        plain(axes, "y")
        handles, labels = axes.get_legend_handles_labels()
        made.figure.legend(handles[::-1], labels[::-1], loc="outside right upper", frameon=False)
        made.figure.supxlabel(caption(f"Predicted: {profiled.kernels}.", 160), fontsize=8, x=0.01, ha="left")
    return made.png


def _stack(axes: Axes, shown: Layers, along: Sequence[int], unit: int, top: float) -> None:
    palette = iter(PALETTE[:6])
    colours = [_FIXED.get(name) or next(palette) for name in shown.names]
    live = [[count / unit for count in layer] for layer in shown.live]
    at = [along[change] for change in shown.at]
    legend = list(shown.names)
    base = [0.0] * len(at)
    for place, (name, layer) in enumerate(zip(shown.names, live, strict=True)):
        tops = [low + count for low, count in zip(base, layer, strict=True)]
        text = caption(name)
        room = _room(at, base, tops, along[-1] * (len(text) + 2) * _LETTER_WIDTH / _WIDTH, top * _LINE_HEIGHT / _HEIGHT)
        if room:
            axes.text(*room, text, ha="center", va="center", fontsize=8, color=_TEXT.get(name, "white"))
            legend[place] = f"_{name}"  # matplotlib leaves such names out of its legend
        base = tops
    axes.stackplot(at, *live, labels=legend, colors=colours, step="post", linewidth=0)
    total = base
    width = 0.8 if len(at) <= _MANY_POINTS else 0.3
    axes.step(at, total, where="post", color="black", linewidth=width, label="predicted, all")


def _room(
    at: Sequence[int], low: Sequence[float], high: Sequence[float], width: float, height: float
) -> tuple[float, float] | None:
    """The middle of a stretch of a layer that has room for a text of that size; None if there is none.

    Of the stretches of steps that are together as high as the text, the longest one counts.
    """
    best, begin = (0.0, 0.0, 0.0), 0
    floor, ceiling = 0.0, math.inf
    for step in range(len(at) - 1):
        lowest, highest = max(floor, low[step]), min(ceiling, high[step])
        if highest - lowest < height:
            begin, floor, ceiling = step, low[step], high[step]
            if ceiling - floor < height:
                begin, floor, ceiling = step + 1, 0.0, math.inf
                continue
        else:
            floor, ceiling = lowest, highest
        best = max(best, (at[step + 1] - at[begin], (at[step + 1] + at[begin]) / 2, (floor + ceiling) / 2))
    length, x, y = best
    return (x, y) if length >= width else None


def _measured(axes: Axes, profiled: Profiled, timeline: Timeline, along: Sequence[int], unit: int) -> None:
    """The measured live bytes, aligned by the module at work; if there are too many points, each interval's maximum."""
    at = [_between(along, place) for place in aligned_positions(timeline, profiled.predicted.timeline)]
    live = [count / unit for count in live_bytes_of_call(timeline)]
    if len(at) > _MANY_POINTS:
        width = -(-len(at) // _STRETCHES)
        live = [max(live[start : start + width]) for start in range(0, len(at), width)]
        at = at[::width]
    axes.step(at, live, where="post", color="#D00000", linewidth=1.3, linestyle=(0, (2, 1.2)), label="measured, all")


def _between(along: Sequence[int], place: float) -> float:
    low = int(place)
    if low >= len(along) - 1:
        return along[-1]
    return along[low] + (along[low + 1] - along[low]) * (place - low)


def _peak(axes: Axes, peak: Profile, along: Sequence[int], unit: int) -> None:
    at, top = along[peak.peak_at - peak.timeline.before + 1] + 0.5, peak.peak_bytes / unit
    left = at < along[-1] / 2
    axes.plot([at], [top], "v", color="black", markersize=6, label="predicted peak", linestyle="none")
    axes.annotate(
        f"{format_bytes(peak.peak_bytes)}\n{caption(place_of(peak.at))}",
        (at, top),
        textcoords="offset points",
        xytext=(6 if left else -6, 6),
        ha="left" if left else "right",
        fontsize=8.5,
    )


def _name_parts(axes: Axes, timeline: Timeline, along: Sequence[int]) -> None:
    """Label the axis with the parts at work, or with percentages of the call if there are too many visits."""
    end = along[-1]
    starts = [(name, along[start]) for name, start in stage_starts(timeline)]
    if len(starts) > _MOST_NAMED:
        axes.set_xticks([end * tenth / 10 for tenth in range(11)], [f"{tenth * 10}%" for tenth in range(11)])
        axes.set_xlabel("progress of the call, by its larger allocations and frees")
        return
    ends = [*(start for _, start in starts[1:]), end]
    named = [
        (name, start, stop)
        for (name, start), stop in zip(starts, ends, strict=True)
        if stop - start >= max(1, end * _LEAST_NAMED)
    ]
    axes.set_xticks(
        [(start + stop) / 2 for _, start, stop in named],
        [caption(name) for name, _, _ in named],
        rotation=25,
        ha="right",
        rotation_mode="anchor",
    )
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlabel("the part at work; progress by larger allocations and frees")
    for _, start, _ in named:
        axes.axvline(start, color="#bbbbbb", linewidth=0.5, zorder=0)
