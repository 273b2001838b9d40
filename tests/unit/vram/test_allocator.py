"""The model of torch's caching allocator, each rule by an example worked by hand in its comment."""

from __future__ import annotations

import itertools
import re
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.core.units import MIB
from bench.vram.allocator import CachingAllocator, OutOfMemoryError
from bench.vram.blocks import Block, rounded, segment_size


def shape(allocator: CachingAllocator) -> list[list[int]]:
    """Each segment's blocks in order of address, free ones negative."""
    return [[size if taken else -size for size, taken in blocks] for _, blocks in allocator.snapshot()]


# Sizes


@pytest.mark.parametrize(
    ("size", "holds"),
    [
        (1, 512),
        (511, 512),
        (512, 512),
        (513, 1024),  # 2 * 512
        (MIB, MIB),  # 2,048 * 512
        (MIB + 1, MIB + 512),
        (100_000_000, 100_000_256),  # 195,312.5 units of 512: 195,313
    ],
)
def test_a_block_holds_a_multiple_of_512_bytes(size: int, holds: int) -> None:
    assert rounded(size) == holds


@pytest.mark.parametrize(
    ("size", "reserved"),
    [
        (512, 2 * MIB),
        (MIB, 2 * MIB),  # the largest of the small pool
        (MIB + 512, 20 * MIB),
        (10 * MIB - 512, 20 * MIB),
        (10 * MIB, 10 * MIB),  # the first with a segment of its own, which is a multiple of 2 MiB already
        (10 * MIB + 512, 12 * MIB),
        (11 * MIB, 12 * MIB),
        (12 * MIB, 12 * MIB),
        (100_000_256, 96 * MIB),  # 47.68 times 2 MiB
    ],
)
def test_a_segment_is_2_mib_or_20_mib_or_a_multiple_of_2_mib(size: int, reserved: int) -> None:
    assert segment_size(size) == reserved


@pytest.mark.parametrize(
    ("size", "reserved"), [(MIB, 2 * MIB), (MIB + 1, 20 * MIB), (10 * MIB, 10 * MIB), (10 * MIB + 1, 12 * MIB)]
)
def test_the_first_request_reserves_one_segment(size: int, reserved: int) -> None:
    allocator = CachingAllocator()
    allocator.allocate(size)
    assert (allocator.reserved_bytes, allocator.segments) == (reserved, 1)


def test_a_size_is_rounded_before_its_segment_is_chosen() -> None:
    # 10 MiB - 1 is below 10 MiB, but rounded it is 10 MiB: a segment of its own, not one of 20 MiB
    allocator = CachingAllocator()
    allocator.allocate(10 * MIB - 1)
    assert allocator.reserved_bytes == 10 * MIB


def test_no_bytes_at_all_are_nothing() -> None:
    allocator = CachingAllocator()
    nothing = allocator.allocate(0)
    assert (allocator.reserved_bytes, allocator.allocated_bytes, allocator.snapshot()) == (0, 0, ())
    allocator.free(nothing)
    assert allocator.reserved_bytes == 0


def test_less_than_no_bytes_are_an_error() -> None:
    with pytest.raises(ValueError, match="-1"):
        CachingAllocator().allocate(-1)


# Splitting


def test_the_low_part_is_handed_out_and_the_rest_is_free() -> None:
    allocator = CachingAllocator()
    allocator.allocate(700)  # 1,024; 2,097,152 - 1,024 = 2,096,128 are left
    assert shape(allocator) == [[1024, -2_096_128]]
    assert allocator.inactive_split_bytes == 2_096_128


