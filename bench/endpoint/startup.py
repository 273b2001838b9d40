"""Loads a server's models onto the device and warms them up."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from bench.device import choose
from bench.device.base import Held
from bench.endpoint import text_service, vae_service
from bench.endpoint.shapes import Limits
from bench.endpoint.state import AnyService, LoadedModel, Machine
from bench.errors import BenchError, DeviceError
from bench.run import outcome
from bench.run.worker import environment_capture
from bench.wire.messages import Message, RefusedError
from bench.workloads import models
from bench.workloads.text_encoder.encoder_workload import ENCODE_TEXT

#: auto: the zoo's precision on a GPU, float32 on a CPU. model: the zoo's precision everywhere.
AUTO, MODEL = "auto", "model"
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
            load = text_service.load if ENCODE_TEXT in models.workload(model).operations else vae_service.load
            loaded = load(model, weights, self._held, dtype, self.limits)
            services = {name: service for name, service in loaded.services.items() if name in self.operations}
            timed = {operation: warm_up(service) for operation, service in services.items()}
        except BenchError:
            raise
        except Exception as error:  # whatever a checkpoint, torch or a full device raises
            raise BenchError(f"--model {model} --weights {weights} can't be loaded: {outcome.brief(error)}") from error
        self._held.meter.empty()
        return LoadedModel(
            model, loaded.dtype, loaded.weights_bytes, services, timed, self._note(model, loaded.dtype), loaded.facts
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


def warm_up(service: AnyService, clock: Callable[[], float] = time.perf_counter) -> list[tuple[float, int]]:
    """Call all three steps of a service with its rehearsals, so that everything lazy is loaded and compiled.

    Larger sizes follow until one would take too long. The times serve to estimate those of larger requests. Returns the
    seconds and floating-point operations of one call of each size.
    """
    timed: list[tuple[float, int]] = []
    for messages in service.rehearsals():
        try:
            if timed and _scaled_s(timed[-1], service, messages[0]) > _LONGEST_S:
                break
            timed.append(_call(service, messages, clock))
        except RefusedError:  # too large for the limits or the memory
            if not timed:
                raise
            break
    return timed


def _scaled_s(timed: tuple[float, int], service: AnyService, message: Message) -> float:
    """The seconds that a message would take at the rate of a timed one."""
    seconds, flops = timed
    return seconds * service.size(service.read(message)).flops / flops


def _call(service: AnyService, messages: Sequence[Message], clock: Callable[[], float]) -> tuple[float, int]:
    """Call a service with messages of one size. Returns the seconds of the quickest computation, because other programs
    slow down the others, and its floating-point operations."""
    times: list[float] = []
    flops = 1
    for message in messages:
        if len(times) >= _FEWEST_CALLS and sum(times) > _LONGEST_S:
            break
        request = service.read(message)
        flops = service.size(request).flops
        begun = clock()
        result = service.compute(request)
        times.append(clock() - begun)
        service.write(result)
    return min(times), flops
