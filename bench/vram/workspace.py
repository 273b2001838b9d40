"""Memory that a backend's kernels take besides the tensors that they are given: a backend is what says how much.

Pure. `onednn` and `cudnn` are the backends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bench.vram.events import Kernel


@dataclass(frozen=True, slots=True)
class Scratch:
    """Allocations of one launch in bytes each, by when they live.

    Attributes:
        before: allocated before the output and freed before it.
        across: allocated before the output, after those, and freed once it is there.
        after: allocated once the output is there, and freed; a kernel that takes less, or none, can be had instead.
        buffers: the same, but there is no doing without.
        kept: allocated at the first launch that has any, and kept for good.
    """

    before: tuple[int, ...] = ()
    across: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    buffers: tuple[int, ...] = ()
    kept: tuple[int, ...] = ()


NOTHING = Scratch()


class Backend(Protocol):
    """What runs the kernels."""

    def scratch(self, kernel: Kernel, item_bytes: int) -> Scratch:
        """What the kernel takes besides its tensors, whose values have so many bytes."""
        ...