def test_small_requests_share_a_segment_until_it_is_full() -> None:
    # 3 blocks of 512 KiB leave 512 KiB, and the fourth takes just that; the fifth needs another segment
    allocator = CachingAllocator()
    for _ in range(4):
        allocator.allocate(MIB // 2)
    assert (allocator.reserved_bytes, allocator.inactive_split_bytes) == (2 * MIB, 0)
    allocator.allocate(512)
    assert allocator.reserved_bytes == 4 * MIB


def test_in_the_small_pool_512_bytes_are_enough_to_be_split_off() -> None:
    # of 2 MiB the first two leave 1 MiB - 512, and the third, of 1 MiB - 1,024, leaves 512 of that
    allocator = CachingAllocator()
    for size in (MIB, 512, MIB - 1024):
        allocator.allocate(size)
    assert shape(allocator) == [[MIB, 512, MIB - 1024, -512]]


def test_in_the_large_pool_just_1_mib_is_not_split_off() -> None:
    # 11 MiB in a segment of 12: 1 MiB remains, and goes with the block
    allocator = CachingAllocator()
    allocator.allocate(11 * MIB)
    assert shape(allocator) == [[12 * MIB]]


def test_in_the_large_pool_1_mib_and_512_bytes_are_split_off() -> None:
    # 11 MiB - 512 in a segment of 12
    allocator = CachingAllocator()
    allocator.allocate(11 * MIB - 512)
    assert shape(allocator) == [[11 * MIB - 512, -(MIB + 512)]]


def test_a_remainder_that_is_not_split_off_counts_as_allocated() -> None:
    allocator = CachingAllocator()
    allocator.allocate(11 * MIB)
    assert (allocator.requested_bytes, allocator.allocated_bytes) == (11 * MIB, 12 * MIB)
    assert allocator.inactive_split_bytes == 0


def test_what_is_asked_for_counts_to_the_byte_and_what_is_allocated_in_512() -> None:
    allocator = CachingAllocator()
    allocator.allocate(1)
    allocator.allocate(513)
    assert (allocator.requested_bytes, allocator.allocated_bytes) == (514, 512 + 1024)


# Pools and best fit


def test_small_requests_never_use_what_the_large_pool_has_free() -> None:
    # 2 MiB of 20 leave 18 MiB in the large pool; 1 MiB still takes a segment of the small one
    allocator = CachingAllocator()
    allocator.allocate(2 * MIB)
    allocator.allocate(MIB)
    assert allocator.reserved_bytes == 22 * MIB


def test_large_requests_never_use_what_the_small_pool_has_free() -> None:
    # a segment of 2 MiB is free as a whole, but it is a small one: 2 MiB take one of 20
    allocator = CachingAllocator()
    allocator.free(allocator.allocate(MIB))
    allocator.allocate(2 * MIB)
    assert allocator.reserved_bytes == 22 * MIB


def test_a_large_request_takes_what_another_segment_has_left() -> None:
    # 9 MiB of 20 leave 11: 10 MiB fit, though alone they would have had a segment of their own. 1 MiB goes with them
    allocator = CachingAllocator()
    allocator.allocate(9 * MIB)
    allocator.allocate(10 * MIB)
    assert shape(allocator) == [[9 * MIB, 11 * MIB]]


def holes(allocator: CachingAllocator, *sizes: int) -> None:
    """Leave free segments of these sizes, in order of address."""
    for block in [allocator.allocate(size) for size in sizes]:
        allocator.free(block)


def test_the_smallest_that_fits_is_taken_not_the_first() -> None:
    allocator = CachingAllocator()
    holes(allocator, 40 * MIB, 14 * MIB, 30 * MIB, 12 * MIB)
    allocator.allocate(13 * MIB)  # 14 is the smallest that holds it; 1 MiB goes with it
    assert shape(allocator) == [[-40 * MIB], [14 * MIB], [-30 * MIB], [-12 * MIB]]


def test_one_that_fits_exactly_is_taken() -> None:
    allocator = CachingAllocator()
    holes(allocator, 40 * MIB, 30 * MIB, 32 * MIB)
    allocator.allocate(30 * MIB)
    assert shape(allocator) == [[-40 * MIB], [30 * MIB], [-32 * MIB]]


def test_among_equals_the_lowest_address_is_taken() -> None:
    # three segments of 12 MiB, freed last to first
    allocator = CachingAllocator()
    blocks = [allocator.allocate(12 * MIB) for _ in range(3)]
    for block in reversed(blocks):
        allocator.free(block)
    assert allocator.allocate(12 * MIB).address == blocks[0].address


def test_where_segments_lie_can_be_told() -> None:
    # the second segment lies below the first: freed, both are 12 MiB, and it is the one that is taken
    places = iter([64 * MIB, 32 * MIB])
    allocator = CachingAllocator(addresses=lambda size: next(places))
    holes(allocator, 12 * MIB, 12 * MIB)
    assert allocator.allocate(12 * MIB).address == 32 * MIB


# Freeing


def three_of_a_segment(allocator: CachingAllocator) -> list[Block]:
    """4, 5 and 6 MiB of a segment of 20, of which 5 remain free."""
    return [allocator.allocate(size * MIB) for size in (4, 5, 6)]


def test_a_freed_block_with_live_neighbours_is_a_hole() -> None:
    allocator = CachingAllocator()
    _, middle, _ = three_of_a_segment(allocator)
    allocator.free(middle)
    assert shape(allocator) == [[4 * MIB, -5 * MIB, 6 * MIB, -5 * MIB]]
    assert allocator.inactive_split_bytes == 10 * MIB


def test_a_freed_block_merges_with_the_free_one_before_it() -> None:
    allocator = CachingAllocator()
    low, middle, _ = three_of_a_segment(allocator)
    allocator.free(low)
    allocator.free(middle)
    assert shape(allocator) == [[-9 * MIB, 6 * MIB, -5 * MIB]]
    assert allocator.inactive_split_bytes == 14 * MIB


def test_a_freed_block_merges_with_the_free_one_after_it() -> None:
    allocator = CachingAllocator()
    _, _, high = three_of_a_segment(allocator)
    allocator.free(high)
    assert shape(allocator) == [[4 * MIB, 5 * MIB, -11 * MIB]]


def test_a_freed_block_merges_with_both_neighbours() -> None:
    allocator = CachingAllocator()
    low, middle, high = three_of_a_segment(allocator)
    allocator.free(low)
    allocator.free(high)
    allocator.free(middle)
    assert shape(allocator) == [[-20 * MIB]]
    assert allocator.inactive_split_bytes == 0  # a whole segment is no split block


def test_a_merged_hole_is_used_again() -> None:
    # 4 + 5 MiB freed are 9: 8.5 fit there, and 0.5 MiB goes with them
    allocator = CachingAllocator()
    low, middle, _ = three_of_a_segment(allocator)
    allocator.free(low)
    allocator.free(middle)
    allocator.allocate(8 * MIB + MIB // 2)
    assert shape(allocator) == [[9 * MIB, 6 * MIB, -5 * MIB]]


def test_holes_apart_do_not_serve_a_request_of_their_sum() -> None:
    # 5 MiB in the middle and 5 at the end: 6 MiB need another segment, of 20
    allocator = CachingAllocator()
    _, middle, _ = three_of_a_segment(allocator)
    allocator.free(middle)
    allocator.allocate(6 * MIB)
    assert allocator.reserved_bytes == 40 * MIB


def test_what_is_freed_stays_reserved() -> None:
    allocator = CachingAllocator()
    allocator.free(allocator.allocate(30 * MIB))
    assert (allocator.allocated_bytes, allocator.requested_bytes, allocator.reserved_bytes) == (0, 0, 30 * MIB)


def test_a_handle_is_freed_once() -> None:
    allocator = CachingAllocator()
    block = allocator.allocate(12 * MIB)
    allocator.free(block)
    allocator.allocate(12 * MIB)  # the same memory, another handle
    with pytest.raises(ValueError, match="freed"):
        allocator.free(block)
    assert allocator.allocated_bytes == 12 * MIB


def test_a_handle_of_another_allocator_is_an_error() -> None:
    block = CachingAllocator().allocate(512)
    with pytest.raises(ValueError, match="Block"):
        CachingAllocator().free(block)


# Giving back, and refusals


def test_emptying_the_cache_gives_back_whole_segments_only() -> None:
    # segments of 30 and of 2 MiB are free; 3 MiB are split from the 30, so only the 2 are given back
    allocator = CachingAllocator()
    holes(allocator, 30 * MIB, MIB)
    kept = allocator.allocate(3 * MIB)
    allocator.empty_cache()
    assert (allocator.reserved_bytes, allocator.segments) == (30 * MIB, 1)
    allocator.free(kept)
    allocator.empty_cache()
    assert (allocator.reserved_bytes, allocator.segments, allocator.snapshot()) == (0, 0, ())


def test_a_segment_that_meets_the_capacity_exactly_fits() -> None:
    # 20 + 12 = 32
    allocator = CachingAllocator(capacity_bytes=32 * MIB)
    allocator.allocate(9 * MIB)
    allocator.allocate(12 * MIB)
    assert (allocator.reserved_bytes, allocator.retries) == (32 * MIB, 0)


def test_a_segment_one_byte_above_the_capacity_is_refused() -> None:
    allocator = CachingAllocator(capacity_bytes=32 * MIB - 1)
    allocator.allocate(9 * MIB)
    with pytest.raises(OutOfMemoryError):
        allocator.allocate(12 * MIB)


def test_a_refused_segment_is_asked_for_again_when_free_ones_are_given_back() -> None:
    # 30 + 40 MiB are more than 64; 30 of them are free, and without them 40 fit
    allocator = CachingAllocator(capacity_bytes=64 * MIB)
    holes(allocator, 30 * MIB)
    allocator.allocate(40 * MIB)
    assert (allocator.reserved_bytes, allocator.segments) == (40 * MIB, 1)
    assert (allocator.retries, allocator.ooms) == (1, 0)
    assert allocator.peak_reserved_bytes == 40 * MIB  # never 70: they are given back first


def test_a_retry_gives_back_small_segments_too() -> None:
    # 2 + 64 MiB are more than 64
    allocator = CachingAllocator(capacity_bytes=64 * MIB)
    holes(allocator, 512)
    allocator.allocate(64 * MIB)
    assert (allocator.reserved_bytes, allocator.retries) == (64 * MIB, 1)


def test_a_segment_with_one_live_block_is_not_given_back() -> None:
    # of a segment of 20 MiB 18 are free, but it stays for the 2 that are not, and 20 + 50 are more than 64
    allocator = CachingAllocator(capacity_bytes=64 * MIB)
    first, _second = allocator.allocate(9 * MIB), allocator.allocate(2 * MIB)
    allocator.free(first)
    with pytest.raises(OutOfMemoryError):
        allocator.allocate(50 * MIB)
    assert shape(allocator) == [[-9 * MIB, 2 * MIB, -9 * MIB]]


def test_a_refusal_for_good_says_what_there_is() -> None:
    allocator = CachingAllocator(capacity_bytes=64 * MIB)
    allocator.allocate(2 * MIB)
    with pytest.raises(OutOfMemoryError) as refused:
        allocator.allocate(49 * MIB)
    facts = [str(count * MIB) for count in (49, 50, 20, 64, 2)]  # asked for, its segment, reserved, whole, allocated
    assert re.findall(r"\d+", str(refused.value)) == facts
    assert (allocator.retries, allocator.ooms) == (1, 1)


def test_a_refusal_leaves_the_free_segments_given_back_and_the_rest_in_order() -> None:
    # 30 MiB are given back in vain, for 20 + 60 are more than 64 too; afterwards 44 fit
    allocator = CachingAllocator(capacity_bytes=64 * MIB)
    live = allocator.allocate(9 * MIB)
    holes(allocator, 30 * MIB)
    with pytest.raises(OutOfMemoryError):
        allocator.allocate(60 * MIB)
    assert shape(allocator) == [[9 * MIB, -11 * MIB]]
    allocator.allocate(44 * MIB)
    allocator.free(live)
    assert (allocator.reserved_bytes, allocator.allocated_bytes) == (64 * MIB, 44 * MIB)


def test_what_the_pool_has_free_is_taken_before_the_device_is_asked() -> None:
    # the device is full, and 11 MiB of the segment of 20 are free
    allocator = CachingAllocator(capacity_bytes=20 * MIB)
    allocator.allocate(9 * MIB)
    allocator.allocate(5 * MIB)
    assert (allocator.reserved_bytes, allocator.retries) == (20 * MIB, 0)


# Peaks


def test_peaks_hold_the_greatest_and_begin_anew_at_what_is_held() -> None:
    # 29.5 MiB take a segment of 30 and are freed; then 12 MiB are split from it, and 30 are still reserved
    allocator = CachingAllocator()
    holes(allocator, 29 * MIB + MIB // 2)
    allocator.allocate(12 * MIB)
    assert (allocator.peak_allocated_bytes, allocator.peak_reserved_bytes) == (30 * MIB, 30 * MIB)
    assert allocator.peak_requested_bytes == 29 * MIB + MIB // 2
    allocator.reset_peaks()
    assert (allocator.peak_allocated_bytes, allocator.peak_requested_bytes) == (12 * MIB, 12 * MIB)
    assert allocator.peak_reserved_bytes == 30 * MIB


# Whatever the order

SIZES = st.one_of(
    st.integers(0, 4096),
    st.integers(MIB - 1024, MIB + 1024),
    st.integers(1, 24 * MIB),
    st.sampled_from([MIB, 2 * MIB, 10 * MIB, 11 * MIB, 20 * MIB]),
)
#: A size to ask for, or which of the live blocks to free.
EVENTS = st.lists(
    st.one_of(SIZES.map(lambda size: ("allocate", size)), st.tuples(st.just("free"), st.integers(0, 63))),
    min_size=10,
    max_size=60,
)
CAPACITIES = st.one_of(st.none(), st.integers(0, 120 * MIB))


def check(allocator: CachingAllocator, live: list[Block]) -> None:
    """What holds at every moment."""
    segments = allocator.snapshot()
    blocks = [one for _, parts in segments for one in parts]
    assert all(size == sum(part for part, _ in parts) and size % (2 * MIB) == 0 for size, parts in segments)
    assert sum(size for size, _ in segments) == allocator.reserved_bytes
    assert len(segments) == allocator.segments
    assert sorted(size for size, taken in blocks if taken) == sorted(one.size for one in live if one.size)
    assert sum(size for size, taken in blocks if taken) == allocator.allocated_bytes >= allocator.requested_bytes
    assert sum(one.requested for one in live) == allocator.requested_bytes
    assert all(one[1] or other[1] for _, parts in segments for one, other in itertools.pairwise(parts))
    unusable = sum(size for _, parts in segments for size, taken in parts if len(parts) > 1 and not taken)
    assert unusable == allocator.inactive_split_bytes


def check_order(live: list[Block]) -> None:
    """No two live blocks share a byte."""
    ordered = sorted((one for one in live if one.size), key=lambda one: one.address)
    assert all(one.address + one.size <= other.address for one, other in itertools.pairwise(ordered))


@settings(max_examples=100, deadline=None)
@given(EVENTS, CAPACITIES)
def test_after_any_events_the_blocks_tile_their_segments_and_the_sums_agree(
    events: list[tuple[str, int]], capacity: int | None
) -> None:
    allocator, live, peaks = CachingAllocator(capacity), [], (0, 0)
    for what, number in events:
        if what == "allocate":
            with suppress(OutOfMemoryError):
                live.append(allocator.allocate(number))
        elif live:
            allocator.free(live.pop(number % len(live)))
        check(allocator, live)
        check_order(live)
        assert capacity is None or allocator.reserved_bytes <= capacity
        last, peaks = peaks, (allocator.peak_allocated_bytes, allocator.peak_reserved_bytes)
        held = (allocator.allocated_bytes, allocator.reserved_bytes)
        assert peaks == (max(last[0], held[0]), max(last[1], held[1]))
    for block in live:
        allocator.free(block)
    allocator.empty_cache()
    assert (allocator.reserved_bytes, allocator.allocated_bytes, allocator.snapshot()) == (0, 0, ())


@settings(max_examples=30, deadline=None)
@given(EVENTS)
def test_without_a_capacity_nothing_is_refused_or_asked_twice(events: list[tuple[str, int]]) -> None:
    allocator, live = CachingAllocator(), []
    for what, number in events:
        if what == "allocate":
            live.append(allocator.allocate(number))
        elif live:
            allocator.free(live.pop(number % len(live)))
    assert (allocator.retries, allocator.ooms) == (0, 0)
