"""What the model of torch's caching allocator is made of: sizes, blocks, and the free blocks of a pool. Pure.

Imports nothing of the project. The names of sources are those of torch's C++: the constants are in
c10/core/AllocatorConfig.h (in older versions at the top of CUDACachingAllocator.cpp), the rest in
c10/cuda/CUDACachingAllocator.cpp.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

#: `kMinBlockSize`: every size is a multiple of it.
MIN_BLOCK_BYTES = 512
#: `kSmallSize`: the largest request of the small pool; of a large block, what may be left over without being split off.
SMALL_BYTES = 1024**2
#: `kSmallBuffer`: a segment of the small pool.
SMALL_SEGMENT_BYTES = 2 * 1024**2
#: `kMinLargeAlloc`: from here on a request has a segment of its own size.
OWN_SEGMENT_BYTES = 10 * 1024**2
#: `large_segment_size` (`kLargeBuffer`): a segment of the large pool for requests below `OWN_SEGMENT_BYTES`.
LARGE_SEGMENT_BYTES = 20 * 1024**2
#: `kRoundLarge`: segments above are multiples of it.
ROUND_SEGMENT_BYTES = 2 * 1024**2


def rounded(size: int) -> int:
    """The bytes of a block for a request of `size` (more than none): `round_size`."""
    return -(-size // MIN_BLOCK_BYTES) * MIN_BLOCK_BYTES


def segment_size(size: int) -> int:
    """The bytes asked of the driver where no free block holds one of `size`: `get_allocation_size`."""
    if size <= SMALL_BYTES:
        return SMALL_SEGMENT_BYTES
    if size < OWN_SEGMENT_BYTES:
        return LARGE_SEGMENT_BYTES
    return -(-size // ROUND_SEGMENT_BYTES) * ROUND_SEGMENT_BYTES


def leaves_a_block(size: int, remaining: int) -> bool:
    """Whether what a block of `size` leaves over becomes a free block, or goes with it: `should_split`."""
    return remaining >= MIN_BLOCK_BYTES if size <= SMALL_BYTES else remaining > SMALL_BYTES


@dataclass(slots=True, eq=False)
class Block:
    """A stretch of one segment, handed out or free; also the handle of what was handed out.

    Attributes:
        address: where it begins, in bytes.
        size: what it holds in bytes, which counts as allocated.
        requested: the bytes that were asked for when it was handed out; 0 if it never was.
        before, after: its neighbours in the segment.
    """

    address: int
    size: int
    requested: int = 0
    before: Block | None = field(default=None, repr=False)
    after: Block | None = field(default=None, repr=False)

    @property
    def split(self) -> bool:
        """Whether it is a part of its segment only: `is_split`."""
        return self.before is not None or self.after is not None


class FreeBlocks:
    """The free blocks of a pool, by size and then by address: `BlockPool` and its comparator."""

    __slots__ = ("_blocks", "_keys")

    def __init__(self) -> None:
        self._keys: list[tuple[int, int]] = []
        self._blocks: list[Block] = []

    def __iter__(self) -> Iterator[Block]:
        return iter(self._blocks)

    def add(self, block: Block) -> None:
        key = (block.size, block.address)
        index = bisect_left(self._keys, key)
        self._keys.insert(index, key)
        self._blocks.insert(index, block)

    def remove(self, block: Block) -> None:
        index = bisect_left(self._keys, (block.size, block.address))
        del self._keys[index], self._blocks[index]

    def take(self, size: int) -> Block | None:
        """Remove and return the smallest block that holds `size`, the lowest address among equals: `get_free_block`."""
        index = bisect_left(self._keys, (size, 0))
        if index == len(self._keys):
            return None
        del self._keys[index]
        return self._blocks.pop(index)

    def take_whole(self) -> list[Block]:
        """Remove and return those that are a whole segment: `release_blocks`."""
        whole = [block for block in self._blocks if not block.split]
        self._blocks = [block for block in self._blocks if block.split]
        self._keys = [(block.size, block.address) for block in self._blocks]
        return whole
