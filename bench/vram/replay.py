"""A timeline through the model of torch's caching allocator: what it reserves, and whether it fits. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.vram.allocator import CachingAllocator, OutOfMemoryError
from bench.vram.blocks import Block
from bench.vram.timeline import Timeline

#: Where a convolution's workspace is refused, torch tries the next plan of cuDNN's, which is leaner: by how much is not
#: known, so it is tried with half as much each time, and with none.
_LEANER = (1.0, 0.5, 0.25, 0.125, 0.0)


@dataclass(frozen=True, slots=True)
class Peaks:
    """The most of a call, weights and input included, as torch counts it (`max_memory_allocated`, `..._reserved`).

    `leaner` is how many workspaces were refused, so that a leaner kernel had to do.
    """

    allocated_bytes: int
    reserved_bytes: int
    leaner: int = 0


def replay(timeline: Timeline, capacity_bytes: int | None = None, workspaces: float = 1.0) -> Peaks:
    """The peaks of a timeline. The pool is emptied once weights are there, as `bench run` does it.

    `capacity_bytes` is what the pool may take; `workspaces` a multiple of those of the timeline. Raises
    OutOfMemoryError (of `allocator`) where even the leanest kernels do not fit.
    """
    allocator = CachingAllocator(capacity_bytes)
    blocks: dict[int, Block] = {}
    leaner = 0
    for count, place in enumerate(timeline.changes):
        if count == timeline.before:
            allocator.empty_cache()
            allocator.reset_peaks()
        if place < 0:
            allocator.free(blocks.pop(~place))
        elif timeline.owners[place].kind == "workspace":
            blocks[place], given_up = _leanest_that_fits(allocator, int(timeline.sizes[place] * workspaces))
            leaner += given_up
        else:
            blocks[place] = allocator.allocate(timeline.sizes[place])
    return Peaks(allocator.peak_allocated_bytes, allocator.peak_reserved_bytes, leaner)


def _leanest_that_fits(allocator: CachingAllocator, size: int) -> tuple[Block, bool]:
    """A workspace of that size, or of what is left of it, and whether it is less."""
    for share in _LEANER:
        try:
            return allocator.allocate(int(size * share)), share < 1
        except OutOfMemoryError:
            continue
    raise AssertionError("a workspace of no bytes was refused")


def reserved_band(timeline: Timeline, multiples: tuple[float, ...]) -> Iterator[int]:
    """The peak reserved with each of these multiples of the workspaces, memory being endless."""
    return (replay(timeline, workspaces=one).reserved_bytes for one in multiples)
