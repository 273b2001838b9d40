"""The workspaces that `bench calibrate` wrote, and which of them apply to a card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import store
from bench.vram.calibration import Calibration, why_not_applicable


@dataclass(frozen=True, slots=True)
class CalibratedDevice:
    """The workspaces measured on one device, by precision."""

    device: str
    compute_capability: str | None
    by_precision: Mapping[str, Calibration]


def read(results: Path) -> tuple[list[CalibratedDevice], list[str]]:
    """The devices with workspaces in a results folder, newest first, and warnings.

    Files that can't be read, and those measured with another cuDNN than the installed one, are left out with a warning.
    """
    files, warnings = store.read_workspaces([results])
    if not files:
        return [], warnings
    from bench.vram.installed import cudnn_version

    installed = cudnn_version()
    devices = []
    for workspaces in sorted(files, key=lambda file: file.recorded_at, reverse=True):
        if reason := why_not_applicable(workspaces, installed):
            warnings.append(f"{reason} It is left out.")
            continue
        by_precision = Calibration.by_precision(workspaces)
        devices.append(CalibratedDevice(workspaces.device.name, workspaces.compute_capability, by_precision))
    return devices, warnings


def for_card(name: str, compute_capability: str, calibrated: Sequence[CalibratedDevice]) -> Mapping[str, Calibration]:
    """The calibration of each precision: the card's own, else that of a device with the same compute capability."""
    alike = [device for device in calibrated if device.compute_capability == compute_capability]
    alike.sort(key=lambda device: device.device != name)
    return {dtype: calibration for device in reversed(alike) for dtype, calibration in device.by_precision.items()}
