"""A model of PyTorch's caching allocator: the memory that it holds after each request and each free.

It models c10/cuda/CUDACachingAllocator.cpp (`DeviceCachingAllocator`) of torch 2.6 to 2.13 in
default settings: native backend, no expandable segments, PYTORCH_ALLOC_CONF and PYTORCH_CUDA_ALLOC_CONF unset; one
device, one stream, no graph capture, no private pools. The functions named below were read in the versions shortly
before 2.6 and about 2.10, which have the same rules; in 2.12 the order of `malloc`'s retries, and in 2.13 the headers
with the constants. Left out, because default settings never reach them: max_split_size and
`release_available_cached_blocks`, garbage collection, roundup_power2_divisions, `try_mempool_fallback`,
throw_on_cudamalloc_oom.

Among free blocks of equal size older versions use the lowest address, which depends on where the driver places
segments. Newer versions (pytorch #183591, May 2026) use the oldest segment, and the lowest address within it. Here each
new segment has a higher address than all before it, so that both rules agree, unless `addresses` chooses addresses.
"""

from __future__ import annotations

from collections.abc import Callable

from bench.vram.blocks import SMALL_BYTES, Block, FreeBlocks, leaves_a_block, rounded, segment_size

#: A segment's size and, in order of address, the size of each of its blocks and whether it is handed out.
SegmentShape = tuple[int, tuple[tuple[int, bool], ...]]


class OutOfMemoryError(Exception):
    """A request that the device refused even after all entirely free segments were returned."""


