"""How a worker holds its device: the limit that it sets, the meter that fits, and what is left when a call fails.

Two kinds, a GPU and the host. Loads torch.
"""

from __future__ import annotations

import sys
from typing import Protocol

import psutil
import torch

from bench.measure import host_memory
from bench.measure.cuda_memory import CudaMemory
from bench.measure.host_memory import HostMemory
from bench.measure.memory import Capacity, MemoryMeter
from bench.measure.nvml import Nvml
from bench.record import Device
from bench.run import device as devices
from bench.run.outcome import DeviceState
from bench.units import format_bytes
from bench.workloads import vae


class Hold(Protocol):
    """A device that a worker has taken."""

    device: Device
    meter: MemoryMeter
    nvml: Nvml | None

    def state(self) -> DeviceState:
        """What is free now, and how many requests have been turned down so far."""
        ...


class GpuHold:
    """A CUDA device: its context is created, and the allocator is capped at the limit less the context."""

    def __init__(self, device: torch.device, limit_bytes: int | None) -> None:
        """Raises UnusableError if the limit is under the context or over the card."""
        capacity = _capacity(device, limit_bytes)
        self._torch_device = device
        self._cap: int | None = None
        self.nvml: Nvml | None = Nvml(devices.uuid(device))
        self.device = Device(
            kind="cuda",
            name=devices.name(device),
            total_bytes=capacity.total_bytes,
            nvml_total_bytes=self.nvml.total().bytes,
        )
        torch.cuda.set_device(device)
        vae.exercise(device)
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
        context = self._context(self.nvml)
        if limit_bytes is not None:
            self._cap = limit_bytes - context
            if self._cap <= 0:
                raise devices.UnusableError(
                    f"--vram-limit {format_bytes(limit_bytes)}: the CUDA context alone takes {format_bytes(context)}. "
                    "Give more."
                )
            torch.cuda.set_per_process_memory_fraction(self._cap / capacity.total_bytes, device)
        self.meter: MemoryMeter = CudaMemory(device, self.nvml, capacity, context)

    def state(self) -> DeviceState:
        free = int(torch.cuda.mem_get_info(self._torch_device)[0])
        if self._cap is not None:
            free = min(free, max(0, self._cap - torch.cuda.memory_reserved(self._torch_device)))
        refusals = int(torch.cuda.memory_stats(self._torch_device).get("num_ooms", 0))
        return DeviceState("cuda", free, refusals)

    def _context(self, nvml: Nvml) -> int:
        """Bytes of this process on the device that are not torch's pool.

        By NVML; where it does not tell a process's memory, all that is used on the device: too much if it is shared.
        """
        used = nvml.process().bytes
        if used is None:
            free, total = torch.cuda.mem_get_info(self._torch_device)
            used = total - free
        return max(0, used - torch.cuda.memory_reserved(self._torch_device))


class HostHold:
    """The CPU: the limit bounds the process's data memory above what it is before any model is loaded."""

    nvml: Nvml | None = None

    def __init__(self, device: torch.device, limit_bytes: int | None) -> None:
        """Raises UnusableError if the limit is over the RAM, or can't be set on this system."""
        capacity = _capacity(device, limit_bytes)
        self.device = Device(kind="cpu", name=devices.name(device), total_bytes=capacity.total_bytes)
        self.meter: MemoryMeter = HostMemory(capacity)
        vae.exercise(device)
        self._bound = None if limit_bytes is None else _bound_data_memory(limit_bytes)

    def state(self) -> DeviceState:
        if self._bound is None:
            return DeviceState("cpu", int(psutil.virtual_memory().available))
        return DeviceState("cpu", max(0, self._bound - (host_memory.data_bytes() or 0)))


def take(device: torch.device, limit_bytes: int | None) -> Hold:
    """Hold the device under the limit. Raises UnusableError."""
    return GpuHold(device, limit_bytes) if device.type == "cuda" else HostHold(device, limit_bytes)


def _capacity(device: torch.device, limit_bytes: int | None) -> Capacity:
    total = devices.total_bytes(device)
    if limit_bytes is not None and limit_bytes > total:
        raise devices.UnusableError(
            f"--vram-limit {format_bytes(limit_bytes)}: {devices.name(device)} has only {format_bytes(total)}. "
            "Give less, or leave the limit out."
        )
    return Capacity(total, limit_bytes)


def _bound_data_memory(limit_bytes: int) -> int:
    """Bound this process's data memory (setrlimit(2), RLIMIT_DATA) at the limit above now; return the bound."""
    used = host_memory.data_bytes()
    if sys.platform != "linux" or used is None:
        raise devices.UnusableError("--vram-limit on a CPU needs Linux, where RLIMIT_DATA bounds a process.")
    import resource  # noqa: PLC0415 - POSIX only

    bound = used + limit_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))
    return bound
