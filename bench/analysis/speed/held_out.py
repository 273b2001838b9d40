"""How far the model is off on what it has not seen: each card, or each architecture, in turn is left out of the fit."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.analysis.speed.fit import equation, solve
from bench.analysis.speed.observation import Observation, TimedCall
from bench.analysis.speed.parts import FORM, Form


@dataclass(frozen=True, slots=True)
class Cell:
    """A timed call, and its prediction by a model that was fitted without it."""

    observed: TimedCall
    predicted_s: float

    @property
    def error(self) -> float:
        """The relative error: -0.1 if the prediction is a tenth below the observation."""
        return self.predicted_s / self.observed.seconds - 1

    @property
    def log_error(self) -> float:
        """The logarithm of predicted over observed: that of half the time is as large as that of twice the time."""
        return math.log(self.predicted_s / self.observed.seconds)


@dataclass(frozen=True, slots=True)
class Errors:
    """The median and worst of several cells' errors, regardless of sign. Relative, like a cell's."""

    cells: int
    median: float
    worst: Cell


def card_of(observation: Observation) -> str:
    """The card, as what is left out of a fit."""
    return observation.card


def architecture_of(observation: Observation) -> str:
    """The architecture, as what is left out of a fit: by compute capability, since GA100 and GA102 are both Ampere."""
    return observation.gpu.compute_capability


def leave_one_out(
    observed: Sequence[Observation], group_of: Callable[[Observation], str], form: Form = FORM
) -> tuple[Cell, ...]:
    """Each observation with its prediction by the model fitted without its group, in the order given. Deterministic.

    Raises ValueError if, without a group, one of the two widths of values is missing (`fit`), as with a single group.
    """
    groups = [group_of(seen) for seen in observed]
    equations = [equation(seen, form) for seen in observed]
    models = {
        left_out: solve([each for each, group in zip(equations, groups, strict=True) if group != left_out], form)
        for left_out in dict.fromkeys(groups)
    }
    return tuple(
        Cell(seen, models[group].seconds(seen.kernels, seen.case.dtype, seen.gpu))
        for seen, group in zip(observed, groups, strict=True)
    )


def errors(cells: Sequence[Cell]) -> Errors:
    """The median and the worst error of at least one cell; of equally bad ones the first."""
    return Errors(
        len(cells), statistics.median(abs(cell.error) for cell in cells), max(cells, key=lambda cell: abs(cell.error))
    )
