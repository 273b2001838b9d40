"""Workspaces of CUDA's libraries: cuDNN's of each convolution, cuBLAS's, and what attention accumulates in.

Pure. cuDNN's tensor-core kernels work on NHWC copies of what torch gives them as NCHW, so a convolution's workspace is
a share of its input and output, and its filter: how large a share differs between kernels. Where a device's own were
measured (`bench calibrate`) they stand instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from bench.core.units import KIB, MIB
from bench.record import WorkspaceSource
from bench.vram.events import Attention, Convolution, Kernel, Product
from bench.vram.workspace import NOTHING, Scratch

#: Share of (input + output) that a convolution's workspace takes beside its filter, by bytes of a value and
#: architecture. In quarters, those with which the docs' encode table, untiled, with memory to spare, comes out within
#: 14% from 256 to 2048 px (tests/unit/vram/test_published.py). For float16 1.75 would do as well, and 2 is nearer on
#: the docs' decode page, which is not in this repository.
SHARES: dict[tuple[int, str], float] = {(2, "ampere"): 2.0, (2, "ada"): 2.0, (4, "ampere"): 1.25, (4, "ada"): 1.0}
#: Where there is no such figure: an NHWC copy of either (share 1) and half as much again, in the midst of those above.
_RULE_SHARE = 1.25
#: The band: the least and most of the share's parts and multiples. It holds every figure of the docs' encode table.
PUBLISHED_BAND = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)
#: From no workspace to nearly twice the middle one, which spans all that was fitted.
RULE_BAND = (0.0, 0.3, 0.6, 0.8, 1.0, 1.2, 1.5, 1.8)
#: Measured workspaces: the order of allocations is the trace's, so a little to either side.
CALIBRATED_BAND = (0.95, 1.0, 1.05)
#: Some of them at other sizes than these, where cuDNN may choose other kernels: as uncertain as fitted ones.
OTHER_SIZES_BAND = PUBLISHED_BAND

#: cuBLAS's workspace, kept from the first matrix product on (CublasHandlePool.cpp, parseChosenWorkspaceSize), and the
#: larger one of some compute capabilities. cublasLt shares it by default (TORCH_CUBLASLT_UNIFIED_WORKSPACE); versions
#: in which it has its own take 1 MiB more, which is not modelled.
_CUBLAS_BYTES = 2 * 4096 * KIB + 8 * 16 * KIB
_LARGER_CUBLAS_BYTES = 32 * MIB
#: The major capabilities with the larger one, from a version of torch on. 2.6 and 2.11 have 9 alone; pull request
#: 175344 (February 2026, after 2.11) added 10 and 12, and 189312 (July 2026) added 11, which torch 2.14.1 has.
_LARGER_CUBLAS: tuple[tuple[tuple[int, int], frozenset[int]], ...] = (
    ((2, 14), frozenset({9, 10, 11, 12})),
    ((2, 12), frozenset({9, 10, 12})),
    ((0, 0), frozenset({9})),
)
#: The torch that predictions are made for, whichever is installed: that of `constraints.txt`.
ASSUMED_TORCH = "2.13.0"


#: How a workspace is known: by these very shapes; from a smaller and a larger size; from the nearest size alone.
Basis = Literal["measured", "between sizes", "beyond sizes"]


class Measured(Protocol):
    """Workspaces that were measured on a device."""

    def basis(self, kernel: Convolution) -> Basis | None:
        """How the workspace of this convolution is known; None where it is not."""
        ...

    def workspace_bytes(self, kernel: Convolution) -> int | None:
        """Of this convolution; None where nothing like it was measured."""
        ...


@dataclass(frozen=True, slots=True)
class CuDnn:
    """The CUDA backend.

    Attributes:
        share: of input and output that a convolution takes beside its filter; 0: no convolution takes anything.
        source: where that is from.
        band: multiples of the workspaces whose peaks make the band.
        architecture: of the card, empty where only its memory is known.
        cublas_bytes: what cuBLAS keeps.
        measured: workspaces measured on the device in this precision, if any.
    """

    share: float
    source: WorkspaceSource
    band: tuple[float, ...]
    architecture: str = ""
    cublas_bytes: int = _CUBLAS_BYTES
    measured: Measured | None = None

    @property
    def leanest(self) -> CuDnn:
        """The same where every convolution takes a kernel that needs no workspace."""
        return replace(self, share=0.0, measured=None)

    def suited(self, kernels: Iterable[Kernel], item_bytes: int) -> CuDnn:
        """The same for a call of these kernels: what was measured stands only if it knows all of its convolutions.

        Where it knows some of them from other sizes alone, the band is wider.
        """
        if self.measured is None:
            return self
        bases = {self.measured.basis(kernel) for kernel in kernels if isinstance(kernel, Convolution)}
        if None in bases:
            share, source, band = _unmeasured(self.architecture, item_bytes)
            return replace(self, share=share, source=source, band=band, measured=None)
        return self if bases <= {"measured"} else replace(self, band=OTHER_SIZES_BAND)

    def scratch(self, kernel: Kernel, item_bytes: int) -> Scratch:
        """What the kernel takes of torch's pool."""
        match kernel:
            case Convolution(channels_last=True):  # as the kernels take it, once the filter is copied into that layout
                known = self.measured.workspace_bytes(kernel) if self.measured else None
                if known is not None:  # that copy was seen with it
                    return Scratch(after=(known,)) if known else NOTHING
                return Scratch(across=(math.prod(kernel.filter) * item_bytes,))
            case Convolution():
                size = self._convolution(kernel, item_bytes)
                return Scratch(after=(size,)) if size else NOTHING
            case Product():
                return Scratch(kept=(self.cublas_bytes,))
            case Attention() if item_bytes < _ACCUMULATED_BYTES and kernel.head_size > _HELD_HEAD:
                return Scratch(buffers=(_accumulator(kernel),))
        return NOTHING

    def _convolution(self, kernel: Convolution, item_bytes: int) -> int:
        if not self.share:
            return 0
        known = self.measured.workspace_bytes(kernel) if self.measured else None
        if known is not None:
            return known
        copies = self.share * (math.prod(kernel.input) + math.prod(kernel.output))
        return int(copies + math.prod(kernel.filter)) * item_bytes


