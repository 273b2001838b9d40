"""Predicts a case's memory on a card and whether it fits, from trace, workspaces and allocator.

Loads torch (through `trace`); needs neither a GPU nor weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import torch

from bench.core.units import ITEM_BYTES
from bench.errors import ConfigError
from bench.record import Case, Confidence, Prediction, Verdict
from bench.vram import timeline, trace
from bench.vram.allocator import OutOfMemoryError
from bench.vram.blocks import MIN_BLOCK_BYTES
from bench.vram.cudnn import CuDnn
from bench.vram.replay import Peaks, replay, reserved_band
from bench.vram.timeline import Timeline
from bench.workloads import models
from bench.workloads.labels import label_of

#: Variants that can be traced. The memory layouts of others, and so their copies, are not known.
VARIANTS = ("default", "sliced")


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
        """Bytes left for torch's pool with the largest, the middle and the smallest context: in ascending order."""
        low, high = self.context_bytes
        least, middle, most = (max(self.total_bytes - context, 0) for context in (high, (low + high) // 2, low))
        return least, middle, most


@dataclass(frozen=True, slots=True)
class Demand:
    """A case's memory in an unlimited pool: `needed` with the leanest kernels, `taken` with the preferred ones."""

    weights_bytes: int
    passes: tuple[tuple[int, ...], ...]
    needed: Peaks
    taken: Peaks
    band: tuple[int, int]
    leanest: Timeline
    preferred: Timeline


def predict(case: Case, backend: CuDnn, card: Card) -> tuple[Prediction, Demand, Peaks | None]:
    """The verdict on a case, its demand in an unlimited pool, and its peaks on this card (None: out of memory).

    Raises ConfigError for a case that can't be traced.
    """
    if backend.measured is not None:
        backend = backend.suited(trace.capture(_normalised(case)).kernels, ITEM_BYTES[case.dtype])
    required = demand(case, backend)
    verdict, confidence, reason, peaks = _judge(required, card)
    low, high = required.band
    if verdict == "tight":
        low, high = min(required.needed.reserved_bytes, low), card.capacities[2]
    prediction = Prediction(
        verdict=verdict,
        confidence=confidence,
        reason=reason,
        workspaces=backend.source,
        architecture=backend.architecture or None,
        needed_allocated_bytes=required.needed.allocated_bytes,
        needed_reserved_bytes=required.needed.reserved_bytes,
        taken_allocated_bytes=required.taken.allocated_bytes,
        taken_reserved_bytes=required.taken.reserved_bytes,
        taken_low_bytes=required.band[0],
        taken_high_bytes=required.band[1],
        reserved_low_bytes=low,
        reserved_high_bytes=high,
        capacity_bytes=card.capacities[1],
        context_low_bytes=card.context_bytes[0],
        context_high_bytes=card.context_bytes[1],
        work=models.workload(case.model).work(case),
    )
    return prediction, required, peaks


def cudnn_here() -> str | None:
    """The version of cuDNN as torch reports it (`91002` is 9.10.2); None without a GPU."""
    version = torch.backends.cudnn.version() if torch.cuda.is_available() else None  # type: ignore[no-untyped-call]
    return None if version is None else str(version)


def demand(case: Case, backend: CuDnn) -> Demand:
    """The case's memory in an unlimited pool. Raises ConfigError for a case that can't be traced."""
    return _demand(_normalised(case), replace(backend, architecture=""))


def _normalised(case: Case) -> Case:
    """The representative of all cases with the same allocations. Raises ConfigError for one that can't be traced."""
    if case.variant not in VARIANTS:
        valid = " and ".join(VARIANTS)
        raise ConfigError(f"{label_of(case)}: variant {case.variant!r} can't be predicted. Use {valid}.")
    tile = models.workload(case.model).tile_used(case)
    return case.model_copy(update={"weights": "random", "tiling": tile or "off"})


@lru_cache(maxsize=1024)
def _demand(case: Case, backend: CuDnn) -> Demand:
    traced = trace.capture(case)
    item_bytes = ITEM_BYTES[case.dtype]
    tiled = len(traced.passes) > 1
    # later tiles repeat the first of their shape, except that more results are alive: see `_excess_bytes`
    repeats = 1 if tiled else None
    leanest = timeline.build(traced, backend.leanest, item_bytes, MIN_BLOCK_BYTES, repeats)
    preferred = timeline.build(traced, backend, item_bytes, MIN_BLOCK_BYTES, repeats)
    taken, needed = replay(preferred), replay(leanest)
    band = (
        taken.reserved_bytes,
        *reserved_band(preferred, tuple(multiple for multiple in backend.band if multiple != 1)),
    )
    return Demand(
        weights_bytes=traced.weight_elements * item_bytes,
        passes=traced.passes,
        needed=Peaks(needed.allocated_bytes + _excess_bytes(leanest), needed.reserved_bytes),
        taken=Peaks(taken.allocated_bytes + _excess_bytes(preferred), taken.reserved_bytes),
        band=(min(band), max(band)),
        leanest=leanest,
        preferred=preferred,
    )


def _excess_bytes(call: Timeline) -> int:
    """The height of omitted tiles' peak above the timeline's: more results of earlier tiles are alive during them."""
    return max(0, call.left_out_bytes - call.peak_bytes)


def _judge(required: Demand, card: Card) -> tuple[Verdict, Confidence, str, Peaks | None]:
    """The verdict, its confidence and reason, and the peaks on this card."""
    low, middle, high = card.capacities
    if high < required.weights_bytes:
        return "out_of_memory", "high", "the weights alone exceed the memory", None
    confidence: Confidence
    if required.taken.reserved_bytes <= middle:
        confidence = "low"
        if required.taken.reserved_bytes <= low:
            confidence = "high" if required.band[1] <= low else "medium"
        return "fits", confidence, _FITS[confidence], required.taken
    preferred = _within(required.preferred, middle)
    peaks = preferred or _within(required.leanest, middle)
    if peaks is None:
        needed = required.needed.allocated_bytes
        confidence = "high" if needed > high else "medium" if needed > middle else "low"
        return "out_of_memory", confidence, _OOM[confidence], None
    confidence = "medium" if required.needed.reserved_bytes <= low else "low"
    only_cache = preferred is not None and not preferred.leaner and confidence == "medium"
    return "tight", confidence, _EMPTIES_CACHE if only_cache else _TIGHT[confidence], peaks


def _within(call: Timeline, capacity: int) -> Peaks | None:
    """The peaks of a call in a pool of this many bytes; None if it is out of memory."""
    try:
        return replay(call, capacity)
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
