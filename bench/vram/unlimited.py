"""The peaks of a call in a pool without a limit, for several sizes of its workspaces at once.

The rules are those of `allocator` in default settings, without what only a limit, addresses or callers' handles need:
nothing is refused, and no segment goes back during the call. A prediction replays each call about nine times, so the
weights are placed once, and a block that is freed at once, as most workspaces are, is only looked up.
tests/unit/vram/test_unlimited.py compares the peaks with `replay`.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from functools import lru_cache

from bench.record import AllocatorKind
from bench.vram.blocks import MIN_BLOCK_BYTES, SMALL_BYTES, rounded, segment_size
from bench.vram.replay import Peaks, replay
from bench.vram.timeline import Timeline

#: The address and the size of a block.
_Block = tuple[int, int]
_NO_BLOCK: _Block = (0, 0)
#: One or two changes of a timeline: the index of an allocation; its bytes, rounded unless it is a workspace, None if it
#: is freed; whether the next change frees it, which is part of this step; and whether it is a workspace.
_Step = tuple[int, int | None, bool, bool]


def peaks(timeline: Timeline, factors: Iterable[float] = (1.0,), allocator: AllocatorKind = "native") -> list[Peaks]:
    """The peaks for each factor of the timeline's workspaces: those of `replay` without a capacity."""
    if allocator != "native":
        return [replay(timeline, workspaces=factor, allocator_kind=allocator) for factor in factors]
    weights = _count_weights(timeline)
    before = _with_weights(timeline.sizes[:weights]).copy()
    before.run(_steps(timeline, weights, timeline.before), 1.0)
    before.call_begins()
    steps = list(_steps(timeline, timeline.before, len(timeline.changes)))
    each_peaks = []
    for factor in factors:
        pools = before.copy()
        pools.run(steps, factor)
        each_peaks.append(Peaks(pools.peak_allocated_bytes, pools.reserved_bytes))
    return each_peaks


def _count_weights(timeline: Timeline) -> int:
    """How many changes at the beginning allocate weights one after another."""
    before = timeline.changes[: timeline.before]
    others = (place for place, index in enumerate(before) if index != place or timeline.owners[index].kind != "weights")
    return next(others, timeline.before)


@lru_cache(maxsize=32)
def _with_weights(sizes: tuple[int, ...]) -> _Pools:
    """Pools with weights of these sizes, to be copied."""
    pools = _Pools()
    pools.run(((index, rounded(size), False, False) for index, size in enumerate(sizes)), 1.0)
    return pools


def _steps(timeline: Timeline, begin: int, end: int) -> Iterator[_Step]:
    """The changes from `begin` to before `end`."""
    changes, sizes, owners = timeline.changes, timeline.sizes, timeline.owners
    place = begin
    while place < end:
        change = changes[place]
        if change < 0:
            yield ~change, None, False, False
        else:
            is_passing = place + 1 < end and changes[place + 1] == ~change
            is_workspace = owners[change].kind == "workspace"
            place += is_passing
            yield change, sizes[change] if is_workspace else rounded(sizes[change]), is_passing, is_workspace
        place += 1


class _Pools:
    """The pool of small requests and that of large ones, and the blocks in use by the index of their allocation."""

    def __init__(self) -> None:
        self._small, self._large = _Pool(MIN_BLOCK_BYTES), _Pool(SMALL_BYTES + 1)
        self._blocks: dict[int, _Block] = {}
        self._allocated_bytes = 0
        self.peak_allocated_bytes = 0

    @property
    def reserved_bytes(self) -> int:
        return self._small.reserved_bytes + self._large.reserved_bytes

    def copy(self) -> _Pools:
        """An independent copy."""
        copied = _Pools()
        copied._small, copied._large = self._small.copy(), self._large.copy()
        copied._blocks = self._blocks.copy()
        copied._allocated_bytes, copied.peak_allocated_bytes = self._allocated_bytes, self.peak_allocated_bytes
        return copied

    def call_begins(self) -> None:
        """Return the segments that are free, and forget the peak."""
        self._small.give_back()
        self._large.give_back()
        self.peak_allocated_bytes = self._allocated_bytes

    def run(self, steps: Iterable[_Step], factor: float) -> None:
        """Make the allocations of these steps."""
        small, large, blocks = self._small, self._large, self._blocks
        allocated, peak = self._allocated_bytes, self.peak_allocated_bytes
        for index, size, is_passing, is_workspace in steps:
            if size is None:
                address, block_bytes = blocks.pop(index)
                allocated -= block_bytes
                (small if block_bytes <= SMALL_BYTES else large).free(address, block_bytes)
                continue
            wanted = rounded(int(size * factor)) if is_workspace else size
            pool = small if wanted <= SMALL_BYTES else large
            if is_passing:
                peak = max(peak, allocated + pool.pass_through(wanted))
                continue
            blocks[index] = block = pool.allocate(wanted)
            allocated += block[1]
            if allocated > peak:  # noqa: PLR1730 - `max` takes as long as all the rest
                peak = allocated
        self._allocated_bytes, self.peak_allocated_bytes = allocated, peak


