"""The services that encode and decode with one VAE, independent of HTTP.

`read` and `write` run on codec threads, `compute` only on the device's thread.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch

from bench.core.units import ITEM_BYTES
from bench.device.base import Held
from bench.endpoint import images, largest, request_format, shapes, tensors
from bench.endpoint.request_format import Form, Scaling
from bench.endpoint.shapes import Layout, Limits
from bench.endpoint.vae_core import Computed, ImageSize, Operation, VaeCore, WeightsKind
from bench.errors import ConfigError, known
from bench.record import Case
from bench.wire.messages import Answer, Largest, Message, RefusedError, Size
from bench.workloads import models
from bench.workloads.base import weights_bytes
from bench.workloads.vae_classes import zoo
from bench.workloads.vae_classes.module import VaeOnDevice
from bench.workloads.vae_classes.vae_class import VaeSpec


@dataclass(frozen=True, slots=True)
class Job:
    """A tensor on the CPU, and how to compute it and send the result.

    `tensor` is a latent, images (float [B, 3, H, W] in [-1, 1]; videos have frames before H), or an image file's pixels
    (uint8 [1, H, W, 3]). `size` is that of the images or videos, encoded or decoded.
    """

    tensor: torch.Tensor
    size: ImageSize
    scaling: Scaling
    form: Form
    base64: bool
    layout: Layout | None = None


@dataclass(frozen=True, slots=True)
class LoadedVae:
    """A VAE that is ready to serve. `dtype` is the precision of its computations, for example `float16`."""

    dtype: str
    weights_bytes: int
    encode: EncodeService
    decode: DecodeService
    facts: Mapping[str, Any]

    @property
    def services(self) -> Mapping[str, EncodeService | DecodeService]:
        """Both services by operation."""
        return {"encode": self.encode, "decode": self.decode}


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
    axes = models.sized(model, *[zoo.get(model).geometry.factor * 8] * 2, frames=1)
    case = Case(model=model, operation="decode", axes=axes, dtype=dtype or spec.dtype, weights=weights)
    kind: WeightsKind = "random" if weights == "random" else "hub" if weights == "hub" else "local"
    core = VaeCore(VaeOnDevice(case, held.torch_device), model, kind, held)
    facts = {"geometry": asdict(core.spec.geometry)}
    return LoadedVae(
        case.dtype, weights_bytes(core.vae), EncodeService(core, limits), DecodeService(core, limits), facts
    )


class _VaeService(ABC):
    """The steps that encode and decode have in common."""

    operation: ClassVar[Operation]

    def __init__(self, core: VaeCore, limits: Limits) -> None:
        self._core, self._limits = core, limits

    def flops(self, frames: int, height: int, width: int) -> int:
        """Return the floating-point operations for one image or video of this size in pixels."""
        return self._core.flops(self.operation, 1, ImageSize(frames, height, width))

    def largest(self, job: Job, fits: Callable[[int], bool]) -> Largest:
        """Return the largest square image, or the longest video of the job's size, that is quick enough."""
        spec, size = self._core.spec, job.size
        if not spec.geometry.is_video:
            return largest.image(lambda side: fits(self.flops(1, side, side)))
        most = spec.vae_class.latent_frames(spec, size.frames)
        counts = [spec.vae_class.video_frames(spec, count) for count in range(1, most + 1)]
        return largest.video(
            counts, size.height, size.width, lambda frames: fits(self.flops(frames, size.height, size.width))
        )

    def rehearsals(self) -> Iterator[Sequence[Message]]:
        """Yield the messages to warm up with."""
        return self._core.rehearsals(self.operation)

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
    """Decodes latents to images or videos."""

    operation = "decode"
    input_words = "a latent (a tensor with the channels of the model's latents)"

    def __init__(self, core: VaeCore, limits: Limits) -> None:
        super().__init__(core, limits)
        self.max_body_bytes = shapes.max_latent_bytes(core.spec, limits)

    def takes(self, message: Message) -> bool:
        """Whether the message contains a latent of this model, packed or not, or of a video."""
        shape = request_format.content_of(message).shape or ()
        return shapes.is_latent(shape, self._core.spec, in_patches=self._core.in_patches)

    def read(self, message: Message) -> Job:
        """Parse and check a request and its latent. Raises RefusedError."""
        request, payload = request_format.decode_request(message)
        core, shape = self._core, request.shape
        layout = shapes.latent_layout(shape, request.size, core.spec, self._limits, in_patches=core.in_patches)
        _check_form(request.form, shape[0], core.spec)
        if request.scaling.own and core.in_patches and (layout.rows % 2 or layout.columns % 2):
            raise RefusedError(
                400,
                f"shape {list(shape)} has an odd height or width, but {core.model} scales latents in patches of 2x2. "
                "Send one with even sides, or scaled, with do_scaling=False.",
            )
        shapes.check_length(payload, shape, request.dtype)
        latent = tensors.from_bytes(payload, shape, request.dtype)
        factor = core.spec.geometry.factor
        size = ImageSize(layout.frames or 1, layout.rows * factor, layout.columns * factor)
        return Job(latent, size, request.scaling, request.form, request.base64, layout)

    def size(self, job: Job) -> Size:
        """Return the floating-point operations, and the bytes of the latent and the answer."""
        batch, size = job.tensor.shape[0], job.size
        item = self._core.vae.dtype.itemsize if job.form == "raw" else 4 if job.form == "unit" else 1
        answer_bytes = 3 * batch * size.frames * size.height * size.width * item
        flops = self._core.flops("decode", batch, size)
        return self._core.size(job.tensor, flops, answer_bytes, base64=job.base64)

    def _computed(self, job: Job) -> Computed:
        core = self._core
        latent = job.tensor if job.layout is None else tensors.laid_out(job.tensor, job.layout)
        latent = core.vae.place(latent)
        if job.scaling.own:
            latent = core.vae.unscaled(latent, job.scaling.shift)
        else:
            latent = tensors.from_wire(latent, job.scaling)
        tensors.check_finite(latent, "latent")
        sample, tiles = core.run("decode", latent)
        return Computed(tensors.rendered(sample, job.form).cpu(), job.form, job.base64, tiles)


