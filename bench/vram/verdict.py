"""Predicts a case's memory on a card and whether it fits, from trace, workspaces and allocator, without a GPU."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from bench.core.units import ITEM_BYTES, pool_bytes
from bench.core.work import Work
from bench.errors import ConfigError
from bench.record import AllocatorKind, Case, Confidence, KernelChoice, Prediction, Verdict
from bench.traces import indexing
from bench.traces.events import Trace
from bench.traces.tracing import kernels_of, representative, trace_of
from bench.vram import timeline, unlimited
from bench.vram.allocator import OutOfMemoryError
from bench.vram.blocks import MIN_BLOCK_BYTES
from bench.vram.cudnn import CuDnn
from bench.vram.replay import Peaks, replay
from bench.vram.timeline import Timeline
from bench.workloads.labels import label_of

#: The changes of a timeline that is replayed for the ends of the band only, so that a prediction takes seconds.
_LONG = 50_000
#: The largest number that a record can have (`store.line`).
_MOST_NUMBER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Card:
    """A card's memory, or the part of it that is available.

    Attributes:
        total_bytes: memory for the case and its CUDA context.
        context_bytes: smallest and largest size of the context.
    """

    total_bytes: int
    context_bytes: tuple[int, int]

    @property
    def capacities(self) -> tuple[int, int, int]:
        """Bytes left for torch's pool with the largest, a middle and the smallest context."""
        return pool_bytes(self.total_bytes, self.context_bytes)


@dataclass(frozen=True, slots=True)
class Demand:
    """A case's memory in an unlimited pool, with kernels that take no workspace (lean) and with the preferred ones.

    Attributes:
        passes: input shapes of the passes through encoder or decoder.
        band: the least and the most bytes that the preferred kernels may reserve.
        largest_elements: elements of the largest tensor.
        live_bytes: peak of live tensors with kernels that take no workspace, without fragmentation.
        allocator: the allocator that the pool is of.
    """

    weights_bytes: int
    passes: tuple[tuple[int, ...], ...]
    lean_peaks: Peaks
    preferred_peaks: Peaks
    band: tuple[int, int]
    largest_elements: int
    lean_timeline: Timeline
    preferred_timeline: Timeline
    live_bytes: int
    allocator: AllocatorKind = "native"


@dataclass(frozen=True, slots=True)
class _Judgement:
    """Whether a case fits a card, and why; peaks and kernels on that card, None if it is out of memory."""

    verdict: Verdict
    confidence: Confidence
    reason: str
    peaks: Peaks | None = None
    kernels: KernelChoice | None = None


def predict(
    case: Case, backend: CuDnn, card: Card, allocator: AllocatorKind = "native"
) -> tuple[Prediction, Demand, Peaks | None]:
    """The verdict on a case, its demand in an unlimited pool, and its peaks on this card (None: out of memory).

    Raises ConfigError for a case that can't be traced, or whose numbers do not fit into a record.
    """
    backend = backend_for(representative(case), backend)
    required, work = demand(case, backend, allocator), kernels_of(case).work
    refuse_beyond_records(case, work, required.band[1])
    prediction, peaks = judge(required, backend, work, card)
    return prediction, required, peaks


def refuse_beyond_records(case: Case, work: Work, most_bytes: int) -> None:
    """Raise ConfigError if the numbers of a prediction do not fit into a record."""
    if max(work.flops, work.elements, most_bytes) > _MOST_NUMBER:
        raise ConfigError(
            f"{label_of(case)}: its operations or bytes are too many for a record, whose numbers fit in 64 bits. "
            "Take a smaller image or a smaller batch."
        )


def judge(required: Demand, backend: CuDnn, work: Work, card: Card) -> tuple[Prediction, Peaks | None]:
    """The verdict on a demand with the kernels of this backend, and its peaks on the card (None: out of memory)."""
    judgement = _with_caveat(_judge(required, card), indexing.caveat(required.largest_elements))
    lean, preferred = required.lean_peaks, required.preferred_peaks
    low, high = required.band
    if judgement.verdict == "tight":
        low, high = min(lean.reserved_bytes, low), card.capacities[2]
    prediction = Prediction(
        verdict=judgement.verdict,
        confidence=judgement.confidence,
        reason=judgement.reason,
        kernels=judgement.kernels,
        workspaces=backend.source,
        allocator=required.allocator,
        architecture=backend.architecture or None,
        needed_allocated_bytes=lean.allocated_bytes,
        needed_reserved_bytes=lean.reserved_bytes,
        taken_allocated_bytes=preferred.allocated_bytes,
        taken_reserved_bytes=preferred.reserved_bytes,
        taken_low_bytes=required.band[0],
        taken_high_bytes=required.band[1],
        reserved_low_bytes=low,
        reserved_high_bytes=high,
        capacity_bytes=card.capacities[1],
        context_low_bytes=card.context_bytes[0],
        context_high_bytes=card.context_bytes[1],
        work=work,
    )
    return prediction, judgement.peaks


@lru_cache(maxsize=1024)
def backend_for(case: Case, backend: CuDnn) -> CuDnn:
    """The backend with the workspaces and the band that apply to the kernels of a case."""
    return backend.for_kernels(trace_of(case).kernels, ITEM_BYTES[case.dtype])


def demand(case: Case, backend: CuDnn, allocator: AllocatorKind = "native") -> Demand:
    """The case's memory in an unlimited pool. Raises ConfigError for a case that can't be traced."""
    return _demand(representative(case), replace(backend, architecture=""), allocator)


