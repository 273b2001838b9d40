"""Devices that are held, for tests: the CPU as it is, and one made of plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import torch
from factories import GIB, a_device

from bench.device.base import DeviceState
from bench.device.cpu.processor import Processor, WallClock
from bench.record import Device


def the_cpu() -> Processor:
    """The CPU, held without a limit, and nothing called on it."""
    return Processor(torch.device("cpu"), None, lambda _: None)


@dataclass
class HeldCard:
    """A card of compute capability 9.0 with 24 GiB free; its tensors lie on the host."""

    device: Device = field(default_factory=a_device)
    torch_device: Any = field(default_factory=lambda: torch.device("cuda", 0))
    clock: Any = field(default_factory=WallClock)
    compute_capability: tuple[int, int] = (9, 0)
    free_bytes: int = 24 * GIB
    meter: Any = field(default_factory=lambda: SimpleNamespace(empty=lambda: None))

    def state(self) -> DeviceState:
        """What is free."""
        return DeviceState("cuda", self.free_bytes)

    def wait(self) -> None:
        """Nothing is under way."""
