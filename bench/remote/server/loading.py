"""The models of a server: taken from the zoo onto the device, and called once before they are ready. Loads torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch

from bench import models
from bench.errors import BenchError, DeviceError
from bench.remote.messages import Message
from bench.remote.server import vae_service
from bench.remote.server.endpoint import AnyService, Machine, Served
from bench.remote.server.shapes import Limits
from bench.run import device as devices
from bench.run import environment, hold, outcome

_WARM_UP_PIXELS = 64


@dataclass(slots=True)
class Loader:
    """Loads what was asked for. Both methods run on the device's thread.

    Attributes:
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        weights: `random`, `hub` or a folder.
        many: the folder has a folder for each model, named by its key.
        dtype: the one to compute in; None for the zoo's own.
    """

    device: str
    weights: str
    many: bool
    dtype: str | None
    operations: tuple[str, ...]
    limits: Limits
    _device: torch.device | None = None

    def take_device(self) -> Machine:
        """Take the device. Raises DeviceError that says why it can't be used."""
        try:
            chosen = devices.choose(self.device).device
            held = hold.take(chosen, None)
        except devices.UnusableError as error:
            raise DeviceError(str(error)) from None
        except devices.CUDA_ERRORS as error:
            text = f"--device {self.device}: can't be used: {outcome.brief(error)} Is it full, or in use by others?"
            raise DeviceError(text) from None
        self._device = chosen

        def check() -> None:
            assert torch.ones(2, device=chosen).sum().item() == 2.0  # noqa: S101 - it either raises or works

        return Machine(held.device, environment.collect(chosen, held.nvml, held.settings), check)

    def load(self, model: str) -> Served:
        """Load one model and call each of its operations once. Raises BenchError if it can't be had."""
        assert self._device is not None  # noqa: S101 - the device is taken first
        weights = str(Path(self.weights) / model) if self.many else self.weights
        try:
            loaded = vae_service.load(model, weights, self._device, self.dtype, self.limits)
        except (OSError, ValueError, RuntimeError, MemoryError) as error:
            raise BenchError(f"--model {model} --weights {weights}: can't be loaded: {outcome.brief(error)}") from error
        services: dict[str, AnyService] = {
            name: service
            for name, service in (("encode", loaded.encode), ("decode", loaded.decode))
            if name in self.operations
        }
        for operation, service in services.items():
            _warm_up(model, operation, service)
        return Served(model, loaded.dtype, loaded.weights_bytes, services)


def _warm_up(model: str, operation: str, service: AnyService) -> None:
    """Small calls through all three steps, tensors and a JPEG: what is loaded or compiled late is there then."""
    spec = models.get(model)
    side = _WARM_UP_PIXELS if operation == "encode" else _WARM_UP_PIXELS // spec.spatial_factor
    shape = (1, 3 if operation == "encode" else spec.latent_channels, side, side)
    tensor = (*(("shape", str(size)) for size in shape), ("dtype", "float32"))
    for output in ("pt", "pil"):
        message = Message((*tensor, ("output_type", output)), bytes(4 * math.prod(shape)), "tensor/binary", None)
        service.write(service.compute(service.read(message)))
