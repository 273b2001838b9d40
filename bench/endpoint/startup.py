"""Loads a server's models onto the device and warms them up."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from bench.device import choose
from bench.device.base import Held
from bench.endpoint import vae_service
from bench.endpoint.shapes import Limits
from bench.endpoint.state import AnyService, LoadedModel, Machine
from bench.errors import BenchError, DeviceError
from bench.record import Case
from bench.run import outcome
from bench.run.worker import environment_capture
from bench.wire.messages import Message, RefusedError
from bench.workloads import models
from bench.workloads.payloads import ImagePayload
from bench.workloads.vae_classes import zoo

#: auto: the zoo's precision on a GPU, float32 on a CPU. model: the zoo's precision everywhere.
AUTO, MODEL = "auto", "model"
#: Sides of the warm-up's images and videos.
_SMALLEST_PX, _LARGEST_PX = 64, 512
#: Seconds. The warm-up skips sizes that should take longer, and stops timing a size once its calls have taken longer.
_LONGEST_S = 1.0
_FEWEST_CALLS = 2


@dataclass(slots=True)
class Loader:
    """Takes the device and loads models. Both methods run on the device's thread.

    Attributes:
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        weights: `random`, `hub` or a folder.
        many: whether the folder contains a folder for each model, named by its key.
        dtype: the precision of the computations, or `auto` or `model`.
    """

    device: str
    weights: str
    many: bool
    dtype: str
    operations: tuple[str, ...]
    limits: Limits
    _held: Held | None = None

    def take_device(self) -> Machine:
        """Take the device. Raises DeviceError if it can't be used."""
        try:
            held = choose.take(choose.choose(self.device).device, None, models.exercise)
            settings = environment_capture.collect(held.software(), held.settings)
        except choose.CUDA_ERRORS as error:
            text = f"--device {self.device} can't be used: {outcome.brief(error).rstrip('.')}."
            raise DeviceError(f"{text} Check with nvidia-smi whether other programs use it.") from None
        self._held = held

        def check() -> None:
            assert torch.ones(2, device=held.torch_device).sum().item() == 2.0  # noqa: S101 - it either raises or works

        return Machine(held.device, settings, check)

    def load(self, model: str) -> LoadedModel:
        """Load one model and warm up each of its operations. Raises BenchError if it can't be loaded."""
        assert self._held is not None  # noqa: S101 - the device is taken first
        weights = str(Path(self.weights) / model) if self.many else self.weights
        dtype = self._precision(model)
        try:
            loaded = vae_service.load(model, weights, self._held, dtype, self.limits)
            both: dict[str, AnyService] = {"encode": loaded.encode, "decode": loaded.decode}
            services = {name: service for name, service in both.items() if name in self.operations}
            timed = {operation: warm_up(model, operation, service) for operation, service in services.items()}
        except BenchError:
            raise
        except Exception as error:  # whatever a checkpoint, torch or a full device raises
            raise BenchError(f"--model {model} --weights {weights} can't be loaded: {outcome.brief(error)}") from error
        self._held.meter.empty()
        return LoadedModel(
            model,
            loaded.dtype,
            loaded.weights_bytes,
            services,
            timed,
            self._note(model, loaded.dtype),
            zoo.get(model).geometry,
        )

    def _precision(self, model: str) -> str:
        """Return the precision. `auto` means float32 on a CPU, where 16 bits can take ten times as long."""
        own = models.get(model).dtype
        if self.dtype == AUTO:
            return "float32" if self._held is not None and self._held.device.kind == "cpu" else own
        return own if self.dtype == MODEL else self.dtype

    def _note(self, model: str, dtype: str) -> str | None:
        """Return a remark for users on the precision on a CPU; None if there is nothing to say."""
        own = models.get(model).dtype
        if self._held is None or self._held.device.kind != "cpu" or (dtype == own == "float32"):
            return None
        if dtype != "float32":
            return f"{dtype} is usually much slower on a CPU than float32."
        return f"float32, because this is a CPU; the model's own precision is {own}." if self.dtype == AUTO else None


def warm_up(
    model: str, operation: str, service: AnyService, clock: Callable[[], float] = time.perf_counter
) -> list[tuple[float, int]]:
    """Call all three steps of a service, with tensors and a file, so that everything lazy is loaded and compiled.

    The side doubles from size to size until the next size would take too long; videos have two latent frames, the first
    of which is computed differently. The times serve to estimate those of larger requests. Returns the seconds and
    floating-point operations of one call of each size.
    """
    timed: list[tuple[float, int]] = []
    frames = _frames(model)
    side = _SMALLEST_PX
    while True:
        try:
            timed.append(_call(model, operation, service, (frames, side), clock))
        except RefusedError:  # too large for the limits or the memory
            if not timed:
                raise
            return timed
        side *= 2
        seconds, flops = timed[-1]
        if side > _LARGEST_PX or seconds * service.flops(frames, side, side) / flops > _LONGEST_S:
            return timed


def _frames(model: str) -> int:
    """The frames of the warm-up's videos; 1 if the model's cases are images."""
    spec = zoo.get(model)
    return spec.vae_class.video_frames(spec, 2) if spec.geometry.is_video else 1


def _call(
    model: str, operation: str, service: AnyService, size: tuple[int, int], clock: Callable[[], float]
) -> tuple[float, int]:
    """Call a service a few times. Returns the seconds of the quickest computation, because other programs slow down
    the others, and its floating-point operations."""
    frames, side = size
    axes = models.sized(model, side, side, frames=frames)
    case = Case(model=model, operation=operation, axes=axes, dtype="float32")
    payload = models.workload(model).payload(case)
    assert isinstance(payload, ImagePayload)  # noqa: S101 - a VAE has one
    tensor = (*(("shape", str(size)) for size in payload.sent), ("dtype", "float32"))
    body = bytes(4 * math.prod(payload.sent))
    times: list[float] = []
    flops = 1
    for output in ("pt", "mp4" if zoo.get(model).geometry.is_video else "pil", "pt", "pt"):
        if len(times) >= _FEWEST_CALLS and sum(times) > _LONGEST_S:
            break
        message = Message((*tensor, ("output_type", output)), body, "tensor/binary", None)
        request = service.read(message)
        flops = service.size(request).flops
        begun = clock()
        result = service.compute(request)
        times.append(clock() - begun)
        service.write(result)
    return min(times), flops
