"""Memory of a case on the CPU, measured by the process's resident set."""

from __future__ import annotations

import ctypes
import gc
import sys
from pathlib import Path

from bench.core.units import MIB, memory_percent
from bench.device.base import Capacity
from bench.record import Memory

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
#: The mmap threshold to which glibc raises itself once blocks of this size were freed (malloc.c,
#: DEFAULT_MMAP_THRESHOLD_MAX on 64 bits; the trim threshold is then twice as high).
_GLIBC_MMAP_MAX = 32 * MIB
_NO_PROC = "this system has no /proc"
_CLEAR_REFS, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


class HostMemory:
    """Meters the resident set on Linux.

    The first call gives the peak. During it glibc maps each large block separately and returns it when freed, so that
    the peak contains live memory only, not what the heap retains. The timed calls use the thresholds that glibc itself
    would reach. Under a limit they keep those of the first call: retained blocks would count against the limit, and
    cases that fit would fail.
    """

    #: Thread arenas and oneDNN's primitive cache grow a little with each new shape.
    leak_tolerance_bytes = 64 * MIB

    def __init__(self, capacity: Capacity) -> None:
        self._capacity = capacity
        self._heap = _Heap()
        self._baseline: int | None = None
        self._first_peaks: list[int | None] = []
        self._is_first_call = self._has_stages = False
        self._reason: str | None = None

    def empty(self) -> None:
        gc.collect()
        self._heap.trim()

    def begin_load(self) -> None:
        self._heap.return_freed_blocks(True)
        self._reason = _reset_peak()
        self._baseline = _status_bytes("VmRSS")

    def load_done(self) -> Memory:
        """The growth of the resident set: before loading nothing of the model is in it."""
        high = _status_bytes("VmHWM")
        if self._reason is not None or high is None or self._baseline is None:
            return Memory(peak_reason=self._reason or _NO_PROC)
        peak = max(0, high - self._baseline)
        return Memory(
            percent=memory_percent(peak, self._capacity.divisor),
            peak_bytes=peak,
            baseline_rss_bytes=self._baseline,
            peak_rss_bytes=high,
        )

    def begin(self) -> None:
        self._heap.return_freed_blocks(True)
        self.empty()
        self._first_peaks, self._is_first_call = [], True
        self._reason = _reset_peak()
        self._baseline = _status_bytes("VmRSS")

    def enter(self, stage: int) -> None:
        if self._is_first_call:
            _reset_peak()

    def leave(self, stage: int) -> None:
        if self._is_first_call:
            self._first_peaks.append(_status_bytes("VmHWM"))

    def first_call_done(self) -> None:
        self._has_stages = bool(self._first_peaks)
        if not self._has_stages:
            self._first_peaks = [_status_bytes("VmHWM")]
        self._is_first_call = False
        self._heap.return_freed_blocks(self._capacity.limit_bytes is not None)
        _reset_peak()

    def calls_done(self, weights_bytes: int) -> tuple[Memory, ...]:
        timing_peak = None if self._has_stages else _status_bytes("VmHWM")
        return tuple(self._figures(peak, weights_bytes, timing_peak) for peak in self._first_peaks)

    def _figures(self, first_peak: int | None, weights_bytes: int, timing_peak: int | None) -> Memory:
        if self._reason is not None or first_peak is None or self._baseline is None:
            return Memory(weights_bytes=weights_bytes, peak_reason=self._reason or _NO_PROC)
        peak = weights_bytes + max(0, first_peak - self._baseline)
        return Memory(
            percent=memory_percent(peak, self._capacity.divisor),
            peak_bytes=peak,
            weights_bytes=weights_bytes,
            baseline_rss_bytes=self._baseline,
            peak_rss_bytes=first_peak,
            timing_peak_rss_bytes=timing_peak,
            nvml_process_reason="not a GPU",
            measured_during="first call",
        )

    def left_behind(self) -> int:
        self.empty()
        now = _status_bytes("VmRSS")
        return 0 if now is None or self._baseline is None else now - self._baseline


class _MallInfo2(ctypes.Structure):
    """struct mallinfo2 of malloc.h."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


class _Heap:
    """glibc's heap; on other systems every call does nothing."""

    def __init__(self) -> None:
        libc = ctypes.CDLL(None) if sys.platform == "linux" else None
        self._libc = libc if libc is not None and hasattr(libc, "malloc_trim") else None

    def free_bytes(self) -> int:
        """Bytes of freed blocks that the heap retains (mallinfo2(3), fordblks); 0 if glibc is older than 2.33."""
        if self._libc is None or not hasattr(self._libc, "mallinfo2"):
            return 0
        self._libc.mallinfo2.restype = _MallInfo2
        return int(self._libc.mallinfo2().fordblks)

    def trim(self) -> None:
        if self._libc is not None:
            self._libc.malloc_trim(0)

    def return_freed_blocks(self, at_once: bool) -> None:
        if self._libc is not None:
            self._libc.mallopt(_M_MMAP_THRESHOLD, MIB // 4 if at_once else _GLIBC_MMAP_MAX)
            self._libc.mallopt(_M_TRIM_THRESHOLD, MIB if at_once else 2 * _GLIBC_MMAP_MAX)


def _reset_peak() -> str | None:
    """Reset the peak resident set to the current one (proc(5), clear_refs). Returns why it failed, or None."""
    try:
        _CLEAR_REFS.write_text("5")
    except OSError as error:
        return f"the peak resident set can't be reset here: {_CLEAR_REFS}: {error.strerror}"
    return None


def _status_bytes(field: str) -> int | None:
    """A field of /proc/self/status in bytes; None if it is missing."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), None)


def data_bytes() -> int | None:
    """Data memory of this process, which RLIMIT_DATA limits; None if the system does not report it."""
    return _status_bytes("VmData")


def bound_data_memory(limit_bytes: int) -> int | str:
    """Limit the growth of this process's data memory to `limit_bytes` (setrlimit(2), RLIMIT_DATA).

    Returns the bound, or why it can't be set: some kernels (gVisor's) accept the limit but do not enforce it.
    """
    heap = _Heap()
    gc.collect()
    heap.trim()
    used = data_bytes()
    if sys.platform != "linux" or used is None:
        return "it needs RLIMIT_DATA, which only Linux has"
    import mmap  # noqa: PLC0415 - like resource, used on Linux only
    import resource  # noqa: PLC0415 - POSIX only

    bound = used - heap.free_bytes() + limit_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))
    try:
        mmap.mmap(-1, limit_bytes + 64 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except OSError:
        return bound
    return "this kernel does not enforce RLIMIT_DATA (as in gVisor)"
