"""What a case ran on: the device, how it is set up, the software and the host around it."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field

from bench.record.stored import Frozen


class Device(Frozen):
    """What a case ran on. `total_bytes` is torch's figure for a GPU, physical RAM for a CPU, null for an endpoint."""

    kind: Literal["cuda", "cpu", "endpoint"]
    name: str
    total_bytes: int | None = Field(default=None, gt=0)
    nvml_total_bytes: int | None = Field(default=None, ge=0)

    @property
    def slug(self) -> str:
        """The name of this device's results folder: `nvidia-h100-80gb-hbm3`, `cpu-amd-epyc-9b14`, `endpoint-mine`."""
        name = re.sub(r"[^a-z0-9]+", "-", self.name.lower().replace("(r)", " ").replace("(tm)", " ")).strip("-")
        kind = "" if self.kind == "cuda" or name.startswith(self.kind) else self.kind
        return "-".join(part for part in (kind, name) if part) or self.kind


class Neighbours(Frozen):
    """Other processes on the GPU when the worker took it."""

    count: int | None = Field(default=None, description="null where NVML lists none, or not this process either")
    bytes: int | None = Field(default=None, description="device memory that was in use before this process took any")
    utilization: float | None = Field(default=None, description="share of time in which a kernel ran, 0 to 1")


class GpuSettings(Frozen):
    """How a GPU is set up, as NVML tells it; what it does not tell is null."""

    compute_capability: str | None = None
    multiprocessors: int | None = None
    power_limit_w: float | None = None
    power_default_w: float | None = Field(default=None, description="the power limit as shipped")
    sm_clock_default_hz: float | None = Field(default=None, description="default application clock, else the highest")
    sm_clock_max_hz: float | None = None
    memory_clock_max_hz: float | None = None
    ecc: bool | None = None
    persistence: bool | None = None
    mig: bool | None = None
    neighbours: Neighbours = Neighbours()


class Package(Frozen):
    """An installed distribution; the commit where it was installed from git."""

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
    variables: dict[str, str] = Field(default={}, description="environment variables that change the figures")
    driver: str | None = None
    cuda: str | None = None
    cudnn: str | None = None
    nvml_reason: str | None = Field(default=None, description="why the driver's library was not used")
    gpu: GpuSettings | None = None
    may_spill: str | None = Field(
        default=None, description="why the driver may have used system memory instead of failing; null if it can't"
    )