_ACCUMULATED_BYTES = 4
#: Heads up to this size are summed up in registers.
_HELD_HEAD = 128


def _accumulator(kernel: Attention) -> int:
    """The memory-efficient kernel sums heads of more than 128 up in float32 (mem_eff_attention/kernel_forward.h,
    kNeedsOutputAccumulatorBuffer)."""
    return kernel.batch * kernel.queries * kernel.heads * kernel.head_size * _ACCUMULATED_BYTES


def cublas_bytes(compute_capability: str, torch_version: str = ASSUMED_TORCH) -> int:
    """What cuBLAS keeps on a card of this capability ("8.9") with this version of torch ("2.13.0+cu130")."""
    release = torch_version.split(".")
    version = (int(release[0]), int(release[1]))
    larger = next(majors for since, majors in _LARGER_CUBLAS if version >= since)
    return _LARGER_CUBLAS_BYTES if int(compute_capability.partition(".")[0]) in larger else _CUBLAS_BYTES


def backend(
    architecture: str,
    compute_capability: str,
    item_bytes: int,
    measured: Measured | None = None,
    torch_version: str = ASSUMED_TORCH,
) -> CuDnn:
    """The backend of a card, for values of so many bytes; `torch_version` where the card's own torch is known."""
    cublas = cublas_bytes(compute_capability, torch_version)
    share, source, band = _unmeasured(architecture, item_bytes)
    if measured is not None:
        source, band = "calibrated", CALIBRATED_BAND
    return CuDnn(share, source, band, architecture, cublas, measured)


def _unmeasured(architecture: str, item_bytes: int) -> tuple[float, WorkspaceSource, tuple[float, ...]]:
    """Share, its source and the band where nothing was measured."""
    share = SHARES.get((item_bytes, architecture))
    return (_RULE_SHARE, "rule", RULE_BAND) if share is None else (share, "published", PUBLISHED_BAND)
