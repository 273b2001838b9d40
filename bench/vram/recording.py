"""Makes a timeline from the allocator events that torch recorded during a call."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.vram.timeline import Builder, Kind, Owner, Timeline

#: The actions in torch.cuda.memory._snapshot's traces that begin and end an allocation, as torch's statistics count
#: them. `free_completed` follows `free_requested`, and actions on segments do not change what is allocated.
_BEGINS, _ENDS = "alloc", "free_requested"


@dataclass(frozen=True, slots=True)
class Span:
    """The running module, the operator that it called, and the number of that launch (None between launches)."""

    module: str = ""
    operator: str = ""
    launch: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """An allocation of `bytes` at an address, or its end if `bytes` is negative."""

    address: int
    bytes: int
    span: Span


@dataclass(frozen=True, slots=True)
class Mark:
    """The span that is running from this change on, counted from the start of the recording."""

    change: int
    span: Span


def timeline_of(changes: Sequence[Change], weights: Iterable[int], input_bytes: int, round_to: int = 1) -> Timeline:
    """The timeline of a recorded call, preceded by weights and an input of these sizes in bytes.

    An allocation that the same launch frees is a workspace. Frees of memory from before the recording are left out.
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
    """The changes in one device's trace from torch.cuda.memory._snapshot()["device_traces"].

    An entry has `action`, and for allocations `addr` and `size`: the requested bytes before the allocator rounds them.
    `marks` are in order; of several at one change the last applies.
    """
    starts = [mark.change for mark in marks]
    for number, entry in enumerate(entry for entry in entries if entry["action"] in {_BEGINS, _ENDS}):
        latest = bisect_right(starts, number) - 1
        span = marks[latest].span if latest >= 0 else Span()
        yield Change(entry["addr"], entry["size"] if entry["action"] == _BEGINS else -entry["size"], span)


def _workspaces(changes: Sequence[Change]) -> set[int]:
    """Indices of the allocations that the same launch frees."""
    starts: dict[int, int] = {}
    workspaces = set()
    for number, change in enumerate(changes):
        if change.bytes >= 0:
            starts[change.address] = number
        elif (start := starts.pop(change.address, None)) is not None:
            launch = changes[start].span.launch
            if launch is not None and launch == change.span.launch:
                workspaces.add(start)
    return workspaces
