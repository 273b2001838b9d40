"""Decides whether an exception means out of memory or another failure. It works on names and texts, without torch."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bench.core import identity
from bench.core.units import MIB, parse_bytes
from bench.device.base import DeviceState
from bench.record import Failed, OutOfMemory, Phase

#: Messages of torch's allocator, the CUDA runtime, cuBLAS and cuDNN 8 and 9 for exhausted device memory.
_DEVICE_OOM = re.compile(
    r"CUDA out of memory"
    r"|CUDA (driver )?error: out of memory"
    r"|cudaErrorMemoryAllocation|CUDA_ERROR_OUT_OF_MEMORY"
    r"|CUBLAS_STATUS_ALLOC_FAILED|CUSOLVER_STATUS_ALLOC_FAILED"
    r"|torch\.(cuda\.)?OutOfMemoryError"
    r"|CUDNN_STATUS_ALLOC_FAILED|CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"
)
#: Errors of CUDA libraries with several possible causes. They mean out of memory only if the allocator has refused a
#: request during the case (torch tries each convolution plan and reports the last failure, not the first), or if almost
#: no memory is free (the allocator does not see the libraries' own allocations).
_MAYBE_DEVICE_OOM = re.compile(
    r"unable to find an engine|(CUBLAS|CUDNN)_STATUS_(NOT_INITIALIZED|INTERNAL_ERROR|NOT_SUPPORTED|EXECUTION_FAILED)"
)
_ALMOST_NONE = 128 * MIB
#: Messages of torch, oneDNN (which has no clearer one), C++ and cuDNN for exhausted host memory.
_HOST_OOM = re.compile(
    r"DefaultCPUAllocator: (can't allocate|not enough) memory|could not create a (primitive(?! desc)|memory)|bad_?alloc"
    r"|Cannot allocate memory|^MemoryError\b|CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED|unable to mmap",
    re.MULTILINE,
)
_REQUESTED = re.compile(r"[Tt]ried to allocate (\d+(?:\.\d+)? (?:bytes|[KMG]iB))")
_TAIL_CHARACTERS = 2000


OnPhase = Callable[[Phase], None]


@dataclass(slots=True)
class PhaseTracker:
    """An OnPhase that keeps the latest phase of a case and passes each one on to `begin`."""

    begin: OnPhase
    phase: Phase = "load"

    def __call__(self, phase: Phase) -> None:
        self.phase = phase
        self.begin(phase)


def of_exception(error: BaseException, phase: Phase, state: DeviceState) -> OutOfMemory | Failed:
    """Return the outcome of a case that raised. `state` is the device's state then, with the refusals of the case."""
    names = {kind.__name__ for kind in type(error).__mro__}
    message = str(error)
    where = _out_of_memory(names, message, state)
    if where is not None:
        return OutOfMemory(
            where=where,
            phase=phase,
            requested_bytes=requested_bytes(message),
            free_bytes=state.free_bytes,
            message=_shortened(message),
        )
    tail = _printable("".join(traceback.format_exception(error))[-_TAIL_CHARACTERS:])
    return Failed(exception=type(error).__name__, message=_shortened(message), phase=phase, traceback_tail=tail)


def _out_of_memory(names: set[str], message: str, state: DeviceState) -> Literal["device", "host"] | None:
    if "MemoryError" in names or _HOST_OOM.search(message):
        return "host"
    if "OutOfMemoryError" in names or _DEVICE_OOM.search(message):
        return "device"
    scarce = state.refusals or (state.free_bytes is not None and state.free_bytes < _ALMOST_NONE)
    return "device" if state.kind == "cuda" and scarce and _MAYBE_DEVICE_OOM.search(message) else None


def memory_in(text: str) -> Literal["device", "host"] | None:
    """Return which memory was exhausted according to the last output of a dead process; None if neither."""
    if _DEVICE_OOM.search(text):
        return "device"
    return "host" if _HOST_OOM.search(text) else None


def requested_bytes(message: str) -> int | None:
    """Return the size of the refused request, if the message contains it."""
    match = _REQUESTED.search(message)
    size = match.group(1).replace("bytes", "").strip() if match else ""
    return parse_bytes(size) if size and float(size.split()[0]) else None


def brief(error: BaseException) -> str:
    """Return the error's type and the first line of its message."""
    return f"{type(error).__name__}: {identity.hide(next(iter(str(error).splitlines()), ''))}"


def _printable(text: str) -> str:
    """Return the text without lone surrogates, which JSON can't represent."""
    return text.encode(errors="replace").decode()


def _shortened(message: str) -> str:
    text = identity.hide(" ".join(_printable(message).split()))
    return text if len(text) <= 600 else f"{text[:597]}..."
