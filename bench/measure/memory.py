"""What a memory meter is. The meters themselves are `cuda_memory` and `host_memory`.

A meter measures one case after another: `begin` with the model loaded, `first_call_done`, `calls_done`, then
`left_behind` when the case's tensors are gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bench.record import ContextFoundBy, Memory


@dataclass(frozen=True, slots=True)
class Capacity:
    """What memory is divided by: the device's total, or the limit that stands in for it; both in bytes."""

    total_bytes: int
    limit_bytes: int | None = None

    @property
    def divisor(self) -> int:
        return self.total_bytes if self.limit_bytes is None else self.limit_bytes


@dataclass(frozen=True, slots=True)
class Context:
    """The CUDA context: its bytes on the device and by which figure they were found, or None and why."""

    bytes: int | None
    found_by: ContextFoundBy | None = None
    reason: str | None = None


class MemoryMeter(Protocol):
    """Measures the peak of one case."""

    #: More than this left behind is a leak.
    leak_tolerance_bytes: int

    def empty(self) -> None:
        """Give back all memory that is cached and not in use."""
        ...

    def begin(self) -> None:
        """The model is loaded, the case's input is not: empty what is cached and start from here."""
        ...

    def first_call_done(self) -> None:
        """The first call has ended."""
        ...

    def calls_done(self, weights_bytes: int) -> Memory:
        """All calls have ended: the figures."""
        ...

    def left_behind(self) -> int:
        """Bytes that did not return to what `begin` found; call it when the case's tensors are gone."""
        ...
