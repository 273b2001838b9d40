"""The prediction of a case on a card, as a record or as memory for advice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bench.analysis.advise.peaks import PredictedPeak
from bench.core.units import memory_percent
from bench.plan import Plan
from bench.predictions import predicted_stages
from bench.predictions.target_cards import TargetCard
from bench.record import (
    Case,
    Device,
    Measured,
    Memory,
    Outcome,
    OutOfMemory,
    Prediction,
    Record,
    Run,
    Skipped,
    Stage,
    timestamp,
)
from bench.workloads import models

if TYPE_CHECKING:
    from bench.vram.replay import Peaks


def predict(case: Case, card: TargetCard) -> PredictedPeak:
    """The memory that a case takes on a card. Raises ConfigError if it can't be traced."""
    call = _predicted(case, card)
    prediction, peaks = call.prediction, call.peaks
    if card.no_torch is not None:
        return PredictedPeak(_unsupported(prediction, card.no_torch))
    taken_bytes = prediction.taken_reserved_bytes
    if card.place.capacities[2] < call.weights_bytes:
        return PredictedPeak(None, weights_bytes=call.weights_bytes, taken_bytes=taken_bytes)
    return PredictedPeak(prediction, None if peaks is None else peaks.reserved_bytes, taken_bytes=taken_bytes)


def records_of(case: Case, cards: Sequence[TargetCard], plan: Plan) -> list[Record]:
    """The predicted records of a case, one for each card. Raises ConfigError if the case can't be predicted."""
    run = Run(
        id=f"predicted-{plan.config}",
        config=plan.config,
        plan=plan.id,
        cases=len(plan.cases) * len(cards),
        started_at=timestamp(datetime.now(UTC)),
    )
    return [_record(case, card, run, _predicted(case, card)) for card in cards]


@dataclass(frozen=True, slots=True)
class _Predicted:
    """A case on a card: the prediction, its peaks there (None: out of memory), and the stages of its record.

    `refused` is the stage in which it is out of memory; None for a call of one stage.
    """

    prediction: Prediction
    peaks: Peaks | None
    weights_bytes: int
    stages: tuple[Stage, ...]
    refused: str | None = None


def _predicted(case: Case, card: TargetCard) -> _Predicted:
    """Raises ConfigError if the case can't be traced."""
    staged = predicted_stages.predict(case, card)
    if staged is not None:
        stages = predicted_stages.stages_of(staged, card.place.limit_or_total_bytes)
        refused = next((each.part.stage for each in staged.parts if each.peaks is None), None)
        return _Predicted(staged.prediction, staged.peaks, staged.weights_bytes, stages, refused)
    from bench.vram import verdict

    prediction, demand, peaks = verdict.predict(case, card.backend(case), card.memory(), card.place.allocator)
    counts = models.workload(case.model).count(case, case.operation, demand.passes)
    stage = Stage(
        name=case.operation,
        memory=_memory(peaks, demand.weights_bytes, card),
        tiles=counts.tiles,
        chunks=counts.chunks,
        flops=prediction.work.flops,
    )
    return _Predicted(prediction, peaks, demand.weights_bytes, (stage,))


def _memory(peaks: Peaks | None, weights_bytes: int, card: TargetCard) -> Memory | None:
    if peaks is None:
        return None
    return Memory(
        percent=memory_percent(peaks.reserved_bytes, card.place.limit_or_total_bytes),
        peak_bytes=peaks.reserved_bytes,
        weights_bytes=weights_bytes,
        peak_allocated_bytes=peaks.allocated_bytes,
        peak_reserved_bytes=peaks.reserved_bytes,
    )


def _unsupported(prediction: Prediction, reason: str) -> Prediction:
    """The prediction for a card that torch does not run on; what the case would take stays in it."""
    unsupported = {"verdict": "unsupported", "confidence": "high", "reason": reason, "kernels": None}
    return prediction.model_copy(update=unsupported)


def _record(case: Case, card: TargetCard, run: Run, call: _Predicted) -> Record:
    prediction, stages = call.prediction, call.stages
    refused = OutOfMemory(where="device", message=prediction.reason, stage=call.refused)
    outcome: Outcome = Measured() if call.peaks else refused
    if card.no_torch is not None:
        prediction, outcome = _unsupported(prediction, card.no_torch), Skipped(reason=card.no_torch)
        stages = tuple(stage.model_copy(update={"memory": None}) for stage in stages)
    place = card.place
    return Record(
        kind="predicted",
        case=case,
        device=Device(kind="cuda", name=card.name, total_bytes=place.total_bytes),
        vram_limit_bytes=place.limit_bytes,
        run=run,
        outcome=outcome,
        stages=stages,
        prediction=prediction,
        assumed=("total_bytes",) if place.is_memory_assumed else (),
        recorded_at=run.started_at,
    )
