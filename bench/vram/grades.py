"""Whether a case fits a card, without the range that a prediction states: quick enough to search over many sizes.

Agrees with `verdict`. For the range `verdict` replays a call eight times as often.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from bench.core.units import ITEM_BYTES
from bench.record import AllocatorKind, Case
from bench.traces.indexing import MOST_ELEMENTS
from bench.traces.tracing import representative, trace_of
from bench.vram import timeline, unlimited
from bench.vram.blocks import MIN_BLOCK_BYTES
from bench.vram.cudnn import CuDnn
from bench.vram.timeline import Timeline
from bench.vram.verdict import Card, within


def fits(case: Case, backend: CuDnn, card: Card, allocator: AllocatorKind = "native") -> bool:
    """Whether the verdict is *fits* with high or medium confidence. Raises ConfigError if the case can't be traced."""
    return is_indexed(case) and reserved_bytes(case, backend, allocator) <= card.capacities[0]


def runs(case: Case, backend: CuDnn, card: Card, allocator: AllocatorKind = "native") -> bool:
    """Whether the verdict is *fits* or *tight*, with any confidence. Raises ConfigError, as `fits` does."""
    case, backend = _simplest(case, backend)
    capacity = card.capacities[1]
    if _timeline(case, backend.leanest).peak_bytes > capacity:
        return False
    return any(within(_timeline(case, kernels), capacity, allocator) for kernels in (backend, backend.leanest))


def reserved_bytes(case: Case, backend: CuDnn, allocator: AllocatorKind = "native") -> int:
    """The peak that the preferred kernels reserve with memory to spare. Raises ConfigError, as `fits` does."""
    return _reserved_bytes(*_simplest(case, backend), allocator)


def live_bytes(case: Case, backend: CuDnn) -> int:
    """The peak of live tensors with the leanest kernels: the least memory in which the call can run."""
    case, backend = _simplest(case, backend)
    return _timeline(case, backend.leanest).peak_bytes


@lru_cache(maxsize=1 << 15)
def largest_tensor(case: Case) -> int:
    """The elements of the largest tensor of a call. Raises ConfigError, as `fits` does."""
    return trace_of(case).largest_elements


def is_indexed(case: Case) -> bool:
    """Whether 32-bit indices reach all elements of a call's tensors. Raises ConfigError, as `fits` does."""
    return largest_tensor(case) <= MOST_ELEMENTS


def _simplest(case: Case, backend: CuDnn) -> tuple[Case, CuDnn]:
    """The case and the backend that stand for all with the same allocations."""
    if backend.measured is not None:
        backend = backend.for_kernels(trace_of(case).kernels, ITEM_BYTES[case.dtype])
    return representative(case), replace(backend, architecture="", source="rule", band=())


@lru_cache(maxsize=1 << 15)
def _reserved_bytes(case: Case, backend: CuDnn, allocator: AllocatorKind) -> int:
    return unlimited.peaks(_timeline(case, backend), allocator=allocator)[0].reserved_bytes


@lru_cache(maxsize=16)
def _timeline(case: Case, backend: CuDnn) -> Timeline:
    return timeline.build(trace_of(case), backend, ITEM_BYTES[case.dtype], MIN_BLOCK_BYTES, each_shape_once=True)
