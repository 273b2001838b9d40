"""The only file that calls pynvml. Every exception of a call is returned as a reason.

pynvml raises NVMLError, NVMLLibraryMismatchError (which is not an NVMLError), and UnicodeDecodeError if the driver's
bytes are not UTF-8; older packages lack functions.
"""

from __future__ import annotations

import ctypes
import struct
from dataclasses import dataclass
from typing import Any, Literal

from bench.core import identity

try:
    import pynvml
except Exception as error:  # noqa: BLE001 - a broken package only means missing readings
    pynvml = None
    _BROKEN: str | None = f"pynvml can't be imported: {error}"
else:
    _BROKEN = None

# From nvml.h: nvmlReturn_t, the value for "not available", and field 186 (NVML_FI_DEV_POWER_INSTANT, since driver 530).
# Older versions of pynvml do not name all of them, but accept the numbers.
_NOT_SUPPORTED, _INSUFFICIENT_SIZE, _FUNCTION_NOT_FOUND = 3, 7, 13
_NOT_AVAILABLE = 2**64 - 1
SUCCESS = 0
CLOCK_GRAPHICS, CLOCK_SM, CLOCK_MEM = 0, 1, 2
TEMPERATURE_GPU = 0
VALUE_TYPE_DOUBLE = 0
FIELD_POWER_INSTANT = 186
#: nvmlMemory_v2: version 2 of a structure of 40 bytes.
MEMORY_V2 = 0x02000028
#: Errors that do not change between calls.
LASTING = frozenset({_NOT_SUPPORTED, _FUNCTION_NOT_FOUND})
#: Bytes per row in a list of processes (nvmlProcessInfo_v1_t, _v2_t), by suffix of the symbol, newest first.
_ROWS = (("_v3", 24), ("_v2", 24), ("", 16))
#: Drivers 535.43 to 535.86 have longer rows in _v3 (usedGpuCcProtectedMemory). They have the first of these functions
#: and lack the second, to which 535.98 moved that figure.
_WIDE_ROW = 32
_WIDE_HAS, _WIDE_LACKS = "nvmlDeviceGetConfComputeMemSizeInfo", "nvmlDeviceGetRunningProcessDetailList"
_MOST_TRIES = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """NVML's answer, or the reason why there is none; `lasting` if calling again would not help."""

    value: Any = None
    reason: str | None = None
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Process:
    """A process on a device and its bytes there; None if the driver does not report them (WDDM, vGPU)."""

    pid: int
    bytes: int | None


def call(name: str, *arguments: object) -> Answer:
    """Call a function of pynvml. Never raises."""
    function = getattr(pynvml, name, None)
    if function is None:
        return Answer(reason=_BROKEN or f"this pynvml has no {name}", lasting=True)
    try:
        return Answer(function(*arguments))
    except Exception as error:  # noqa: BLE001 - a failed reading must not end a measurement
        return _failed(error)


def processes(kind: Literal["Compute", "Graphics"], handle: object) -> Answer:
    """The processes on a device, as a tuple of Process. Never raises.

    Calls the library's newest symbol, then older ones: pynvml's own function calls only the newest, which drivers
    before 510.39 and 535.98 lack.
    """
    name = f"nvmlDeviceGet{kind}RunningProcesses"
    library = getattr(pynvml, "nvmlLib", None) or getattr(getattr(pynvml, "nvml", None), "nvmlLib", None)  # 11.x
    if library is None:  # not loaded, or stored elsewhere: only pynvml's own function is left
        answer = call(name, handle)
        return answer if answer.reason else Answer(tuple(_process(entry) for entry in answer.value))
    for ending, row_bytes in _ROWS:
        symbol = _symbol(library, name + ending)
        if symbol is None:
            continue
        wide = ending == "_v3" and _symbol(library, _WIDE_HAS) and not _symbol(library, _WIDE_LACKS)
        answer = _listed(symbol, handle, _WIDE_ROW if wide else row_bytes)
        if answer.value != _FUNCTION_NOT_FOUND:
            return answer
    return Answer(reason=f"NVML: the driver's library has no {name}", lasting=True)


def text(value: str | bytes) -> str:
    """A string from NVML; invalid UTF-8 is replaced."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _symbol(library: Any, name: str) -> Any:
    """A function of the library, with its own prototype; None if the library lacks it."""
    try:
        return library[name]
    except (AttributeError, TypeError):
        return None


def _listed(symbol: Any, handle: object, row_bytes: int) -> Answer:
    """Ask for the number of processes, then for the list, with extra room for processes that start in between."""
    count = ctypes.c_uint(0)
    try:
        code, rows = symbol(handle, ctypes.byref(count), None), b""
        for _ in range(_MOST_TRIES):
            if code != _INSUFFICIENT_SIZE:
                break
            count.value = count.value * 2 + 5
            room = ctypes.create_string_buffer(row_bytes * count.value)
            code, rows = symbol(handle, ctypes.byref(count), room), room.raw
    except ctypes.ArgumentError as error:
        return _failed(error)
    if code == _FUNCTION_NOT_FOUND:
        return Answer(code, "NVML: Function Not Found", lasting=True)
    if code != SUCCESS:
        return Answer(reason=f"NVML: {_words(code)}", lasting=code in LASTING)
    return Answer(tuple(_row(rows, index * row_bytes) for index in range(count.value if rows else 0)))


def _row(rows: bytes, offset: int) -> Process:
    pid, used = struct.unpack_from("=I4xQ", rows, offset)
    return Process(pid, None if used == _NOT_AVAILABLE else used)


def _process(entry: Any) -> Process:
    return Process(int(entry.pid), None if entry.usedGpuMemory is None else int(entry.usedGpuMemory))


def _words(code: int) -> str:
    answer = call("nvmlErrorString", code)
    return str(answer.value) if answer.reason is None else f"error {code}"


def _failed(error: Exception) -> Answer:
    if isinstance(error, UnicodeDecodeError):
        return Answer(reason="NVML: the driver's answer is not valid UTF-8")
    lasting = getattr(error, "value", None) in LASTING or type(error).__name__ == "NVMLLibraryMismatchError"
    return Answer(reason=f"NVML: {identity.hide(str(error)) or type(error).__name__}", lasting=lasting)
