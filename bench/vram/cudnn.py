"""Workspaces of CUDA's libraries: cuDNN's for convolutions, cuBLAS's, and attention's accumulator.

cuDNN's tensor-core kernels work on NHWC copies of torch's NCHW tensors, so a convolution's workspace is its filter plus
a share of its input and output that depends on the kernel. Workspaces measured on the device (`bench calibrate`) take
precedence.
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

#: Share of (input + output) in a convolution's workspace besides its filter, by bytes per value and architecture.
#: Fitted in steps of a quarter: the docs' encode table (untiled, with memory to spare) comes out within 14% from 256 to
#: 2048 px (tests/unit/vram/test_published.py). For float16 1.75 fits equally well, but 2 is closer on the docs' decode
#: page, which is not in this repository.
SHARES: dict[tuple[int, str], float] = {(2, "ampere"): 2.0, (2, "ada"): 2.0, (4, "ampere"): 1.25, (4, "ada"): 1.0}
#: Share if there is no published figure: an NHWC copy (share 1) plus a quarter, in the middle of those above.
_RULE_SHARE = 1.25
#: Factors of the workspaces that span the band. It contains every figure of the docs' encode table.
PUBLISHED_BAND = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)
#: From no workspace to nearly twice the rule's, which spans all fitted shares.
RULE_BAND = (0.0, 0.3, 0.6, 0.8, 1.0, 1.2, 1.5, 1.8)
#: For measured workspaces: only the order of allocations is predicted.
CALIBRATED_BAND = (0.95, 1.0, 1.05)
#: If some were measured at other sizes, at which cuDNN may choose other kernels: as uncertain as fitted shares.
OTHER_SIZES_BAND = PUBLISHED_BAND

#: cuBLAS's workspace, kept from the first matrix product on (CublasHandlePool.cpp, parseChosenWorkspaceSize), and the
#: larger one of some compute capabilities. cublasLt shares it by default (TORCH_CUBLASLT_UNIFIED_WORKSPACE); if it
#: does not, it takes another 1 MiB, which is not modelled.
_CUBLAS_BYTES = 2 * 4096 * KIB + 8 * 16 * KIB
_LARGER_CUBLAS_BYTES = 32 * MIB
#: Major compute capabilities with the larger workspace, by first version of torch. 2.6 and 2.11 have only 9; pull
#: request 175344 (February 2026, after 2.11) added 10 and 12; 189312 (July 2026, in torch 2.14.1) added 11.
_LARGER_CUBLAS: tuple[tuple[tuple[int, int], frozenset[int]], ...] = (
    ((2, 14), frozenset({9, 10, 11, 12})),
    ((2, 12), frozenset({9, 10, 12})),
    ((0, 0), frozenset({9})),
)
#: The version of torch that predictions assume, whichever is installed: that of `constraints.txt`.
ASSUMED_TORCH = "2.13.0"


#: How a workspace is known: measured at these shapes, interpolated between two sizes, or taken from the nearest size.
Basis = Literal["measured", "between sizes", "beyond sizes"]


class Measured(Protocol):
    """Workspaces measured on a device."""

    def basis(self, kernel: Convolution) -> Basis | None:
        """How the workspace of this convolution is known; None if it is not."""

    def workspace_bytes(self, kernel: Convolution) -> int | None:
        """The workspace of this convolution in bytes; None if nothing similar was measured."""


@dataclass(frozen=True, slots=True)
class CuDnn:
    """The CUDA backend.

    Attributes:
        share: share of input and output in a convolution's workspace, besides its filter; 0: no workspaces at all.
        source: origin of the share.
        band: factors applied to the workspaces; the peaks with them span the predicted range.
        architecture: the card's architecture; empty if only its memory is known.
        cublas_bytes: the workspace that cuBLAS keeps.
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
        """The same backend with kernels that need no workspace."""
        return replace(self, share=0.0, measured=None)

    def for_kernels(self, kernels: Iterable[Kernel], item_bytes: int) -> CuDnn:
        """The backend for a call with these kernels: measured workspaces apply only if they cover all its convolutions.

        If some are known from other sizes only, the band is wider.
        """
        if self.measured is None:
            return self
        bases = {self.measured.basis(kernel) for kernel in kernels if isinstance(kernel, Convolution)}
        if None in bases:
            share, source, band = _unmeasured(self.architecture, item_bytes)
            return replace(self, share=share, source=source, band=band, measured=None)
        return self if bases <= {"measured"} else replace(self, band=OTHER_SIZES_BAND)

    def scratch(self, kernel: Kernel, item_bytes: int) -> Scratch:
        match kernel:
            case Convolution(channels_last=True):  # tensor cores take this layout; only the filter is copied
                known = self.measured.workspace_bytes(kernel) if self.measured else None
                if known is not None:  # the measurement includes that copy
                    return Scratch(after=(known,)) if known else NOTHING
                return Scratch(across=(math.prod(kernel.filter) * item_bytes,))
            case Convolution():
                size = self._convolution(kernel, item_bytes)
                return Scratch(after=(size,)) if size else NOTHING
            case Product():
                return Scratch(kept=(self.cublas_bytes,))
            case Attention() if item_bytes < _ACCUMULATED_BYTES and kernel.head_size > _REGISTER_HEAD:
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
#: The largest head that is accumulated in registers.
_REGISTER_HEAD = 128


def _accumulator(kernel: Attention) -> int:
    """Bytes of the float32 accumulator that the memory-efficient kernel uses for larger heads
    (mem_eff_attention/kernel_forward.h, kNeedsOutputAccumulatorBuffer)."""
    return kernel.batch * kernel.queries * kernel.heads * kernel.head_size * _ACCUMULATED_BYTES


def cublas_bytes(compute_capability: str, torch_version: str = ASSUMED_TORCH) -> int:
    """cuBLAS's workspace for a compute capability ("8.9") and a version of torch ("2.13.0+cu130")."""
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
    """The backend of a card for values of `item_bytes`; give `torch_version` if that of the card is known."""
    cublas = cublas_bytes(compute_capability, torch_version)
    share, source, band = _unmeasured(architecture, item_bytes)
    if measured is not None:
        source, band = "calibrated", CALIBRATED_BAND
    return CuDnn(share, source, band, architecture, cublas, measured)


def _unmeasured(architecture: str, item_bytes: int) -> tuple[float, WorkspaceSource, tuple[float, ...]]:
    """Share, its source and the band without measured workspaces."""
    share = SHARES.get((item_bytes, architecture))
    return (_RULE_SHARE, "rule", RULE_BAND) if share is None else (share, "published", PUBLISHED_BAND)
