"""Who else uses a GPU, before this process has taken it and afterwards."""

from __future__ import annotations

import os

import psutil

from bench.device.cuda.nvml import Nvml
from bench.record import Neighbours


class GpuLookout:
    """Looks at one GPU through the driver alone, so that it takes no memory there.

    This process is never counted, nor are its siblings: the workers of other cards.
    """

    def __init__(self, nvml: Nvml, parent: int | None = None) -> None:
        """`parent` is the process whose children are siblings; by default that of this process."""
        self._nvml = nvml
        self._parent = os.getppid() if parent is None else parent
        self._before: set[int] = set()

    @property
    def reason(self) -> str | None:
        """Why NVML can't be asked; None if it can."""
        return self._nvml.reason

    @property
    def total_bytes(self) -> int | None:
        """All memory of the GPU."""
        return self._nvml.total().bytes

    def look(self, *, has_device: bool) -> Neighbours:
        """The other users now. Look once before this process takes the device (`has_device`).

        Afterwards memory counts only if NVML lists this process, because its own part is not known otherwise.
        """
        listed = self._nvml.pids()
        if not has_device:
            self._before = listed
        return self._nvml.neighbours(self._own(listed, has_device=has_device), has_device=has_device)

    def _own(self, listed: set[int], *, has_device: bool) -> set[int]:
        """The process ids of this process and its siblings, as NVML lists them.

        In a container NVML may list the host's ids. The only id that has been listed since this process took the device
        is then taken to be its own.
        """
        own = {pid for pid in listed if pid == os.getpid() or _parent_of(pid) == self._parent}
        unknown = listed - self._before
        return unknown if has_device and not own and len(unknown) == 1 else own


def _parent_of(pid: int) -> int | None:
    try:
        return psutil.Process(pid).ppid()
    except psutil.Error:  # it has ended, or is on the host
        return None
