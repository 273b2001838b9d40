"""Parts of the model of torch's caching allocator: sizes, blocks, and the free blocks of a pool.

Names in backticks are those of torch's C++ source: constants are in
c10/core/AllocatorConfig.h (in older versions at the top of CUDACachingAllocator.cpp), the rest in
c10/cuda/CUDACachingAllocator.cpp.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

#: `kMinBlockSize`: every size is a multiple of it.
MIN_BLOCK_BYTES = 512
#: `kSmallSize`: the largest request of the small pool, and the largest remainder that a large block keeps.
SMALL_BYTES = 1024**2
#: `kSmallBuffer`: size of a segment of the small pool.
SMALL_SEGMENT_BYTES = 2 * 1024**2
#: `kMinLargeAlloc`: requests from this size get a segment of their own size.
OWN_SEGMENT_BYTES = 10 * 1024**2
#: `large_segment_size` (`kLargeBuffer`): size of a segment of the large pool for requests below `OWN_SEGMENT_BYTES`.
LARGE_SEGMENT_BYTES = 20 * 1024**2
#: `kRoundLarge`: larger segments are multiples of it.
ROUND_SEGMENT_BYTES = 2 * 1024**2


def rounded(size: int) -> int:
    """The bytes of a block for a request of `size` > 0: `round_size`."""
    return -(-size // MIN_BLOCK_BYTES) * MIN_BLOCK_BYTES


def segment_size(size: int) -> int:
    """The bytes to request from the driver if no free block can hold `size`: `get_allocation_size`."""
    if size <= SMALL_BYTES:
        return SMALL_SEGMENT_BYTES
    if size < OWN_SEGMENT_BYTES:
        return LARGE_SEGMENT_BYTES
    return -(-size // ROUND_SEGMENT_BYTES) * ROUND_SEGMENT_BYTES


def leaves_a_block(size: int, remaining: int) -> bool:
    """Whether the remainder after a block of `size` becomes a free block of its own: `should_split`."""
    return remaining >= MIN_BLOCK_BYTES if size <= SMALL_BYTES else remaining > SMALL_BYTES


@dataclass(slots=True, eq=False)
class Block:
    """A part of a segment, in use or free. For a block in use it is also the caller's handle.

    Attributes:
        address: start, in bytes.
        size: size in bytes, which counts as allocated if the block is in use.
        requested: bytes that the caller requested; 0 if the block was never in use.
        before, after: neighbours in the segment.
    """

    address: int
    size: int
    requested: int = 0
    before: Block | None = field(default=None, repr=False)
    after: Block | None = field(default=None, repr=False)

    @property
    def split(self) -> bool:
        """Whether it is only a part of its segment: `is_split`."""
        return self.before is not None or self.after is not None


class FreeBlocks:
    """The free blocks of a pool, by size and then by address: `BlockPool` and its comparator."""

    def __init__(self) -> None:
        self._keys: list[tuple[int, int]] = []
        self._blocks: list[Block] = []

    def __iter__(self) -> Iterator[Block]:
        return iter(self._blocks)

    def __contains__(self, block: object) -> bool:
        if not isinstance(block, Block):
            return False
        index = bisect_left(self._keys, (block.size, block.address))
        return index < len(self._blocks) and self._blocks[index] is block

    def add(self, block: Block) -> None:
        key = (block.size, block.address)
        index = bisect_left(self._keys, key)
        self._keys.insert(index, key)
        self._blocks.insert(index, block)

    def remove(self, block: Block) -> None:
        index = bisect_left(self._keys, (block.size, block.address))
        del self._keys[index], self._blocks[index]

    def take(self, size: int) -> Block | None:
        """Remove and return the smallest block that can hold `size`, at the lowest address: `get_free_block`."""
        index = bisect_left(self._keys, (size, 0))
        if index == len(self._keys):
            return None
        del self._keys[index]
        return self._blocks.pop(index)

    def from_size(self, size: int) -> Iterator[Block]:
        """The blocks of at least `size`, the smallest first."""
        return iter(self._blocks[bisect_left(self._keys, (size, 0)) :])

    def take_whole(self) -> list[Block]:
        """Remove and return the blocks that are a whole segment: `release_blocks`."""
        whole = [block for block in self._blocks if not block.split]
        self._blocks = [block for block in self._blocks if block.split]
        self._keys = [(block.size, block.address) for block in self._blocks]
        return whole
