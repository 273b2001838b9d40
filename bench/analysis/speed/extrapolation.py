"""How a prediction goes beyond the times that the model was fitted on, and the range that applies there.

The rule for the range follows from the errors with an architecture left out, and from nothing else. No time of an
architecture outside the fit has a say in it. But one such time was known when the rule was chosen (`never_fitted`), so
that it is in its range does not confirm the rule.

1. Each fitted architecture in turn is left out, and its times are predicted by the model fitted to the others. Take the
   worst of these predictions, as the absolute logarithm of predicted over published.
2. Double it, and take the exponential: that is the spread. It is doubled because so few architectures are known: the
   worst error of a third one that is like two known ones exceeds both of theirs in one of three cases.
3. The range is from the predicted time divided by the spread to the predicted time multiplied by it. The lower end is
   no less than the time of the matrix products at the card's rated rates.

The same range applies to everything else that goes beyond the fit (`beyond`): no two times there are of one model in
two precisions, so that no error of a model or a precision left out is known. If only one architecture was fitted,
nothing but the lower end is known.

A model of another class than the fitted ones may run kernels that were never timed, such as convolutions in three
dimensions. For those the factor is applied twice. That is a guess, and not checked by any time. Of another part of a
pipeline, such as a text encoder, only the lower end is known: small ones take as long as their launches, which the
model leaves out.

An earlier form of the rule took one draw for each architecture and Student's t at 90%. For two draws that is 2.92 times
their root mean square, and made ranges with ends a factor of 3.1 apart: more than the factor of 3 that was set
beforehand as the widest that is of use.

What the rule can't know: all fitted cards have tensor cores that are 2 times (float16) and once (float32) as fast as
their FP32 units. A card where they are not is beyond the fit even if its architecture is in it. And the fitted cards do
not determine well how much of the time is group normalisation, which is most of it on Hopper: other forms of the model
(`evaluation.FORMS`) have about the same errors and other ranges.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from bench.analysis.speed.observation import LEAST_S, Observation, class_of, variant_of
from bench.config.gpus import Gpu, Precision
from bench.core.units import ITEM_BYTES
from bench.record import Case
from bench.workloads import models
from bench.workloads.labels import extras

#: How many times the worst logarithm of an architecture left out the range reaches to either side.
_TIMES_WORST = 2.0
#: Ratios of a tensor core's rate to the FP32 rate that differ by at most this share count as equal.
_SAME_RATIO = 0.1


@dataclass(frozen=True, slots=True)
class Range:
    """The least and the most seconds of a call; `most_s` is None if nothing bounds it."""

    least_s: float
    most_s: float | None


@dataclass(frozen=True, slots=True)
class Scope:
    """The kinds of cases and cards that a model was fitted on, each sorted.

    Attributes:
        times: how many times.
        models: each model with a precision that it was timed in.
        extras: of cases, such as `("batch 4",)`.
        architectures: each with a compute capability and the bytes of a value that was timed there.
        tensor_ratios: bytes a value, and how many times the FP32 rate the tensor cores are.
    """

    times: int
    operations: tuple[str, ...]
    models: tuple[tuple[str, str], ...]
    extras: tuple[tuple[str, ...], ...]
    architectures: tuple[tuple[str, str, int], ...]
    tensor_ratios: tuple[tuple[int, float], ...]

    @classmethod
    def of(cls, observations: Sequence[Observation]) -> Scope:
        """The scope of a model that was fitted on these."""
        cases = [seen.case for seen in observations]
        return cls(
            len(observations),
            tuple(sorted({case.operation for case in cases})),
            tuple(sorted({(case.model, case.dtype) for case in cases})),
            tuple(sorted({tuple(extras(case)) for case in cases})),
            tuple(sorted({_architecture(seen) for seen in observations})),
            tuple(sorted({_tensor_ratio(seen.gpu, seen.case.dtype) for seen in observations})),
        )


def spread(log_errors: Iterable[tuple[str, float]]) -> float | None:
    """The factor to either side of a prediction beyond the fit, by the rule above; None for fewer than 2 architectures.

    `log_errors`: of predictions, each with the architecture that its model was fitted without.
    """
    errors = list(log_errors)
    if len({architecture for architecture, _ in errors}) < 2:
        return None
    return math.exp(_TIMES_WORST * max(abs(error) for _, error in errors))


def is_other_class(case: Case, scope: Scope) -> bool:
    """Whether the case's model is of a class of which no time was fitted."""
    return class_of(case.model) not in {class_of(key) for key, _ in scope.models}


