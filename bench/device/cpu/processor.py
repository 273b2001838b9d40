"""The CPU as a device: wall clock, resident set, and a limit on the process's data memory."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Literal

import psutil
import torch

from bench.device.base import Clock, DeviceSoftware, DeviceState, MemoryMeter, Watch, Window, capacity_of
from bench.device.cpu import host, host_memory
from bench.device.cpu.host_memory import HostMemory
from bench.device.cuda import gpu_facts
from bench.doctor import DeviceFacts
from bench.errors import DeviceError
from bench.record import Device, GpuSettings, Telemetry


class WallClock:
    """Wall time on the host. On the CPU a call returns when its work is done."""

    name: Literal["perf_counter"] = "perf_counter"

    def time(self, call: Callable[[], object]) -> float:
        begin = time.perf_counter()
        call()
        return time.perf_counter() - begin


class HostWatch:
    """The watch of a CPU, which has no telemetry."""

    def prepare(self) -> None:
        return None

    def begin(self) -> None:
        return None

    def end(self, windows: Sequence[Window]) -> Telemetry:
        return Telemetry(reason="not a GPU: only NVML reports clocks, power and throttling")

    def end_each(self, groups: Sequence[Sequence[Window]]) -> tuple[Telemetry, ...]:
        return tuple(self.end(group) for group in groups)

    def warnings(self, summary: Telemetry, samples_count: int) -> tuple[str, ...]:
        return ()


class Processor:
    """The CPU. A limit applies to data memory that the process takes after this object is made."""

    settings: GpuSettings | None = None
    compute_capability: tuple[int, int] | None = None

    def __init__(self, device: torch.device, limit_bytes: int | None, exercise: Callable[[torch.device], None]) -> None:
        """Open the CPU; `exercise` runs every kind of kernel once.

        Raises DeviceError if the limit exceeds the RAM or can't be set on this system.
        """
        capacity = capacity_of(host.cpu_name(), total_bytes(), limit_bytes)
        self.torch_device = device
        self.device = Device(kind="cpu", name=host.cpu_name(), total_bytes=capacity.total_bytes)
        self.clock: Clock = WallClock()
        self.meter: MemoryMeter = HostMemory(capacity)
        self.watch: Watch = HostWatch()
        exercise(device)
        self._bound = None if limit_bytes is None else self._bind(limit_bytes)

    def _bind(self, limit_bytes: int) -> int:
        bound = host_memory.bound_data_memory(limit_bytes)
        if isinstance(bound, str):
            raise DeviceError(f"--vram-limit does not work on this CPU: {bound}. Run without --vram-limit.")
        return bound

    def state(self) -> DeviceState:
        if self._bound is None:
            return DeviceState("cpu", int(psutil.virtual_memory().available))
        return DeviceState("cpu", max(0, self._bound - (host_memory.data_bytes() or 0)))

    def wait(self) -> None:
        return None

    def software(self) -> DeviceSoftware:
        return DeviceSoftware()

    def facts(self) -> DeviceFacts:
        return gpu_facts.without_gpu()


def total_bytes() -> int:
    """The RAM that this process may use."""
    return min(psutil.virtual_memory().total, host.memory_limit_bytes() or sys.maxsize)
