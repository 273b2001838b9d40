"""Memory of a case on CUDA, from torch's caching allocator and the driver."""

from __future__ import annotations

import gc

import torch

from bench.core.units import memory_percent
from bench.device.base import Capacity, Context
from bench.device.cuda.nvml import Nvml, Reading
from bench.record import Memory


class CudaMemory:
    """Meters torch's caching allocator: peaks over all calls of a case, with the pool emptied before it."""

    #: The allocator counts exactly, so any tensor that outlives its case is a leak.
    leak_tolerance_bytes = 0

    def __init__(self, device: torch.device, nvml: Nvml, capacity: Capacity, context: Context | None) -> None:
        self._device, self._nvml, self._capacity, self._context = device, nvml, capacity, context
        self._used_before: int | None = None
        self._first_peaks: list[tuple[int, int]] = []
        self._stage_peaks: list[tuple[int, int]] = []
        self._baseline = 0

    def empty(self) -> None:
        """Return all cached memory, including cuBLAS's workspaces, which come from the same pool."""
        gc.collect()
        torch.cuda.synchronize(self._device)
        clear_workspaces = getattr(torch._C, "_cuda_clearCublasWorkspaces", None)
        if clear_workspaces is not None:
            clear_workspaces()
        torch.cuda.empty_cache()

    def begin_load(self) -> None:
        torch.cuda.reset_peak_memory_stats(self._device)

    def load_done(self) -> Memory:
        torch.cuda.synchronize(self._device)
        allocated, reserved = self._peaks()
        return Memory(
            percent=memory_percent(reserved, self._capacity.divisor),
            peak_bytes=reserved,
            peak_allocated_bytes=allocated,
            peak_reserved_bytes=reserved,
        )

    def begin(self) -> None:
        self._stage_peaks = []
        self.empty()
        torch.cuda.reset_peak_memory_stats(self._device)
        self._baseline = torch.cuda.memory_allocated(self._device)
        self._used_before = self._nvml.used().bytes

    def enter(self, stage: int) -> None:
        torch.cuda.synchronize(self._device)
        torch.cuda.reset_peak_memory_stats(self._device)

    def leave(self, stage: int) -> None:
        if stage == len(self._stage_peaks):  # the first call
            self._stage_peaks.append((0, 0))
        (allocated, reserved), (peak_allocated, peak_reserved) = self._peaks(), self._stage_peaks[stage]
        self._stage_peaks[stage] = (max(allocated, peak_allocated), max(reserved, peak_reserved))

    def first_call_done(self) -> None:
        self._first_peaks = self._peaks_by_stage()

    def calls_done(self, weights_bytes: int) -> tuple[Memory, ...]:
        process, used = self._nvml.process(), self._nvml.used().bytes  # before the pool is emptied
        growth = None if used is None or self._used_before is None else used - self._used_before
        return tuple(
            self._figures(peaks, first, weights_bytes, process, growth)
            for peaks, first in zip(self._peaks_by_stage(), self._first_peaks, strict=True)
        )

    def _peaks_by_stage(self) -> list[tuple[int, int]]:
        """Peaks so far of each stage. Without stages, torch's own peak since `begin`."""
        return list(self._stage_peaks) or [self._peaks()]

    def _figures(
        self, peaks: tuple[int, int], first: tuple[int, int], weights_bytes: int, process: Reading, growth: int | None
    ) -> Memory:
        allocated, reserved = peaks
        return Memory(
            percent=memory_percent(reserved, self._capacity.divisor),
            peak_bytes=reserved,
            weights_bytes=weights_bytes,
            peak_allocated_bytes=allocated,
            peak_reserved_bytes=reserved,
            first_call_peak_allocated_bytes=first[0],
            first_call_peak_reserved_bytes=first[1],
            context_bytes=self._context.bytes if self._context else None,
            context_found_by=self._context.found_by if self._context else None,
            context_reason=self._context.reason if self._context else None,
            nvml_process_bytes=process.bytes,
            nvml_process_reason=process.reason,
            nvml_device_growth_bytes=growth,
            measured_during="all calls",
        )

    def left_behind(self) -> int:
        self.empty()
        return torch.cuda.memory_allocated(self._device) - self._baseline

    def _peaks(self) -> tuple[int, int]:
        return torch.cuda.max_memory_allocated(self._device), torch.cuda.max_memory_reserved(self._device)
