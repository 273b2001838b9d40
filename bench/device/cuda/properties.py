"""Properties of a CUDA device, and settings, as torch reports them."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import Any

import torch

from bench.core.identity import of as digest_of
from bench.device.cuda import nvml
from bench.record import TorchSettings


def opened(device: torch.device) -> nvml.Nvml:
    """NVML's view of a CUDA device, independent of CUDA_VISIBLE_DEVICES."""
    return nvml.Nvml(uuid(device), pci_bus_id=pci_bus_id(device))


def uuid(device: torch.device) -> str | None:
    """The device's UUID as torch reports it, without NVML's prefix (`GPU-`, or `MIG-` for a slice of a card).

    Use it only to look the device up; never write it anywhere (see `bench.core.identity`).
    """
    value = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    return None if value is None else str(value)


def identity(device: torch.device) -> str | None:
    """A digest of the UUID, which distinguishes cards of one name; None if torch does not report the UUID."""
    device_uuid = uuid(device)
    return None if device_uuid is None else digest_of(device_uuid)


def pci_bus_id(device: torch.device) -> str | None:
    """The card's PCI address in NVML's spelling, `00000000:65:00.0`; None if torch does not report it."""
    properties = torch.cuda.get_device_properties(device)
    parts = [getattr(properties, f"pci_{part}_id", None) for part in ("domain", "bus", "device")]
    if any(part is None for part in parts):
        return None
    domain, bus, slot = (int(part) for part in parts if part is not None)
    return f"{domain:08X}:{bus:02X}:{slot:02X}.0"


def is_integrated(device: torch.device) -> bool:
    """Whether the GPU shares the host's memory (Jetson, DGX Spark)."""
    return bool(getattr(torch.cuda.get_device_properties(device), "is_integrated", 0))


def rated_sm_clock_hz(device: torch.device) -> float | None:
    """The rated boost clock of the device, which must be torch's current one; None if torch does not report it.

    torch returns CUDA's clock rate attribute in kHz (CUDA Runtime API, cudaDevAttrClockRate: "Peak clock frequency in
    kilohertz"), always that of the current device.
    """
    try:
        kilohertz = getattr(torch.cuda.get_device_properties(device), "clock_rate", None)
    except RuntimeError:  # torch reads the attribute on access
        return None
    return float(kilohertz) * 1e3 if kilohertz else None


def may_spill() -> str | None:
    """Why the driver may spill into system memory when the card is full; None if it can't."""
    if sys.platform == "win32":
        return "Windows: the driver may fall back to system memory instead of failing (sysmem fallback policy)"
    if "microsoft" in platform.release().lower() or Path("/dev/dxg").exists():
        return "WSL: the driver may fall back to system memory instead of failing (sysmem fallback policy)"
    return None


def torch_settings() -> TorchSettings:
    """torch's current settings: whether float32 may use TF32, and whether cuDNN benchmarks its kernels."""
    return TorchSettings(
        convolutions_tf32=_allows_tf32(getattr(torch.backends.cudnn, "conv", None), torch.backends.cudnn),
        matmul_tf32=_allows_tf32(torch.backends.cuda.matmul, torch.backends.cuda.matmul),
        cudnn_benchmark=bool(torch.backends.cudnn.benchmark),
    )


def _allows_tf32(place: Any, older_place: Any) -> bool | None:
    """Whether TF32 is allowed, by `fp32_precision` (torch 2.9 and later) or else `allow_tf32`.

    A newer torch raises RuntimeError for the old name once both names have been used.
    """
    for owner, name in ((place, "fp32_precision"), (older_place, "allow_tf32")):
        try:
            value = getattr(owner, name)
        except (AttributeError, RuntimeError):
            continue
        return bool(value == "tf32") if isinstance(value, str) else bool(value)
    return None
