"""The driver's own figures through NVML: total memory, memory in use, memory of this process, driver version.

Never raises: what NVML does not tell is None, with the reason. Imports pynvml, not torch.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import pynvml


@dataclass(frozen=True, slots=True)
class Reading:
    """A figure in bytes, or None and why."""

    bytes: int | None
    reason: str | None = None


class Nvml:
    """One GPU as the driver sees it. `reason` says why there is nothing to read, if so."""

    def __init__(self, uuid: str | None, *, pid: int | None = None) -> None:
        """Open the GPU of that UUID (`GPU-...`, as nvidia-smi -L prints it)."""
        self._pid = os.getpid() if pid is None else pid
        self._handle: Any = None
        self.reason: str | None = None
        try:
            pynvml.nvmlInit()
            if uuid is None:
                self.reason = "torch does not tell which GPU of NVML it uses"
            else:
                self._handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        except pynvml.NVMLError as error:
            self.reason = f"NVML: {error}"

    @property
    def driver(self) -> str | None:
        """Version of the driver."""
        try:
            return _text(pynvml.nvmlSystemGetDriverVersion())
        except pynvml.NVMLError:
            return None

    def total(self) -> Reading:
        """All memory of the device."""
        return self._memory("total")

    def used(self) -> Reading:
        """Memory in use on the device by all processes and the driver."""
        return self._memory("used")

    def process(self) -> Reading:
        """Memory of this process on the device, its context included."""
        if self._handle is None:
            return Reading(None, self.reason)
        try:
            listed = pynvml.nvmlDeviceGetComputeRunningProcesses(self._handle)
        except pynvml.NVMLError as error:
            return Reading(None, f"NVML: {error}")
        mine = [process for process in listed if process.pid == self._pid]
        if not mine:
            return Reading(None, f"NVML lists {len(listed)} processes, not this one (a container's own process ids?)")
        used = mine[0].usedGpuMemory
        return Reading(None, "NVML does not tell a process's memory here") if used is None else Reading(int(used))

    def _memory(self, field: str) -> Reading:
        if self._handle is None:
            return Reading(None, self.reason)
        try:
            return Reading(int(getattr(pynvml.nvmlDeviceGetMemoryInfo(self._handle), field)))
        except pynvml.NVMLError as error:
            return Reading(None, f"NVML: {error}")


def driver_state() -> str | None:
    """Why the NVIDIA driver can't be used, in NVML's words; None if it can."""
    try:
        pynvml.nvmlInit()
        return None if pynvml.nvmlDeviceGetCount() else "the driver sees no GPU"
    except pynvml.NVMLError as error:
        return str(error)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
