"""The prediction of a case on a card, as a record or as memory for advice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bench.analysis.advise.peaks import PredictedPeak
from bench.core.units import memory_percent
from bench.plan import Plan
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
    from bench.vram.verdict import Demand


def predict(case: Case, card: TargetCard) -> PredictedPeak:
    """The memory that a case takes on a card. Raises ConfigError if it can't be traced."""
    from bench.vram import verdict

    prediction, demand, peaks = verdict.predict(case, card.backend(case), card.memory(), card.place.allocator)
    if card.no_torch is not None:
        return PredictedPeak(_unsupported(prediction, card.no_torch))
    taken_bytes = prediction.taken_reserved_bytes
    if card.place.capacities[2] < demand.weights_bytes:
        return PredictedPeak(None, weights_bytes=demand.weights_bytes, taken_bytes=taken_bytes)
    return PredictedPeak(prediction, None if peaks is None else peaks.reserved_bytes, taken_bytes=taken_bytes)


def records_of(case: Case, cards: Sequence[TargetCard], plan: Plan) -> list[Record]:
    """The predicted records of a case, one for each card. Raises ConfigError if the case can't be predicted."""
    from bench.vram import verdict

    run = Run(
        id=f"predicted-{plan.config}",
        config=plan.config,
        plan=plan.id,
        cases=len(plan.cases) * len(cards),
        started_at=timestamp(datetime.now(UTC)),
    )
    return [
        _record(case, card, run, *verdict.predict(case, card.backend(case), card.memory(), card.place.allocator))
        for card in cards
    ]


def _unsupported(prediction: Prediction, reason: str) -> Prediction:
    """The prediction for a card that torch does not run on; what the case would take stays in it."""
    unsupported = {"verdict": "unsupported", "confidence": "high", "reason": reason, "kernels": None}
    return prediction.model_copy(update=unsupported)


def _record(
    case: Case, card: TargetCard, run: Run, prediction: Prediction, demand: Demand, peaks: Peaks | None
) -> Record:
    outcome: Outcome = Measured() if peaks else OutOfMemory(where="device", message=prediction.reason)
    if card.no_torch is not None:
        prediction, peaks, outcome = _unsupported(prediction, card.no_torch), None, Skipped(reason=card.no_torch)
    place, counts = card.place, models.workload(case.model).count(case, demand.passes)
    memory = (
        None
        if peaks is None
        else Memory(
            percent=memory_percent(peaks.reserved_bytes, place.limit_or_total_bytes),
            peak_bytes=peaks.reserved_bytes,
            weights_bytes=demand.weights_bytes,
            peak_allocated_bytes=peaks.allocated_bytes,
            peak_reserved_bytes=peaks.reserved_bytes,
        )
    )
    return Record(
        kind="predicted",
        case=case,
        device=Device(kind="cuda", name=card.name, total_bytes=place.total_bytes),
        vram_limit_bytes=place.limit_bytes,
        run=run,
        outcome=outcome,
        stages=(
            Stage(
                name=case.operation,
                memory=memory,
                tiles=counts.tiles,
                chunks=counts.chunks,
                flops=prediction.work.flops,
            ),
        ),
        prediction=prediction,
        assumed=("total_bytes",) if place.is_memory_assumed else (),
        recorded_at=run.started_at,
    )
