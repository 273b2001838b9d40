"""What a device is to those who measure on it: a clock, a memory meter, a watch, and what is left when a call fails.

One implementation a kind of device: `cuda.gpu.Gpu` and `cpu.processor.Processor`. `choose` says which one a name means,
and `take` takes it. Free of torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from bench.core.units import format_bytes
from bench.device.windows import Window
from bench.record import ContextFoundBy, Device, GpuSettings, Memory, Telemetry, TorchSettings

if TYPE_CHECKING:
    import torch

    from bench.doctor import DeviceFacts


class UnusableError(Exception):
    """The device can't be used; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What memory is divided by: the device's total, or the limit that stands in for it; both in bytes."""

    total_bytes: int
    limit_bytes: int | None = None

    @property
    def divisor(self) -> int:
        return self.total_bytes if self.limit_bytes is None else self.limit_bytes


def capacity_of(name: str, total_bytes: int, limit_bytes: int | None) -> Capacity:
    """The capacity of a device under a limit. Raises UnusableError if the limit is more than there is."""
    if limit_bytes is not None and limit_bytes > total_bytes:
        raise UnusableError(
            f"--vram-limit {format_bytes(limit_bytes)}: {name} has only {format_bytes(total_bytes)}. "
            "Give less, or leave the limit out."
        )
    return Capacity(total_bytes, limit_bytes)


@dataclass(frozen=True, slots=True)
class Context:
    """The CUDA context: its bytes on the device and by which figure they were found, or None and why."""

    bytes: int | None
    found_by: ContextFoundBy | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class DeviceState:
    """What the worker knows of its device when a call fails."""

    kind: Literal["cuda", "cpu"]
    free_bytes: int | None = None
    refusals: int = 0  # requests that the allocator turned down
    squeezes: int = 0  # how often it gave cached memory back to the device in order to grant one


@dataclass(frozen=True, slots=True)
class DeviceSoftware:
    """The software below torch that a figure may depend on; what the device has none of is None."""

    driver: str | None = None
    cuda: str | None = None
    cudnn: str | None = None
    nvml_reason: str | None = None
    may_spill: str | None = None
    torch_settings: TorchSettings | None = None


class Clock(Protocol):
    """Times one call at a time."""

    @property
    def name(self) -> Literal["cuda_event", "perf_counter"]:
        """What the record calls it."""
        ...

    def time(self, call: Callable[[], object]) -> float:
        """Run `call` once, wait until its work is done, and return its seconds."""
        ...


class MemoryMeter(Protocol):
    """Measures the peak of one case after another.

    `begin` with the model loaded, `first_call_done`, `calls_done`, then `left_behind` when the case's tensors are gone.
    Where a call has several stages, `enter` and `leave` come before and after each of them, in every call.
    """

    #: More than this left behind is a leak.
    leak_tolerance_bytes: int

    def empty(self) -> None:
        """Give back all memory that is cached and not in use."""
        ...

    def begin(self) -> None:
        """The model is loaded, the case's input is not: empty what is cached and start from here."""
        ...

    def enter(self, stage: int) -> None:
        """A stage of a call begins, the first being 0."""
        ...

    def leave(self, stage: int) -> None:
        """That stage has ended."""
        ...

    def first_call_done(self) -> None:
        """The first call has ended."""
        ...

    def calls_done(self, weights_bytes: int) -> tuple[Memory, ...]:
        """All calls have ended: the figures of each stage."""
        ...

    def left_behind(self) -> int:
        """Bytes that did not return to what `begin` found; call it when the case's tensors are gone."""
        ...


class Watch(Protocol):
    """Watches the device during the timed calls of one case after another."""

    def prepare(self) -> None:
        """To be called when a case is about to be loaded: what reads the device starts meanwhile."""
        ...

    def begin(self) -> None:
        """To be called right before the first timed call."""
        ...

    def end(self, windows: Sequence[Window]) -> Telemetry:
        """To be called right after the last one, with a window for each sample."""
        ...

    def end_each(self, groups: Sequence[Sequence[Window]]) -> tuple[Telemetry, ...]:
        """The same for cases whose calls took turns: a telemetry for each group of windows, without energy."""
        ...

    def warnings(self, summary: Telemetry, samples_count: int) -> tuple[str, ...]:
        """What a reader of the case's time should know of the device."""
        ...


class Held(Protocol):
    """A device that this process has taken, under the limit that was asked for."""

    torch_device: torch.device
    #: As records have it.
    device: Device
    clock: Clock
    meter: MemoryMeter
    watch: Watch
    #: How a GPU was found, before this process used it.
    settings: GpuSettings | None

    @property
    def compute_capability(self) -> tuple[int, int] | None:
        """Of a CUDA device."""
        ...

    def state(self) -> DeviceState:
        """What is free now, and how many requests the process has been refused so far."""
        ...

    def wait(self) -> None:
        """Wait until all work that was launched is done."""
        ...

    def software(self) -> DeviceSoftware:
        """The driver and the libraries, as they are now."""
        ...

    def facts(self) -> DeviceFacts:
        """What `bench doctor` asks of it."""
        ...
