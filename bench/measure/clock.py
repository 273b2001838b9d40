"""Clocks: the seconds that one call takes, including the wait for the device to finish it. Loads torch."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, Protocol

import torch


class Clock(Protocol):
    """Times one call at a time."""

    @property
    def name(self) -> Literal["cuda_event", "perf_counter"]:
        """What the record calls it."""
        ...

    def time(self, call: Callable[[], object]) -> float:
        """Run `call` once, wait until its work is done, and return its seconds."""
        ...


class CudaEventClock:
    """Device time between two events around the call, one synchronise a sample.

    Events are recorded on the current stream, so the figure leaves out the host's wait for the device but not the
    gaps in which the device waits for the host to launch: what a user's program also pays.
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


class WallClock:
    """Wall time of the call on the host: right for the CPU, where a call returns when its work is done."""

    name: Literal["perf_counter"] = "perf_counter"

    def time(self, call: Callable[[], object]) -> float:
        begin = time.perf_counter()
        call()
        return time.perf_counter() - begin


def for_device(device: torch.device) -> Clock:
    """The clock that fits the device."""
    return CudaEventClock(device) if device.type == "cuda" else WallClock()
