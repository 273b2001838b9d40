"""What an exception means: out of memory in any of its forms, or a failure. Free of torch; works on names and texts."""

from __future__ import annotations

import re
import traceback
from typing import Literal

from bench.core import identity
from bench.core.units import MIB, parse_bytes
from bench.device.base import DeviceState
from bench.record import Failed, OutOfMemory, Phase

#: The device's memory is exhausted, in the words of torch's allocator, the CUDA runtime, cuBLAS and cuDNN 8 and 9.
_DEVICE_OOM = re.compile(
    r"CUDA out of memory"
    r"|CUDA (driver )?error: out of memory"
    r"|cudaErrorMemoryAllocation|CUDA_ERROR_OUT_OF_MEMORY"
    r"|CUBLAS_STATUS_ALLOC_FAILED|CUSOLVER_STATUS_ALLOC_FAILED"
    r"|torch\.(cuda\.)?OutOfMemoryError"
    r"|CUDNN_STATUS_ALLOC_FAILED|CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"
)
#: Errors that CUDA libraries raise for want of memory among other causes: out-of-memory only if the allocator has
#: refused a request meanwhile (torch tries each convolution plan and reports the last failure, not the first), or if
#: next to nothing is free (what the libraries allocate themselves the allocator does not see).
_MAYBE_DEVICE_OOM = re.compile(
    r"unable to find an engine|(CUBLAS|CUDNN)_STATUS_(NOT_INITIALIZED|INTERNAL_ERROR|NOT_SUPPORTED|EXECUTION_FAILED)"
)
_NEXT_TO_NOTHING = 128 * MIB
#: The host's memory is exhausted, in the words of torch, oneDNN (which says no more than this), C++ and cuDNN.
_HOST_OOM = re.compile(
    r"DefaultCPUAllocator: (can't allocate|not enough) memory|could not create a (primitive(?! desc)|memory)|bad_?alloc"
    r"|Cannot allocate memory|^MemoryError\b|CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED|unable to mmap",
    re.MULTILINE,
)
_REQUESTED = re.compile(r"[Tt]ried to allocate (\d+(?:\.\d+)? (?:bytes|[KMG]iB))")
_TAIL_CHARACTERS = 2000


def of_exception(error: BaseException, phase: Phase, state: DeviceState) -> OutOfMemory | Failed:
    """The outcome of a case that raised. `state` is of the moment it did, its refusals those during the case."""
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
    scarce = state.refusals or (state.free_bytes is not None and state.free_bytes < _NEXT_TO_NOTHING)
    return "device" if state.kind == "cuda" and scarce and _MAYBE_DEVICE_OOM.search(message) else None


def memory_in(text: str) -> Literal["device", "host"] | None:
    """Which memory the last words of a process that died say was exhausted, if any."""
    if _DEVICE_OOM.search(text):
        return "device"
    return "host" if _HOST_OOM.search(text) else None


def requested_bytes(message: str) -> int | None:
    """The size of the refused request, if the message tells it."""
    match = _REQUESTED.search(message)
    size = match.group(1).replace("bytes", "").strip() if match else ""
    return parse_bytes(size) if size and float(size.split()[0]) else None


def brief(error: BaseException) -> str:
    """`RuntimeError: what it said`: the error's kind and the first line of its message."""
    return f"{type(error).__name__}: {identity.hide(next(iter(str(error).splitlines()), ''))}"


def _printable(text: str) -> str:
    """The text without lone surrogates, which JSON can't carry."""
    return text.encode(errors="replace").decode()


def _shortened(message: str) -> str:
    text = identity.hide(" ".join(_printable(message).split()))
    return text if len(text) <= 600 else f"{text[:597]}..."
