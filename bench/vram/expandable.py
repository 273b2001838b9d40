"""A model of PyTorch's caching allocator with `expandable_segments:True`: one growing segment for each pool.

Names in backticks are those of torch's C++ source, which 2.13 has in c10/cuda/CUDACachingAllocator.cpp and, for other
devices, in c10/core/CachingDeviceAllocator.h with the same rules. A pool (small, large) reserves addresses once, and
maps memory to them in pieces of 2 or 20 MiB when it grows. Emptying the cache unmaps every piece that is free, also
between blocks in use; pieces that are missing are mapped again from the lowest address on. Reserved is what is mapped.

One device and one stream; no graph capture, private pools, sharing or limit on the fraction. A pool's addresses never
end here; torch's reach for 9/8 of the device's memory.
"""

from __future__ import annotations

from bench.vram.allocator import OutOfMemoryError
from bench.vram.blocks import LARGE_SEGMENT_BYTES, MIN_BLOCK_BYTES, SMALL_BYTES, SMALL_SEGMENT_BYTES, Block, FreeBlocks
from bench.vram.blocks import rounded as rounded_up

#: More addresses than any device has memory.
_ADDRESS_BYTES = 2**60


class ExpandableAllocator:
    """The allocator of one device, initially empty, with the interface of `allocator.CachingAllocator`.

    Attributes, in bytes, with torch's `memory_stats` in brackets:
        allocated_bytes: sizes of the blocks in use (`allocated_bytes.all.current`).
        reserved_bytes: mapped memory (`reserved_bytes.all.current`).
        peak_allocated_bytes, peak_reserved_bytes: the maxima since the last `reset_peaks`.
    """

    def __init__(self, capacity_bytes: int | None = None) -> None:
        """`capacity_bytes` is the upper bound of the mapped memory; None: unlimited."""
        self._capacity = capacity_bytes
        self._small, self._large = _Pool(SMALL_SEGMENT_BYTES), _Pool(LARGE_SEGMENT_BYTES)
        self.allocated_bytes = self.peak_allocated_bytes = self.peak_reserved_bytes = 0

    @property
    def reserved_bytes(self) -> int:
        return self._small.mapped_bytes + self._large.mapped_bytes

    def allocate(self, size: int) -> Block:
        """A block of at least `size` bytes: `malloc`. A request for 0 bytes gives an empty block.

        Raises OutOfMemoryError if the device refuses even after all free pieces were unmapped.
        """
        if not size:
            return Block(address=0, size=0)
        block_bytes = rounded_up(size)
        pool = self._small if block_bytes <= SMALL_BYTES else self._large
        free = pool.best_fit(block_bytes) or self._grow(pool, block_bytes)
        if free is None:
            self.empty_cache()
            free = self._grow(pool, block_bytes)
        if free is None:
            raise OutOfMemoryError(
                f"{size} bytes do not fit: {self.reserved_bytes} of {self._capacity} bytes are mapped, "
                f"{self.allocated_bytes} of them allocated"
            )
        block = pool.hand_out(free, block_bytes)
        block.requested = size
        self.allocated_bytes += block.size
        self.peak_allocated_bytes = max(self.peak_allocated_bytes, self.allocated_bytes)
        return block

    def free(self, block: Block) -> None:
        """Take a block back and merge it with its free neighbours: `free_block`."""
        if block.size:
            self.allocated_bytes -= block.size
            (self._small if block.size <= SMALL_BYTES else self._large).take_back(block)

    def empty_cache(self) -> None:
        """Unmap all free pieces: `release_cached_blocks`."""
        self._large.unmap_free()
        self._small.unmap_free()

    def reset_peaks(self) -> None:
        """Set the peaks to the current values: `resetPeakStats`."""
        self.peak_allocated_bytes, self.peak_reserved_bytes = self.allocated_bytes, self.reserved_bytes

    def _grow(self, pool: _Pool, size: int) -> Block | None:
        """A free block of at least `size`, made by mapping memory; None if that exceeds the capacity.

        What was mapped before it was refused stays mapped, as in torch: `try_allocate_expandable_block`.
        """
        room = pool.lowest_room(size)
        block = room[0]
        for gap in (each for each in room if each in pool.unmapped):
            missing_bytes = size if block is gap else size - block.size
            if missing_bytes <= 0:
                break
            mapped_bytes = pool.to_map(gap, missing_bytes)
            if self._capacity is not None and self.reserved_bytes + mapped_bytes > self._capacity:
                return None
            block = pool.map(gap, mapped_bytes)
            self.peak_reserved_bytes = max(self.peak_reserved_bytes, self.reserved_bytes)
        pool.free.remove(block)
        return block


