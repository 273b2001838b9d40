"""The facts about a machine, and the form of what follows from them: findings.

Any process can read the host's facts; the worker reports the device's. Quantities are bytes, watts, hertz and degrees
Celsius; None if the system does not report them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bench.record import Device, Environment, Frozen, Variables


class FolderFacts(Frozen):
    """The results folder, or the folder in which it would be created."""

    path: str
    trouble: str | None = Field(default=None, description="why no file can be written there; null if one can")
    free_bytes: int | None = None


class HostFacts(Frozen):
    """The host before the worker starts, as a process without torch sees it."""

    os: str
    cpu: str
    cores: int = Field(description="logical cores of the machine")
    usable_cores: float = Field(
        description="cores that this process may use, by affinity and its control group's CPU quota"
    )
    ram_bytes: int
    available_bytes: int | None = None
    memory_limit_bytes: int | None = Field(default=None, description="of this process's control group")
    swap_used_bytes: int | None = None
    load: float | None = Field(default=None, description="tasks that wanted a core, on average over the last minute")
    governors: tuple[str, ...] = Field(default=(), description="CPU frequency governors in use (Linux)")
    python: str
    packages: dict[str, str] = Field(default={}, description="installed distribution: version")
    variables: Variables = Field(default={}, description="environment variables that change figures; no paths")
    old_pynvml: str | None = Field(
        default=None, description="version of an old `pynvml` that is imported instead of nvidia-ml-py"
    )
    results: FolderFacts


class GpuFacts(Frozen):
    """The GPU that the worker has opened, idle, including its CUDA context."""

    capability: str = Field(description="compute capability, as 9.0")
    architectures: tuple[str, ...] = Field(
        default=(), description="targets that this torch has code for: sm_90, compute_90"
    )
    free_bytes: int | None = None
    total_bytes: int | None = None
    compute_mode: int | None = Field(
        default=None, description="nvmlComputeMode_t: 0 default, 2 prohibited, 3 exclusive"
    )
    temperature_c: float | None = None
    power_w: float | None = None
    sm_clock_hz: float | None = None
    reasons: int | None = Field(default=None, description="NVML's bitmask of what holds the clocks down now")
    reason_names: tuple[str, ...] = ()


class DeviceFacts(Frozen):
    """The worker's report on the device, in addition to `Ready`."""

    torch_cuda: str | None = Field(default=None, description="the CUDA that torch was built with; null: a CPU build")
    driver_cuda: str | None = Field(default=None, description="the highest CUDA that the driver supports")
    no_nvidia: str | None = Field(default=None, description="why the driver shows no NVIDIA GPU; null if it shows one")
    gpu: GpuFacts | None = Field(default=None, description="null if the CPU is measured")


class Facts(Frozen):
    """The input of `examine`. Without a worker only the host is known, and `refused` says why."""

    asked: str = Field(description="--device as it was given")
    host: HostFacts
    refused: str | None = Field(default=None, description="why the device can't be used; null if it can")
    device: Device | None = None
    environment: Environment | None = None
    note: str | None = Field(default=None, description="a device that was not chosen although it is here")
    reason: str | None = Field(default=None, description="why the device is not a GPU")
    found: DeviceFacts | None = None

    @property
    def on_gpu(self) -> bool:
        """Whether a GPU is measured."""
        return self.device is not None and self.device.kind == "cuda"


class PayloadKind(Frozen):
    """A kind of payload sent through the installed diffusers: memory layout, operation, precision.

    `remedied`: made contiguous on the CPU first, as `bench remote` does.
    """

    layout: str
    operation: Literal["decode", "encode"]
    dtype: str
    remedied: bool


class PayloadCount(Frozen):
    """How many payloads of a kind were sent, and how many arrived with other bytes than the tensor held."""

    kind: PayloadKind
    sent: int = Field(ge=0)
    differing: int = Field(ge=0)
    error: str | None = Field(default=None, description="why the rest was not sent; null if all were")


class PayloadCrash(Frozen):
    """A crash of the process that sent payloads of a kind, whose count is lost."""

    kind: PayloadKind
    how: str = Field(description="the signal or exit code, or that it did not answer")


class LayoutFacts(Frozen):
    """The results for the payloads of one layout."""

    layout: str
    counts: tuple[PayloadCount, ...] = ()
    crash: PayloadCrash | None = None
    not_checked: str | None = Field(default=None, description="why none was sent; null if some were")


class ClientFacts(Frozen):
    """The results for the installed diffusers client."""

    packages: dict[str, str] = Field(default={}, description="installed distribution: version")
    refused: str | None = Field(default=None, description="why its client can't be tried; null if it can")
    layouts: tuple[LayoutFacts, ...] = ()


Level = Literal["ok", "note", "warning", "problem"]


class Finding(Frozen):
    """ok: as it should be; note: worth knowing; warning: figures are noisier or incomplete; problem: they are wrong.

    `said` is the text, under the key that the JSON of `bench doctor` has for it.
    """

    level: Level
    subject: str
    said: str
    remedy: str | None = None


def ok(subject: str, text: str) -> Finding:
    """All is as it should be."""
    return Finding(level="ok", subject=subject, said=text)


def note(subject: str, text: str, remedy: str | None = None) -> Finding:
    """Worth knowing, but figures are correct."""
    return Finding(level="note", subject=subject, said=text, remedy=remedy)


def warning(subject: str, text: str, remedy: str) -> Finding:
    """Figures are noisier or incomplete."""
    return Finding(level="warning", subject=subject, said=text, remedy=remedy)


def problem(subject: str, text: str, remedy: str) -> Finding:
    """Figures would be wrong."""
    return Finding(level="problem", subject=subject, said=text, remedy=remedy)
