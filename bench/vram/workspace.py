"""The interface of a backend, which says how much memory its kernels need besides their tensors.

`onednn` and `cudnn` are the backends.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from bench.traces.events import Kernel


class Scratch(msgspec.Struct, frozen=True, gc=False):
    """The extra allocations of one launch in bytes, by lifetime.

    Attributes:
        before: allocated and freed before the output is allocated.
        across: allocated after those and before the output, freed after it is allocated.
        after: allocated after the output, then freed; optional, because a kernel that needs less can replace this one.
        buffers: as `after`, but required.
        kept: allocated by the first launch that has any, and never freed.
    """

    before: tuple[int, ...] = ()
    across: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    buffers: tuple[int, ...] = ()
    kept: tuple[int, ...] = ()


NOTHING = Scratch()


class Backend(Protocol):
    """The library that runs the kernels."""

    def scratch(self, kernel: Kernel, item_bytes: int) -> Scratch:
        """The kernel's extra allocations; `item_bytes` is the size of one value."""
