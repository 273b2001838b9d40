"""The call that `bench profile` shows: its place, its predicted profile, and the measured one.

Loads torch only for a device of this machine, and for a model whose trace does not come with the program.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench import packages
from bench.config import DTYPES, load_gpus
from bench.core.units import ITEM_BYTES, format_bytes
from bench.device.cpu import host
from bench.errors import BenchError, ConfigError, known
from bench.predictions import calibrated_devices, target_cards
from bench.record import Case
from bench.run import outcome
from bench.traces.tracing import trace_of
from bench.vram import cudnn, timeline
from bench.vram.blocks import MIN_BLOCK_BYTES
from bench.vram.calibration import Calibration
from bench.vram.call_profile import Profiled, profile
from bench.vram.cudnn import CuDnn
from bench.vram.onednn import OneDnn
from bench.vram.workspace import Backend

if TYPE_CHECKING:
    import torch

    from bench.vram.recorded import Recording

#: The share of the free memory that a measured call may need; the rest is for what a process takes besides tensors.
_SHARE_OF_FREE = 0.9
#: The compute capability that is assumed if no card is named: Ada, as most of the docs' figures are from Ada cards.
_ADA = "8.9"


@dataclass(frozen=True, slots=True)
class Place:
    """The place where the call would run.

    Attributes:
        device: torch's device on this machine; None for a CUDA card that need not be here.
        gpu: a card in gpus.yaml; None if there is a device, or if no card was named.
    """

    device: torch.device | None
    gpu: str | None = None

    @property
    def on_cpu(self) -> bool:
        return self.device is not None and self.device.type == "cpu"


@dataclass(frozen=True, slots=True)
class Kernels:
    """The kernels whose workspaces are predicted.

    Attributes:
        backend: what each kernel takes besides its tensors.
        label: the same in words, for the profile.
        warnings: why calibrations were left out.
    """

    backend: Backend
    label: str
    warnings: Sequence[str] = ()


def place_of(device: str, gpu: str | None, *, measured: bool) -> Place:
    """The place that `--device` and `--gpu` name. Raises BenchError."""
    name = device.strip().lower()
    if gpu is not None and (measured or name not in {"auto", "cuda"}):
        raise ConfigError(
            "--gpu only predicts, so --measured and --device don't go with it. Leave them out, or leave out --gpu."
        )
    if gpu is not None:
        return Place(None, load_gpus().named(gpu, "Or leave --gpu out.")[0])
    if name == "auto" and not measured:
        return Place(None)
    packages.load("`bench profile --measured`" if measured else "`bench profile --device`")
    from bench.device import choose

    return Place(choose.choose(device).device)


def stand_in_of(place: Place) -> str | None:
    """The name of the stand-in for the CUDA device in a test; None if the device is real, or there is none."""
    if place.device is None or place.device.type != "cuda":
        return None
    from bench.device import choose

    return choose.stand_in()


def dtype_of(dtype: str | None, place: Place) -> str:
    """The precision as a sweep has it: the model's own unless one is given; float32 on the CPU. Raises ConfigError."""
    if dtype is not None:
        known("dtype", dtype, DTYPES, "--dtype")
    if not place.on_cpu:
        return dtype or "model"
    if dtype not in {None, "float32"}:
        raise ConfigError(
            f"--dtype {dtype}: on the CPU only float32 is profiled, because the CPU's workspaces in other precisions "
            "are not modelled. Leave --dtype out, or give --device cuda."
        )
    return "float32"


def kernels_of(case: Case, place: Place, results: Path) -> Kernels:
    """The kernels of the named card or of the device, else those of an Ada card.

    Workspaces that `bench calibrate` measured on such a device are taken if they cover all convolutions of the case;
    they are read from the folder `results`.
    """
    if place.on_cpu:
        from bench.device import choose

        threads = choose.threads()
        # The trace has CUDA's layouts: the CPU's normalisations keep those of a batch channels-last.
        batch = "; of a batch the layouts are CUDA's, and the CPU's peak is another"
        layouts = batch if case.axes.get("batch", 1) > 1 else ""
        return Kernels(OneDnn(threads), f"tensors, and workspaces of torch's CPU kernels ({threads} threads{layouts})")
    backend, owner, warnings = _on_cuda(case, place, results)
    backend = backend.for_kernels(trace_of(case).kernels, ITEM_BYTES[case.dtype])
    source = {"published": "fitted to the docs' figures", "calibrated": "calibrated"}.get(backend.source, "by rule")
    return Kernels(backend, f"tensors, and CUDA workspaces of {owner}, {source}", warnings)


def _on_cuda(case: Case, place: Place, results: Path) -> tuple[CuDnn, str, Sequence[str]]:
    if place.gpu is not None:
        (card,), warnings = target_cards.choose_cards([place.gpu], None, results)
        return card.backend(case), card.name, warnings
    capability, version = _ADA, cudnn.ASSUMED_TORCH
    calibrated: Mapping[str, Calibration] = {}
    warnings = []
    if place.device is not None:
        from bench.device import choose

        capability = "{}.{}".format(*choose.compute_capability(place.device))
        version = choose.torch_version()
        devices, warnings = calibrated_devices.read(results, choose.cudnn_version() or cudnn.ASSUMED_CUDNN)
        calibrated = calibrated_devices.for_card(choose.name(place.device), capability, devices)
    architecture = load_gpus().architecture_of(capability)
    owner = f"{architecture.title()} cards" if architecture else f"cards of compute capability {capability}"
    item_bytes = ITEM_BYTES[case.dtype]
    return cudnn.backend(architecture, capability, item_bytes, calibrated.get(case.dtype), version), owner, warnings


def profiled(case: Case, place: Place, kernels: Kernels, *, measured: bool) -> tuple[Profiled, bytes | None]:
    """The profile, and the memory snapshot if the call was measured on CUDA.

    Raises BenchError if a measured call does not fit; on the CPU before it is tried.
    """
    traced = trace_of(case)
    rounded = 1 if place.on_cpu else MIN_BLOCK_BYTES
    predicted = profile(timeline.build(traced, kernels.backend, ITEM_BYTES[case.dtype], rounded))
    shown = Profiled(case, "cpu" if place.on_cpu else "cuda", kernels.label, predicted)
    if place.device is None or not measured:
        return shown, None
    from bench.device import choose

    recording = _record(case, place.device, traced.input_elements, predicted.peak_bytes)
    return replace(
        shown,
        measured=profile(recording.timeline),
        measured_on=choose.name(place.device),
        allocated_bytes=recording.allocated_bytes,
        stand_in=stand_in_of(place),
    ), recording.snapshot


def _record(case: Case, device: torch.device, input_elements: int, need_bytes: int) -> Recording:
    from bench.vram import recorded

    need = f"the call needs {format_bytes(need_bytes)} by prediction"
    remedy = "Take tiles (--tiling on), a smaller --resolution or --batch, or leave --measured out."
    if device.type == "cpu" and need_bytes > (free := host.free_bytes()) * _SHARE_OF_FREE:
        raise BenchError(f"Not measured: {need}, and {format_bytes(free)} of this host's memory are free. {remedy}")
    try:
        return recorded.record(case, device, input_elements)
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if outcome.memory_in(outcome.brief(error)) is None:
            raise
        raise BenchError(f"Out of memory on {device}: {need}. {remedy}") from None
