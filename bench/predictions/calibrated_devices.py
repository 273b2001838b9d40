"""The workspaces that `bench calibrate` wrote, and which of them apply to a card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import store
from bench.vram.calibration import Calibration, why_uncertain
from bench.vram.cudnn import ASSUMED_CUDNN


@dataclass(frozen=True, slots=True)
class CalibratedDevice:
    """The workspaces measured on one device, by precision.

    `is_of_other_cudnn`: they were measured with another version of cuDNN than the one that is predicted for.
    """

    device: str
    compute_capability: str | None
    by_precision: Mapping[str, Calibration]
    is_of_other_cudnn: bool = False


def read(results: Path, cudnn_version: str = ASSUMED_CUDNN) -> tuple[list[CalibratedDevice], list[str]]:
    """The devices with workspaces in a results folder, newest first, and warnings.

    `cudnn_version` is the version that is predicted for: that of the torch which predictions assume, whatever is
    installed, unless the caller has a device to ask. Files that can't be read are left out with a warning; those of
    another version are kept, with a warning and less certainty.
    """
    files, warnings = store.read_workspaces([results])
    devices = []
    for workspaces in sorted(files, key=lambda file: file.recorded_at, reverse=True):
        reason = why_uncertain(workspaces, cudnn_version)
        warnings += [reason] if reason else []
        by_precision = Calibration.by_precision(workspaces, is_of_other_cudnn=reason is not None)
        devices.append(
            CalibratedDevice(
                workspaces.device.name,
                workspaces.compute_capability,
                by_precision,
                is_of_other_cudnn=reason is not None,
            )
        )
    return devices, warnings


def for_card(name: str, compute_capability: str, calibrated: Sequence[CalibratedDevice]) -> Mapping[str, Calibration]:
    """The calibration of each precision: the card's own, else that of a device with the same compute capability.

    Among other devices, those of the version of cuDNN that is predicted for come first, then the newest.
    """
    alike = [device for device in calibrated if device.compute_capability == compute_capability]
    alike.sort(key=lambda device: (device.device != name, device.is_of_other_cudnn))
    return {dtype: calibration for device in reversed(alike) for dtype, calibration in device.by_precision.items()}
