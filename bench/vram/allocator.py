"""PyTorch's caching allocator, as a model: what it holds of the device after each request and each free. Pure.

Imports no torch. Modelled is c10/cuda/CUDACachingAllocator.cpp (`DeviceCachingAllocator`) of torch 2.6 to 2.13 with its
default settings: the native backend, no expandable segments, nothing in PYTORCH_ALLOC_CONF or PYTORCH_CUDA_ALLOC_CONF;
one device, one stream, no graph capture, no private pools. Read were the functions named below as they stood shortly
before 2.6 and at about 2.10, where these rules are the same; of 2.12 the order of `malloc`'s retries, of 2.13 the
headers with the constants. Left out, since the defaults never reach it: max_split_size and
`release_available_cached_blocks`, garbage collection, roundup_power2_divisions, pools that help out
(`try_mempool_fallback`), throw_on_cudamalloc_oom.

Among free blocks of just the same size older versions take the one at the lowest address, and where the driver puts a
segment nobody knows; newer ones (pytorch #183591, of May 2026) that of the oldest segment, and within one the lowest.
Here each new segment lies above all before it, so that both are the same, unless `addresses` says where it lies.
"""

from __future__ import annotations

from collections.abc import Callable

from bench.vram.blocks import SMALL_BYTES, Block, FreeBlocks, leaves_a_block, rounded, segment_size

#: A segment's size and, in order of address, the size of each of its blocks and whether it is handed out.
SegmentShape = tuple[int, tuple[tuple[int, bool], ...]]


class OutOfMemoryError(Exception):
    """A request that the device refused, and refused again when all wholly free segments had been given back.

    Attributes:
        requested_bytes: what was asked for.
        segment_bytes: the segment that would have held it.
        reserved_bytes, allocated_bytes: what the allocator holds after giving back, and what of it is handed out.
        free_bytes: what the device has left.
    """

    def __init__(self, requested: int, segment: int, reserved: int, allocated: int, capacity: int) -> None:
        self.requested_bytes = requested
        self.segment_bytes = segment
        self.reserved_bytes = reserved
        self.allocated_bytes = allocated
        self.free_bytes = capacity - reserved
        super().__init__(
            f"out of memory: {requested} bytes need a segment of {segment}, of {capacity} bytes {self.free_bytes} are "
            f"free; {reserved} are reserved, {allocated} of them allocated"
        )


