"""What `bench profile` computes: on which device or for whose kernels, the prediction, and the call as it is.

Loads torch: the command imports it where it begins to compute.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace

import psutil
import torch

from bench.commands import cards
from bench.config import DTYPES
from bench.errors import BenchError, ConfigError, DeviceError, nearest
from bench.memory import cudnn, recorded, timeline, trace
from bench.memory.onednn import OneDnn
from bench.memory.profile import Profiled, profile
from bench.memory.workspace import Backend
from bench.record import Case
from bench.run import device as devices
from bench.run import host
from bench.units import ITEM_BYTES, format_bytes

#: What a call may need of the free memory: the rest is for what a process takes besides tensors.
_SHARE_OF_FREE = 0.9
_ADA = (8, 9)
#: Of compute capabilities by their major number, but for Ada.
_ARCHITECTURES = {8: "ampere", 9: "hopper", 10: "blackwell", 12: "blackwell"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the call would be computed.

    Attributes:
        device: what there is of it here; None: a CUDA card that need not be here.
        gpu: the name of a card, or a part of it; None where there is a device, and for whatever card.
    """

    device: torch.device | None
    gpu: str | None = None

    @property
    def on_cpu(self) -> bool:
        """Whether it is the CPU."""
        return self.device is not None and self.device.type == "cpu"


def place_of(wanted: str, gpu: str | None, *, measured: bool) -> Place:
    """Where `--device` and `--gpu` say. Raises BenchError."""
    name = wanted.strip().lower()
    if gpu is not None and (measured or name not in {"auto", "cuda"}):
        raise ConfigError("--gpu is of a card that need not be here: leave out --measured and --device, or --gpu.")
    if gpu is not None or (name == "auto" and not measured):
        return Place(None, gpu)
    try:
        return Place(devices.choose(wanted).device)
    except devices.UnusableError as error:
        raise DeviceError(str(error)) from None


def dtype_of(wanted: str | None, place: Place) -> str:
    """The precision as a sweep has it: the model's own unless it is given; on the CPU float32. Raises ConfigError."""
    if wanted is not None and wanted not in DTYPES:
        raise ConfigError(f"--dtype {wanted}: there is no such precision. {nearest(wanted, DTYPES)}")
    if not place.on_cpu:
        return wanted or "model"
    if wanted not in {None, "float32"}:
        raise ConfigError(
            f"--dtype {wanted}: on the CPU only float32 is profiled, for what its kernels take besides tensors in "
            "other precisions is not modelled. Leave --dtype out, or give --device cuda."
        )
    return "float32"


def backend_of(case: Case, place: Place) -> tuple[Backend, str]:
    """Whose workspaces are predicted, and that in words: the named card's, the device's, or else an Ada card's.

    Raises ConfigError for a card that is not in gpus.yaml.
    """
    if place.on_cpu:
        threads = torch.get_num_threads()
        return OneDnn(threads), f"tensors, and workspaces of torch's CPU kernels ({threads} threads)"
    if place.gpu is not None:
        (card,) = cards.chosen([place.gpu], None)
        backend, whose = card.backend(case), card.name
    else:
        major, minor = _ADA if place.device is None else torch.cuda.get_device_capability(place.device)
        name = "ada" if (major, minor) == _ADA else _ARCHITECTURES.get(major, "")
        backend = cudnn.backend(name, f"{major}.{minor}", ITEM_BYTES[case.dtype])
        whose = f"{name.title()} cards" if name else f"cards of compute capability {major}.{minor}"
    how = {"published": "fitted to the docs' figures", "calibrated": "calibrated"}.get(backend.source, "by rule")
    return backend, f"tensors, and CUDA workspaces of {whose}, {how}"


def profiled(case: Case, place: Place, *, measured: bool) -> tuple[Profiled, bytes | None]:
    """The profile, and the snapshot of a measurement on CUDA.

    Raises BenchError where the call is measured and does not fit: on the CPU before it is tried.
    """
    backend, kernels = backend_of(case, place)
    traced = trace.capture(case)
    rounded = 1 if place.on_cpu else recorded.CUDA_BLOCK_BYTES
    predicted = profile(timeline.build(traced, backend, ITEM_BYTES[case.dtype], rounded))
    shown = Profiled(case, "cpu" if place.on_cpu else "cuda", kernels, predicted)
    if place.device is None or not measured:
        return shown, None
    recording = _record(case, place.device, traced.input_elements, predicted.peak_bytes)
    return replace(
        shown,
        measured=profile(recording.timeline),
        measured_on=devices.name(place.device),
        allocated_bytes=recording.allocated_bytes,
    ), recording.snapshot


def _record(case: Case, device: torch.device, input_elements: int, need_bytes: int) -> recorded.Recording:
    need = f"the call needs {format_bytes(need_bytes)} by prediction"
    remedy = "Take tiles (--tiling on), a smaller --resolution or --batch, or leave --measured out."
    if device.type == "cpu" and need_bytes > (free := _free_bytes()) * _SHARE_OF_FREE:
        raise BenchError(f"Not measured: {need}, and {format_bytes(free)} of this host's memory are free. {remedy}")
    try:
        return recorded.record(case, device, input_elements)
    except torch.OutOfMemoryError:
        raise BenchError(f"Out of memory on {device}: {need}. {remedy}") from None


def _free_bytes() -> int:
    """Memory that this process may still take."""
    return min(int(psutil.virtual_memory().available), host.memory_limit_bytes() or sys.maxsize)
