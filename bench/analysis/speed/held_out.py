"""How far the model is off on what it has not seen: each card, or each architecture, in turn is left out of the fit."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bench.analysis.speed.fit import CACHE_SHARE, Model, fit
from bench.analysis.speed.observation import Observation, TimedCall, observations, variant_of
from bench.config.gpus import Gpus
from bench.core.work import Kernels
from bench.record import Case, Record

#: Shares of the L2 cache (`fit.CACHE_SHARE`) whose errors the page compares.
CACHE_SHARES = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0)


@dataclass(frozen=True, slots=True)
class Cell:
    """A timed call, and its prediction by a model that was fitted without it."""

    observed: TimedCall
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
class Trial:
    """The errors with another share of the L2 cache, with a card and with an architecture left out."""

    cache_share: float
    card: Errors
    architecture: Errors | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The model fitted to all times, and every time with its prediction by models fitted without some.

    Attributes:
        fitted: the times that the model is fitted to.
        cards: each time, predicted without the times of its card.
        architectures: each time, predicted without those of its architecture; empty if there is only one.
        trials: what another share of the L2 cache would do.
    """

    model: Model
    fitted: tuple[Observation, ...]
    cards: tuple[Cell, ...]
    architectures: tuple[Cell, ...]
    trials: tuple[Trial, ...] = ()


def evaluate(records: Iterable[Record], kernels_of: Callable[[Case], Kernels], gpus: Gpus) -> Evaluation | None:
    """Fit the model to the times of the default variant; None if they are of one precision or one card alone."""
    timed = [seen for seen in observations(records, gpus, kernels_of) if variant_of(seen.case) == "default"]
    try:
        model, cards = fit(timed), leave_one_out(timed, card_of)
    except ValueError:
        return None
    trials = tuple(_trial(timed, share) for share in CACHE_SHARES)
    return Evaluation(model, tuple(timed), cards, _architectures(timed, CACHE_SHARE), trials)


def card_of(observation: Observation) -> str:
    """The card, as what is left out of a fit."""
    return observation.card


def architecture_of(observation: Observation) -> str:
    """The architecture, as what is left out of a fit: by compute capability, since GA100 and GA102 are both Ampere."""
    return observation.gpu.compute_capability


def leave_one_out(
    observed: Sequence[Observation], group_of: Callable[[Observation], str], cache_share: float = CACHE_SHARE
) -> tuple[Cell, ...]:
    """Each observation with its prediction by the model fitted without its group, in the order given. Deterministic.

    Raises ValueError if, without a group, one of the two widths of values is missing (`fit`), as with a single group.
    """
    models = {
        group: fit([observation for observation in observed if group_of(observation) != group], cache_share)
        for group in dict.fromkeys(map(group_of, observed))
    }
    return tuple(
        Cell(seen, models[group_of(seen)].seconds(seen.kernels, seen.case.dtype, seen.gpu)) for seen in observed
    )


def errors(cells: Sequence[Cell]) -> Errors:
    """The median and the worst error of at least one cell; of equally bad ones the first."""
    return Errors(
        len(cells), statistics.median(abs(cell.error) for cell in cells), max(cells, key=lambda cell: abs(cell.error))
    )


def _architectures(observed: Sequence[Observation], cache_share: float) -> tuple[Cell, ...]:
    try:
        return leave_one_out(observed, architecture_of, cache_share)
    except ValueError:
        return ()


def _trial(observed: Sequence[Observation], cache_share: float) -> Trial:
    architectures = _architectures(observed, cache_share)
    card = errors(leave_one_out(observed, card_of, cache_share))
    return Trial(cache_share, card, errors(architectures) if architectures else None)
