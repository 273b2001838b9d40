"""The plot of the model of times: predicted over published time, with each card and each architecture left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.analysis.speed.evaluation import Evaluation
from bench.analysis.speed.held_out import Cell
from bench.record import grouped
from bench.report.plots.figure import PALETTE, caption, drawing, legend_below, most, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _HEIGHT = 13.0, 5.4  # inches
_MARKS = "osv^D*Pp<"
#: More cards can't be told apart.
_MOST_CARDS = 8
#: The band that the eye compares with: 20% to either side.
_BAND = 0.2


def draw(evaluation: Evaluation) -> bytes:
    """The PNG: one panel with each card left out, one with each architecture left out if there are several."""
    names = list(dict.fromkeys(cell.observed.card for cell in evaluation.cards))
    shown, note = most(names, _MOST_CARDS, "cards", "only the first in the results are")
    panels_of = [("Card left out", evaluation.cards), ("Architecture left out", evaluation.architectures)]
    panels_of = [(title, cells) for title, cells in panels_of if cells]
    with drawing(_WIDTH * (0.55 if len(panels_of) == 1 else 1), _HEIGHT) as made:
        panels = list(made.figure.subplots(1, len(panels_of), squeeze=False, sharey=True).flat)
        for panel, (title, cells) in zip(panels, panels_of, strict=True):
            panel.set_title(title, loc="left", fontsize=10)
            _panel(panel, cells, shown)
        panels[0].set_ylabel("predicted over published or measured time")
        legend_below(made.figure, panels, 3, left_out=note)
    return made.png


def _panel(axes: Axes, cells: Sequence[Cell], shown: Sequence[str]) -> None:
    axes.axhspan(1 - _BAND, 1 + _BAND, color="#eeeeee", linewidth=0)
    axes.axhline(1, color="#888888", linewidth=0.8)
    for group in grouped(cells, lambda cell: cell.observed.card):
        card = group[0].observed.card
        if card not in shown:
            continue
        place = shown.index(card)
        axes.plot(
            [cell.observed.seconds for cell in group],
            [cell.error + 1 for cell in group],
            linestyle="",
            marker=_MARKS[place],
            markersize=4.5,
            color=PALETTE[place],
            label=caption(card),
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("published or measured time in seconds")
    plain(axes, "both")
