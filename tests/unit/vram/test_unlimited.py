"""The quick replay of many sizes of workspaces in a pool without a limit: the same peaks as the allocator's model."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.core.units import MIB
from bench.vram import unlimited
from bench.vram.replay import Peaks, replay
from bench.vram.timeline import Builder, Kind, Owner, Timeline

FACTORS = (1.0, 0.0, 0.5, 1.2)
#: Sizes around the limits between the pools, between the kinds of segments, and of what is split off.
SIZES = st.one_of(
    st.integers(0, 4096),
    st.integers(MIB - 1024, MIB + 1024),
    st.integers(1, 24 * MIB),
    st.sampled_from([MIB, 2 * MIB, 10 * MIB, 11 * MIB, 20 * MIB]),
)
KINDS = st.sampled_from(["activation", "workspace", "buffer", "library"])
#: An allocation, one that is freed at once, or which of the live ones to free.
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("allocate"), SIZES, KINDS),
        st.tuples(st.just("pass"), SIZES, KINDS),
        st.tuples(st.just("free"), st.integers(0, 63), st.just("activation")),
    ),
    max_size=40,
)


def a_timeline(before: list[tuple[str, int, Kind]], call: list[tuple[str, int, Kind]]) -> Timeline:
    """Changes before the call, whose allocations are weights, and those of the call, which may free weights too."""
    builder = Builder()
    live: list[int] = []
    for changes, is_before in ((before, True), (call, False)):
        if not is_before:
            builder.call_begins()
        for what, number, kind in changes:
            owner = Owner("", "", "weights" if is_before else kind)
            if what == "allocate":
                live.append(builder.allocate(number, owner))
            elif what == "pass":
                builder.free(builder.allocate(number, owner))
            elif live:
                builder.free(live.pop(number % len(live)))
    return builder.done()


@settings(max_examples=200, deadline=None)
@given(CHANGES, CHANGES)
def test_the_peaks_are_those_of_the_allocator_for_every_factor(
    before: list[tuple[str, int, Kind]], call: list[tuple[str, int, Kind]]
) -> None:
    timeline = a_timeline(before, [*call, ("allocate", 512, "activation")])  # no call is without a change
    expected = [replay(timeline, workspaces=factor) for factor in FACTORS]
    assert unlimited.peaks(timeline, FACTORS) == expected


@pytest.mark.parametrize(
    ("size", "peaks"),
    [
        (4 * MIB, Peaks(36 * MIB, 50 * MIB)),  # in what is left of the segment of 20 MiB
        (30 * MIB, Peaks(62 * MIB, 80 * MIB)),  # in a segment of its own
        (MIB // 2, Peaks(32 * MIB + MIB // 2, 52 * MIB)),  # in one of 2 MiB
    ],
)
def test_a_workspace_that_passes_counts_while_it_is_there(size: int, peaks: Peaks) -> None:
    # Given 2 MiB of weights in a segment of 20, an activation of 30 MiB, and a workspace that goes at once
    call: list[tuple[str, int, Kind]] = [("allocate", 30 * MIB, "activation"), ("pass", size, "workspace")]
    timeline = a_timeline([("allocate", 2 * MIB, "weights")], call)
    assert unlimited.peaks(timeline) == [peaks]


def test_an_unsplit_remainder_counts_with_a_workspace_that_passes() -> None:
    # Given a free block of 12 MiB: one of 11 takes all of it, because 1 MiB is too little to be split off
    call: list[tuple[str, int, Kind]] = [
        ("allocate", 12 * MIB, "activation"),
        ("free", 0, "activation"),
        ("allocate", 15 * MIB, "activation"),  # in a segment of 16, with the rest
        ("pass", 11 * MIB, "workspace"),
    ]
    assert unlimited.peaks(a_timeline([], call), (1.0, 0.5)) == [
        Peaks(28 * MIB, 28 * MIB),  # 16 and 12
        Peaks(16 * MIB + 11 * MIB // 2, 28 * MIB),  # 16 and 5.5
    ]
