"""How a prediction goes beyond the times that the model was fitted on, and the range that applies there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from bench.analysis.speed.fit import Model
from bench.analysis.speed.observation import Observation, least
from bench.config.gpus import Gpu, Precision
from bench.core.work import Work
from bench.record import Case
from bench.workloads import models
from bench.workloads.labels import extras


@dataclass(frozen=True, slots=True)
class Range:
    """The least and the most seconds of a call; `most_s` is None if nothing bounds it."""

    least_s: float
    most_s: float | None


def beyond(case: Case, gpu: Gpu, observations: Sequence[Observation]) -> tuple[str, ...]:
    """The properties of a case on a card that no observation has, each in words; empty if there are none.

    The errors of cards left out do not hold for these. A model in a precision is named only if the precision and the
    model were observed, but not together.
    """
    fitted = [observation.case for observation in observations]
    title = models.title(case.model)
    unseen = []
    if case.operation not in {seen.operation for seen in fitted}:
        unseen.append(f"{case.operation} (fitted on {_listed({seen.operation for seen in fitted})} alone)")
    if case.dtype not in {seen.dtype for seen in fitted}:
        unseen.append(f"{case.dtype} (fitted on {_listed({seen.dtype for seen in fitted})})")
    elif case.model not in {seen.model for seen in fitted}:
        unseen.append(f"{title} (fitted on {_listed({models.title(seen.model) for seen in fitted})})")
    elif (case.model, case.dtype) not in {(seen.model, seen.dtype) for seen in fitted}:
        unseen.append(f"{title} in {case.dtype}")
    if extras(case) and extras(case) not in [extras(seen) for seen in fitted]:
        unseen += extras(case)
    if not is_seen(gpu, observations):
        unseen.append(f"{gpu.architecture} (fitted on {_listed({seen.gpu.architecture for seen in observations})})")
    return tuple(unseen)


def is_seen(gpu: Gpu, observations: Sequence[Observation]) -> bool:
    """Whether a card of the same architecture was observed. For others the model's error is not known."""
    return gpu.architecture in {observation.gpu.architecture for observation in observations}


def bounds(
    work: Work, dtype: str, gpu: Gpu, model: Model, observations: Sequence[Observation], worst: float | None
) -> Range:
    """The range of a call's seconds on an architecture without a fitted time.

    Least: all products at the card's rated rates, which no kernel exceeds.

    Most: the predicted time on the quickest fitted card that is not faster in any rate (tensor cores in that precision,
    vector units, bandwidth), plus the model's worst error on a card left out (`worst`, relative). This assumes that a
    card with higher rates is not slower. None if every fitted card is faster in some rate, or if the error is not
    known. Neither end uses a time of the unseen architecture.

    Raises ValueError for an unknown precision.
    """
    parts = least(work, dtype, gpu)
    rates = _rates(gpu, dtype)
    slower = {
        seen.card: seen.gpu
        for seen in observations
        if all(own >= other for own, other in zip(rates, _rates(seen.gpu, dtype), strict=True))
    }
    times = [model.seconds(work, dtype, card) for card in slower.values()]
    most_s = min(times) * (1 + worst) if times and worst is not None else None
    return Range(parts.products_s + parts.attention_s, most_s)


def _rates(gpu: Gpu, dtype: str) -> tuple[float, float, float]:
    return gpu.tensor_flop_s(cast("Precision", dtype)), gpu.vector_flop_s, gpu.bandwidth_byte_s


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))
