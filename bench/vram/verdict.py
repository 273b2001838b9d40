"""What a case takes of a card's memory, and whether it fits: trace, workspaces and allocator put together.

Loads torch (by way of `trace`), and needs neither a GPU nor weights.
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

#: What is traced. Of the others the order of layouts, and so of copies, is not known.
VARIANTS = ("default", "sliced")


@dataclass(frozen=True, slots=True)
class Card:
    """A card, or what is left of one.

    Attributes:
        total_bytes: what the case may take, CUDA context included.
        context_bytes: what that context takes at the least, and at the most.
    """

    total_bytes: int
    context_bytes: tuple[int, int]

    @property
    def capacities(self) -> tuple[int, int, int]:
        """What torch's pool may take, if only nothing: with the largest context, one of the middle, the smallest."""
        low, high = self.context_bytes
        most, middle, least = (max(self.total_bytes - one, 0) for one in (high, (low + high) // 2, low))
        return most, middle, least


@dataclass(frozen=True, slots=True)
class Demand:
    """What a case takes of a pool without end: with the leanest kernels, and with those that are preferred."""

    weights_bytes: int
    passes: tuple[tuple[int, ...], ...]
    needed: Peaks
    taken: Peaks
    band: tuple[int, int]
    leanest: Timeline
    preferred: Timeline


def predict(case: Case, backend: CuDnn, card: Card) -> tuple[Prediction, Demand, Peaks | None]:
    """The verdict on a case; what it takes with memory to spare; and what it takes on this card, None: out of memory.

    Raises ConfigError for what can't be traced.
    """
    if backend.measured is not None:
        backend = backend.suited(trace.capture(_alike(case)).kernels, ITEM_BYTES[case.dtype])
    wanted = demand(case, backend)
    verdict, confidence, reason, here = _judge(wanted, card)
    low, high = wanted.band
    if verdict == "tight":
        low, high = min(wanted.needed.reserved_bytes, low), card.capacities[2]
    found = Prediction(
        verdict=verdict,
        confidence=confidence,
        reason=reason,
        workspaces=backend.source,
        architecture=backend.architecture or None,
        needed_allocated_bytes=wanted.needed.allocated_bytes,
        needed_reserved_bytes=wanted.needed.reserved_bytes,
        taken_allocated_bytes=wanted.taken.allocated_bytes,
        taken_reserved_bytes=wanted.taken.reserved_bytes,
        taken_low_bytes=wanted.band[0],
        taken_high_bytes=wanted.band[1],
        reserved_low_bytes=low,
        reserved_high_bytes=high,
        capacity_bytes=card.capacities[1],
        context_low_bytes=card.context_bytes[0],
        context_high_bytes=card.context_bytes[1],
        work=models.workload(case.model).work(case),
    )
    return found, wanted, here


def cudnn_here() -> str | None:
    """The version of cuDNN as torch tells it (`91002` is 9.10.2), if there is a GPU to use it."""
    version = torch.backends.cudnn.version() if torch.cuda.is_available() else None  # type: ignore[no-untyped-call]
    return None if version is None else str(version)


def demand(case: Case, backend: CuDnn) -> Demand:
    """What the case takes, whatever the card. Raises ConfigError for what can't be traced."""
    return _demand(_alike(case), replace(backend, architecture=""))


def _alike(case: Case) -> Case:
    """A case that allocates the same, one for all that do. Raises ConfigError for what can't be traced."""
    if case.variant not in VARIANTS:
        valid = " and ".join(VARIANTS)
        raise ConfigError(f"{label_of(case)}: variant {case.variant!r} can't be predicted, only {valid}.")
    tile = models.workload(case.model).tile_used(case)
    return case.model_copy(update={"weights": "random", "tiling": tile or "off"})


@lru_cache(maxsize=1024)
def _demand(case: Case, backend: CuDnn) -> Demand:
    traced = trace.capture(case)
    item_bytes = ITEM_BYTES[case.dtype]
    tiled = len(traced.passes) > 1
    # later tiles repeat the first of their shape, but for the results that lie beside them: see `_more`
    repeats = 1 if tiled else None
    leanest = timeline.build(traced, backend.leanest, item_bytes, MIN_BLOCK_BYTES, repeats)
    preferred = timeline.build(traced, backend, item_bytes, MIN_BLOCK_BYTES, repeats)
    taken, needed = replay(preferred), replay(leanest)
    band = (taken.reserved_bytes, *reserved_band(preferred, tuple(one for one in backend.band if one != 1)))
    return Demand(
        weights_bytes=traced.weight_elements * item_bytes,
        passes=traced.passes,
        needed=Peaks(needed.allocated_bytes + _more(leanest), needed.reserved_bytes),
        taken=Peaks(taken.allocated_bytes + _more(preferred), taken.reserved_bytes),
        band=(min(band), max(band)),
        leanest=leanest,
        preferred=preferred,
    )


def _more(call: Timeline) -> int:
    """By how much the tiles that were left out rise above those that are there, since more results lie beside them."""
    return max(0, call.left_out_bytes - call.peak_bytes)


def _judge(wanted: Demand, card: Card) -> tuple[Verdict, Confidence, str, Peaks | None]:
    """The verdict, how sure it is and why, and the peaks on this card."""
    low, middle, high = card.capacities
    if high < wanted.weights_bytes:
        return "out_of_memory", "high", "the weights alone are more than there is: nothing of this model runs", None
    if wanted.taken.reserved_bytes <= middle:
        sure: Confidence = "low"
        if wanted.taken.reserved_bytes <= low:
            sure = "high" if wanted.band[1] <= low else "medium"
        return "fits", sure, _FITS[sure], wanted.taken
    liked = _within(wanted.preferred, middle)
    here = liked or _within(wanted.leanest, middle)
    if here is None:
        needed = wanted.needed.allocated_bytes
        sure = "high" if needed > high else "medium" if needed > middle else "low"
        return "out_of_memory", sure, _OOM[sure], None
    sure = "medium" if wanted.needed.reserved_bytes <= low else "low"
    crowded = liked is not None and not liked.leaner and sure == "medium"
    return "tight", sure, _CROWDED if crowded else _TIGHT[sure], here


def _within(call: Timeline, capacity: int) -> Peaks | None:
    """The peaks of a call in a pool of that many bytes, None where it is out of memory."""
    try:
        return replay(call, capacity)
    except OutOfMemoryError:
        return None


_FITS: dict[Confidence, str] = {
    "high": "the whole band of what is taken is within what the pool may take, whatever the context",
    "medium": "what is taken is within what the pool may take, but not the whole band",
    "low": "what is taken is within what the pool may take if the CUDA context is no more than middling",
}
_OOM: dict[Confidence, str] = {
    "high": "live tensors alone are more than there is, whatever the kernels and the context",
    "medium": "live tensors alone are more than there is, unless the CUDA context is small",
    "low": "live tensors would fit, but not as the allocator places them",
}
_CROWDED = "it runs with the kernels that it likes, but only once cached memory is given back, which takes time"
_TIGHT: dict[Confidence, str] = {
    "medium": "it runs with leaner kernels than it would like, which may be slower",
    "low": "the leanest kernels just fit, if the CUDA context is no more than middling",
}
