"""From what torch noted of its allocator while a call ran to a timeline. Pure; `recorded` has torch note it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.vram.timeline import Builder, Kind, Owner, Timeline

#: The actions of torch.cuda.memory._snapshot's traces that begin and end an allocation, as its statistics count them;
#: `free_completed` follows `free_requested`, and what is of segments changes nothing of what is allocated.
_BEGINS, _ENDS = "alloc", "free_requested"


@dataclass(frozen=True, slots=True)
class Span:
    """What is at work: a module, the operator that it called, and which of all calls that is; None between two."""

    module: str = ""
    operator: str = ""
    launch: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """An allocation of so many bytes at an address; its end, where they are negative."""

    address: int
    bytes: int
    span: Span


@dataclass(frozen=True, slots=True)
class Mark:
    """From this change on, counted from the beginning of the recording, that is at work."""

    change: int
    span: Span


def timeline_of(changes: Sequence[Change], weights: Iterable[int], input_bytes: int, round_to: int = 1) -> Timeline:
    """The timeline of a recorded call, after weights of these sizes and an input of that one, both in bytes.

    What an operator allocates and frees again is its workspace. The end of what was there before the recording is left
    out, since its beginning is not in it.
    """
    workspaces = _workspaces(changes)
    builder = Builder(round_to)
    for size in weights:
        builder.allocate(size, Owner("", "", "weights"))
    builder.allocate(input_bytes, Owner("", "", "input"))
    builder.call_begins()
    places: dict[int, int] = {}
    for number, change in enumerate(changes):
        if change.bytes >= 0:
            kind: Kind = "workspace" if number in workspaces else "activation"
            owner = Owner(change.span.module, change.span.operator, kind)
            places[change.address] = builder.allocate(change.bytes, owner)
        elif change.address in places:
            builder.free(places.pop(change.address))
    return builder.done()


def changes_of(entries: Iterable[Mapping[str, Any]], marks: Sequence[Mark]) -> Iterator[Change]:
    """The changes in a device's trace out of torch.cuda.memory._snapshot()["device_traces"].

    An entry has `action`, and where it is of an allocation `addr` and `size`: the bytes that were asked for, before the
    allocator rounds them. `marks` are in order; of several at one change the last holds.
    """
    starts = [mark.change for mark in marks]
    number = 0
    for entry in entries:
        if entry["action"] not in {_BEGINS, _ENDS}:
            continue
        mark = bisect_right(starts, number) - 1
        span = marks[mark].span if mark >= 0 else Span()
        yield Change(entry["addr"], entry["size"] if entry["action"] == _BEGINS else -entry["size"], span)
        number += 1


def _workspaces(changes: Sequence[Change]) -> set[int]:
    """Which changes allocate what the same call of an operator frees."""
    begun: dict[int, int] = {}
    found = set()
    for number, change in enumerate(changes):
        if change.bytes >= 0:
            begun[change.address] = number
        elif (start := begun.pop(change.address, None)) is not None:
            launch = changes[start].span.launch
            if launch is not None and launch == change.span.launch:
                found.add(start)
    return found