def _check_form(form: Form, batch: int, spec: VaeSpec) -> None:
    """Raises RefusedError if the answer can't have this form: a file holds one image, or one video."""
    is_video = spec.geometry.is_video
    if form == "mp4" and not is_video:
        raise shapes.no_video("output_type=mp4 or Accept: text/plain asks for a video", spec)
    if form in images.FILES and is_video:
        raise RefusedError(
            400,
            f"{spec.key} decodes videos, but an image file holds one image. Ask for a tensor with output_type=pt, or "
            "with output_type=pil and a VideoProcessor as processor, or for a file with output_type=mp4.",
            "video_as_image",
        )
    if batch > 1 and form in {*images.FILES, "mp4"}:
        kind = "video" if is_video else "image"
        raise RefusedError(
            400,
            f"This is a batch of {batch}, but a file holds one {kind}. Send one latent per request, or ask for a "
            "tensor with output_type=pt and Accept: tensor/binary.",
            "batch_as_file",
        )


_IMAGE = "an image (a PNG or JPEG file, or a tensor [batch, 3, height, width])"
_VIDEO = "a video (a tensor [batch, 3, frames, height, width], or a PNG or JPEG file of one frame)"


class EncodeService(_VaeService):
    """Encodes images or videos to latents."""

    operation = "encode"

    def __init__(self, core: VaeCore, limits: Limits) -> None:
        super().__init__(core, limits)
        self.input_words = _VIDEO if core.spec.geometry.is_video else _IMAGE
        self.max_body_bytes = shapes.max_image_bytes(core.spec, limits)

    def takes(self, message: Message) -> bool:
        """Whether the message contains an image file, or a tensor with three channels."""
        content = request_format.content_of(message)
        return content.image_file or (content.shape is not None and shapes.is_image(content.shape))

    def read(self, message: Message) -> Job:
        """Parse and check a request and its tensor or image file. Raises RefusedError."""
        request, payload = request_format.encode_request(message)
        core = self._core
        if request.shape is None or request.dtype is None:
            pictures = torch.from_numpy(images.read(payload, self._limits, core.spec.multiple))
            size = ImageSize(1, *pictures.shape[1:3])
        else:
            shapes.check_image_tensor(request.shape, core.spec, self._limits)
            shapes.check_length(payload, request.shape, request.dtype)
            pictures = tensors.from_bytes(payload, request.shape, request.dtype)
            size = core.size_of("encode", pictures)
        return Job(pictures, size, request.scaling, "raw", request.base64)

    def size(self, job: Job) -> Size:
        """Return the floating-point operations, and the bytes of the images and the latent."""
        core, size, batch = self._core, job.size, job.tensor.shape[0]
        spec = core.spec
        latent_frames = spec.vae_class.latent_frames(spec, size.frames)
        latent = latent_frames * size.height * size.width // spec.geometry.factor**2 * spec.geometry.channels
        flops = core.flops("encode", batch, size)
        return core.size(job.tensor, flops, batch * latent * core.vae.dtype.itemsize, base64=job.base64)

    def _computed(self, job: Job) -> Computed:
        core = self._core
        pictures = job.tensor
        if pictures.dtype == torch.uint8:
            pictures = tensors.from_pixels(pictures.to(core.held.torch_device))
            if core.spec.geometry.is_video:
                pictures = pictures.unsqueeze(2)
        pictures = core.vae.place(pictures)
        tensors.check_finite(pictures, "image")
        latent, tiles = core.run("encode", pictures)
        return Computed(tensors.to_wire(latent, job.scaling).contiguous().cpu(), "raw", job.base64, tiles)
