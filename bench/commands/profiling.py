"""What `bench profile` computes: on which device or for whose kernels, the prediction, and the call as it is.

Loads torch: the command imports it where it begins to compute.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace

import psutil
import torch

from bench.commands import cards
from bench.config import DTYPES, load_gpus
from bench.core.units import ITEM_BYTES, format_bytes
from bench.device import choose
from bench.device.base import UnusableError
from bench.device.cpu import host
from bench.errors import BenchError, ConfigError, DeviceError, nearest
from bench.record import Case
from bench.run import outcome
from bench.vram import recorded, timeline, trace
from bench.vram.blocks import MIN_BLOCK_BYTES
from bench.vram.calibration import Calibration
from bench.vram.call_profile import Profiled, profile
from bench.vram.cudnn import CuDnn, cublas_bytes
from bench.vram.onednn import OneDnn
from bench.vram.workspace import Backend

#: What a call may need of the free memory: the rest is for what a process takes besides tensors.
_SHARE_OF_FREE = 0.9
#: Of whatever card: the docs' figures are of such ones.
_ADA = "8.9"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the call would be computed.

    Attributes:
        device: what there is of it here; None: a CUDA card that need not be here.
        gpu: a card of gpus.yaml; None where there is a device, and for whatever card.
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
    if gpu is not None:
        return Place(None, load_gpus().named(gpu, "Or leave --gpu out.")[0])
    if name == "auto" and not measured:
        return Place(None)
    try:
        return Place(choose.choose(wanted).device)
    except UnusableError as error:
        raise DeviceError(str(error)) from None


def stand_in_of(place: Place) -> str | None:
    """What takes the place of the CUDA device, in a test; None if that is real, and where there is none."""
    return choose.stand_in() if place.device is not None and place.device.type == "cuda" else None


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

    What `bench calibrate` measured on such a card or device is taken where it knows all convolutions of the case.
    """
    if place.on_cpu:
        threads = torch.get_num_threads()
        return OneDnn(threads), f"tensors, and workspaces of torch's CPU kernels ({threads} threads{_layouts(case)})"
    backend, whose = _on_cuda(case, place)
    backend = backend.suited(trace.capture(case).kernels, ITEM_BYTES[case.dtype])
    how = {"published": "fitted to the docs' figures", "calibrated": "calibrated"}.get(backend.source, "by rule")
    return backend, f"tensors, and CUDA workspaces of {whose}, {how}"


def _on_cuda(case: Case, place: Place) -> tuple[CuDnn, str]:
    if place.gpu is not None:
        (card,) = cards.chosen([place.gpu], None)
        return card.backend(case), card.name
    capability = _ADA
    calibrated: Mapping[str, Calibration] = {}
    if place.device is not None:
        capability = "{}.{}".format(*choose.compute_capability(place.device))
        calibrated = cards.calibration(choose.name(place.device), capability, cards.calibrations())
    name = load_gpus().architecture_of(capability)
    whose = f"{name.title()} cards" if name else f"cards of compute capability {capability}"
    backend = cards.backend(case, name, capability, calibrated)
    if place.device is None:
        return backend, whose
    return replace(backend, cublas_bytes=cublas_bytes(capability, torch.__version__)), whose  # the torch of this card


def _layouts(case: Case) -> str:
    """What a trace of a batch is not, on the CPU: its normalisations keep channels-last, as CUDA's do not."""
    return "; of a batch the layouts are CUDA's, and the CPU's peak is another" if case.axes.get("batch", 1) > 1 else ""


def profiled(case: Case, place: Place, *, measured: bool) -> tuple[Profiled, bytes | None]:
    """The profile, and the snapshot of a measurement on CUDA.

    Raises BenchError where the call is measured and does not fit: on the CPU before it is tried.
    """
    backend, kernels = backend_of(case, place)
    traced = trace.capture(case)
    rounded = 1 if place.on_cpu else MIN_BLOCK_BYTES
    predicted = profile(timeline.build(traced, backend, ITEM_BYTES[case.dtype], rounded))
    shown = Profiled(case, "cpu" if place.on_cpu else "cuda", kernels, predicted)
    if place.device is None or not measured:
        return shown, None
    recording = _record(case, place.device, traced.input_elements, predicted.peak_bytes)
    return replace(
        shown,
        measured=profile(recording.timeline),
        measured_on=choose.name(place.device),
        allocated_bytes=recording.allocated_bytes,
        stand_in=stand_in_of(place),
    ), recording.snapshot


def _record(case: Case, device: torch.device, input_elements: int, need_bytes: int) -> recorded.Recording:
    need = f"the call needs {format_bytes(need_bytes)} by prediction"
    remedy = "Take tiles (--tiling on), a smaller --resolution or --batch, or leave --measured out."
    if device.type == "cpu" and need_bytes > (free := _free_bytes()) * _SHARE_OF_FREE:
        raise BenchError(f"Not measured: {need}, and {format_bytes(free)} of this host's memory are free. {remedy}")
    try:
        return recorded.record(case, device, input_elements)
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if outcome.memory_in(outcome.brief(error)) is None:
            raise
        raise BenchError(f"Out of memory on {device}: {need}. {remedy}") from None


def _free_bytes() -> int:
    """Memory that this process may still take."""
    return min(int(psutil.virtual_memory().available), host.memory_limit_bytes() or sys.maxsize)
