"""Timelines through the allocator: peaks, leaner workspaces where one is refused, weights' segments, the band."""

from __future__ import annotations

import pytest

from bench.vram.allocator import OutOfMemoryError
from bench.vram.replay import Peaks, replay
from bench.vram.timeline import Builder, Kind, Owner, Timeline

MIB = 2**20


def a_timeline(*changes: int | tuple[int, Kind], weights: tuple[int, ...] = ()) -> Timeline:
    """Weights, and then: MiB that come (as activations, or with their kind), or go (negative, by order of coming)."""
    builder = Builder(512)
    for size in weights:
        builder.allocate(size * MIB, Owner("", "", "weights"))
    builder.call_begins()
    places: list[int] = []
    for change in changes:
        if isinstance(change, int) and change < 0:
            builder.free(places[-change - 1])
        else:
            size, kind = change if isinstance(change, tuple) else (change, "activation")
            places.append(builder.allocate(size * MIB, Owner("", "", kind)))
    return builder.done()


def test_peaks_are_those_of_the_allocator() -> None:
    # Given 30 MiB, then 20 beside it; the 30 go, and 12 come, which take the low part of those 30
    assert replay(a_timeline(30, 20, -1, 12)) == Peaks(50 * MIB, 50 * MIB)


def test_weights_count_in_the_peaks() -> None:
    # Given 40 MiB of weights and a call of 20
    assert replay(a_timeline(20, weights=(40,))) == Peaks(60 * MIB, 60 * MIB)


def test_what_weights_left_of_their_segments_is_there_for_the_call() -> None:
    # Given 4 MiB of weights, which lie in a segment of 20, and a call of 8
    assert replay(a_timeline(8, weights=(4,))) == Peaks(12 * MIB, 20 * MIB)


def test_segments_that_weights_left_empty_are_given_back_before_the_call() -> None:
    # Given 40 MiB that come and go while weights are placed, then 16 MiB of weights; and a call of 12
    builder = Builder(512)
    builder.free(builder.allocate(40 * MIB, Owner("", "", "weights")))
    passing = builder.allocate(2 * MIB, Owner("", "", "weights"))
    builder.call_begins()
    builder.allocate(12 * MIB, Owner("", "", "activation"))
    builder.free(passing)
    # Then the 2 MiB lie in what were those 40, and stay: 40 in all; had nothing been left in it, it would be gone
    assert replay(builder.done()) == Peaks(14 * MIB, 40 * MIB)
    builder = Builder(512)
    builder.free(builder.allocate(40 * MIB, Owner("", "", "weights")))
    builder.call_begins()
    builder.allocate(12 * MIB, Owner("", "", "activation"))
    assert replay(builder.done()) == Peaks(12 * MIB, 12 * MIB)


@pytest.mark.parametrize(
    ("capacity", "taken", "leaner"), [(72, 72, 0), (71, 52, 1), (52, 52, 1), (51, 42, 1), (42, 42, 1), (37, 32, 1)]
)
def test_a_workspace_that_is_refused_is_halved_until_it_fits(capacity: int, taken: int, leaner: int) -> None:
    # Given 32 MiB and a workspace of 40: 20, 10 and 5 are tried after it, the last in a segment of 20, which is too
    # much for 5 MiB that are left; none at all always fits
    found = replay(a_timeline(32, (40, "workspace"), -2), capacity * MIB)
    assert found.shrunk_workspaces == leaner
    assert found.allocated_bytes == taken * MIB


def test_refusals_are_counted() -> None:
    timeline = a_timeline(32, (40, "workspace"), -2, (60, "workspace"), -3)
    assert replay(timeline, 40 * MIB).shrunk_workspaces == 2


def test_a_buffer_that_is_refused_is_out_of_memory() -> None:
    with pytest.raises(OutOfMemoryError):
        replay(a_timeline(32, (40, "buffer"), -2), 71 * MIB)


def test_a_tensor_that_is_refused_is_out_of_memory_though_workspaces_were_lean() -> None:
    with pytest.raises(OutOfMemoryError):
        replay(a_timeline(32, (40, "workspace"), -2, 32), 63 * MIB)


def _reserved(timeline: Timeline, *factors: float) -> list[int]:
    return [replay(timeline, workspaces=factor).reserved_bytes for factor in factors]


def test_the_band_multiplies_workspaces_alone() -> None:
    # Given 32 MiB and a workspace of 40, none of it, half and one and a half
    timeline = a_timeline(32, (40, "workspace"), -2)
    assert _reserved(timeline, 0.0, 0.5, 1.5) == [32 * MIB, 52 * MIB, 92 * MIB]
    # And a buffer stays as it is
    assert _reserved(a_timeline(32, (40, "buffer"), -2), 0.0, 1.5) == [72 * MIB] * 2