@lru_cache(maxsize=32)  # each may hold two timelines of 20 MB
def _demand(case: Case, backend: CuDnn, allocator: AllocatorKind) -> Demand:
    return demand_of_trace(trace_of(case), backend, ITEM_BYTES[case.dtype], allocator)


def demand_of_trace(
    traced: Trace,
    backend: CuDnn,
    item_bytes: int,
    allocator: AllocatorKind,
    resident: Sequence[int] | None = None,
    held_bytes: int = 0,
) -> Demand:
    """The memory of a traced call in an unlimited pool; `resident` and `held_bytes` as in `timeline.build`."""
    if resident is None:
        resident = [elements * item_bytes for elements in traced.weights]
    # A later tile allocates like the first of its shape, but with more earlier results alive: `_unlimited` adds those.
    lean, preferred = (
        timeline.build(
            traced, kernels, item_bytes, MIN_BLOCK_BYTES, each_shape_once=True, resident=resident, held_bytes=held_bytes
        )
        for kernels in (backend.leanest, backend)
    )
    (lean_peaks,) = _unlimited(lean, (1.0,), allocator)
    band = (min(backend.band), max(backend.band)) if len(preferred.changes) > _LONG else backend.band
    preferred_peaks, *others = _unlimited(preferred, dict.fromkeys((1.0, *band)), allocator)
    reserved = [peaks.reserved_bytes for peaks in (preferred_peaks, *others)]
    return Demand(
        weights_bytes=sum(resident),
        passes=traced.passes,
        lean_peaks=lean_peaks,
        preferred_peaks=preferred_peaks,
        band=(min(reserved), max(reserved)),
        largest_elements=traced.largest_elements,
        lean_timeline=lean,
        preferred_timeline=preferred,
        live_bytes=lean.peak_bytes,
        allocator=allocator,
    )


def _unlimited(call: Timeline, factors: Iterable[float], allocator: AllocatorKind) -> list[Peaks]:
    """The peaks in an unlimited pool for each factor of the workspaces.

    Also during omitted tiles, when more results of earlier tiles are alive.
    """
    excess_bytes = max(0, call.left_out_bytes - call.peak_bytes)
    each_peaks = unlimited.peaks(call, factors, allocator)
    return [replace(peaks, allocated_bytes=peaks.allocated_bytes + excess_bytes) for peaks in each_peaks]


def _judge(required: Demand, card: Card) -> _Judgement:
    low, middle, high = card.capacities
    if high < required.weights_bytes:
        return _Judgement("out_of_memory", "high", "the weights alone exceed the memory")
    confidence: Confidence
    reserved_bytes = required.preferred_peaks.reserved_bytes
    if reserved_bytes <= middle:
        confidence = "high" if required.band[1] <= low else "medium" if reserved_bytes <= low else "low"
        return _Judgement("fits", confidence, _FITS[confidence], required.preferred_peaks, "preferred")
    preferred, peaks = _within(required, middle)
    if peaks is None:
        needed = required.lean_peaks.allocated_bytes
        confidence = "high" if needed > high else "medium" if needed > middle else "low"
        return _Judgement("out_of_memory", confidence, _OOM[confidence])
    confidence = "medium" if required.lean_peaks.reserved_bytes <= low else "low"
    kernels: KernelChoice = "preferred" if preferred and not preferred.shrunk_workspaces else "low_workspace"
    only_cache = kernels == "preferred" and confidence == "medium"
    return _Judgement("tight", confidence, _EMPTIES_CACHE if only_cache else _TIGHT[confidence], peaks, kernels)


def _within(required: Demand, capacity: int) -> tuple[Peaks | None, Peaks | None]:
    """The peaks with the preferred kernels, and those with these or the leanest; None if out of memory."""
    if required.live_bytes > capacity:  # no replay is needed to tell
        return None, None
    preferred = within(required.preferred_timeline, capacity, required.allocator)
    return preferred, preferred or within(required.lean_timeline, capacity, required.allocator)


def _with_caveat(judgement: _Judgement, caveat: str) -> _Judgement:
    """The judgement with what is not known about the call, which makes it less sure that it runs."""
    if not caveat:
        return judgement
    confidence = judgement.confidence if judgement.verdict == "out_of_memory" else "low"
    return replace(judgement, confidence=confidence, reason=f"{judgement.reason}; {caveat}")


def within(call: Timeline, capacity: int, allocator: AllocatorKind) -> Peaks | None:
    """The peaks of a call in a pool of this many bytes; None if it is out of memory."""
    try:
        return replay(call, capacity, allocator_kind=allocator)
    except OutOfMemoryError:
        return None


_FITS: dict[Confidence, str] = {
    "high": "even the upper end of the predicted memory fits, for any size of the CUDA context",
    "medium": "the predicted memory fits, but not the upper end of its range",
    "low": "fits unless the CUDA context is larger than typical",
}
_OOM: dict[Confidence, str] = {
    "high": "live tensors alone exceed the memory, for any kernels and any size of the CUDA context",
    "medium": "live tensors alone exceed the memory, unless the CUDA context is small",
    "low": "live tensors would fit, but the allocator's fragmentation does not leave enough room",
}
_EMPTIES_CACHE = "runs with the preferred kernels, but has to empty torch's cache on the way, which takes time"
_TIGHT: dict[Confidence, str] = {
    "medium": "runs with low-workspace kernels, which may be slower",
    "low": "the kernels with the least workspace just fit, unless the CUDA context is larger than typical",
}
