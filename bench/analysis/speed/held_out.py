"""How far the model is off on unseen cards: each card in turn is left out of the fit."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.analysis.speed.fit import Model, fit
from bench.analysis.speed.observation import Observation, fitted, not_fitted, observations
from bench.config.gpus import Gpus
from bench.record import Record


@dataclass(frozen=True, slots=True)
class Cell:
    """An observation, and its prediction by the model fitted on all other cards."""

    observed: Observation
    predicted_s: float

    @property
    def error(self) -> float:
        """The relative error: -0.1 if the prediction is a tenth below the observation."""
        return self.predicted_s / self.observed.seconds - 1


@dataclass(frozen=True, slots=True)
class Errors:
    """The median and worst of several cells' errors, regardless of sign. Relative, like a cell's."""

    cells: int
    median: float
    worst: Cell


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The model fitted to all times, and every time with its prediction by the model fitted without its card."""

    model: Model
    fitted: tuple[Cell, ...]
    not_fitted: tuple[Cell, ...]


def evaluate(records: Iterable[Record], predictions: Iterable[Record], gpus: Gpus) -> Evaluation | None:
    """Fit the model to the records' times; None if they are of one precision or one card alone.

    A time counts if a prediction of its case says what the case computes.
    """
    work = {record.case.id: record.prediction.work for record in predictions if record.prediction}
    timed = [record for record in records if record.case.id in work]
    timed_calls = observations(timed, gpus, lambda case: work[case.id])
    encodes = fitted(timed_calls)
    try:
        return Evaluation(
            fit(encodes), leave_one_card_out(encodes), leave_one_card_out(encodes, not_fitted(timed_calls))
        )
    except ValueError:
        return None


def leave_one_card_out(
    observed: Sequence[Observation], against: Sequence[Observation] | None = None
) -> tuple[Cell, ...]:
    """Each observation with its prediction by the model fitted without its card, in the order given. Deterministic.

    `against`: other observations, which are not fitted, to predict instead of the fitted ones.

    Raises ValueError if, without a card, one of the two widths of values is missing (`fit`), as with a single card.
    """
    cells = observed if against is None else against
    models = {
        card: fit([observation for observation in observed if observation.card != card])
        for card in dict.fromkeys(cell.card for cell in cells)
    }
    return tuple(Cell(cell, models[cell.card].seconds(cell.work, cell.case.dtype, cell.gpu)) for cell in cells)


def errors(cells: Sequence[Cell]) -> Errors:
    """The median and the worst error of at least one cell; of equally bad ones the first."""
    return Errors(
        len(cells), statistics.median(abs(cell.error) for cell in cells), max(cells, key=lambda cell: abs(cell.error))
    )
