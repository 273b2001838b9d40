"""The seconds that a call takes on CUDA, including the wait for the device to finish it. Loads torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch


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
