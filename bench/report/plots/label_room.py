"""Where labels beside the ends of lines have room: not on a line that is not theirs.

Places and sizes are shares of the axes, in which logarithmic scales are straight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: How far labels move up or down from where they would be, in heights of a label; the nearest first.
_MOVES = (0.0, *(sign * move for move in (0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0) for sign in (1, -1)))
#: What counts as beside a point.
_BESIDE = 1e-3


@dataclass(frozen=True, slots=True)
class Segment:
    """A straight part of a line, from left to right."""

    left: tuple[float, float]
    right: tuple[float, float]

    def crosses(self, left: float, right: float, low: float, high: float) -> bool:
        """Whether it passes through that box."""
        (x, y), (next_x, next_y) = self.left, self.right
        begin, end = max(x, left), min(next_x, right)
        if begin > end:
            return False
        if next_x == x:
            ends = y, next_y
        else:
            rise = (next_y - y) / (next_x - x)
            ends = y + rise * (begin - x), y + rise * (end - x)
        return max(ends) >= low and min(ends) <= high


@dataclass(frozen=True, slots=True)
class Box:
    """The room of a label: from `left` to `right`, and its whole height; `at` is where its point is."""

    at: float
    left: float
    right: float
    height: float


def segments(axes: Axes) -> list[Segment]:
    """The straight parts of the lines in the axes, also of those across all of it (`axhline`); not of lone points."""
    to_share = axes.transScale + axes.transLimits
    parts: list[Segment] = []
    for line in axes.get_lines():
        if line.get_linestyle() in {"None", "", " "}:
            continue
        points = [(float(x), float(y)) for x, y in cast("Iterable[tuple[float, float]]", line.get_xydata())]
        if line.get_transform() == axes.get_yaxis_transform(which="grid"):  # x is a share already
            middle = sum(axes.get_xlim()) / 2
            shares = [(x, float(to_share.transform((middle, y))[1])) for x, y in points]
        else:
            shares = [(float(x), float(y)) for x, y in map(to_share.transform, points)]
        parts += [Segment(*sorted(ends)) for ends in pairwise(shares)]
    return parts


def with_room(
    wanted: Sequence[float],
    boxes: Sequence[Box],
    lines: Iterable[Segment],
    spread: Callable[[Sequence[float]], Sequence[float]],
) -> tuple[Sequence[float], list[bool]]:
    """The middles of labels near the `wanted` ones, moved together as little as leaves the fewest on lines.

    `spread` keeps labels from each other. Returns also whether each of them lies on a line even so.
    """
    near = [line for line in lines if line.right[0] >= min((box.left for box in boxes), default=0.0)]

    def tried(move: float) -> tuple[Sequence[float], list[bool]]:
        places = spread([place + move * boxes[0].height for place in wanted])
        return places, [
            _is_on(box, place, near) or (bool(move) and _is_joined_over(box, share, place, near))
            for share, place, box in zip(wanted, places, boxes, strict=True)
        ]

    return min((tried(move) for move in _MOVES if boxes), key=lambda made: sum(made[1]), default=([], []))


def _is_on(box: Box, place: float, lines: Iterable[Segment]) -> bool:
    half = box.height / 2
    return any(line.crosses(box.left, box.right, place - half, place + half) for line in lines)


def _is_joined_over(box: Box, share: float, place: float, lines: Iterable[Segment]) -> bool:
    """Whether a line passes between the label and its point; lines that end at the point do not."""
    low, high = sorted((share, place))
    return any(line.crosses(box.at + _BESIDE, box.left, low, high) for line in lines)
