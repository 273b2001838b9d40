"""The device that a case ran on, its settings, and the software and host around it."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from bench.core import identity
from bench.record.stored import Frozen
from bench.record.urls import without_url_secrets


def _without_uuids(variables: dict[str, str]) -> dict[str, str]:
    """The variables with GPU UUIDs replaced by hashes. Applied on reading too, because older records may hold UUIDs."""
    return {name: identity.hide(value) for name, value in variables.items()}


#: Environment variables by name. CUDA_VISIBLE_DEVICES may hold the UUIDs of cards.
Variables = Annotated[dict[str, str], AfterValidator(_without_uuids)]
#: An endpoint may be named by its URL. Applied on reading too: older records may hold a password.
DeviceName = Annotated[str, AfterValidator(without_url_secrets)]
SmClockSource = Literal["default application clock", "rated boost", "highest clock"]


class Device(Frozen):
    """The device that a case ran on.

    `total_bytes` is torch's figure for a GPU, physical RAM for a CPU, null for an endpoint.
    """

    kind: Literal["cuda", "cpu", "endpoint"]
    name: DeviceName
    total_bytes: int | None = Field(default=None, gt=0)
    nvml_total_bytes: int | None = Field(default=None, ge=0)
    identity: str | None = Field(
        default=None,
        description="digest of a GPU's UUID, which distinguishes it from cards of the same name; null if it has none",
    )

    @property
    def slug(self) -> str:
        """The name of this device's results folder: `nvidia-h100-80gb-hbm3`, `cpu-amd-epyc-9b14`, `endpoint-mine`."""
        name = re.sub(r"[^a-z0-9]+", "-", self.name.lower().replace("(r)", " ").replace("(tm)", " ")).strip("-")
        kind = "" if self.kind == "cuda" or name.startswith(self.kind) else self.kind
        return "-".join(part for part in (kind, name) if part) or self.kind


class Neighbours(Frozen):
    """Other processes on the GPU when the worker took it."""

    count: int | None = Field(default=None, description="null if NVML lists no processes, or not even this one")
    bytes: int | None = Field(default=None, description="device memory that was in use before this process took any")
    utilization: float | None = Field(default=None, description="share of time in which a kernel ran, 0 to 1")
    computing: int | None = Field(default=None, description="other processes that compute and do not draw")
    drawing: int | None = Field(default=None, description="other processes that draw")
    display: bool | None = Field(default=None, description="whether a screen shows what the GPU draws")


class GpuSettings(Frozen):
    """The settings of a GPU as NVML reports them; null if it does not report one."""

    compute_capability: str | None = None
    multiprocessors: int | None = None
    power_limit_w: float | None = None
    power_default_w: float | None = Field(default=None, description="the power limit as shipped")
    power_range_w: tuple[float, float] | None = Field(
        default=None, description="lowest and highest power limit that can be set; null if it can't be set"
    )
    sm_clock_default_hz: float | None = Field(
        default=None, description="default application clock, else the rated boost, else the highest"
    )
    sm_clock_default_source: SmClockSource | None = Field(default=None, description="which of the three it is")
    sm_clock_max_hz: float | None = None
    memory_clock_max_hz: float | None = None
    ecc: bool | None = None
    persistence: bool | None = None
    mig: bool | None = None
    neighbours: Neighbours = Neighbours()

    @property
    def is_power_lowered(self) -> bool | None:
        """Whether the power limit is below the default; None if NVML does not report both."""
        limit, shipped = self.power_limit_w, self.power_default_w
        return None if limit is None or shipped is None else limit < shipped - 0.5  # a watt is what is shown

    @property
    def raisable_power_w(self) -> float | None:
        """The default power limit in watts, if the current one is lower and can be raised to it; None otherwise."""
        shipped, settable = self.power_default_w, self.power_range_w
        if not self.is_power_lowered or shipped is None or settable is None:
            return None
        return shipped if settable[0] <= shipped <= settable[1] else None

    @property
    def clock_resets(self) -> tuple[str, ...]:
        """The commands that give control of the SM clock back to the driver, if the card has the settings.

        `-rgc` undoes locked clocks (Volta and later, nvidia-smi's manual), `-rac` an application clock.
        """
        locks = self.compute_capability is not None and int(self.compute_capability.split(".")[0]) >= 7
        resets = [
            (locks, "nvidia-smi -rgc"),
            (self.sm_clock_default_source == "default application clock", "nvidia-smi -rac"),
        ]
        return tuple(command for allowed, command in resets if allowed)


class TorchSettings(Frozen):
    """Settings of torch on which the time of float32 depends; null if torch does not report one."""

    convolutions_tf32: bool | None = Field(
        default=None, description="float32 convolutions of cuDNN may use TF32 (torch's default): 10 bits of mantissa"
    )
    matmul_tf32: bool | None = Field(default=None, description="float32 matrix products may use TF32")
    cudnn_benchmark: bool | None = Field(
        default=None, description="cuDNN tries its kernels at the first call of a shape and keeps the quickest"
    )


class Package(Frozen):
    """An installed distribution; `commit` is set if it was installed from git."""

    version: str
    commit: str | None = None


class Environment(Frozen):
    """The software and the host around a measurement."""

    python: str
    packages: dict[str, Package]
    project_commit: str | None = Field(default=None, description="of Hybrid Bench itself; '-dirty' if changed")
    os: str
    host_cpu: str
    host_cores: int
    host_ram_bytes: int
    threads: int | None = Field(default=None, description="torch's intra-op threads")
    variables: Variables = Field(default={}, description="environment variables that change the figures")
    driver: str | None = None
    cuda: str | None = None
    cudnn: str | None = None
    nvml_reason: str | None = Field(default=None, description="why the driver's library was not used")
    gpu: GpuSettings | None = None
    torch_settings: TorchSettings | None = Field(
        default=None, description="null on a CPU and in records of older versions"
    )
    may_spill: str | None = Field(
        default=None, description="why the driver may have used system memory instead of failing; null if it can't"
    )
    stand_in: str | None = Field(
        default=None, description="what stood in for the device in a test; such figures are of no device. null if real"
    )
