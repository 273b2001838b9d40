"""A matplotlib figure that is the same on every machine and whatever a user's settings are, as the bytes of a PNG.

Loads matplotlib inside its functions: half a second that no other command should pay.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import accumulate
from typing import TYPE_CHECKING, TypeVar

from bench.config import card_names
from bench.core.units import one_line
from bench.report.plots import drawn, label_room
from bench.report.plots.label_room import Box

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_Name = TypeVar("_Name")
_DPI = 110
#: The size of labels and notes in points; about the width of a letter of it, and the height of a line, in inches.
_LABEL_SIZE = 8
_LETTER, _ROW = 0.066, 0.16
#: The distance of two labels, in inches, and how much of it a further line of a label takes.
_LINE, _FURTHER = 0.16, 0.85
#: Labels whose points are less than this share of the axes beside one another could overlap.
_APART = 0.08
#: Between two labels beside one another, in inches.
_WORD_GAP = 0.12
_POINTS_PER_INCH = 72
#: From a point to its label, and what a panel has beside its axes, in inches.
_ASIDE, _MARGINS = 10 / 72, 1.0
#: A name with more characters than this would leave no room for the figure.
_LONGEST = 64
#: Okabe and Ito's palette, which those who see few colours can tell apart; grey and black last.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#999999", "#000000")


@dataclass(slots=True)
class Drawing:
    """A figure, and its PNG once the block has ended."""

    figure: Figure
    png: bytes = field(default=b"")


@contextmanager
def drawing(width: float, height: float) -> Iterator[Drawing]:
    """A white figure, in inches. One version of matplotlib gives the same bytes for the same drawing."""
    import matplotlib as mpl  # noqa: PLC0415
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    settings = {**mpl.rcParamsDefault, "text.parse_math": False, "font.size": 9.0, "svg.hashsalt": "0"}
    with mpl.rc_context(settings):  # a user's own settings are not to change the picture
        figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="white", layout="constrained")
        canvas = FigureCanvasAgg(figure)
        made = Drawing(figure)
        yield made
        digest = drawn.digest(figure)
        _lay_out(figure)
        image = io.BytesIO()
        # draws once, where savefig draws twice
        canvas.print_png(image, metadata={"Software": None, drawn.KEY: digest})  # type: ignore[no-untyped-call]
        made.png = image.getvalue()


def _lay_out(figure: Figure) -> None:
    """Give each panel its place for good: the layout takes longer than drawing."""
    if (engine := figure.get_layout_engine()) is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")


def caption(text: str, most: int = _LONGEST) -> str:
    """Text from a file as a figure can show it: one line of at most `most` characters, all of them in its font.

    A text that begins with an underscore gets a blank before it, because a legend would leave it out.
    """
    glyphs = _glyphs()
    shown = "".join(letter if ord(letter) in glyphs else "?" for letter in one_line(" ".join(text.split())))
    if len(shown) > most:
        shown = f"{shown[: most // 2]}...{shown[len(shown) - most // 2 + 3 :]}"
    return f" {shown}" if shown.startswith("_") else shown


@cache
def _glyphs() -> frozenset[int]:
    from matplotlib.font_manager import FontProperties, findfont, get_font  # noqa: PLC0415

    return frozenset(get_font(findfont(FontProperties(family="DejaVu Sans"))).get_charmap())


def plain(axes: Axes, grid: str) -> None:
    """Remove the frame at the top and right, and draw faint lines behind the data along `grid` (x, y or both)."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color="#dddddd", linewidth=0.6)  # type: ignore[arg-type]
    axes.set_axisbelow(True)


def spread(wanted: Sequence[float], widths: Sequence[float], low: float, high: float) -> list[float]:
    """Places near the `wanted` ones, in their order, at which things of these widths do not overlap.

    The places are centres, and nothing reaches beyond `low` and `high` unless there is too little room. The sum of the
    squared moves is the least: neighbours that would overlap are pooled (isotonic regression).
    """
    order = sorted(range(len(wanted)), key=lambda place: wanted[place])
    ends = list(accumulate((widths[place] for place in order), initial=0.0))
    offsets = [end + widths[place] / 2 for place, end in zip(order, ends, strict=False)]
    pools: list[tuple[float, int]] = []  # mean start and size of each
    for place, offset in zip(order, offsets, strict=True):
        start, size = wanted[place] - offset, 1
        while pools and pools[-1][0] > start:
            mean, count = pools.pop()
            start, size = (mean * count + start * size) / (count + size), count + size
        pools.append((start, size))
    starts = [max(min(start, high - ends[-1]), low) for start, size in pools for _ in range(size)]
    places = dict(zip(order, (start + offset for start, offset in zip(starts, offsets, strict=True)), strict=True))
    return [places[number] for number in range(len(wanted))]


@dataclass(frozen=True, slots=True)
class Label:
    """A text beside the point (x, y) that it names, in the units of the axes and in a colour."""

    text: str
    x: float
    y: float
    colour: str