def is_other_part(case: Case) -> bool:
    """Whether the case's model is another part of a pipeline than the fitted ones: a text encoder, not a VAE.

    Its time may be that of launching its kernels, which nobody timed, so only the rated rates bound it.
    """
    return case.model in models.zoo() and not models.workload(case.model).has_fitted_times


def around(seconds: float, rated_s: float, spread: float | None) -> Range:
    """The range of a prediction beyond the fit. `rated_s`: the matrix products at the card's rated rates."""
    if spread is None:
        return Range(rated_s, None)
    return Range(max(seconds / spread, rated_s), seconds * spread)


def beyond(case: Case, gpu: Gpu, scope: Scope, seconds: float) -> tuple[str, ...]:
    """How the prediction of a case on a card goes beyond the fit, each in words; empty if it does not.

    The errors of cards left out do not hold for these. A model in a precision is named only if the precision and the
    model were timed, but not together.
    """
    return (*_case_beyond(case, scope), *_card_beyond(case, gpu, scope), *_time_beyond(seconds))


def _case_beyond(case: Case, scope: Scope) -> list[str]:
    keys, dtypes = ({pair[place] for pair in scope.models} for place in (0, 1))
    title, unseen = models.title(case.model), []
    if case.operation not in scope.operations:
        unseen.append(f"{case.operation} (fitted on {_listed(scope.operations)} alone)")
    if case.dtype not in dtypes:
        unseen.append(f"{case.dtype} (fitted on {_listed(dtypes)})")
    if case.model not in keys:
        unseen.append(f"{title} (fitted on {_listed(map(models.title, keys))})")
        if is_other_class(case, scope):
            unseen.append(f"the class {class_of(case.model) or 'of the model'}")
    elif case.dtype in dtypes and (case.model, case.dtype) not in scope.models:
        unseen.append(f"{title} in {case.dtype}")
    if extras(case) and tuple(extras(case)) not in scope.extras:
        unseen += extras(case)
    if variant_of(case) != "default":
        unseen.append(case.variant)
    return unseen


def _card_beyond(case: Case, gpu: Gpu, scope: Scope) -> list[str]:
    names = {name for name, _, _ in scope.architectures}
    if gpu.architecture not in names:
        return [f"{gpu.architecture} (fitted on {_listed(names)})"]
    capabilities = [capability for _, capability, _ in scope.architectures]
    if gpu.compute_capability not in capabilities:
        return [f"compute capability {gpu.compute_capability} (fitted on {_listed(capabilities)})"]
    width, ratio = _tensor_ratio(gpu, case.dtype)
    if (gpu.architecture, gpu.compute_capability, width) not in scope.architectures:
        return [f"{gpu.architecture} in {case.dtype}"]
    fitted = [seen for bytes_each, seen in scope.tensor_ratios if bytes_each == width]
    if any(abs(ratio / seen - 1) <= _SAME_RATIO for seen in fitted):
        return []
    of_fitted = _listed(f"{seen:g}" for seen in fitted)
    return [f"tensor cores at {ratio:.1f} times the FP32 rate (fitted on {of_fitted})"]


def _time_beyond(seconds: float) -> list[str]:
    return [f"times below {LEAST_S * 1e3:g} ms"] if seconds < LEAST_S else []


def _architecture(seen: Observation) -> tuple[str, str, int]:
    return seen.gpu.architecture, seen.gpu.compute_capability, ITEM_BYTES[seen.case.dtype]


def _tensor_ratio(gpu: Gpu, dtype: str) -> tuple[int, float]:
    ratio = gpu.tensor_flop_s(cast("Precision", dtype)) / gpu.vector_flop_s
    return ITEM_BYTES[dtype], round(ratio, 1)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(set(names)))