class _Pool:
    """The segments of one pool and their free parts.

    The addresses of segments do not adjoin, so that the neighbours of a block are in its own segment. `least_remainder`
    is the least number of bytes after a block that becomes a free block of its own (`blocks.leaves_a_block`).
    """

    def __init__(self, least_remainder: int) -> None:
        self.reserved_bytes = 0
        self._least_remainder = least_remainder
        self._next_address = 0
        self._segments: dict[int, int] = {}  # size by address
        self._free: list[tuple[int, int]] = []  # sizes and addresses in order: `blocks.FreeBlocks`
        self._sizes_from: dict[int, int] = {}  # of the free blocks, by where they begin
        self._sizes_to: dict[int, int] = {}  # and by where they end

    def copy(self) -> _Pool:
        copied = _Pool(self._least_remainder)
        copied.reserved_bytes, copied._next_address = self.reserved_bytes, self._next_address
        copied._segments, copied._free = self._segments.copy(), self._free.copy()
        copied._sizes_from, copied._sizes_to = self._sizes_from.copy(), self._sizes_to.copy()
        return copied

    def allocate(self, size: int) -> _Block:
        """A block of at least `size` bytes, a multiple of 512: the low part of the smallest free block, or all of it.

        Of equally small ones it is the one at the lowest address. If none holds it, a segment is reserved. No bytes are
        no block.
        """
        if not size:
            return _NO_BLOCK
        free = self._free
        place = bisect_left(free, (size, 0))
        if place == len(free):
            address, held = self._new_segment(size)
        else:
            held, address = free.pop(place)
            del self._sizes_from[address]
        remainder = held - size
        if remainder < self._least_remainder:
            self._sizes_to.pop(address + held, None)
            return address, held
        insort(free, (remainder, address + size))
        self._sizes_from[address + size] = self._sizes_to[address + held] = remainder
        return address, size

    def free(self, address: int, size: int) -> None:
        """Take a block back, and merge it with its free neighbours."""
        if not size:
            return
        free, end = self._free, address + size
        below = self._sizes_to.pop(address, 0)
        if below:
            address -= below
            del free[bisect_left(free, (below, address))]
        above = self._sizes_from.pop(end, 0)
        if above:
            del free[bisect_left(free, (above, end))]
            end += above
        size = end - address
        insort(free, (size, address))
        self._sizes_from[address] = self._sizes_to[end] = size

    def pass_through(self, size: int) -> int:
        """The bytes of a block that is allocated and freed at once, which leaves nothing but a new segment, if any."""
        free = self._free
        place = bisect_left(free, (size, 0))
        if place == len(free):
            block = self.allocate(size)
            self.free(*block)
            return block[1]
        held = free[place][0]
        return held if size and held - size < self._least_remainder else size

    def give_back(self) -> None:
        """Return the segments that are free as a whole."""
        whole = [(size, address) for size, address in self._free if self._segments.get(address) == size]
        for size, address in whole:
            self._free.remove((size, address))
            del self._sizes_from[address], self._sizes_to[address + size], self._segments[address]
            self.reserved_bytes -= size

    def _new_segment(self, size: int) -> _Block:
        address, held = self._next_address, segment_size(size)
        self._segments[address] = held
        self._next_address += held + 1
        self.reserved_bytes += held
        return address, held
