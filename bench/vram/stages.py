"""Predicts the memory of a call stage by stage, with what else is on the device during each.

Each part of a stage is a traced call of its own (`workloads.base.StagePart`) on an empty pool that holds the resident
weights and the tensors that live through it. A pool that earlier stages have used may reserve more: at the most all
that they took, if nothing of it is used again; torch gives it back before a call fails.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from operator import add

from bench.core.units import ITEM_BYTES, QUANTISED
from bench.core.work import Work
from bench.record import AllocatorKind, Case, Confidence, Prediction, Verdict
from bench.traces.tracing import kernels_of, representative, trace_of
from bench.vram import verdict
from bench.vram.cudnn import CuDnn
from bench.vram.replay import Peaks
from bench.vram.verdict import Card, Demand
from bench.workloads import models
from bench.workloads.base import StagePart

_WORST_LAST: tuple[Verdict, ...] = ("fits", "tight", "out_of_memory")
_LEAST_SURE_LAST: tuple[Confidence, ...] = ("high", "medium", "low")


@dataclass(frozen=True, slots=True)
class PredictedPart:
    """A part of a stage on a card.

    Attributes:
        prediction: the verdict, as if the call were this part alone.
        peaks: on the card; None if it is out of memory.
        required: its memory in an unlimited pool.
        work: what all its repetitions compute and move.
    """

    part: StagePart
    prediction: Prediction
    peaks: Peaks | None
    required: Demand
    work: Work

    @property
    def order(self) -> tuple[int, int, int]:
        """Larger for the part that decides whether the call fits."""
        return (
            _WORST_LAST.index(self.prediction.verdict),
            _LEAST_SURE_LAST.index(self.prediction.confidence),
            self.prediction.taken_reserved_bytes,
        )


def predict(
    parts: Sequence[StagePart], backend_of: Callable[[Case], CuDnn], card: Card, allocator: AllocatorKind = "native"
) -> list[PredictedPart]:
    """The parts of a call on a card. `backend_of` gives the kernels of a case, by its precision.

    Raises ConfigError for a part that can't be traced, or whose numbers do not fit into a record.
    """
    return [_predicted(part, backend_of(part.case), card, allocator) for part in parts]


def whole(parts: Sequence[PredictedPart], *, keeps_pool: bool) -> tuple[Prediction, Peaks | None]:
    """The prediction of the call: that of the part that decides, with the work of all; None as in `PredictedPart`.

    `keeps_pool`: whether what earlier parts reserved stays reserved, which widens the range upwards. Offloading gives
    it back.
    """
    decisive = max(parts, key=lambda each: each.order)
    prediction = decisive.prediction
    high = kept_bytes(parts) if keeps_pool else prediction.taken_high_bytes
    high = max(high, prediction.taken_high_bytes)
    reserved_high = min(max(high, prediction.reserved_high_bytes), max(prediction.capacity_bytes, 0))
    update: dict[str, object] = {
        "work": reduce(add, (each.work for each in parts)),
        "reason": f"{decisive.part.stage}: {prediction.reason}",
        "taken_high_bytes": high,
        "reserved_high_bytes": max(reserved_high, prediction.reserved_high_bytes),
    }
    is_out = any(each.peaks is None for each in parts)
    return prediction.model_copy(update=update), None if is_out else decisive.peaks


def kept_bytes(parts: Sequence[PredictedPart]) -> int:
    """What the pool reserves after all parts if nothing that one freed is used by another."""
    weights = max(each.required.weights_bytes for each in parts)
    return weights + sum(max(0, each.required.band[1] - each.required.weights_bytes) for each in parts)


def _predicted(part: StagePart, backend: CuDnn, card: Card, allocator: AllocatorKind) -> PredictedPart:
    case = representative(part.case)
    backend = verdict.backend_for(case, backend)
    held = sum(trace_of(each).input_elements * ITEM_BYTES[each.dtype] for each in part.held) + _unpacked_bytes(part)
    required = _demand(case, replace(backend, architecture=""), allocator, resident_weights(part), held)
    work = kernels_of(part.case).work.times(part.repeats)
    verdict.refuse_beyond_records(part.case, work, required.band[1])
    prediction, peaks = verdict.judge(required, backend, work, card)
    return PredictedPart(part, prediction, peaks, required, work)


def resident_weights(part: StagePart) -> tuple[int, ...]:
    """Bytes of each weight that is on the device during a part."""
    sizes = tuple(size for each in part.resident for _, size in _stored(each))
    return (max(sizes, default=0),) if part.by_leaf else sizes


def _stored(case: Case) -> list[tuple[int, int]]:
    """The elements of each weight of a case's model, and the bytes that it takes."""
    workload = models.workload(case.model)
    traced = next((part.case for part in workload.parts(case)), case)  # a quantised model computes in another precision
    return [(elements, workload.stored_bytes(case, elements)) for elements in trace_of(traced).weights]


def _unpacked_bytes(part: StagePart) -> int:
    """The largest quantised weight of the running model in the precision of the call: kernels unpack one at a time."""
    item_bytes = ITEM_BYTES[part.case.dtype]
    stored = (pair for each in part.resident if each.dtype in QUANTISED for pair in _stored(each))
    return max((elements * item_bytes for elements, size in stored if size < elements * item_bytes), default=0)


@lru_cache(maxsize=64)
def _demand(case: Case, backend: CuDnn, allocator: AllocatorKind, resident: tuple[int, ...], held_bytes: int) -> Demand:
    return verdict.demand_of_trace(trace_of(case), backend, ITEM_BYTES[case.dtype], allocator, resident, held_bytes)
