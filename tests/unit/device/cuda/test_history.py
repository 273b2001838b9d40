"""What one convolution requested, from entries written by hand as torch's history has them."""

from __future__ import annotations

from typing import Any

from bench.device.cuda.history import Requests, requests

OUTPUT, WORKSPACE, COPY = 0x1000, 0x2000, 0x3000


def alloc(address: int, size: int) -> dict[str, Any]:
    return entry("alloc", address, size)


def freed(address: int, size: int) -> list[dict[str, Any]]:
    """A block of one stream: both entries, at once."""
    return [entry("free_requested", address, size), entry("free_completed", address, size)]


def entry(action: str, address: int, size: int) -> dict[str, Any]:
    return {"action": action, "addr": address, "size": size, "stream": 0, "frames": [], "time_us": 1}


def refused(size: int) -> dict[str, Any]:
    """As torch writes it: what is free instead of an address."""
    return {"action": "oom", "device_free": 10, "size": size, "stream": 0, "frames": []}


def test_what_lives_beside_the_output_is_the_workspace() -> None:
    # Given an output of 100 that stays, and 40 for the kernel, with a segment that holds both
    entries = [entry("segment_alloc", 0x1000, 2**21), alloc(OUTPUT, 100), alloc(WORKSPACE, 40), *freed(WORKSPACE, 40)]
    assert requests(entries, OUTPUT) == Requests(workspace_bytes=40, peak_bytes=140, refused=False)


def test_a_convolution_without_a_workspace_has_none() -> None:
    assert requests([alloc(OUTPUT, 100)], OUTPUT) == Requests(0, 100, refused=False)


def test_of_kernels_that_were_tried_in_turn_the_most_counts() -> None:
    # Given two workspaces, the second where the first was: 60 and then 40
    entries = [alloc(OUTPUT, 100), alloc(WORKSPACE, 60), *freed(WORKSPACE, 60), alloc(WORKSPACE, 40)]
    assert requests([*entries, *freed(WORKSPACE, 40)], OUTPUT) == Requests(60, 160, refused=False)


def test_workspaces_that_live_together_add_up() -> None:
    entries = [alloc(OUTPUT, 100), alloc(WORKSPACE, 60), alloc(0x4000, 5), *freed(0x4000, 5), *freed(WORKSPACE, 60)]
    assert requests(entries, OUTPUT) == Requests(65, 165, refused=False)


def test_the_contiguous_copy_of_the_input_is_no_workspace() -> None:
    # Given 80 for the copy, which lives until the kernel has run: the peak holds it, the workspace does not
    entries = [alloc(COPY, 80), alloc(OUTPUT, 100), alloc(WORKSPACE, 40), *freed(WORKSPACE, 40), *freed(COPY, 80)]
    assert requests(entries, OUTPUT, copy_bytes=80) == Requests(40, 220, refused=False)
    assert requests(entries, OUTPUT) == Requests(120, 220, refused=False)


def test_an_input_that_need_not_be_copied_was_not() -> None:
    # Given an input of 80 in a layout that cuDNN takes, and a workspace of just that size after the output
    entries = [alloc(OUTPUT, 100), alloc(WORKSPACE, 80), *freed(WORKSPACE, 80)]
    assert requests(entries, OUTPUT, copy_bytes=80) == Requests(80, 180, refused=False)


def test_the_output_may_lie_where_something_before_it_lay() -> None:
    entries = [alloc(OUTPUT, 30), *freed(OUTPUT, 30), alloc(OUTPUT, 100), alloc(WORKSPACE, 40)]
    assert requests(entries, OUTPUT) == Requests(40, 140, refused=False)


def test_a_request_that_was_refused_is_told_and_counts_nothing() -> None:
    entries = [alloc(OUTPUT, 100), entry("segment_free", 0x9000, 2**21), refused(500), alloc(WORKSPACE, 40)]
    assert requests(entries, OUTPUT) == Requests(40, 140, refused=True)


def test_what_was_there_before_and_goes_makes_room() -> None:
    # Given 50 that die before the output comes: the peak is 100 - 50 above what was alive before, and 40 more
    entries = [*freed(0x8000, 50), alloc(OUTPUT, 100), alloc(WORKSPACE, 40)]
    assert requests(entries, OUTPUT) == Requests(40, 90, refused=False)


def test_a_history_without_the_output_says_nothing() -> None:
    assert requests([alloc(WORKSPACE, 40)], OUTPUT) is None
    assert requests([], OUTPUT) is None
