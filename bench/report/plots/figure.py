"""A matplotlib figure that is the same on every machine and whatever a user's settings are, as the bytes of a PNG.

Loads matplotlib inside its functions: half a second that no other command should pay.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from bench.core.units import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_Name = TypeVar("_Name")
_DPI = 110
#: About the width of a letter of a legend, and of a name's line and gap (inches, at 9 points).
_LETTER, _HANDLE = 0.068, 0.5
#: The height of a row of a legend (inches), and how many rows fit before the figure grows.
_ROW, _ROWS = 0.2, 6
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
        FigureCanvasAgg(figure)
        made = Drawing(figure)
        yield made
        image = io.BytesIO()
        figure.savefig(image, format="png", metadata={"Software": None})
        made.png = image.getvalue()


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


def legend_below(
    figure: Figure, axes: list[Axes], columns: int, names: tuple[str, ...] | None = None, left_out: Sequence[str] = ()
) -> None:
    """Add one legend for all panels, with each name once, in the order of `names` or else of the panels.

    It has `columns` columns, or as many as its longest name leaves room for; with many rows the figure grows. The
    sentences in `left_out` are its title, one per line.
    """
    seen = {name: handle for panel in axes for handle, name in zip(*panel.get_legend_handles_labels(), strict=True)}
    named = [name for name in names or tuple(seen) if name in seen]
    widest = _HANDLE + _LETTER * max((len(name) for name in named), default=0)
    columns = max(1, min(columns, int(figure.get_figwidth() / widest)))
    rows = -(-len(named) // columns) + len(left_out)
    figure.set_figheight(figure.get_figheight() + _ROW * max(0, rows - _ROWS))
    title = "\n".join(left_out) or None
    handles = [seen[name] for name in named]
    figure.legend(handles, named, loc="outside lower center", ncols=columns, frameon=False, title=title)


def most(names: Sequence[_Name], count: int, noun: str, rule: str) -> tuple[list[_Name], list[str]]:
    """The first `count` names, and a sentence on how many are left out, if any are."""
    more = len(names) - count
    return list(names[:count]), [f"{more} more {noun} are not drawn: {rule}."] if more > 0 else []
