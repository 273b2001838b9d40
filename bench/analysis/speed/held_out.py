"""How far the model is off on a card that it has not seen: each card in turn is left out of the fit. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis.speed.fit import fit
from bench.analysis.speed.observation import Observation


@dataclass(frozen=True, slots=True)
class Cell:
    """One observation, and what the model says of it that was fitted on all other cards."""

    observed: Observation
    predicted_s: float

    @property
    def error(self) -> float:
        """Relative: -0.1 where the prediction is a tenth less than what was observed."""
        return self.predicted_s / self.observed.seconds - 1


@dataclass(frozen=True, slots=True)
class Errors:
    """What the errors of several cells come to, whatever their sign. Relative, as a cell's."""

    cells: int
    median: float
    worst: Cell


def leave_one_card_out(
    observations: Sequence[Observation], against: Sequence[Observation] | None = None
) -> tuple[Cell, ...]:
    """Every observation with its prediction by the model fitted without its card, in the order given. Deterministic.

    `against`: other observations, of which none is fitted; they are predicted in place of the fitted ones.

    Raises ValueError where what is left of a card's fit has not both widths of values (`fit`), so for one card alone.
    """
    cells = observations if against is None else against
    models = {
        card: fit([fitted for fitted in observations if fitted.card != card])
        for card in dict.fromkeys(cell.card for cell in cells)
    }
    return tuple(Cell(cell, models[cell.card].seconds(cell.work, cell.case.dtype, cell.gpu)) for cell in cells)


def errors(cells: Sequence[Cell]) -> Errors:
    """The median and the worst of at least one cell; the first of several that are as bad."""
    return Errors(len(cells), statistics.median(abs(cell.error) for cell in cells), max(cells, key=_size))


def _size(cell: Cell) -> float:
    return abs(cell.error)
