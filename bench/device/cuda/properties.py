"""What torch tells of a CUDA device, and the driver's view of it. Loads torch."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import torch

from bench.core.identity import of as digest_of
from bench.device.cuda import nvml


def name(device: torch.device) -> str:
    """As torch tells it."""
    return torch.cuda.get_device_name(device)


def total_bytes(device: torch.device) -> int:
    """All memory of the GPU as torch tells it."""
    return int(torch.cuda.get_device_properties(device).total_memory)


def compute_capability(device: torch.device) -> tuple[int, int]:
    """`(8, 9)`."""
    return torch.cuda.get_device_capability(device)


def opened(device: torch.device) -> nvml.Nvml:
    """The driver's view of a CUDA device, found whatever CUDA_VISIBLE_DEVICES says."""
    return nvml.Nvml(uuid(device), pci_bus_id=pci_bus_id(device))


def uuid(device: torch.device) -> str | None:
    """The device's UUID as torch tells it, without NVML's prefix (`GPU-`, or `MIG-` for a slice of a card).

    For looking the device up alone: it is never written anywhere (`bench.core.identity`).
    """
    value = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    return None if value is None else str(value)


def identity(device: torch.device) -> str | None:
    """What tells the device from others of its name: a digest of its UUID; None if torch does not tell it."""
    known = uuid(device)
    return None if known is None else digest_of(known)


def pci_bus_id(device: torch.device) -> str | None:
    """The PCI address of the device's card in NVML's spelling, `00000000:65:00.0`; None if torch does not tell it."""
    properties = torch.cuda.get_device_properties(device)
    parts = [getattr(properties, f"pci_{part}_id", None) for part in ("domain", "bus", "device")]
    if any(part is None for part in parts):
        return None
    domain, bus, place = (int(part) for part in parts if part is not None)
    return f"{domain:08X}:{bus:02X}:{place:02X}.0"


def is_integrated(device: torch.device) -> bool:
    """Whether the GPU has no memory of its own, but shares the host's (Jetson, DGX Spark)."""
    return bool(getattr(torch.cuda.get_device_properties(device), "is_integrated", 0))


def rated_sm_clock_hz(device: torch.device) -> float | None:
    """The boost clock that torch's current device, which this must be, is sold with; None in a torch without it.

    torch passes on CUDA's attribute of the clock rate, which is in kHz (CUDA Runtime API, cudaDevAttrClockRate: "Peak
    clock frequency in kilohertz"), of the current device whatever device's properties are asked.
    """
    try:
        kilohertz = getattr(torch.cuda.get_device_properties(device), "clock_rate", None)
    except RuntimeError:  # the attribute is read when it is asked for
        return None
    return float(kilohertz) * 1e3 if kilohertz else None


def may_spill() -> str | None:
    """Why the driver may use system memory where a card is full, instead of refusing; None where it can't."""
    if sys.platform == "win32":
        return "Windows: the driver may fall back to system memory instead of failing (sysmem fallback policy)"
    if "microsoft" in platform.release().lower() or Path("/dev/dxg").exists():
        return "WSL: the driver may fall back to system memory instead of failing (sysmem fallback policy)"
    return None
