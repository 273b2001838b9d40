"""Replays a timeline through a model of torch's caching allocator: what it reserves, and whether it fits."""

from __future__ import annotations

from dataclasses import dataclass

from bench.record import AllocatorKind
from bench.vram.allocator import CachingAllocator, OutOfMemoryError
from bench.vram.blocks import Block
from bench.vram.expandable import ExpandableAllocator
from bench.vram.timeline import Timeline

#: Shares of a workspace to try. If a convolution's workspace is refused, torch tries cuDNN's next plan, which needs
#: less; how much less is not known, so each retry asks for half, and the last for nothing.
_WORKSPACE_SHARES = (1.0, 0.5, 0.25, 0.125, 0.0)


@dataclass(frozen=True, slots=True)
class Peaks:
    """Peaks of a call, including weights and input, as torch counts them (`max_memory_allocated`, `..._reserved`).

    `shrunk_workspaces` counts the workspaces that were refused and replaced by smaller ones.
    """

    allocated_bytes: int
    reserved_bytes: int
    shrunk_workspaces: int = 0


_ALLOCATORS: dict[AllocatorKind, type[CachingAllocator] | type[ExpandableAllocator]] = {
    "native": CachingAllocator,
    "expandable": ExpandableAllocator,
}


def replay(
    timeline: Timeline,
    capacity_bytes: int | None = None,
    workspaces: float = 1.0,
    allocator_kind: AllocatorKind = "native",
) -> Peaks:
    """The peaks of a timeline. As in `bench run`, the pool is emptied after the weights are loaded.

    `capacity_bytes` limits the pool; `workspaces` is a factor for the timeline's workspaces. Raises
    `allocator.OutOfMemoryError` if even the leanest kernels do not fit.
    """
    allocator = _ALLOCATORS[allocator_kind](capacity_bytes)
    blocks: dict[int, Block] = {}
    shrunk_workspaces = 0
    for count, index in enumerate(timeline.changes):
        if count == timeline.before:
            allocator.empty_cache()
            allocator.reset_peaks()
        if index < 0:
            allocator.free(blocks.pop(~index))
        elif timeline.owners[index].kind == "workspace":
            blocks[index], is_smaller = _largest_workspace(allocator, int(timeline.sizes[index] * workspaces))
            shrunk_workspaces += is_smaller
        else:
            blocks[index] = allocator.allocate(timeline.sizes[index])
    return Peaks(allocator.peak_allocated_bytes, allocator.peak_reserved_bytes, shrunk_workspaces)


def _largest_workspace(allocator: CachingAllocator | ExpandableAllocator, size: int) -> tuple[Block, bool]:
    """A workspace of this size, or the largest share of it that fits, and whether it is smaller."""
    for share in _WORKSPACE_SHARES:
        try:
            return allocator.allocate(int(size * share)), share < 1
        except OutOfMemoryError:
            continue
    raise AssertionError("a workspace of no bytes was refused")
