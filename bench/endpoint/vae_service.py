"""The services that encode and decode with one VAE, independent of HTTP.

`read` and `write` run on codec threads, `compute` only on the device's thread.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch

from bench.core.units import ITEM_BYTES
from bench.device.base import Held
from bench.endpoint import images, request_format, shapes, tensors
from bench.endpoint.request_format import Form, Scaling
from bench.endpoint.shapes import Limits, Packed
from bench.endpoint.vae_core import Computed, Operation, VaeCore, WeightsKind
from bench.errors import ConfigError, known
from bench.record import Case
from bench.wire.messages import Answer, Message, RefusedError, Size
from bench.workloads import models
from bench.workloads.base import weights_bytes
from bench.workloads.vae_classes import zoo
from bench.workloads.vae_classes.module import VaeOnDevice


@dataclass(frozen=True, slots=True)
class Job:
    """A tensor on the CPU, and how to compute it and send the result.

    `tensor` is a latent, images (float [B, 3, H, W] in [-1, 1]), or an image file's pixels (uint8 [1, H, W, 3]).
    """

    tensor: torch.Tensor
    scaling: Scaling
    form: Form
    base64: bool
    packed: Packed | None = None


@dataclass(frozen=True, slots=True)
class LoadedVae:
    """A VAE that is ready to serve. `dtype` is the precision of its computations, for example `float16`."""

    dtype: str
    weights_bytes: int
    encode: EncodeService
    decode: DecodeService


def load(model: str, weights: str, held: Held, dtype: str | None, limits: Limits) -> LoadedVae:
    """Build or load a VAE of the zoo. `weights` is `random`, `hub` or a folder; `dtype` None means the zoo's dtype.

    Raises ConfigError for an unknown model or dtype; OSError or ValueError if a checkpoint can't be loaded or belongs
    to another model; torch's errors for out-of-memory.
    """
    spec = models.get(model)
    if spec.fault is not None:
        raise ConfigError(f"Model {model!r} exists only to fail in tests. Serve another model.")
    if weights == "hub" and spec.hub_id is None:
        raise ConfigError(f"Model {model!r} has no weights on the hub. Use --weights random or a folder.")
    if dtype is not None:
        known("dtype", dtype, ITEM_BYTES)
    axes = models.square(model, zoo.get(model).geometry.factor * 8)
    case = Case(model=model, operation="decode", axes=axes, dtype=dtype or spec.dtype, weights=weights)
    kind: WeightsKind = "random" if weights == "random" else "hub" if weights == "hub" else "local"
    core = VaeCore(VaeOnDevice(case, held.torch_device), model, kind, held)
    return LoadedVae(case.dtype, weights_bytes(core.vae), EncodeService(core, limits), DecodeService(core, limits))


class _VaeService(ABC):
    """The steps that encode and decode have in common."""

    operation: ClassVar[Operation]

    def __init__(self, core: VaeCore, limits: Limits) -> None:
        self._core, self._limits = core, limits

    def square_flops(self, side: int) -> int:
        """Return the floating-point operations for one square image."""
        return self._core.flops(self.operation, 1, side, side)

    def compute(self, job: Job) -> Computed:
        """Run the VAE. Raises RefusedError: 422 for values that are not finite, 507 if out of memory."""
        return self._core.guarded(lambda: self._computed(job))

    @abstractmethod
    def _computed(self, job: Job) -> Computed:
        """Return the result, in host memory."""

    def write(self, result: Computed) -> Answer:
        """Return the image file or tensor that the request asked for."""
        return self._core.answer(result)


class DecodeService(_VaeService):
    """Decodes latents to images."""

    operation = "decode"

    def __init__(self, core: VaeCore, limits: Limits) -> None:
        super().__init__(core, limits)
        self.max_body_bytes = shapes.max_latent_bytes(core.geometry, limits)

    def takes(self, message: Message) -> bool:
        """Whether the message contains a latent of this model, packed or not, or of a video."""
        shape = request_format.content_of(message).shape or ()
        return shapes.is_latent(shape, self._core.geometry)

    def read(self, message: Message) -> Job:
        """Parse and check a request and its latent. Raises RefusedError."""
        request, payload = request_format.decode_request(message)
        packed = shapes.latent_layout(request.shape, request.size, self._core.geometry, self._limits)
        if request.form in images.FILES and request.shape[0] > 1:
            raise RefusedError(
                400,
                f"shape {list(request.shape)} is a batch of {request.shape[0]}, but an image file holds one image. "
                "Send one latent per request, or ask for a tensor with output_type=pt and Accept: tensor/binary.",
                "batch_as_file",
            )
        shapes.check_length(payload, request.shape, request.dtype)
        latent = tensors.from_bytes(payload, request.shape, request.dtype)
        return Job(latent, self._core.resolved(request.scaling), request.form, request.base64, packed)

    def size(self, job: Job) -> Size:
        """Return the floating-point operations, and the bytes of the latent and the answer."""
        factor = self._core.geometry.factor
        if job.packed is None:
            batch, _, rows, columns = job.tensor.shape
        else:
            batch, rows, columns = job.tensor.shape[0], 2 * job.packed.rows, 2 * job.packed.columns
        height, width = rows * factor, columns * factor
        pixels = batch * height * width
        item = self._core.vae.dtype.itemsize if job.form == "raw" else 4 if job.form == "unit" else 1
        flops = self._core.flops("decode", batch, height, width)
        return self._core.size(job.tensor, flops, 3 * pixels * item, base64=job.base64)

    def _computed(self, job: Job) -> Computed:
        core = self._core
        latent = job.tensor if job.packed is None else tensors.unpack(job.tensor, job.packed)
        latent = tensors.from_wire(core.vae.place(latent), job.scaling)
        tensors.check_finite(latent, "latent")
        sample, tiles = core.run("decode", latent)
        return Computed(tensors.rendered(sample, job.form).cpu(), job.form, job.base64, tiles)


class EncodeService(_VaeService):
    """Encodes images to latents."""

    operation = "encode"

    def __init__(self, core: VaeCore, limits: Limits) -> None:
        super().__init__(core, limits)
        self.max_body_bytes = shapes.max_image_bytes(limits)

    def takes(self, message: Message) -> bool:
        """Whether the message contains an image file, or a tensor with three channels."""
        content = request_format.content_of(message)
        return content.image_file or (content.shape is not None and shapes.is_image(content.shape))

    def read(self, message: Message) -> Job:
        """Parse and check a request and its tensor or image file. Raises RefusedError."""
        request, payload = request_format.encode_request(message)
        geometry = self._core.geometry
        if request.shape is None or request.dtype is None:
            pictures = torch.from_numpy(images.read(payload, self._limits, geometry.factor))
        else:
            shapes.check_image_tensor(request.shape, geometry, self._limits)
            shapes.check_length(payload, request.shape, request.dtype)
            pictures = tensors.from_bytes(payload, request.shape, request.dtype)
        return Job(pictures, request.scaling, "raw", request.base64)

    def size(self, job: Job) -> Size:
        """Return the floating-point operations, and the bytes of the images and the latent."""
        geometry, core = self._core.geometry, self._core
        pixels = job.tensor.numel() // 3
        latent = pixels // geometry.factor**2 * geometry.channels * core.vae.dtype.itemsize
        batch, *sides = job.tensor.shape
        height, width = sides[:2] if job.tensor.dtype == torch.uint8 else sides[1:]
        flops = core.flops("encode", batch, height, width)
        return core.size(job.tensor, flops, latent, base64=job.base64)

    def _computed(self, job: Job) -> Computed:
        core = self._core
        pictures = job.tensor
        if pictures.dtype == torch.uint8:
            pictures = tensors.from_pixels(pictures.to(core.held.torch_device))
        pictures = core.vae.place(pictures)
        tensors.check_finite(pictures, "image")
        latent, tiles = core.run("encode", pictures)
        return Computed(tensors.to_wire(latent, job.scaling).contiguous().cpu(), "raw", job.base64, tiles)
