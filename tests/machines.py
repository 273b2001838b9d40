"""Facts of whole machines to build `bench doctor` tests from: all well unless a test says otherwise."""

from __future__ import annotations

from typing import Any

from factories import GIB, a_device, an_environment

from bench.doctor import DeviceFacts, Facts, FolderFacts, GpuFacts, HostFacts
from bench.record import Environment, GpuSettings, Neighbours


def a_host(**fields: Any) -> HostFacts:
    """An idle Linux machine of eight cores."""
    defaults = {
        "os": "Linux 6.1",
        "cpu": "Test CPU",
        "cores": 8,
        "usable_cores": 8,
        "ram_bytes": 32 * GIB,
        "available_bytes": 28 * GIB,
        "swap_used_bytes": 0,
        "load": 0.1,
        "governors": ("performance",),
        "python": "3.11.7",
        "packages": {"torch": "2.13.0", "diffusers": "0.40.0"},
        "results": FolderFacts(path="results", free_bytes=100 * GIB),
    }
    return HostFacts(**defaults | fields)


def gpu_settings(**fields: Any) -> GpuSettings:
    """A card as shipped, with nobody else on it."""
    defaults = {
        "compute_capability": "9.0",
        "power_limit_w": 700.0,
        "power_default_w": 700.0,
        "ecc": True,
        "persistence": True,
        "mig": False,
        "neighbours": Neighbours(count=0, bytes=0, utilization=0.0),
    }
    return GpuSettings(**defaults | fields)


def a_gpu(**fields: Any) -> GpuFacts:
    """A cool card, nearly all of whose 24 GiB are free."""
    defaults = {
        "capability": "9.0",
        "architectures": ("sm_80", "sm_90", "compute_90"),
        "free_bytes": 23 * GIB,
        "total_bytes": 24 * GIB,
        "compute_mode": 0,
        "temperature_c": 41.0,
        "power_w": 70.0,
        "sm_clock_hz": 1.98e9,
        "reasons": 0x1,
        "reason_names": ("gpu idle",),
    }
    return GpuFacts(**defaults | fields)


def gpu_environment(**fields: Any) -> Environment:
    """Environment of a GPU worker; `settings` are those of `gpu_settings`."""
    settings = fields.pop("settings", {})
    return an_environment(**{"driver": "580.1", "gpu": gpu_settings(**settings), "threads": 8} | fields)


def gpu_machine(
    *,
    host: dict[str, Any] | None = None,
    environment: dict[str, Any] | None = None,
    found: dict[str, Any] | None = None,
    gpu: dict[str, Any] | None = None,
    **fields: Any,
) -> Facts:
    """A machine whose GPU is measured."""
    told = DeviceFacts(**{"torch_cuda": "13.0", "driver_cuda": "13.0", "gpu": a_gpu(**(gpu or {}))} | (found or {}))
    defaults = {
        "asked": "auto",
        "host": a_host(**(host or {})),
        "device": a_device(),
        "environment": gpu_environment(**(environment or {})),
        "found": told,
    }
    return Facts(**defaults | fields)


def cpu_machine(
    *,
    host: dict[str, Any] | None = None,
    environment: dict[str, Any] | None = None,
    found: dict[str, Any] | None = None,
    **fields: Any,
) -> Facts:
    """A machine without a GPU."""
    defaults = {
        "asked": "auto",
        "host": a_host(**(host or {})),
        "device": a_device(kind="cpu", name="Test CPU", total_bytes=32 * GIB),
        "environment": an_environment(**{"threads": 8} | (environment or {})),
        "reason": "this torch is a CPU-only build.",
        "found": DeviceFacts(**{"no_nvidia": "NVML Shared Library Not Found"} | (found or {})),
    }
    return Facts(**defaults | fields)


def refused_machine(refused: str = "--device cuda: no driver.", **fields: Any) -> Facts:
    """A machine whose device could not be had: only the host is known. `host` are fields of `a_host`."""
    host = fields.pop("host", {})
    return Facts(**{"asked": "cuda", "host": a_host(**host), "refused": refused} | fields)
