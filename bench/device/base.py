"""The interface of a device: a clock, a memory meter, a watch, and its state when a call fails.

`cuda.gpu.Gpu` and `cpu.processor.Processor` implement it; `choose` selects and opens one.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from bench.core.units import format_bytes, format_count, format_exact
from bench.errors import DeviceError, printable
from bench.record import ContextFoundBy, Device, GpuSettings, Memory, Telemetry, TorchSettings

if TYPE_CHECKING:
    import torch

    from bench.doctor import DeviceFacts


#: Devices of torch that are refused, and why.
UNSUPPORTED = {
    "mps": "Apple's MPS does not record peak memory",
    "xpu": "Intel's XPU is not supported",
    **dict.fromkeys(("rocm", "hip"), "ROCm's figures have not been checked against the driver, so they could be wrong"),
}
#: The end of the message that CUDA can't be used. Commands that need CUDA remove it.
OR_THE_CPU = " To measure the CPU, use --device cpu."


def check_name(requested: str) -> str:
    """The name in lower case: `auto`, `cpu`, `cuda` or `cuda:N`. Raises DeviceError for any other. Asks no device."""
    name = requested.strip().lower()
    why_not = UNSUPPORTED.get(name.split(":")[0])
    if why_not is not None:
        raise DeviceError(f"--device {requested}: {why_not}. Use a CUDA GPU, or --device cpu.")
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name, re.ASCII):
        raise DeviceError(f"--device {printable(requested, 80)}: no such device. Valid: auto, cpu, cuda or cuda:N.")
    return name


def check_cards(requested: str) -> tuple[int, ...] | None:
    """The numbers of the cards in `0,2` or `cuda:0,cuda:2`; None for `all`. Raises DeviceError. Asks no device."""
    name = requested.strip().lower()
    if name == "all":
        return None
    parts = [part.strip().removeprefix("cuda:") for part in name.split(",")]
    if not all(re.fullmatch(r"\d{1,4}", part, re.ASCII) for part in parts):
        shown = printable(requested, 80)
        raise DeviceError(f"--devices {shown}: no such list of cards. Valid: all, or numbers as in 0,2.")
    cards = tuple(map(int, parts))
    twice = next((card for card in cards if cards.count(card) > 1), None)
    if twice is not None:
        raise DeviceError(f"--devices {printable(requested, 80)}: duplicate card {twice}. Give each card once.")
    return cards


def chosen_cards(requested: str, count: int, reason: str | None = None) -> tuple[int, ...]:
    """The numbers of the requested cards, of `count` that torch sees; `reason` says why it sees none.

    Raises DeviceError.
    """
    cards = check_cards(requested)
    if not count:
        raise DeviceError(f"--devices {printable(requested, 80)}: {reason or 'torch sees no CUDA device.'}{OR_THE_CPU}")
    if cards is None:
        return tuple(range(count))
    missing = next((card for card in cards if card >= count), None)
    if missing is not None:
        last = f"The last is {count - 1}." if count > 1 else "It is number 0."
        raise DeviceError(
            f"--devices {printable(requested, 80)}: there is no card {missing}; torch has "
            f"{format_count(count, 'CUDA device')}. {last}"
        )
    return cards


@dataclass(frozen=True, slots=True)
class Capacity:
    """The device's total memory and the limit that replaces it, in bytes. `divisor` is the base of percentages."""

    total_bytes: int
    limit_bytes: int | None = None

    @property
    def divisor(self) -> int:
        return self.total_bytes if self.limit_bytes is None else self.limit_bytes


def capacity_of(name: str, total_bytes: int, limit_bytes: int | None) -> Capacity:
    """The capacity of a device under a limit. Raises DeviceError if the limit is more than there is."""
    if limit_bytes is not None and limit_bytes > total_bytes:
        raise DeviceError(
            f"--vram-limit {format_exact(limit_bytes)}: {name} has only {format_bytes(total_bytes)}. "
            "Give a lower limit, or omit it."
        )
    return Capacity(total_bytes, limit_bytes)


