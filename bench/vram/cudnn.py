"""Workspaces of CUDA's libraries: cuDNN's for convolutions, cuBLAS's, and attention's accumulator.

cuDNN's tensor-core kernels work on NHWC copies of torch's NCHW tensors, so a convolution's workspace is its filter plus
a share of its input and output that depends on the kernel (`shares`). Workspaces measured on the device (`bench
calibrate`) take precedence.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from bench.core.units import KIB, MIB
from bench.record import WorkspaceSource
from bench.traces.events import Attention, Convolution, Kernel, Product
from bench.vram import shares
from bench.vram.shares import Shares
from bench.vram.workspace import NOTHING, Scratch

#: Factors of the workspaces that span the band. It contains every figure of the docs' tables; float16 at 256 px needs
#: the lowest.
PUBLISHED_BAND = (0.625, 0.75, 0.875, 1.0, 1.125)
#: From no workspace to nearly twice the rule's, which spans all fitted shares.
RULE_BAND = (0.0, 0.3, 0.6, 0.8, 1.0, 1.2, 1.5, 1.8)
#: For measured workspaces: only the order of allocations is predicted.
CALIBRATED_BAND = (0.95, 1.0, 1.05)
#: For sizes at which nothing was measured or published, and for another cuDNN: other kernels may be chosen.
OTHER_SIZES_BAND = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)

#: cuBLAS's workspace, kept from the first matrix product on (CublasHandlePool.cpp, parseChosenWorkspaceSize), and the
#: larger one of some compute capabilities.
_CUBLAS_BYTES = 2 * 4096 * KIB + 8 * 16 * KIB
_LARGER_CUBLAS_BYTES = 32 * MIB
#: Major compute capabilities with the larger workspace, by first version of torch. 2.6 and 2.11 have only 9; pull
#: request 175344 (February 2026, after 2.11) added 10 and 12; 189312 (July 2026, in torch 2.14.1) added 11.
_LARGER_CUBLAS: tuple[tuple[tuple[int, int], frozenset[int]], ...] = (
    ((2, 14), frozenset({9, 10, 11, 12})),
    ((2, 12), frozenset({9, 10, 12})),
    ((0, 0), frozenset({9})),
)
#: cublasLt's workspace, whatever the capability (parseCUDABlasLtWorkspaceSize). In 2.11 torch keeps it beside cuBLAS's:
#: getCUDABlasLtWorkspace shares them only if TORCH_CUBLASLT_UNIFIED_WORKSPACE is set. In 2.13 they are one unless it is
#: set to 0 (torch.backends.cuda.blas_workspace_size says so). 2.12 was not read.
_CUBLASLT_BYTES = 1 * MIB
_ONE_WORKSPACE = (2, 13)
#: The version of torch that predictions assume, whichever is installed: that of `constraints.txt`.
ASSUMED_TORCH = "2.13.0"
#: Major and minor version of cuDNN that its wheels require (nvidia-cudnn-cu13 9.20.0.48 for torch 2.13.0+cu130).
ASSUMED_CUDNN = "9.20"


#: How a workspace is known: measured at these shapes, interpolated between two sizes, taken from the nearest size, or
#: measured with another version of cuDNN, which may choose other kernels.
Basis = Literal["measured", "between sizes", "beyond sizes", "other cuDNN"]


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
        shares: shares of input and output in a convolution's workspace, besides its filter.
        source: origin of the shares.
        band: factors applied to the workspaces; the peaks with them span the predicted range.
        architecture: the card's architecture; empty if only its memory is known.
        cublas_bytes: the workspace that cuBLAS keeps.
        cublaslt_bytes: the workspace that cublasLt keeps besides; 0 if it shares cuBLAS's.
        measured: workspaces measured on the device in this precision, if any.
    """

    shares: Shares
    source: WorkspaceSource
    band: tuple[float, ...]
    architecture: str = ""
    cublas_bytes: int = _CUBLAS_BYTES
    measured: Measured | None = None
    cublaslt_bytes: int = 0

    @property
    def leanest(self) -> CuDnn:
        """The same backend with kernels that need no workspace."""
        return replace(self, shares=shares.NOTHING, measured=None)

    def for_kernels(self, kernels: Iterable[Kernel], item_bytes: int) -> CuDnn:
        """The backend for a call with these kernels: measured workspaces apply only if they cover all its convolutions.

        If some are known, or were fitted, from other sizes or another cuDNN only, the band is wider.
        """
        convolutions = {kernel for kernel in kernels if isinstance(kernel, Convolution)}
        backend = self
        if self.measured is not None:
            bases = {self.measured.basis(kernel) for kernel in convolutions}
            if None not in bases:
                return self if bases <= {"measured"} else replace(self, band=OTHER_SIZES_BAND)
            unmeasured, source, band = _unmeasured(self.architecture, item_bytes)
            backend = replace(self, shares=unmeasured, source=source, band=band, measured=None)
        if backend.source == "rule":
            return backend
        if any(shares.is_video(kernel) for kernel in convolutions):
            return replace(backend, source="rule", band=RULE_BAND)
        if not all(backend.shares.are_fitted_to(kernel, item_bytes) for kernel in convolutions):
            return replace(backend, band=OTHER_SIZES_BAND)
        return backend

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
                return Scratch(kept=tuple(size for size in (self.cublas_bytes, self.cublaslt_bytes) if size))
            case Attention() if item_bytes < _ACCUMULATED_BYTES:
                return Scratch(buffers=(_of_attention(kernel),))
        return NOTHING

    def _convolution(self, kernel: Convolution, item_bytes: int) -> int:
        if self.shares == shares.NOTHING:
            return 0
        known = self.measured.workspace_bytes(kernel) if self.measured else None
        if known is not None:
            return known
        return int(self.shares.elements(kernel, item_bytes)) * item_bytes


