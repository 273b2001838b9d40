"""The model of times with all that its page shows: every error, other choices of it, and times that no fit has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bench.analysis.speed import clock
from bench.analysis.speed.clock import Clock, Estimate
from bench.analysis.speed.held_out import Cell, Errors, architecture_of, card_of, errors
from bench.analysis.speed.never_fitted import PUBLISHED, PublishedElsewhere
from bench.analysis.speed.observation import Observation, observations, variant_of
from bench.config.gpus import Gpus
from bench.core.work import Kernels
from bench.record import Case, Record

#: Shares of the L2 cache (`parts.CACHE_SHARE`) whose errors are compared.
CACHE_SHARES = (0.0, 0.25, 0.4, 0.45, 0.5, 0.55, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class Trial:
    """The errors with another share of the L2 cache, with a card and with an architecture left out."""

    cache_share: float
    cards: Errors
    architectures: Errors | None


@dataclass(frozen=True, slots=True)
class Check:
    """A time that was printed elsewhere and is in no fit, beside what the model says of it."""

    published: PublishedElsewhere
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The model, and every time with its prediction by models fitted without some.

    Attributes:
        fitted: the times that the model is fitted to.
        cards: each time, predicted without the times of its card.
        architectures: each time, predicted without those of its architecture; empty if there is only one.
        trials: what another share of the L2 cache would do.
        checks: times that were never fitted.
    """

    clock: Clock
    fitted: tuple[Observation, ...]
    cards: tuple[Cell, ...]
    architectures: tuple[Cell, ...] = ()
    trials: tuple[Trial, ...] = ()
    checks: tuple[Check, ...] = ()


def evaluate(records: Iterable[Record], kernels_of: Callable[[Case], Kernels | None], gpus: Gpus) -> Evaluation | None:
    """Fit the model to the records' times; None if they are of one precision or one card alone."""
    seen = observations(records, gpus, kernels_of)
    timed = [each for each in seen if variant_of(each.case) == "default"]
    cards = clock.cells(timed, card_of)
    fitted = clock.fitted(seen)
    if fitted is None or not cards:
        return None
    trials = tuple(_trial(timed, share) for share in CACHE_SHARES)
    checks = tuple(_checks(fitted, kernels_of, gpus))
    return Evaluation(fitted, tuple(timed), cards, clock.cells(timed, architecture_of), trials, checks)


def _trial(timed: Sequence[Observation], cache_share: float) -> Trial:
    architectures = clock.cells(timed, architecture_of, cache_share)
    cards = errors(clock.cells(timed, card_of, cache_share))
    return Trial(cache_share, cards, errors(architectures) if architectures else None)


def _checks(fitted: Clock, kernels_of: Callable[[Case], Kernels | None], gpus: Gpus) -> Iterable[Check]:
    for published in PUBLISHED:
        kernels, gpu = kernels_of(published.case), gpus.cards.get(published.card)
        if kernels is None or gpu is None or not gpu.has_rates:
            continue
        estimate = fitted.estimate(published.case, gpu, kernels)
        if estimate is not None:
            yield Check(published, estimate)
