"""In what a prediction goes beyond the times that the model was fitted on. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bench import models
from bench.config.gpus import Gpu
from bench.record import Case
from bench.speed.observation import Observation


def beyond(case: Case, gpu: Gpu, observations: Sequence[Observation]) -> tuple[str, ...]:
    """What of a case on a card was not among the observations, each in words; empty where all was.

    The errors of cards left out say nothing of these. One of a model and its precision is told only where the
    precision alone is known.
    """
    cases = [one.case for one in observations]
    title = models.title(case.model)
    told = []
    if case.operation not in {one.operation for one in cases}:
        told.append(f"{case.operation} (fitted on {_listed({one.operation for one in cases})} alone)")
    if case.dtype not in {one.dtype for one in cases}:
        told.append(f"{case.dtype} (fitted on {_listed({one.dtype for one in cases})})")
    elif case.model not in {one.model for one in cases}:
        told.append(f"{title} (fitted on {_listed({models.title(one.model) for one in cases})})")
    elif (case.model, case.dtype) not in {(one.model, one.dtype) for one in cases}:
        told.append(f"{title} in {case.dtype}")
    if case.batch not in {one.batch for one in cases}:
        told.append(f"batch {case.batch}")
    if gpu.architecture not in {one.gpu.architecture for one in observations}:
        told.append(f"{gpu.architecture} (fitted on {_listed({one.gpu.architecture for one in observations})})")
    return tuple(told)


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))
