"""The predicted stages of a call that has several, such as a pipeline's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from bench.core.units import memory_percent
from bench.predictions.target_cards import TargetCard
from bench.record import Case, Memory, Prediction, Stage
from bench.workloads import models

if TYPE_CHECKING:
    from bench.vram.replay import Peaks
    from bench.vram.stages import PredictedPart


@dataclass(frozen=True, slots=True)
class StagedCall:
    """A call predicted stage by stage on a card.

    Attributes:
        parts: in order; a stage may have several, one after another.
        prediction: the verdict on the whole call: that of the part that decides.
        peaks: of that part on the card; None if any part is out of memory.
        weights_bytes: the most that weights take during a part.
    """

    parts: Sequence[PredictedPart]
    prediction: Prediction
    peaks: Peaks | None
    weights_bytes: int


def predict(case: Case, card: TargetCard) -> StagedCall | None:
    """The stages of a case on a card; None if its call has only one. Raises ConfigError if one can't be traced."""
    from bench.vram import stages

    parts = models.workload(case.model).parts(case)
    if not parts:
        return None
    predicted = stages.predict(parts, card.backend, card.memory(), card.place.allocator)
    is_offloaded = all(part.resident == (part.case,) for part in parts)
    prediction, peaks = stages.whole(predicted, keeps_pool=not is_offloaded)
    weights = max(each.required.weights_bytes for each in predicted)
    return StagedCall(predicted, prediction, peaks, weights)


def stages_of(call: StagedCall, total_bytes: int) -> tuple[Stage, ...]:
    """The stages as a record has them: each with the peak of its largest part, unless the call is out of memory.

    `total_bytes` is the memory that shares are of.
    """
    by_stage = groupby(call.parts, key=lambda each: each.part.stage)
    return tuple(_stage(name, list(parts), call, total_bytes) for name, parts in by_stage)


def _stage(name: str, parts: Sequence[PredictedPart], call: StagedCall, total_bytes: int) -> Stage:
    largest = max(parts, key=lambda each: each.prediction.taken_reserved_bytes)
    low, high = largest.required.band
    peaks = None if call.peaks is None else largest.peaks
    memory = (
        None
        if peaks is None
        else Memory(
            percent=memory_percent(peaks.reserved_bytes, total_bytes),
            peak_bytes=peaks.reserved_bytes,
            weights_bytes=largest.required.weights_bytes,
            peak_allocated_bytes=peaks.allocated_bytes,
            peak_reserved_bytes=peaks.reserved_bytes,
        )
    )
    flops = sum(each.work.flops for each in parts)
    steps = largest.part.repeats if largest.part.is_step else None
    return Stage(name=name, memory=memory, flops=flops, steps=steps, reserved_range=(low, high))