class CachingAllocator:
    """The allocator of one device, empty at first.

    Attributes, all in bytes unless they count; names of torch's `memory_stats` in brackets:
        allocated_bytes: sizes of the blocks handed out (`allocated_bytes.all.current`; with one stream `active_bytes`
            too). A remainder that was not split off counts with its block.
        requested_bytes: what was asked for (`requested_bytes`).
        reserved_bytes: sizes of the segments (`reserved_bytes`).
        inactive_split_bytes: free blocks whose segment is partly handed out: no emptying of the cache gives them back.
        peak_allocated_bytes, peak_requested_bytes, peak_reserved_bytes: the greatest since the last `reset_peaks`.
        segments: how many there are (`segment`).
        retries: requests for a segment made again after giving back (`num_alloc_retries`), refused ones among them.
        ooms: requests that were refused for good (`num_ooms`).
    """

    __slots__ = (
        "_addresses",
        "_capacity",
        "_large",
        "_live",
        "_next_address",
        "_small",
        "allocated_bytes",
        "inactive_split_bytes",
        "ooms",
        "peak_allocated_bytes",
        "peak_requested_bytes",
        "peak_reserved_bytes",
        "requested_bytes",
        "reserved_bytes",
        "retries",
        "segments",
    )

    def __init__(self, capacity_bytes: int | None = None, addresses: Callable[[int], int] | None = None) -> None:
        """
        Args:
            capacity_bytes: what all segments together may take: a limit (`set_per_process_memory_fraction`), or what
                the device has beside the CUDA context and everything else. None: without end.
            addresses: asked, with its size, for the address of each new segment.
        """
        self._capacity = capacity_bytes
        self._addresses = addresses or self._above_all_before
        self._next_address = 0
        self._small, self._large = FreeBlocks(), FreeBlocks()
        self._live: set[Block] = set()
        self.allocated_bytes = self.requested_bytes = self.reserved_bytes = self.inactive_split_bytes = 0
        self.peak_allocated_bytes = self.peak_requested_bytes = self.peak_reserved_bytes = 0
        self.segments = self.retries = self.ooms = 0

    def allocate(self, size: int) -> Block:
        """A block of at least `size` bytes: `malloc`. None at all are a handle to nothing, which counts nowhere.

        Raises:
            OutOfMemoryError: the device refused. All wholly free segments have been given back then, as in torch.
        """
        if size <= 0:
            return self._nothing(size)
        wanted = rounded(size)
        pool = self._small if wanted <= SMALL_BYTES else self._large
        found = pool.take(wanted) or self._new_segment(wanted, size)
        block = self._hand_out(found, wanted, pool)
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
            ValueError: it was freed before, or came from another allocator.
        """
        try:
            self._live.remove(block)
        except KeyError:
            raise ValueError(f"not handed out, or freed before: {block}") from None
        if not block.size:
            return
        self.allocated_bytes -= block.size
        self.requested_bytes -= block.requested
        pool = self._small if block.size <= SMALL_BYTES else self._large  # what is handed out is as its pool's requests
        self._merge(block, pool)
        if block.split:
            self.inactive_split_bytes += block.size
        pool.add(block)

    def empty_cache(self) -> None:
        """Give all wholly free segments back to the device: `release_cached_blocks`."""
        for pool in (self._large, self._small):
            for segment in pool.take_whole():
                self.reserved_bytes -= segment.size
                self.segments -= 1

    def reset_peaks(self) -> None:
        """Let the peaks begin anew at what is held now: `resetPeakStats`."""
        self.peak_allocated_bytes = self.allocated_bytes
        self.peak_requested_bytes = self.requested_bytes
        self.peak_reserved_bytes = self.reserved_bytes

    def snapshot(self) -> tuple[SegmentShape, ...]:
        """All segments, in order of address: for tests and for people."""
        blocks = {*self._live, *self._small, *self._large}
        heads = sorted((one for one in blocks if one.size and one.before is None), key=lambda one: one.address)
        return tuple(self._shape(head) for head in heads)

    def _nothing(self, size: int) -> Block:
        if size < 0:
            raise ValueError(f"a size of {size} bytes")
        block = Block(address=0, size=0)
        self._live.add(block)
        return block

    def _new_segment(self, wanted: int, requested: int) -> Block:
        """One more segment, if need be after giving back all wholly free ones: `malloc`'s second half."""
        size = segment_size(wanted)
        if self._refused(size):
            self.empty_cache()
            self.retries += 1
            if self._refused(size):
                self.ooms += 1
                raise OutOfMemoryError(requested, size, self.reserved_bytes, self.allocated_bytes, self._capacity or 0)
        self.segments += 1
        self.reserved_bytes += size
        self.peak_reserved_bytes = max(self.peak_reserved_bytes, self.reserved_bytes)
        return Block(address=self._addresses(size), size=size)

    def _refused(self, size: int) -> bool:
        """Whether one more segment is more than there is: `alloc_block`."""
        return self._capacity is not None and self.reserved_bytes + size > self._capacity

    def _hand_out(self, found: Block, wanted: int, pool: FreeBlocks) -> Block:
        """The low part of a free block, or the whole of it where too little would remain: `alloc_found_block`.

        What is handed out is always a new block, so that a handle which was freed stays freed for good.
        """
        was_split = found.split
        remaining = found.size - wanted
        if not leaves_a_block(wanted, remaining):
            if was_split:
                self.inactive_split_bytes -= found.size
            block = Block(found.address, found.size, 0, found.before, found.after)
            if block.after is not None:
                block.after.before = block
        else:
            self.inactive_split_bytes += -wanted if was_split else remaining
            block = Block(found.address, wanted, 0, found.before, found)
            found.before, found.address, found.size = block, found.address + wanted, remaining
            pool.add(found)
        if block.before is not None:
            block.before.after = block
        return block

    def _merge(self, block: Block, pool: FreeBlocks) -> None:
        """Let a freed block absorb the free ones on both sides: `try_merge_blocks`."""
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

    def _above_all_before(self, size: int) -> int:
        """A new segment's address where nobody knows better: a multiple of 2 MiB, as the driver's, since sizes are."""
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