@dataclass(frozen=True, slots=True)
class Context:
    """The size of the CUDA context in bytes and how it was determined, or None and the reason."""

    bytes: int | None
    found_by: ContextFoundBy | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class DeviceState:
    """The device's memory when a call fails."""

    kind: Literal["cuda", "cpu"]
    free_bytes: int | None = None
    refusals: int = 0  # allocations that the allocator refused
    squeezes: int = 0  # allocations for which it had to return cached memory to the device first


@dataclass(frozen=True, slots=True)
class DeviceSoftware:
    """The software below torch that may affect figures; None if the device does not use it."""

    driver: str | None = None
    cuda: str | None = None
    cudnn: str | None = None
    nvml_reason: str | None = None
    may_spill: str | None = None
    torch_settings: TorchSettings | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """When one timed call ran, in seconds of `time.monotonic`, for matching it with readings of the device."""

    begin_s: float
    end_s: float


def windowed(
    time_once: Callable[[], float], windows: list[Window], now: Callable[[], float] = time.monotonic
) -> Callable[[], float]:
    """`time_once`, which also appends a Window to `windows` for each call."""

    def timed() -> float:
        begin_s = now()
        seconds = time_once()
        windows.append(Window(begin_s, now()))
        return seconds

    return timed


class Clock(Protocol):
    """Times one call at a time."""

    @property
    def name(self) -> Literal["cuda_event", "perf_counter"]:
        """The clock's name in records."""

    def time(self, call: Callable[[], object]) -> float:
        """Run `call` once, wait until its work is done, and return the seconds that it took."""


class MemoryMeter(Protocol):
    """Measures the peak of one case after another.

    `begin_load` and `load_done` surround the loading of a model. The order of a case is `begin` (with the model
    loaded), `first_call_done`, `calls_done`, and `left_behind` after the case's tensors are gone. If a call has several
    stages, `enter` and `leave` surround each of them in every call.
    """

    #: More leftover bytes than this are a leak.
    leak_tolerance_bytes: int

    def empty(self) -> None:
        """Return all cached memory to the device."""

    def begin_load(self) -> None:
        """Start loading a model, with the cache emptied."""

    def load_done(self) -> Memory:
        """End loading and return its peaks."""

    def begin(self) -> None:
        """Empty the cache and start a case, with its model loaded but not its input."""

    def enter(self, stage: int) -> None:
        """Start a stage of a call; the first is 0."""

    def leave(self, stage: int) -> None:
        """End a stage of a call."""

    def first_call_done(self) -> None:
        """End the first call."""

    def calls_done(self, weights_bytes: int) -> tuple[Memory, ...]:
        """End the last call and return the figures of each stage."""

    def left_behind(self) -> int:
        """Bytes in use above those at `begin`, after the case's tensors are gone."""


class Watch(Protocol):
    """Watches the device during the timed calls of one case after another."""

    def prepare(self) -> None:
        """Start the process that reads the device; call this before a case is loaded."""

    def begin(self) -> None:
        """Start reading; call this right before the first timed call."""

    def end(self, windows: Sequence[Window]) -> Telemetry:
        """Stop reading and return the telemetry; call this right after the last timed call. One window per sample."""

    def end_each(self, groups: Sequence[Sequence[Window]]) -> tuple[Telemetry, ...]:
        """As `end` for cases that took turns: one telemetry per group of windows, without energy if several."""

    def warnings(self, summary: Telemetry, samples_count: int) -> tuple[str, ...]:
        """Warnings about the device that concern the case's times."""


class Held(Protocol):
    """A device that this process has opened, with an optional memory limit."""

    torch_device: torch.device
    #: The device as records store it.
    device: Device
    clock: Clock
    meter: MemoryMeter
    watch: Watch
    #: The GPU's settings before this process used it.
    settings: GpuSettings | None

    @property
    def compute_capability(self) -> tuple[int, int] | None:
        """The compute capability of a CUDA device, `(8, 9)`; None for the CPU."""

    def state(self) -> DeviceState:
        """Free memory now, and the refused allocations of this process so far."""

    def wait(self) -> None:
        """Wait until all launched work is done."""

    def software(self) -> DeviceSoftware:
        """The current driver and libraries."""

    def facts(self) -> DeviceFacts:
        """Facts for `bench doctor`."""
