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
from bench.record import Device, GpuSettings, Neighbours
from bench.run import device as devices
from bench.run.outcome import DeviceState
from bench.units import format_bytes
from bench.workloads import vae

#: A GPU on which a kernel ran for no more of the last second or so (nvmlUtilization_t) has idle neighbours.
IDLE_SHARE = 0.10
_SHARED = "shares its memory with the host"


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
        """Raises UnusableError if the limit is under the context or over the card, or if it can't be kept."""
        capacity = _capacity(device, limit_bytes)
        if limit_bytes is not None and devices.is_integrated(device):
            raise devices.UnusableError(
                f"--vram-limit: {devices.name(device)} {_SHARED}, so its memory can't be limited. "
                "Run without --vram-limit."
            )
        self._torch_device = device
        self._cap: int | None = None
        self.nvml: Nvml | None = devices.opened(device)
        self.device = Device(
            kind="cuda",
            name=devices.name(device),
            total_bytes=capacity.total_bytes,
            nvml_total_bytes=self.nvml.total().bytes,
        )
        settings = self.nvml.settings()
        used_before = self.nvml.used().bytes
        torch.cuda.set_device(device)
        vae.exercise(device)
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
        self.settings: GpuSettings | None = self._completed(self.nvml, settings)
        context = self._context(self.nvml, used_before, settings.neighbours)
        if limit_bytes is not None:
            self._limit(limit_bytes, context, capacity)
        self.meter: MemoryMeter = CudaMemory(device, self.nvml, capacity, context)
        self.watch: Watch = GpuWatch(self.nvml, self.settings)

    def _limit(self, limit_bytes: int, context: Context, capacity: Capacity) -> None:
        """Cap the allocator. Raises UnusableError if nothing would be left for it, or if the context is not known."""
        if context.bytes is None:
            raise devices.UnusableError(
                f"--vram-limit {format_bytes(limit_bytes)}: the CUDA context, which counts towards the limit, can't be "
                f"measured: {context.reason}. Try again when nothing else uses the GPU, or run without --vram-limit."
            )
        self._cap = limit_bytes - context.bytes
        if self._cap <= 0:
            raise devices.UnusableError(
                f"--vram-limit {format_bytes(limit_bytes)}: the CUDA context alone takes "
                f"{format_bytes(context.bytes)}. Give more."
            )
        torch.cuda.set_per_process_memory_fraction(self._cap / capacity.total_bytes, self._torch_device)

    def state(self) -> DeviceState:
        free = int(torch.cuda.mem_get_info(self._torch_device)[0])
        if self._cap is not None:
            free = min(free, max(0, self._cap - torch.cuda.memory_reserved(self._torch_device)))
        counters = torch.cuda.memory_stats(self._torch_device)
        return DeviceState("cuda", free, int(counters.get("num_ooms", 0)), int(counters.get("num_alloc_retries", 0)))

    def _completed(self, nvml: Nvml, settings: GpuSettings) -> GpuSettings:
        """NVML's settings, and from torch what NVML does not tell; the device must be torch's current one."""
        properties = torch.cuda.get_device_properties(self._torch_device)
        clock_hz, source = nvml.usual_sm_clock(devices.rated_sm_clock_hz(self._torch_device))
        return settings.model_copy(
            update={
                "compute_capability": f"{properties.major}.{properties.minor}",
                "multiprocessors": properties.multi_processor_count,
                "sm_clock_default_hz": clock_hz,
                "sm_clock_default_source": source,
            }
        )

    def _context(self, nvml: Nvml, used_before: int | None, neighbours: Neighbours) -> Context:
        """Bytes of this process on the device that are not torch's pool, and by which figure.

        NVML's figure of the process; where it has none, what the whole device has grown by while nobody else worked on
        it; where NVML tells nothing of a card's memory, all that is in use, which is too much if others use it.
        """
        pool = torch.cuda.memory_reserved(self._torch_device)
        process, used = nvml.process(), nvml.used()
        if process.bytes is not None:
            return Context(max(0, process.bytes - pool), "NVML process")
        if used.bytes is not None and used_before is not None:
            return _grown(used.bytes - used_before - pool, neighbours, process.reason)
        if devices.is_integrated(self._torch_device):
            return Context(None, reason=f"the GPU {_SHARED} ({used.reason})")
        free, total = torch.cuda.mem_get_info(self._torch_device)
        return Context(max(0, total - free - pool), "device in use")


def _grown(growth: int, neighbours: Neighbours, why_not_listed: str | None) -> Context:
    """The context as the growth of the memory in use, which is this process's alone if the neighbours are idle."""
    idle = neighbours.count == 0 or (neighbours.utilization is not None and neighbours.utilization <= IDLE_SHARE)
    if idle and growth > 0:
        return Context(growth, "device growth")
    why = (
        "other processes freed memory meanwhile"
        if idle
        else "others use the GPU, or NVML does not tell whether they do"
    )
    return Context(None, reason=f"{why_not_listed}, and {why}")


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
