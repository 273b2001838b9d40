"""Timelines of hand-made traces: what of a kernel's scratch lives when, rounding, tiles left out, and the peak."""

from __future__ import annotations

import pytest
from timelines import LiveOnly

from bench.traces.events import Birth, Death, Kernel, Launch, Pass, Product, Trace, Upsampling
from bench.vram.timeline import Builder, Owner, Timeline, build
from bench.vram.workspace import NOTHING, Scratch

PRODUCT = Product(1, 2, 3, 4)
#: A launch of `work` with scratch, and one of `plain` without.
WORK, PLAIN = Launch("work", "half", PRODUCT), Launch("plain", "half")


class Fixed:
    """A backend whose products have this scratch, and nothing else any."""

    def __init__(self, **scratch: tuple[int, ...]) -> None:
        self._scratch = Scratch(**scratch)

    def scratch(self, kernel: Kernel, item_bytes: int) -> Scratch:
        return self._scratch if isinstance(kernel, Product) else NOTHING


def a_trace(*events: Launch | Birth | Death | Pass) -> Trace:
    """No weights, no input."""
    return Trace(events, input_elements=0, weights=())


def signed(timeline: Timeline) -> list[int]:
    """The changes of the call as bytes that come and go."""
    sizes = timeline.sizes
    changes = timeline.changes[timeline.before :]
    return [sizes[place] if place >= 0 else -sizes[~place] for place in changes]


def call(*events: Launch | Birth | Death | Pass, **scratch: tuple[int, ...]) -> list[int]:
    """The changes of a call beside its input of no elements."""
    return signed(build(a_trace(*events), Fixed(**scratch), 1))


def test_weights_and_input_are_there_before_the_call() -> None:
    # Given weights of 5 and 3 elements, an input of 2, and 10 that come and go, of 4 bytes each
    trace = Trace((PLAIN, Birth(0, 10), Death(0)), input_elements=2, weights=(5, 3))
    timeline = build(trace, LiveOnly(), 4)
    # Then they come first, in that order
    assert timeline.before == 3
    assert timeline.sizes == (20, 12, 8, 40)
    assert list(timeline.live()) == [20, 32, 40, 80, 40]
    assert [one.kind for one in timeline.owners] == ["weights", "weights", "input", "activation"]


def test_what_comes_before_the_output_goes_before_it() -> None:
    assert call(WORK, Birth(0, 100), before=(1, 2)) == [1, 2, -2, -1, 100]


def test_what_lives_across_the_output_comes_after_what_does_not_and_goes_once_it_is_there() -> None:
    assert call(WORK, Birth(0, 100), before=(1, 2), across=(3, 4)) == [1, 2, 3, 4, -2, -1, 100, -3, -4]


def test_workspaces_and_buffers_come_after_the_output_and_go_the_last_first() -> None:
    assert call(WORK, Birth(0, 100), after=(1, 2), buffers=(5,)) == [100, 1, 2, 5, -5, -2, -1]


def test_what_is_kept_comes_at_its_first_launch_alone_and_stays() -> None:
    assert call(WORK, Birth(0, 100), WORK, Birth(1, 50), kept=(7,)) == [100, 7, 50]


def test_a_launch_of_two_births_has_its_scratch_at_the_first_alone() -> None:
    assert call(WORK, Birth(0, 100), Birth(1, 10), after=(3,)) == [100, 3, -3, 10]


def test_a_kernel_without_scratch_has_none() -> None:
    other = Launch("other", "half", Upsampling((1, 1, 1, 1), (1, 1, 2, 2)))
    assert call(other, Birth(0, 100), PLAIN, Birth(1, 10), after=(3,)) == [100, 10]


def test_scratch_is_owned_by_its_launch_and_of_a_kind_of_its_own() -> None:
    timeline = build(a_trace(WORK, Birth(0, 9)), Fixed(after=(1,), buffers=(2,), kept=(3,)), 1)
    kinds = {timeline.sizes[place]: timeline.owners[place] for place in timeline.changes[1:] if place >= 0}
    assert kinds == {
        9: Owner("half", "work", "activation"),
        1: Owner("half", "work", "workspace"),
        2: Owner("half", "work", "buffer"),
        3: Owner("half", "work", "library"),
    }


