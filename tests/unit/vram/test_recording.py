"""From what torch noted to a timeline: hand-written entries of torch.cuda.memory._snapshot's traces, and changes."""

from __future__ import annotations

from typing import Any

from bench.vram.recording import Change, Mark, Span, changes_of, timeline_of
from bench.vram.timeline import Owner

CONV = Span("decoder.conv_in", "conv2d", 1)
BETWEEN = Span("decoder.conv_in")
ACT = Span("decoder.conv_act", "silu", 2)


def entry(action: str, addr: int = 0, size: int = 0) -> dict[str, Any]:
    """An entry of a trace, as torch 2.6 to 2.13 write it."""
    place = {} if action == "oom" else {"addr": addr}
    return {"action": action, **place, "size": size, "stream": 0, "time_us": 1, "frames": [{"name": "forward"}]}


#: A convolution that takes a workspace, and an activation that takes its place; a segment and a snapshot among them.
ENTRIES = [
    entry("segment_alloc", 4096, 2**21),
    entry("alloc", 4096, 1000),  # change 0: the output
    entry("alloc", 8192, 300),  # change 1: the workspace
    entry("free_requested", 8192, 300),  # change 2
    entry("free_completed", 8192, 300),
    entry("alloc", 8192, 500),  # change 3: at the address that was freed
    entry("free_requested", 4096, 1000),  # change 4: the first output, after its operator
    entry("free_completed", 4096, 1000),
    entry("snapshot", 0, 0),
]
MARKS = [Mark(0, BETWEEN), Mark(0, CONV), Mark(3, BETWEEN), Mark(3, ACT), Mark(4, Span("decoder.conv_act"))]


def test_only_beginnings_and_ends_of_allocations_are_changes_each_with_what_was_at_work() -> None:
    assert list(changes_of(ENTRIES, MARKS)) == [
        Change(4096, 1000, CONV),
        Change(8192, 300, CONV),
        Change(8192, -300, CONV),
        Change(8192, 500, ACT),
        Change(4096, -1000, Span("decoder.conv_act")),
    ]


def test_what_comes_before_every_mark_is_of_nothing() -> None:
    assert list(changes_of([entry("alloc", 1, 8)], [Mark(1, CONV)])) == [Change(1, 8, Span())]


def test_a_timeline_of_changes_has_weights_and_input_before_the_call_and_workspaces_by_their_operator() -> None:
    timeline = timeline_of(list(changes_of(ENTRIES, MARKS)), [70, 30], 10)
    assert timeline.sizes == (70, 30, 10, 1000, 300, 500)
    assert timeline.before == 3
    # 110 before the call, then +1000 +300 -300 +500 -1000
    assert list(timeline.live()) == [70, 100, 110, 1110, 1410, 1110, 1610, 610]
    assert timeline.owners[3:] == (
        Owner("decoder.conv_in", "conv2d", "activation"),
        Owner("decoder.conv_in", "conv2d", "workspace"),
        Owner("decoder.conv_act", "silu", "activation"),
    )


def test_sizes_are_rounded_as_the_allocator_does() -> None:
    timeline = timeline_of([Change(1, 513, CONV)], [1], 512, 512)
    assert timeline.sizes == (512, 512, 1024)


def test_the_end_of_what_was_there_before_the_recording_is_left_out() -> None:
    timeline = timeline_of([Change(1, -64, CONV), Change(2, 8, CONV)], [], 4)
    assert list(timeline.live()) == [4, 12]


def test_what_another_call_of_the_operator_frees_is_no_workspace() -> None:
    changes = [Change(1, 8, Span("a", "conv2d", 1)), Change(1, -8, Span("a", "conv2d", 2))]
    assert timeline_of(changes, [], 4).owners[1].kind == "activation"


def test_what_is_allocated_and_freed_between_operators_is_no_workspace() -> None:
    changes = [Change(1, 8, Span("a")), Change(1, -8, Span("a"))]
    assert timeline_of(changes, [], 4).owners[1].kind == "activation"
