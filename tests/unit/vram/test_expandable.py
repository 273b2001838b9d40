"""The model of torch's allocator with expandable segments, against sequences computed by hand from its source.

A small pool grows by 2 MiB, a large one by 20 MiB. Blocks above 1 MiB are in the large pool.
"""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from bench.vram.allocator import CachingAllocator, OutOfMemoryError
from bench.vram.blocks import Block
from bench.vram.expandable import ExpandableAllocator

MIB = 2**20


def test_a_pool_grows_by_whole_pieces_at_the_end() -> None:
    allocator = ExpandableAllocator()
    # a native segment would have 30 MiB: here two pieces of 20 MiB are mapped, and the next request uses the rest
    allocator.allocate(30 * MIB)
    assert (allocator.reserved_bytes, allocator.allocated_bytes) == (40 * MIB, 30 * MIB)
    allocator.allocate(10 * MIB)
    assert allocator.reserved_bytes == 40 * MIB
    # 5 MiB more need a third piece; 1 MiB and less are in the other pool
    allocator.allocate(5 * MIB)
    allocator.allocate(MIB)
    assert allocator.reserved_bytes == (60 + 2) * MIB


def test_what_is_free_at_the_end_is_extended_instead_of_left() -> None:
    allocator = ExpandableAllocator()
    allocator.allocate(20 * MIB)
    end = allocator.allocate(20 * MIB)
    allocator.free(end)
    # 50 MiB: the free 20 and two more pieces; the native allocator would keep 20 MiB free beside a new segment
    larger = allocator.allocate(50 * MIB)
    assert larger.address == 20 * MIB
    assert allocator.reserved_bytes == 80 * MIB
    native = CachingAllocator()
    native.allocate(20 * MIB)
    native.free(native.allocate(20 * MIB))
    native.allocate(50 * MIB)
    assert native.reserved_bytes == 90 * MIB


def test_every_remainder_of_512_bytes_is_a_block() -> None:
    allocator = ExpandableAllocator()
    # the native allocator would leave up to 1 MiB with the block
    allocator.allocate(20 * MIB - 512)
    allocator.allocate(2 * MIB)
    assert allocator.allocated_bytes == 22 * MIB - 512
    assert allocator.reserved_bytes == 40 * MIB


def test_a_hole_is_preferred_to_the_end_that_could_grow() -> None:
    allocator = ExpandableAllocator()
    hole, _, end = (allocator.allocate(size * MIB) for size in (10, 6, 4))
    allocator.free(hole)
    allocator.free(end)
    # 3 MiB fit into the end (4 MiB), but it counts with all addresses after it, so the hole of 10 MiB is taken
    assert allocator.allocate(3 * MIB).address == 0
    assert allocator.reserved_bytes == 20 * MIB


def test_emptying_the_cache_unmaps_free_pieces_between_blocks_in_use() -> None:
    allocator = ExpandableAllocator()
    blocks = [allocator.allocate(25 * MIB) for _ in range(4)]  # 100 MiB: five pieces
    assert allocator.reserved_bytes == 100 * MIB
    allocator.free(blocks[1])
    allocator.free(blocks[2])
    # free: 25 to 75 MiB. Only the piece from 40 to 60 lies in it
    allocator.empty_cache()
    assert allocator.reserved_bytes == 80 * MIB
    # 15 MiB of it (25 to 40) are free before the gap; 20 MiB need the gap, which is mapped again
    assert allocator.allocate(20 * MIB).address == 25 * MIB
    assert allocator.reserved_bytes == 100 * MIB


def test_an_empty_pool_is_unmapped_and_starts_anew() -> None:
    allocator = ExpandableAllocator()
    blocks = [allocator.allocate(size) for size in (3 * MIB, 40 * MIB, 1000)]
    for block in blocks:
        allocator.free(block)
    assert allocator.reserved_bytes == 62 * MIB
    allocator.empty_cache()
    assert (allocator.reserved_bytes, allocator.allocated_bytes) == (0, 0)
    assert allocator.peak_reserved_bytes == 62 * MIB
    allocator.reset_peaks()
    assert allocator.allocate(3 * MIB).address == 0
    assert allocator.peak_reserved_bytes == 20 * MIB


def test_on_a_full_device_free_pieces_move_to_where_they_are_needed() -> None:
    # given 60 MiB, of which two blocks of 20 MiB are free, but not in a row
    allocator = ExpandableAllocator(60 * MIB)
    blocks = [allocator.allocate(20 * MIB) for _ in range(3)]
    allocator.free(blocks[0])
    allocator.free(blocks[2])
    # when 40 MiB are requested, then both are unmapped, and mapped again in a row after the block in use
    block = allocator.allocate(40 * MIB)
    assert (block.address, allocator.reserved_bytes) == (40 * MIB, 60 * MIB)
    # the native allocator returns both segments, which have the same size, and fits too
    with pytest.raises(OutOfMemoryError):
        allocator.allocate(2 * MIB)
    assert allocator.allocated_bytes == 60 * MIB


def test_what_was_mapped_before_the_device_refused_is_unmapped_again() -> None:
    allocator = ExpandableAllocator(50 * MIB)
    allocator.allocate(15 * MIB)
    with pytest.raises(OutOfMemoryError):
        allocator.allocate(60 * MIB)
    assert allocator.reserved_bytes == 20 * MIB


def test_a_request_for_nothing_counts_nowhere() -> None:
    allocator = ExpandableAllocator()
    allocator.free(allocator.allocate(0))
    assert (allocator.allocated_bytes, allocator.reserved_bytes, allocator.peak_reserved_bytes) == (0, 0, 0)


@pytest.mark.parametrize("seed", range(5))
def test_blocks_in_use_never_overlap_and_all_memory_comes_back(seed: int) -> None:
    drawn = random.Random(seed)
    allocator, live = ExpandableAllocator(400 * MIB), dict[int, tuple[Block, int]]()
    for step in range(2000):
        if live and drawn.random() < 0.5:
            allocator.free(live.pop(drawn.choice(list(live)))[0])
        elif drawn.random() < 0.02:
            allocator.empty_cache()
        else:
            size = drawn.choice((drawn.randrange(1, 4 * MIB), drawn.randrange(1, 60 * MIB), drawn.randrange(1, 5000)))
            try:
                live[step] = allocator.allocate(size), size
            except OutOfMemoryError:
                continue
        spans = sorted(
            (block.size > MIB, block.address, block.address + block.size) for block, size in live.values() if size
        )
        for (pool, _, end), (other, begin, _) in pairwise(spans):
            assert pool != other or end <= begin
        assert all(0 <= block.size - size < 512 for block, size in live.values())
        assert allocator.allocated_bytes == sum(block.size for block, _ in live.values())
        assert allocator.allocated_bytes <= allocator.reserved_bytes <= 400 * MIB
    for block, _ in live.values():
        allocator.free(block)
    allocator.empty_cache()
    assert (allocator.allocated_bytes, allocator.reserved_bytes) == (0, 0)
