"""How a worker holds its device: the limit that it sets, the meter that fits, and what is left when a call fails.

Two kinds, a GPU and the host. Loads torch.
"""

from __future__ import annotations

from typing import Protocol

import psutil
import torch

from bench.measure import host_memory
from bench.measure.cuda_memory import CudaMemory
from bench.measure.host_memory import HostMemory
from bench.measure.memory import Capacity, Context, MemoryMeter
from bench.measure.nvml import Nvml
from bench.measure.watch import GpuWatch, HostWatch, Watch
from bench.record import ContextFoundBy, Device, GpuSettings
from bench.run import device as devices
from bench.run.outcome import DeviceState
from bench.units import format_bytes
from bench.workloads import vae


class Hold(Protocol):
    """A device that a worker has taken."""

    device: Device
    meter: MemoryMeter
    watch: Watch
    nvml: Nvml | None
    #: How the GPU was found, before this process used it.
    settings: GpuSettings | None

    def state(self) -> DeviceState:
        """What is free now, and how many requests the worker has been refused so far."""
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
        self.settings: GpuSettings | None = self._settings(self.nvml)
        used_before = self.nvml.used().bytes
        torch.cuda.set_device(device)
        vae.exercise(device)
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
        context, found_by = self._context(self.nvml, used_before)
        if limit_bytes is not None:
            self._cap = limit_bytes - context
            if self._cap <= 0:
                raise devices.UnusableError(
                    f"--vram-limit {format_bytes(limit_bytes)}: the CUDA context alone takes {format_bytes(context)}. "
                    "Give more."
                )
            torch.cuda.set_per_process_memory_fraction(self._cap / capacity.total_bytes, device)
        self.meter: MemoryMeter = CudaMemory(device, self.nvml, capacity, Context(context, found_by))
        self.watch: Watch = GpuWatch(self.nvml, devices.uuid(device))

    def state(self) -> DeviceState:
        free = int(torch.cuda.mem_get_info(self._torch_device)[0])
        if self._cap is not None:
            free = min(free, max(0, self._cap - torch.cuda.memory_reserved(self._torch_device)))
        counters = torch.cuda.memory_stats(self._torch_device)
        return DeviceState("cuda", free, int(counters.get("num_ooms", 0)), int(counters.get("num_alloc_retries", 0)))

    def _settings(self, nvml: Nvml) -> GpuSettings:
        """NVML's settings, and from torch what NVML does not tell."""
        properties = torch.cuda.get_device_properties(self._torch_device)
        return nvml.settings().model_copy(
            update={
                "compute_capability": f"{properties.major}.{properties.minor}",
                "multiprocessors": properties.multi_processor_count,
            }
        )

    def _context(self, nvml: Nvml, used_before: int | None) -> tuple[int, ContextFoundBy]:
        """Bytes of this process on the device that are not torch's pool, and by which figure.

        NVML's figure of the process; where it has none, what the whole device has grown by; without NVML, all that is
        in use on the device, which is too much if others use it.
        """
        pool = torch.cuda.memory_reserved(self._torch_device)
        mine, used = nvml.process().bytes, nvml.used().bytes
        if mine is not None:
            return max(0, mine - pool), "NVML process"
        if used is not None and used_before is not None:
            return max(0, used - used_before - pool), "device growth"
        free, total = torch.cuda.mem_get_info(self._torch_device)
        return max(0, total - free - pool), "device in use"


class HostHold:
    """The CPU: the limit bounds the process's data memory above what it is before any model is loaded."""

    nvml: Nvml | None = None
    settings: GpuSettings | None = None

    def __init__(self, device: torch.device, limit_bytes: int | None) -> None:
        """Raises UnusableError if the limit is over the RAM, or can't be set on this system."""
        capacity = _capacity(device, limit_bytes)
        self.device = Device(kind="cpu", name=devices.name(device), total_bytes=capacity.total_bytes)
        self.meter: MemoryMeter = HostMemory(capacity)
        self.watch: Watch = HostWatch()
        vae.exercise(device)
        self._bound = None if limit_bytes is None else self._bind(limit_bytes)

    def _bind(self, limit_bytes: int) -> int:
        bound = host_memory.bound_data_memory(limit_bytes)
        if isinstance(bound, str):
            raise devices.UnusableError(f"--vram-limit can't be had on this CPU: {bound}. Leave the limit out.")
        return bound

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
