"""A CUDA device as this process uses it: its memory limit, its CUDA context, and its state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch

from bench.core.units import format_bytes, format_exact
from bench.device.base import Capacity, Clock, Context, DeviceSoftware, DeviceState, MemoryMeter, Watch, capacity_of
from bench.device.cuda import gpu_facts, properties
from bench.device.cuda.cuda_memory import CudaMemory
from bench.device.cuda.gpu_watch import GpuWatch
from bench.doctor import DeviceFacts
from bench.doctor.gpu_findings import BUSY_SHARE
from bench.errors import DeviceError
from bench.record import Device, GpuSettings, Neighbours

_SHARED = "shares its memory with the host"


class CudaEventClock:
    """Device time between two events around the call, with one synchronisation per sample.

    The events are on the current stream. The time leaves out the host's wait for the device, but includes the gaps in
    which the device waits for the host's launches, as in a user's program.
    """

    name: Literal["cuda_event"] = "cuda_event"

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def time(self, call: Callable[[], object]) -> float:
        start = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        torch.cuda.synchronize(self._device)
        start.record()
        call()
        end.record()
        torch.cuda.synchronize(self._device)
        return float(start.elapsed_time(end)) / 1e3


class Gpu:
    """A CUDA device with its context created. A limit caps the allocator at the limit minus the context."""

    def __init__(self, device: torch.device, limit_bytes: int | None, exercise: Callable[[torch.device], None]) -> None:
        """Open the device; `exercise` runs every kind of kernel once.

        Raises DeviceError if the limit is below the context or above the card's memory, or can't be enforced.
        """
        name = torch.cuda.get_device_name(device)
        total_bytes = int(torch.cuda.get_device_properties(device).total_memory)
        capacity = capacity_of(name, total_bytes, limit_bytes)
        if limit_bytes is not None and properties.is_integrated(device):
            raise DeviceError(
                f"--vram-limit: {name} {_SHARED}, so its memory can't be limited. Run without --vram-limit."
            )
        self.torch_device = device
        self._cap: int | None = None
        self._nvml = properties.opened(device)
        self.device = Device(
            kind="cuda",
            name=name,
            total_bytes=total_bytes,
            nvml_total_bytes=self._nvml.total().bytes,
            identity=properties.identity(device),
        )
        settings = self._nvml.settings()
        used_before = self._nvml.used().bytes
        torch.cuda.set_device(device)
        exercise(device)
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
        self.settings: GpuSettings | None = self._completed(settings)
        context = self._context(used_before, settings.neighbours)
        if limit_bytes is not None:
            self._limit(limit_bytes, context, capacity)
        self.clock: Clock = CudaEventClock(device)
        self.meter: MemoryMeter = CudaMemory(device, self._nvml, capacity, context)
        self.watch: Watch = GpuWatch(self._nvml, self.settings)

    def _limit(self, limit_bytes: int, context: Context, capacity: Capacity) -> None:
        """Cap the allocator. Raises DeviceError if the context is unknown or leaves nothing of the limit."""
        if context.bytes is None:
            raise DeviceError(
                f"--vram-limit {format_exact(limit_bytes)}: the CUDA context counts towards the limit, but can't be "
                f"measured: {context.reason}. Try again when nothing else uses the GPU, or run without --vram-limit."
            )
        self._cap = limit_bytes - context.bytes
        if self._cap <= 0:
            raise DeviceError(
                f"--vram-limit {format_exact(limit_bytes)}: the CUDA context alone takes "
                f"{format_bytes(context.bytes)}. Give a higher limit."
            )
        torch.cuda.set_per_process_memory_fraction(self._cap / capacity.total_bytes, self.torch_device)

    def state(self) -> DeviceState:
        free = int(torch.cuda.mem_get_info(self.torch_device)[0])
        if self._cap is not None:
            free = min(free, max(0, self._cap - torch.cuda.memory_reserved(self.torch_device)))
        counters = torch.cuda.memory_stats(self.torch_device)
        return DeviceState("cuda", free, int(counters.get("num_ooms", 0)), int(counters.get("num_alloc_retries", 0)))

    @property
    def compute_capability(self) -> tuple[int, int]:
        return torch.cuda.get_device_capability(self.torch_device)

    def wait(self) -> None:
        torch.cuda.synchronize(self.torch_device)

    def software(self) -> DeviceSoftware:
        cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
        return DeviceSoftware(
            driver=self._nvml.driver,
            cuda=torch.version.cuda,
            cudnn=None if cudnn is None else str(cudnn),
            nvml_reason=self._nvml.reason,
            may_spill=properties.may_spill(),
            torch_settings=properties.torch_settings(),
        )

    def facts(self) -> DeviceFacts:
        return gpu_facts.gather(self.torch_device, self._nvml)

    def _completed(self, settings: GpuSettings) -> GpuSettings:
        """NVML's settings, completed by torch's properties. The device must be torch's current one."""
        device = torch.cuda.get_device_properties(self.torch_device)
        clock_hz, source = self._nvml.usual_sm_clock(properties.rated_sm_clock_hz(self.torch_device))
        return settings.model_copy(
            update={
                "compute_capability": f"{device.major}.{device.minor}",
                "multiprocessors": device.multi_processor_count,
                "sm_clock_default_hz": clock_hz,
                "sm_clock_default_source": source,
            }
        )

    def _context(self, used_before: int | None, neighbours: Neighbours) -> Context:
        """The CUDA context: memory of this process on the device outside torch's pool.

        Taken from NVML's figure of the process. Without it, from the growth of the memory in use on the whole device,
        if no other process was active. If NVML reports no memory at all, all memory in use, which is too much if other
        processes use the device.
        """
        pool = torch.cuda.memory_reserved(self.torch_device)
        process, used = self._nvml.process(), self._nvml.used()
        if process.bytes is not None:
            return Context(max(0, process.bytes - pool), "NVML process")
        if used.bytes is not None and used_before is not None:
            return _grown(used.bytes - used_before - pool, neighbours, process.reason)
        if properties.is_integrated(self.torch_device):
            return Context(None, reason=f"the GPU {_SHARED} ({used.reason})")
        free, total = torch.cuda.mem_get_info(self.torch_device)
        return Context(max(0, total - free - pool), "device in use")


def _grown(growth: int, neighbours: Neighbours, why_not_listed: str | None) -> Context:
    """The context from the growth of the memory in use, which is this process's own if the neighbours are idle."""
    idle = neighbours.count == 0 or (neighbours.utilization is not None and neighbours.utilization <= BUSY_SHARE)
    if idle and growth > 0:
        return Context(growth, "device growth")
    why = (
        "other processes freed memory in the meantime"
        if idle
        else "other processes use the GPU, or NVML does not report whether they do"
    )
    return Context(None, reason=f"{why_not_listed}, and {why}")
