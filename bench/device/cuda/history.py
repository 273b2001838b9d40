"""The allocations of one convolution, from the memory history that torch records.

An entry is a `TraceEntry` of `torch.cuda.memory._snapshot()["device_traces"][n]`: its `action`, `addr` and `size`. The
size of an `alloc` and a `free_completed` is the requested size, not that of the block (`orig_size` and
`requested_size` in c10/cuda/CUDACachingAllocator.cpp), so sizes add up to the allocator's own `requested_bytes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Requests:
    """The memory that a convolution requested, in bytes.

    Attributes:
        workspace_bytes: peak of the live memory besides its output and the contiguous copy of its input.
        peak_bytes: peak of the live memory above that before the convolution.
        refused: whether the allocator refused a request, so that torch used a kernel with less workspace.
    """

    workspace_bytes: int
    peak_bytes: int
    refused: bool


def requests(entries: Sequence[Mapping[str, Any]], output_address: int, copy_bytes: int = 0) -> Requests | None:
    """The requests of one convolution from its history entries; None if its output is not among them.

    `copy_bytes` is the size of its input if that was not contiguous: torch copies it before it allocates the output.
    All other allocations are workspace, for every kernel that torch tried; a bias is added in place.
    """
    output = _last(entries, len(entries), addr=output_address)
    if output is None:
        return None
    tensors = {output, _last(entries, output, size=copy_bytes) if copy_bytes else None}
    live = peak = workspace = workspace_peak = 0
    workspaces: set[int] = set()
    for index, entry in enumerate(entries):
        if entry["action"] == "alloc":
            live += entry["size"]
            if index not in tensors:
                workspaces.add(entry["addr"])
                workspace += entry["size"]
        elif entry["action"] == "free_completed":
            live -= entry["size"]
            if entry["addr"] in workspaces:
                workspaces.remove(entry["addr"])
                workspace -= entry["size"]
        peak, workspace_peak = max(peak, live), max(workspace_peak, workspace)
    return Requests(workspace_peak, peak, refused=any(entry["action"] == "oom" for entry in entries))


def _last(entries: Sequence[Mapping[str, Any]], end: int, **fields: int) -> int | None:
    """The index of the last allocation before `end` with these fields."""
    for index in reversed(range(end)):
        entry = entries[index]
        if entry["action"] == "alloc" and all(entry[name] == value for name, value in fields.items()):
            return index
    return None
