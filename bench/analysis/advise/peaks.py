"""How much of a card's memory an option takes, and whether it fits: measured if known, else published or predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis.advise.card import Place
from bench.analysis.advise.local_ways import call_of
from bench.core.units import format_bytes, memory_bytes
from bench.record import Case, Confidence, Kind, Measured, OutOfMemory, Prediction, Record, Verdict


@dataclass(frozen=True, slots=True)
class PredictedPeak:
    """The predicted memory of a case in a place.

    Attributes:
        prediction: None if not even the weights fit.
        reserved_bytes: the peak of torch's pool there; None if out of memory.
        weights_bytes: of the model, if they do not fit.
    """

    prediction: Prediction | None
    reserved_bytes: int | None = None
    weights_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Peak:
    """The peak of torch's pool.

    Attributes:
        kind: measured, published or predicted.
        reserved_bytes: None if it does not run.
        needed_bytes: the least that it needs, if it is out of memory and that is known.
        reason: what the verdict rests on.
        has_room: whether at least the weights fit.
    """

    kind: Kind
    verdict: Verdict
    confidence: Confidence
    reserved_bytes: int | None
    needed_bytes: int | None
    reason: str
    has_room: bool = True

    @property
    def is_comfortable(self) -> bool:
        """Whether it fits with more than low confidence."""
        return self.verdict == "fits" and self.confidence != "low"


def of(case: Case, place: Place, records: Sequence[Record], predicted: PredictedPeak) -> Peak:
    """The peak of a case in a place; `records` may be of any card, and count as made with the native allocator."""
    for record in alike(case, place, records) if place.allocator == "native" else ():
        observed = _observed(record, place)
        if observed is not None:
            return observed
    return _predicted(predicted, place)


def alike(case: Case, place: Place, records: Sequence[Record]) -> list[Record]:
    """The records of such a card and call: measured ones first, then those under the same limit."""
    call = call_of(case)
    same_call = [
        record
        for record in records
        if record.kind in {"measured", "published"} and place.is_of(record) and call_of(record.case) == call
    ]
    return sorted(same_call, key=lambda r: (r.kind != "measured", r.vram_limit_bytes != place.limit_bytes))


def _observed(record: Record, place: Place) -> Peak | None:
    """The peak of a place by a record; None if it had other memory, which leaves it uncertain."""
    had = place.total_bytes if record.vram_limit_bytes is None else record.vram_limit_bytes
    if isinstance(record.outcome, OutOfMemory) and record.outcome.where == "device" and had >= place.available_bytes:
        return Peak(record.kind, "out_of_memory", "high", None, None, f"out of memory ({record.kind})")
    peak = _peak_bytes(record, had)
    if not isinstance(record.outcome, Measured) or peak is None:
        return None
    if peak <= place.capacities[0]:
        return Peak(record.kind, "fits", "high", peak, None, f"ran on this card ({record.kind})")
    if had == place.available_bytes:
        reason = f"ran on this card with almost no memory left ({record.kind})"
        return Peak(record.kind, "tight", "medium", peak, None, reason)
    return None


def _peak_bytes(record: Record, had: int) -> int | None:
    """The peak of a record; of a published one by the docs' arithmetic."""
    memory = record.memory
    if memory is None or memory.peak_bytes is not None:
        return memory.peak_bytes if memory else None
    return None if memory.percent is None else memory_bytes(memory.percent, had)


def _predicted(predicted: PredictedPeak, place: Place) -> Peak:
    prediction = predicted.prediction
    if prediction is None:
        weights, available = format_bytes(predicted.weights_bytes), format_bytes(place.available_bytes)
        reason = f"the weights alone are {weights}, more than {available} minus the CUDA context"
        return Peak("predicted", "out_of_memory", "high", None, predicted.weights_bytes, reason, has_room=False)
    reserved_bytes, needed_bytes, reason = predicted.reserved_bytes, None, prediction.reason
    if prediction.verdict == "out_of_memory":
        needed_bytes = prediction.needed_allocated_bytes
        room, needed = format_bytes(place.capacities[1]), format_bytes(needed_bytes)
        if needed_bytes > place.capacities[1]:
            reason = f"needs at least {needed}, but only {room} is available"
        else:
            reason = f"needs {needed} of {room}, but the allocator can't place it"
    return Peak("predicted", prediction.verdict, prediction.confidence, reserved_bytes, needed_bytes, reason)
