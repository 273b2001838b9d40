"""The model of times with its errors: what a call takes on a card that nobody timed, as a point or as a range."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bench.analysis.speed import extrapolation
from bench.analysis.speed.extrapolation import Range, Scope
from bench.analysis.speed.fit import Model, fit
from bench.analysis.speed.held_out import Cell, Errors, architecture_of, card_of, errors, leave_one_out
from bench.analysis.speed.observation import Observation, TimedCall, variant_of
from bench.analysis.speed.parts import FORM, Form
from bench.config.gpus import Gpu
from bench.core.work import Kernels
from bench.record import Case, grouped


@dataclass(frozen=True, slots=True)
class Estimate:
    """The predicted time of a call.

    Attributes:
        seconds: by the model.
        beyond: how it goes beyond the fit, each in words. The model's errors do not hold there.
        between: the range; None within the fit.
    """

    seconds: float
    beyond: tuple[str, ...] = ()
    between: Range | None = None


@dataclass(frozen=True, slots=True)
class Clock:
    """The fitted model.

    Attributes:
        scope: what it was fitted on.
        errors: with each card left out; None if there is only one.
        architecture_errors: with each architecture left out; None if there is only one.
        spread: the factor to either side of a prediction beyond the fit (`extrapolation`); None if it is not known.
        variants: the figures of variants that run kernels of their own, as far as they were timed.
    """

    model: Model
    scope: Scope
    errors: Errors | None = None
    architecture_errors: Errors | None = None
    spread: float | None = None
    variants: Mapping[str, Model] = field(default_factory=dict)

    def estimate(self, case: Case, gpu: Gpu, kernels: Kernels, also_beyond: Sequence[str] = ()) -> Estimate | None:
        """The time of a case on a card; None for a variant whose kernels nobody timed.

        `also_beyond`: other ways in which it goes beyond the fit, in words. Raises ValueError for a precision that the
        model does not know, or a card without all rates.
        """
        variant = variant_of(case)
        model = self.model if variant == "default" else self.variants.get(variant)
        if model is None:
            return None
        seconds = model.seconds(kernels, case.dtype, gpu)
        beyond = (*extrapolation.beyond(case, gpu, self.scope, seconds), *also_beyond)
        if not beyond:
            return Estimate(seconds)
        rated_s = model.parts(kernels, case.dtype, gpu).rated_s
        if extrapolation.is_other_part(case):
            return Estimate(seconds, beyond, extrapolation.around(seconds, rated_s, None))
        times = 2 if extrapolation.is_other_class(case, self.scope) else 1
        spread = None if self.spread is None else self.spread**times
        return Estimate(seconds, beyond, extrapolation.around(seconds, rated_s, spread))


@dataclass(frozen=True, slots=True)
class Fit:
    """The fitted model, and the predictions that its errors are those of.

    Attributes:
        timed: the times of the default variant.
        cards, architectures: their predictions with each card, or each architecture, left out; none if there is only
            one.
    """

    clock: Clock
    timed: tuple[Observation, ...]
    cards: tuple[Cell, ...]
    architectures: tuple[Cell, ...]


def fitted(observations: Iterable[Observation], form: Form = FORM) -> Clock | None:
    """The model fitted to these times, each variant's figures to its own; None if the default's are too few."""
    made = fitted_with_cells(observations, form)
    return None if made is None else made.clock


def fitted_with_cells(observations: Iterable[Observation], form: Form = FORM) -> Fit | None:
    """As `fitted`, with the predictions of what was left out in turn."""
    by_variant = grouped(observations, lambda seen: variant_of(seen.case))
    models = {variant_of(group[0].case): _model(group, form) for group in by_variant}
    model = models.pop("default", None)
    if model is None:
        return None
    timed = next(group for group in by_variant if variant_of(group[0].case) == "default")
    cards, architectures = cells(timed, card_of, form), cells(timed, architecture_of, form)
    draws = [(architecture_of(seen), cell.log_error) for seen, cell in zip(timed, architectures, strict=False)]
    clock = Clock(
        model,
        Scope.of(timed),
        _errors(cards),
        _errors(architectures),
        extrapolation.spread(draws),
        {variant: own for variant, own in models.items() if own is not None},
    )
    return Fit(clock, tuple(timed), cards, architectures)


def cells(timed: Sequence[Observation], group_of: Callable[[Observation], str], form: Form = FORM) -> tuple[Cell, ...]:
    """The predictions with each group left out; none if there is only one group."""
    try:
        return leave_one_out(timed, group_of, form)
    except ValueError:
        return ()


def _model(observations: Sequence[Observation], form: Form) -> Model | None:
    try:
        return fit(observations, form)
    except ValueError:
        return None


def _errors(held_out: Sequence[Cell]) -> Errors | None:
    """The errors of these cells, without the kernels of the worst one; None if there are none."""
    if not held_out:
        return None
    summary = errors(held_out)
    seen = summary.worst.observed
    call = TimedCall(seen.kind, seen.card, seen.case, seen.seconds)
    return replace(summary, worst=Cell(call, summary.worst.predicted_s))
