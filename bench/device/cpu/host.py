"""Facts of the host, read from the operating system."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import psutil

_CGROUP = Path("/sys/fs/cgroup")


def cpu_name() -> str:
    """The processor's marketing name, or its architecture if the system does not report a name."""
    for line in lines(Path("/proc/cpuinfo")):
        key, _, value = line.partition(":")
        if key.strip() in {"model name", "Model", "Hardware"} and value.strip():
            return " ".join(value.split())
    return platform.processor() or platform.machine()


def memory_limit_bytes() -> int | None:
    """The memory limit of this process's control group (container), or None."""
    limits = [
        int(line)
        for folder in groups("memory")
        for line in lines(folder / "memory.max")[:1] + lines(folder / "memory.limit_in_bytes")[:1]
        if line.isdigit()
    ]
    limits = [limit for limit in limits if limit < 2**60]  # version 1 reports a huge number if there is no limit
    return min(limits, default=None)


def free_bytes() -> int:
    """The memory that this process can still take: what is available on the host, at most its container's limit."""
    return min(int(psutil.virtual_memory().available), memory_limit_bytes() or sys.maxsize)


def oom_kills() -> int:
    """How often the kernel has killed a process to free memory, machine-wide and in this control group."""
    counts = [line.split() for line in lines(Path("/proc/vmstat"))]
    counts += [line.split() for folder in groups("memory") for line in lines(folder / "memory.events")]
    return sum(int(words[1]) for words in counts if len(words) == 2 and words[0] == "oom_kill")


def groups(controller: str) -> list[Path]:
    """The folders of this process's control group and its parents (version 2), and of the controller (version 1)."""
    paths = [line.rpartition(":")[2].lstrip("/") for line in lines(Path("/proc/self/cgroup")) if line.startswith("0::")]
    folders = [_CGROUP / controller, _CGROUP]
    for path in paths:
        group = _CGROUP / path
        folders += [folder for folder in (group, *group.parents) if _CGROUP in folder.parents]
    return folders


def lines(path: Path) -> list[str]:
    """The lines of a system file; empty if it can't be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
