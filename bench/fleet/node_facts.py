"""What a node of a cluster is and has installed, looked up there. At its top it imports the standard library alone.

So a node that lacks a package can say which one.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from importlib import metadata

#: Packages on whose versions figures depend. bench itself is shipped, so its version is the driver's.
COMPARED = ("torch", "diffusers", "transformers")
#: Modules that a worker needs; those of the base installation first.
_NEEDED = ("numpy", "psutil", "pydantic", "pynvml", "yaml", "torch", "diffusers", "transformers", "accelerate")


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """Installed versions by package, needed modules that are missing, and the names of GPUs (as NVML has them)."""

    versions: dict[str, str]
    missing: tuple[str, ...]
    gpu_names: tuple[str, ...]
    cpu_name: str


def look() -> NodeFacts:
    """The facts of the machine on which this is called. Loads no torch."""
    missing = tuple(name for name in _NEEDED if importlib.util.find_spec(name) is None)
    base_is_there = not {"pynvml", "psutil"} & set(missing)
    return NodeFacts(versions(), missing, _gpu_names() if base_is_there else (), _cpu_name() if base_is_there else "")


def versions() -> dict[str, str]:
    """The versions of the compared packages that are installed here."""
    installed = {}
    for name in COMPARED:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed


def _gpu_names() -> tuple[str, ...]:
    """The names of all GPUs of the machine; none if NVML can't be used."""
    from bench.device.cuda import nvml_calls  # noqa: PLC0415 - loads pynvml

    if nvml_calls.call("nvmlInit").reason is not None:
        return ()
    count = nvml_calls.call("nvmlDeviceGetCount").value or 0
    handles = [nvml_calls.call("nvmlDeviceGetHandleByIndex", index).value for index in range(count)]
    names = [nvml_calls.call("nvmlDeviceGetName", handle).value for handle in handles if handle is not None]
    return tuple(nvml_calls.text(name) for name in names if name is not None)


def _cpu_name() -> str:
    from bench.device.cpu import host  # noqa: PLC0415 - needs psutil

    return host.cpu_name()
