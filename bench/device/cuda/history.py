"""What torch's allocator was asked for while one convolution ran, from the history that it records. Pure.

An entry is a `TraceEntry` of `torch.cuda.memory._snapshot()["device_traces"][n]`: its `action`, `addr` and `size`. The
size of an `alloc` and a `free_completed` is what was requested, not the block that holds it (`orig_size` and
`requested_size` in c10/cuda/CUDACachingAllocator.cpp), so it adds up to the allocator's own `requested_bytes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Requests:
    """What a convolution requested, in bytes.

    Attributes:
        workspace_bytes: the most that was alive at once beside its output and the contiguous copy of its input.
        peak_bytes: the most that was alive at once, all together, above what was alive before it.
        refused: whether the allocator turned a request down, so that torch went on to a leaner kernel.
    """

    workspace_bytes: int
    peak_bytes: int
    refused: bool


def requests(entries: Sequence[Mapping[str, Any]], output_address: int, copy_bytes: int = 0) -> Requests | None:
    """What the entries of one convolution's time say; None if its output is not among them.

    `copy_bytes` is the size of its input where that was not contiguous: torch copies it before it allocates the output.
    A workspace is whatever else is there, all kernels that torch tried included; a bias is added in place.
    """
    output = _last(entries, len(entries), addr=output_address)
    if output is None:
        return None
    tensors = {output, _last(entries, output, size=copy_bytes) if copy_bytes else None}
    live = peak = beside = most = 0
    is_beside: dict[int, bool] = {}
    for place, entry in enumerate(entries):
        if entry["action"] == "alloc":
            is_beside[entry["addr"]] = place not in tensors
            live += entry["size"]
            beside += entry["size"] if place not in tensors else 0
        elif entry["action"] == "free_completed":
            live -= entry["size"]
            beside -= entry["size"] if is_beside.pop(entry["addr"], False) else 0
        peak, most = max(peak, live), max(most, beside)
    return Requests(most, peak, refused=any(entry["action"] == "oom" for entry in entries))


def _last(entries: Sequence[Mapping[str, Any]], end: int, **fields: int) -> int | None:
    """The place of the last allocation before `end` that has these fields."""
    for place in reversed(range(end)):
        entry = entries[place]
        if entry["action"] == "alloc" and all(entry[name] == value for name, value in fields.items()):
            return place
    return None