_ACCUMULATED_BYTES = 4
#: The largest head of the flash kernel, which runs in 16 bits and keeps a float32 for each query (the log-sum-exp,
#: flash_attn/flash_api.cpp). Larger ones go to the memory-efficient kernel, which accumulates them outside registers.
_FLASH_HEAD = 256


def _of_attention(kernel: Attention) -> int:
    """Bytes of the flash kernel's sums, or of the float32 accumulator that the memory-efficient kernel uses for larger
    heads (mem_eff_attention/kernel_forward.h, kNeedsOutputAccumulatorBuffer)."""
    values = kernel.head_size if kernel.head_size > _FLASH_HEAD else 1
    return kernel.batch * kernel.queries * kernel.heads * values * _ACCUMULATED_BYTES


def cublas_bytes(compute_capability: str, torch_version: str = ASSUMED_TORCH) -> int:
    """cuBLAS's workspace for a compute capability ("8.9") and a version of torch ("2.13.0+cu130")."""
    larger = next(majors for since, majors in _LARGER_CUBLAS if _release(torch_version) >= since)
    return _LARGER_CUBLAS_BYTES if int(compute_capability.partition(".")[0]) in larger else _CUBLAS_BYTES


def cublaslt_bytes(torch_version: str = ASSUMED_TORCH) -> int:
    """The workspace that cublasLt keeps besides cuBLAS's under a version of torch."""
    return 0 if _release(torch_version) >= _ONE_WORKSPACE else _CUBLASLT_BYTES


def _release(torch_version: str) -> tuple[int, int]:
    major, minor = torch_version.split(".")[:2]
    return int(major), int(minor)


def backend(
    architecture: str,
    compute_capability: str,
    item_bytes: int,
    measured: Measured | None = None,
    torch_version: str = ASSUMED_TORCH,
) -> CuDnn:
    """The backend of a card for values of `item_bytes`; give `torch_version` if that of the card is known."""
    cublas = cublas_bytes(compute_capability, torch_version)
    unmeasured, source, band = _unmeasured(architecture, item_bytes)
    if measured is not None:
        source, band = "calibrated", CALIBRATED_BAND
    return CuDnn(unmeasured, source, band, architecture, cublas, measured, cublaslt_bytes(torch_version))


def _unmeasured(architecture: str, item_bytes: int) -> tuple[Shares, WorkspaceSource, tuple[float, ...]]:
    """Shares, their source and the band without measured workspaces."""
    fitted = shares.FITTED.get((item_bytes, architecture))
    return (shares.RULE, "rule", RULE_BAND) if fitted is None else (fitted, "published", PUBLISHED_BAND)
