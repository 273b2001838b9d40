"""The model of times with all that its page shows: every error, other choices of it, and times that no fit has."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bench.analysis.speed import clock
from bench.analysis.speed.clock import Clock, Estimate
from bench.analysis.speed.held_out import Cell
from bench.analysis.speed.never_fitted import PUBLISHED, PublishedElsewhere
from bench.analysis.speed.observation import Observation, observations
from bench.analysis.speed.parts import Form
from bench.config.gpus import Gpus
from bench.core.work import Kernels
from bench.record import Case, Record

#: Forms of the model whose errors are compared.
FORMS = (*(Form(cache_share=share) for share in (0.0, 0.25, 0.4, 0.45, 0.5, 0.55, 0.75, 1.0)), Form(every_launch=True))


@dataclass(frozen=True, slots=True)
class Check:
    """A time that was published elsewhere and is in no fit, and the model's estimate of it.

    The estimate is None if the model does not know the kernels of the setting or of the call, or the card's rates.
    """

    published: PublishedElsewhere
    estimate: Estimate | None

    @property
    def holds(self) -> bool:
        """Whether the time is in the predicted range, if there is one whose ends are known."""
        between = self.estimate.between if self.estimate is not None else None
        if between is None or between.most_s is None:
            return False
        return between.least_s <= self.published.seconds <= between.most_s


@dataclass(frozen=True, slots=True)
class Trial:
    """The model in another form, and its estimates of the times that were never fitted."""

    form: Form
    clock: Clock
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The model, and every time with its prediction by models fitted without some.

    Attributes:
        fitted: the times that the model is fitted to.
        cards: each time, predicted without the times of its card.
        architectures: each time, predicted without those of its architecture; empty if there is only one.
        trials: what other forms of the model would do.
        checks: times that were never fitted.
    """

    clock: Clock
    fitted: tuple[Observation, ...]
    cards: tuple[Cell, ...]
    architectures: tuple[Cell, ...] = ()
    trials: tuple[Trial, ...] = ()
    checks: tuple[Check, ...] = ()


def evaluate(
    records: Iterable[Record], kernels_of: Callable[[Case], Kernels | None], gpus: Gpus, *, has_trials: bool = True
) -> Evaluation | None:
    """Fit the model to the records' times; None if they are of one precision or one card alone.

    `has_trials`: with what other forms would do, which takes most of the time.
    """
    seen = observations(records, gpus, kernels_of)
    fit = clock.fitted_with_cells(seen)
    if fit is None or not fit.cards:
        return None
    others = [
        (form, other) for form in (FORMS if has_trials else ()) if (other := clock.fitted(fit.timed, form)) is not None
    ]
    trials = tuple(Trial(form, other, tuple(_checks(other, kernels_of, gpus))) for form, other in others)
    checks = tuple(_checks(fit.clock, kernels_of, gpus))
    return Evaluation(fit.clock, fit.timed, fit.cards, fit.architectures, trials, checks)


def _checks(fitted: Clock, kernels_of: Callable[[Case], Kernels | None], gpus: Gpus) -> Iterable[Check]:
    for published in PUBLISHED:
        yield Check(published, _estimate(published, fitted, kernels_of, gpus))


def _estimate(
    published: PublishedElsewhere, fitted: Clock, kernels_of: Callable[[Case], Kernels | None], gpus: Gpus
) -> Estimate | None:
    gpu = gpus.cards.get(published.card)
    if not published.has_usual_kernels or gpu is None or not gpu.has_rates:
        return None
    kernels = kernels_of(published.case)
    return None if kernels is None else fitted.estimate(published.case, gpu, kernels)
