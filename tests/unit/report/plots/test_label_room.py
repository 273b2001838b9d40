"""Labels beside the ends of lines keep off lines that are not theirs."""

from __future__ import annotations

from functools import partial

import pytest
from matplotlib.figure import Figure

from bench.report.plots import figure, label_room
from bench.report.plots.figure import Label
from bench.report.plots.label_room import Box, Segment

RISING = Segment((0.0, 0.0), (1.0, 1.0))


@pytest.mark.parametrize(
    ("box", "crosses"),
    [
        ((0.4, 0.6, 0.4, 0.6), True),
        ((0.4, 0.6, 0.7, 0.9), False),
        ((0.4, 0.6, 0.1, 0.3), False),
        ((1.1, 1.2, 0.9, 1.3), False),  # beyond its end
    ],
)
def test_a_segment_crosses_a_box_that_it_passes_through(box: tuple[float, float, float, float], crosses: bool) -> None:
    assert RISING.crosses(*box) == crosses


def test_a_label_moves_off_a_line_and_is_not_joined_over_it() -> None:
    # given a line that passes through where the label would be, and below its point
    wanted, box = 0.5, Box(at=0.4, left=0.45, right=0.6, height=0.1)
    apart = partial(figure.spread, widths=[0.1], low=0.0, high=1.0)
    # when
    (place,), (is_on_line,) = label_room.with_room([wanted], [box], [RISING], apart)
    # then it is above the line, on its point's side
    assert not is_on_line
    assert place > 0.6


def test_a_label_without_room_is_told_to_lie_on_a_line() -> None:
    everywhere = [Segment((0.0, height / 50), (1.0, height / 50)) for height in range(51)]
    apart = partial(figure.spread, widths=[0.1], low=0.0, high=1.0)
    places, on_lines = label_room.with_room([0.5], [Box(0.4, 0.45, 0.6, 0.1)], everywhere, apart)
    assert (places, on_lines) == ([0.5], [True])


def test_lines_are_where_the_axes_show_them_and_points_alone_are_none() -> None:
    axes = Figure().subplots()
    axes.set_xscale("log")
    axes.plot([1, 10, 100], [0, 1, 0], "-")
    axes.plot([1, 10], [0, 1], "o")
    axes.axhline(0.5)
    axes.set_xlim(1, 100)
    axes.set_ylim(0, 1)

    rising, falling, across = label_room.segments(axes)

    assert (*rising.left, *rising.right) == pytest.approx((0, 0, 0.5, 1))
    assert (*falling.left, *falling.right) == pytest.approx((0.5, 1, 1, 0))
    assert (*across.left, *across.right) == pytest.approx((0, 0.5, 1, 0.5))


def test_a_name_on_another_line_moves_or_has_a_background() -> None:
    axes = Figure(figsize=(7, 3)).subplots()
    axes.plot([0, 0.5], [0.5, 0.5])
    axes.plot([0, 1], [0.45, 0.55])
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)

    figure.label_ends(axes, [Label("a name", 0.5, 0.5, "black")], 2.5)

    (written,) = axes.texts
    assert abs(written.xyann[1]) > 4 or written.get_bbox_patch() is not None
