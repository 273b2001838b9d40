"""Times calls on CUDA. Loads torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch


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