class CachingAllocator:
    """The allocator of one device, initially empty.

    Attributes, in bytes except for counts, with torch's `memory_stats` in brackets:
        allocated_bytes: sizes of the blocks in use (`allocated_bytes.all.current`; with one stream also
            `active_bytes`). A remainder that was not split off counts with its block.
        requested_bytes: sizes that callers requested (`requested_bytes`).
        reserved_bytes: sizes of the segments (`reserved_bytes`).
        inactive_split_bytes: free blocks of segments that are partly in use; emptying the cache does not return them.
        peak_allocated_bytes, peak_requested_bytes, peak_reserved_bytes: the maxima since the last `reset_peaks`.
        segments: number of segments (`segment`).
        retries: requests for a segment that were repeated after emptying the cache (`num_alloc_retries`).
        ooms: requests that failed (`num_ooms`).
    """

    def __init__(self, capacity_bytes: int | None = None, addresses: Callable[[int], int] | None = None) -> None:
        """
        Args:
            capacity_bytes: upper bound of all segments together: a limit (`set_per_process_memory_fraction`), or the
                device's memory besides the CUDA context and other processes. None: unlimited.
            addresses: returns the address of a new segment, given its size.
        """
        self._capacity = capacity_bytes
        self._addresses = addresses or self._next_higher_address
        self._next_address = 0
        self._small, self._large = FreeBlocks(), FreeBlocks()
        self._live: set[Block] = set()
        self.allocated_bytes = self.requested_bytes = self.reserved_bytes = self.inactive_split_bytes = 0
        self.peak_allocated_bytes = self.peak_requested_bytes = self.peak_reserved_bytes = 0
        self.segments = self.retries = self.ooms = 0

    def allocate(self, size: int) -> Block:
        """A block of at least `size` bytes: `malloc`. A request for 0 bytes gives an empty block that counts nowhere.

        Raises:
            OutOfMemoryError: the device refused. As in torch, all entirely free segments have then been returned.
        """
        if size < 0:
            raise ValueError(f"size must not be negative: {size} bytes")
        if not size:
            empty = Block(address=0, size=0)
            self._live.add(empty)
            return empty
        block_bytes = rounded(size)
        pool = self._small if block_bytes <= SMALL_BYTES else self._large
        free = pool.take(block_bytes) or self._new_segment(block_bytes, size)
        block = self._hand_out(free, block_bytes, pool)
        block.requested = size
        self._live.add(block)
        self.allocated_bytes += block.size
        self.requested_bytes += size
        self.peak_allocated_bytes = max(self.peak_allocated_bytes, self.allocated_bytes)
        self.peak_requested_bytes = max(self.peak_requested_bytes, self.requested_bytes)
        return block

    def free(self, block: Block) -> None:
        """Take a block back and merge it with its free neighbours: `free_block`.

        Raises:
            ValueError: the block was freed before, or belongs to another allocator.
        """
        try:
            self._live.remove(block)
        except KeyError:
            raise ValueError(f"freed before, or not from this allocator: {block}") from None
        if not block.size:
            return
        self.allocated_bytes -= block.size
        self.requested_bytes -= block.requested
        # blocks in use are as small or large as their pool
        pool = self._small if block.size <= SMALL_BYTES else self._large
        self._merge(block, pool)
        if block.split:
            self.inactive_split_bytes += block.size
        pool.add(block)

    def empty_cache(self) -> None:
        """Return all entirely free segments to the device: `release_cached_blocks`."""
        for pool in (self._large, self._small):
            for segment in pool.take_whole():
                self.reserved_bytes -= segment.size
                self.segments -= 1

    def reset_peaks(self) -> None:
        """Set the peaks to the current values: `resetPeakStats`."""
        self.peak_allocated_bytes = self.allocated_bytes
        self.peak_requested_bytes = self.requested_bytes
        self.peak_reserved_bytes = self.reserved_bytes

    def snapshot(self) -> tuple[SegmentShape, ...]:
        """All segments, in order of address, for tests and debugging."""
        blocks = {*self._live, *self._small, *self._large}
        heads = (block for block in blocks if block.size and block.before is None)
        return tuple(self._shape(head) for head in sorted(heads, key=lambda block: block.address))

    def _new_segment(self, block_bytes: int, requested: int) -> Block:
        """A new segment, if necessary after returning all entirely free ones: `malloc`'s second half."""
        size = segment_size(block_bytes)
        if self._exceeds_capacity(size):
            self.empty_cache()
            self.retries += 1
            if self._exceeds_capacity(size):
                self.ooms += 1
                raise OutOfMemoryError(
                    f"{requested} bytes need a segment of {size}; {self.reserved_bytes} of {self._capacity} bytes are "
                    f"reserved, {self.allocated_bytes} of them allocated"
                )
        self.segments += 1
        self.reserved_bytes += size
        self.peak_reserved_bytes = max(self.peak_reserved_bytes, self.reserved_bytes)
        return Block(address=self._addresses(size), size=size)

    def _exceeds_capacity(self, size: int) -> bool:
        """Whether another segment of this size exceeds the capacity: `alloc_block`."""
        return self._capacity is not None and self.reserved_bytes + size > self._capacity

    def _hand_out(self, free: Block, size: int, pool: FreeBlocks) -> Block:
        """The low part of a free block, or all of it if too little would remain: `alloc_found_block`.

        The result is always a new object, so that a handle that was freed stays invalid.
        """
        was_split = free.split
        remaining = free.size - size
        if not leaves_a_block(size, remaining):
            if was_split:
                self.inactive_split_bytes -= free.size
            block = Block(free.address, free.size, 0, free.before, free.after)
            if block.after is not None:
                block.after.before = block
        else:
            self.inactive_split_bytes += -size if was_split else remaining
            block = Block(free.address, size, 0, free.before, free)
            free.before, free.address, free.size = block, free.address + size, remaining
            pool.add(free)
        if block.before is not None:
            block.before.after = block
        return block

    def _merge(self, block: Block, pool: FreeBlocks) -> None:
        """Merge a freed block with the free blocks on both sides: `try_merge_blocks`."""
        before, after = block.before, block.after
        if before is not None and before not in self._live:
            self._absorb(before, pool)
            block.address, block.before = before.address, before.before
            block.size += before.size
            if block.before is not None:
                block.before.after = block
        if after is not None and after not in self._live:
            self._absorb(after, pool)
            block.after = after.after
            block.size += after.size
            if block.after is not None:
                block.after.before = block

    def _absorb(self, free: Block, pool: FreeBlocks) -> None:
        pool.remove(free)
        self.inactive_split_bytes -= free.size

    def _next_higher_address(self, size: int) -> int:
        """The default address of a new segment: a multiple of 2 MiB like the driver's, because sizes are multiples."""
        address = self._next_address
        self._next_address += size
        return address

    def _shape(self, head: Block) -> SegmentShape:
        blocks, block = [], head
        while True:
            blocks.append((block.size, block in self._live))
            if block.after is None:
                return sum(size for size, _ in blocks), tuple(blocks)
            block = block.after
