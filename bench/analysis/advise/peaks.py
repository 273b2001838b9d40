"""What an option takes of a card's memory, and whether it fits: as measured there, else published, else predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis.advise.card import Place
from bench.analysis.advise.local_ways import call_of
from bench.core.units import format_bytes, memory_bytes
from bench.record import Case, Confidence, Kind, Measured, OutOfMemory, Prediction, Record, Verdict


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What is predicted of a case in a place.

    Attributes:
        prediction: None where there is not even room for the weights.
        reserved_bytes: the peak of torch's pool there; None: out of memory.
        weights_bytes: those of the model, where there is no room for them.
    """

    prediction: Prediction | None
    reserved_bytes: int | None = None
    weights_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Peak:
    """The most of torch's pool.

    Attributes:
        kind: measured, published or predicted.
        reserved_bytes: None where it does not run.
        needed_bytes: what it needs at the least, where it is out of memory and that is known.
        reason: what the verdict rests on.
        has_room: whether at least the weights have room.
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


def of(case: Case, place: Place, records: Sequence[Record], foreseen: Foreseen) -> Peak:
    """The peak of a case in a place; `records` are those of any card."""
    for record in alike(case, place, records):
        found = _observed(record, place)
        if found is not None:
            return found
    return _predicted(foreseen, place)


def alike(case: Case, place: Place, records: Sequence[Record]) -> list[Record]:
    """The records of such a card and such a call: measured ones first, and of those the place's own limit."""
    call = call_of(case)
    mine = [
        record
        for record in records
        if record.kind in {"measured", "published"} and place.is_of(record) and call_of(record.case) == call
    ]
    return sorted(mine, key=lambda one: (one.kind != "measured", one.vram_limit_bytes != place.limit_bytes))


def _observed(record: Record, place: Place) -> Peak | None:
    """What a record says of a place; None where it had other memory, and so says nothing certain."""
    had = place.total_bytes if record.vram_limit_bytes is None else record.vram_limit_bytes
    if isinstance(record.outcome, OutOfMemory) and record.outcome.where == "device" and had >= place.usable_bytes:
        return Peak(record.kind, "out_of_memory", "high", None, None, f"out of memory ({record.kind})")
    peak = _peak_bytes(record, had)
    if not isinstance(record.outcome, Measured) or peak is None:
        return None
    if peak <= place.capacities[0]:
        return Peak(record.kind, "fits", "high", peak, None, f"it ran there ({record.kind})")
    if had == place.usable_bytes:
        left = f"it ran there ({record.kind}), with next to nothing left over"
        return Peak(record.kind, "tight", "medium", peak, None, left)
    return None


def _peak_bytes(record: Record, had: int) -> int | None:
    """The peak of a record; of a published one by the docs' rule of the percentage."""
    memory = record.memory
    if memory is None or memory.peak_bytes is not None:
        return memory.peak_bytes if memory else None
    return None if memory.percent is None else memory_bytes(memory.percent, had)


def _predicted(foreseen: Foreseen, place: Place) -> Peak:
    found = foreseen.prediction
    if found is None:
        weights = format_bytes(foreseen.weights_bytes)
        reason = f"the weights alone are {weights}, and {format_bytes(place.usable_bytes)} less the context is less"
        return Peak("predicted", "out_of_memory", "high", None, foreseen.weights_bytes, reason, has_room=False)
    if found.verdict == "unsupported":
        return Peak("predicted", "unsupported", found.confidence, None, None, found.reason)
    if found.verdict == "out_of_memory":
        room, needed = format_bytes(max(0, place.capacities[1])), format_bytes(found.needed_allocated_bytes)
        reason = (
            f"needs at least {needed}, and {room} is there for it"
            if found.needed_allocated_bytes > place.capacities[1]
            else f"would need {needed} of {room}, but not as the allocator places it"
        )
        return Peak("predicted", "out_of_memory", found.confidence, None, found.needed_allocated_bytes, reason)
    return Peak("predicted", found.verdict, found.confidence, foreseen.reserved_bytes, None, found.reason)