class _Pool:
    """The addresses of one pool: a chain of blocks that are in use, free or unmapped.

    Attributes:
        free: mapped blocks that are not in use.
        unmapped: addresses without memory, each beginning and ending at a multiple of the piece; the last has no end.
        mapped_bytes: memory of all blocks in use or free.
    """

    def __init__(self, piece_bytes: int) -> None:
        self._piece_bytes = piece_bytes
        self.free = FreeBlocks()
        self.unmapped: set[Block] = {Block(0, _ADDRESS_BYTES)}
        self.mapped_bytes = 0

    def best_fit(self, size: int) -> Block | None:
        """Remove and return the free block for `size`: `get_free_block`.

        The smallest that is large enough, where a block counts with the unmapped addresses after it.
        """
        best: Block | None = None
        for block in self.free.from_size(size):
            if best is not None and self._reach(block) >= self._reach(best):
                break
            best = block
        if best is not None:
            self.free.remove(best)
        return best

    def hand_out(self, block: Block, size: int) -> Block:
        """The low part of a free block, or all of it if nothing remains: `alloc_found_block`.

        The remainder is free: `should_split` splits both pools from 512 bytes on.
        """
        if block.size - size < MIN_BLOCK_BYTES:
            return block
        rest = Block(block.address + size, block.size - size, 0, block, block.after)
        if rest.after is not None:
            rest.after.before = rest
        block.size, block.after = size, rest
        self.free.add(rest)
        return block

    def take_back(self, block: Block) -> None:
        """Make a block free."""
        block.requested = 0
        self.free.add(_merged(block, self.free))

    def lowest_room(self, size: int) -> list[Block]:
        """The lowest free and unmapped blocks in a row with room for `size`: `find_expandable_block`."""
        for gap in sorted(self.unmapped, key=lambda block: block.address):
            block = gap.before if gap.before in self.free else gap
            room: list[Block] = []
            room_bytes = 0
            while block is not None and room_bytes < size and (block in self.free or block in self.unmapped):
                room.append(block)
                room_bytes, block = room_bytes + block.size, block.after
            if room_bytes >= size:
                return room
        raise AssertionError("the last addresses have room for everything")

    def to_map(self, gap: Block, size: int) -> int:
        """The bytes to map at the beginning of a gap for `size` bytes, or all of it: whole pieces."""
        return -(-min(size, gap.size) // self._piece_bytes) * self._piece_bytes

    def map(self, gap: Block, mapped_bytes: int) -> Block:
        """Map memory at the beginning of a gap, and return the free block that it becomes a part of: `map_block`."""
        self.unmapped.remove(gap)
        if mapped_bytes < gap.size:
            rest = Block(gap.address + mapped_bytes, gap.size - mapped_bytes, 0, gap, gap.after)
            if rest.after is not None:
                rest.after.before = rest
            gap.size, gap.after = mapped_bytes, rest
            self.unmapped.add(rest)
        self.mapped_bytes += mapped_bytes
        block = _merged(gap, self.free)
        self.free.add(block)
        return block

    def unmap_free(self) -> None:
        """Unmap the pieces that lie entirely in free blocks: `release_blocks`, `unmap_block`."""
        for block in list(self.free):
            begin = -(-block.address // self._piece_bytes) * self._piece_bytes
            end = (block.address + block.size) // self._piece_bytes * self._piece_bytes
            if begin < end:
                self._unmap(block, begin, end)

    def _unmap(self, block: Block, begin: int, end: int) -> None:
        self.free.remove(block)
        if begin > block.address:
            low = Block(block.address, begin - block.address, 0, block.before, block)
            if low.before is not None:
                low.before.after = low
            block.before = low
            self.free.add(low)
        if end < block.address + block.size:
            high = Block(end, block.address + block.size - end, 0, block, block.after)
            if high.after is not None:
                high.after.before = high
            block.after = high
            self.free.add(high)
        block.address, block.size = begin, end - begin
        self.mapped_bytes -= block.size
        self.unmapped.add(_merged(block, self.unmapped))

    def _reach(self, block: Block) -> int:
        after = block.after
        return block.size + (after.size if after is not None and after in self.unmapped else 0)


def _merged(block: Block, alike: FreeBlocks | set[Block]) -> Block:
    """The block with its neighbours that are alike, free or unmapped: `try_merge_blocks`."""
    before, after = block.before, block.after
    if before is not None and before in alike:
        alike.remove(before)
        block.address, block.before = before.address, before.before
        block.size += before.size
        if block.before is not None:
            block.before.after = block
    if after is not None and after in alike:
        alike.remove(after)
        block.after = after.after
        block.size += after.size
        if block.after is not None:
            block.after.before = block
    return block
