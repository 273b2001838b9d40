"""Runs a function in a fresh process, and says what that took: time, peak memory and bytes read from files."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class ChildCost:
    """What a function returned and took. The peak is of its whole process; bytes are those of its read calls."""

    result: Any
    wall_s: float
    cpu_s: float
    peak_bytes: int
    read_bytes: int


def in_child(work: Callable[..., Any], *arguments: Any) -> ChildCost:
    """Call a module's function in a process that was not forked, whose peak memory is its own. Linux only."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as processes:
        return processes.submit(_measured, work, arguments).result()


def _measured(work: Callable[..., Any], arguments: tuple[Any, ...]) -> ChildCost:
    before, begin, begin_cpu = _read_bytes(), time.perf_counter(), time.process_time()
    result = work(*arguments)
    wall_s, cpu_s = time.perf_counter() - begin, time.process_time() - begin_cpu
    return ChildCost(result, wall_s, cpu_s, _peak_bytes(), _read_bytes() - before)


def _peak_bytes() -> int:
    """Linux's high-water mark of this program: `ru_maxrss` would count the parent before the program began."""
    return 1024 * int(_field("status", "VmHWM").removesuffix(" kB"))


def _read_bytes() -> int:
    return int(_field("io", "rchar"))


def _field(file: str, name: str) -> str:
    lines = Path("/proc/self", file).read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:"))