@pytest.mark.parametrize(("size", "rounded"), [(1, 512), (512, 512), (513, 1024), (0, 0)])
def test_sizes_are_rounded_up_to_the_allocator_s_blocks(size: int, rounded: int) -> None:
    builder = Builder(round_to=512)
    builder.allocate(size, Owner("", "", "activation"))
    assert builder.done().sizes == (rounded,)


# One pass: 10 elements of work, then the output of 4, then the 10 go.
_EVENTS = (WORK, Birth(0, 10), PLAIN, Birth(1, 4), Death(0))


def passes(count: int) -> list[Pass]:
    """Passes of one shape, whose keys take two each."""
    return [Pass(_EVENTS, shift=2 * number, output=1, shape=(1, 3, 8, 8)) for number in range(count)]


def test_passes_come_in_full_with_keys_of_their_own() -> None:
    assert call(*passes(2), after=(3,)) == [10, 3, -3, 4, -10] * 2


def test_later_passes_of_a_shape_leave_their_result_behind_and_no_more() -> None:
    # Given three passes of a shape and then the death of the second one's result, repeats being left out
    events = (*passes(3), Death(2 * 1 + 1))
    timeline = build(a_trace(*events), Fixed(after=(3,)), 1, each_shape_once=True)
    # Then the first comes in full, and of the others there is the result, which can die
    assert signed(timeline) == [10, 3, -3, 4, -10, 4, 4, -4]


#: As `_EVENTS`, with a cache of 6 elements besides, which replaces that of the pass before.
_WITH_CACHE = (WORK, Birth(0, 10), PLAIN, Birth(1, 4), Death(-1), PLAIN, Birth(2, 6), Death(0))


def passes_with_a_cache(count: int) -> list[Birth | Pass]:
    """A first cache, and passes that each inherit one and leave another."""
    later = [Pass(_WITH_CACHE, 1 + 3 * number, 1, (1, 3, 8, 8), inherited=(3 * number,)) for number in range(count)]
    return [Birth(0, 6), *later]


def test_passes_that_hand_on_caches_are_repeated_in_full() -> None:
    # Given three passes that each free what the one before left, repeats being left out
    timeline = build(a_trace(PLAIN, *passes_with_a_cache(3)), LiveOnly(), 1, each_shape_once=True)
    # Then all are there, because where their caches lie decides what is reserved
    assert signed(timeline) == [6, *[10, 4, -6, 6, -10] * 3]
    assert timeline.left_out_bytes == 0


def test_in_a_long_call_passes_that_hand_on_caches_leave_only_what_outlives_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given room for the first two of four passes
    monkeypatch.setattr("bench.vram.timeline.MOST_CHANGES", 10)
    timeline = build(a_trace(PLAIN, *passes_with_a_cache(4)), LiveOnly(), 1, each_shape_once=True)
    # Then the others exchange caches and leave their results
    assert signed(timeline) == [6, *[10, 4, -6, 6, -10] * 2, *[-6, 4, 6] * 2]
    assert timeline.left_out_bytes == 6 + 3 * 4 + (10 + 4)


def test_the_first_of_equal_passes_is_there_in_full() -> None:
    # Given two passes of one shape that are not equal, as their events are not one object
    first, second = passes(2)
    other = Pass((*second.events, Launch("view", "")), second.shift, second.output, second.shape)
    assert signed(build(a_trace(first, other), LiveOnly(), 1, each_shape_once=True)) == [10, 4, -10] * 2


def test_the_peak_its_place_and_who_is_alive_then() -> None:
    # Given 10, then 30, then the 10 go, then 10 again: 10, 40, 30, 40
    events = (PLAIN, Birth(0, 10), PLAIN, Birth(1, 30), Death(0), PLAIN, Birth(2, 10))
    timeline = build(a_trace(*events), LiveOnly(), 1)
    assert timeline.peak_bytes == 40
    # Then the first of two peaks counts: the input (of nothing) is change 0
    assert timeline.peak_at == 2
    assert [timeline.sizes[place] for place in timeline.alive_at(timeline.peak_at)] == [30, 10, 0]
    assert [timeline.sizes[place] for place in timeline.alive_at(3)] == [30, 0]


def test_an_empty_timeline_has_no_peak() -> None:
    assert Builder().done().peak_bytes == 0