def label_ends(axes: Axes, labels: Sequence[Label], height: float) -> None:
    """Write each label at the right of its point; those that would overlap are moved apart, and joined to their points.

    They move together off lines that pass there; one that lies on a line even so gets a background. Call it when all
    lines are drawn and the limits of the axes are final. `height` is about that of the axes, in inches.
    """
    step, width = _LINE / height, _width_of(axes)
    lines = label_room.segments(axes)
    to_share = axes.transScale + axes.transLimits
    placed = [(label, to_share.transform((label.x, label.y))) for label in labels]
    for column in _columns([(label, float(x), float(y)) for label, (x, y) in placed]):
        group, shares = [label for label, *_ in column], [share for *_, share in column]
        heights = [step * (1 + _FURTHER * label.text.count("\n")) for label in group]
        boxes = [
            Box(x, x + _ASIDE / width, x + (_ASIDE + _LETTER * max(map(len, label.text.split("\n")))) / width, each)
            for (label, x, _), each in zip(column, heights, strict=True)
        ]
        kept_apart = partial(spread, widths=heights, low=0.0, high=1.0)
        places, on_lines = label_room.with_room(shares, boxes, lines, kept_apart)
        for label, share, place, is_on_line in zip(group, shares, places, on_lines, strict=True):
            _write(axes, label, (place - share) * height * _POINTS_PER_INCH, has_background=is_on_line)


def _width_of(axes: Axes) -> float:
    """About the width of the axes in inches, before they are laid out."""
    place, figure = axes.get_subplotspec(), axes.get_figure(root=True)
    columns = place.get_gridspec().ncols if place is not None else 1
    return max(1.0, figure.get_figwidth() / columns - _MARGINS) if figure is not None else 1.0


def _write(axes: Axes, label: Label, up: float, *, has_background: bool) -> None:
    """Write a label beside its point, that many points higher."""
    from matplotlib.patheffects import withStroke  # noqa: PLC0415 - with the rest of it

    style = {"arrowstyle": "-", "relpos": (0, 0.5), "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3}
    axes.annotate(
        label.text,
        (label.x, label.y),
        (_ASIDE * _POINTS_PER_INCH, up),
        textcoords="offset points",
        color=label.colour,
        va="center",
        fontsize=_LABEL_SIZE,
        arrowprops={**style, "color": label.colour} if abs(up) > _LABEL_SIZE / 2 else None,
        annotation_clip=False,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5} if has_background else None,
        path_effects=[withStroke(linewidth=2.5, foreground="white")],  # over grids and areas that pass behind it
    )


def _columns(placed: Sequence[tuple[Label, float, float]]) -> list[list[tuple[Label, float, float]]]:
    """Labels with their places in shares of the axes, in groups that are as near to one another as texts are wide."""
    columns: list[list[tuple[Label, float, float]]] = []
    for label, x, y in sorted(placed, key=lambda place: place[1]):
        if not columns or x - columns[-1][-1][1] > _APART:
            columns.append([])
        columns[-1].append((label, x, y))
    return columns


def label_above(axes: Axes, labels: Sequence[Label], width: float) -> None:
    """Write each label above its point; those that would overlap are moved apart, and joined to their points.

    All points are at one height. Call it when the limits of the axes are final. `width` is about that of the axes, in
    inches.
    """
    to_share = axes.transScale + axes.transLimits
    shares = [float(to_share.transform((label.x, label.y))[0]) for label in labels]
    places = spread(shares, [(_LETTER * len(label.text) + _WORD_GAP) / width for label in labels], 0.0, 1.0)
    for label, share, place in zip(labels, shares, places, strict=True):
        aside = (place - share) * width * _POINTS_PER_INCH
        axes.annotate(
            label.text,
            (label.x, label.y),
            (aside, 9),
            textcoords="offset points",
            color=label.colour,
            ha="center",
            fontsize=_LABEL_SIZE,
            arrowprops={"arrowstyle": "-", "color": label.colour, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 0},
            annotation_clip=False,
        )


def notes_below(figure: Figure, sentences: Sequence[str]) -> None:
    """Write sentences under all panels, in lines that fit the figure, which grows by their height."""
    letters = int(figure.get_figwidth() / _LETTER)
    lines = [line for sentence in sentences for line in textwrap.wrap(sentence, letters)]
    figure.set_figheight(figure.get_figheight() + _ROW * len(lines))
    figure.supxlabel("\n".join(lines), fontsize=_LABEL_SIZE, color="#444444", x=0.01, ha="left")


def short_name(device: str) -> str:
    """`RTX 4090` of `NVIDIA GeForce RTX 4090`, `Intel Xeon` of `Intel(R) Xeon(R) Processor`."""
    name = card_names.short(device).removesuffix(" Processor")
    return name.replace("(R)", "").replace("(TM)", "") or device


def most(names: Sequence[_Name], count: int, noun: str, rule: str) -> tuple[list[_Name], list[str]]:
    """The first `count` names, and a sentence on how many are left out, if any are."""
    more = len(names) - count
    return list(names[:count]), [f"{more} more {noun} are not drawn: {rule}."] if more > 0 else []
