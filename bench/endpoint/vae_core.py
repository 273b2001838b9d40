"""A VAE on its device, as both services use it: scaling, tiling, out-of-memory, and turning a result into an answer."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch

from bench.device.base import Held
from bench.endpoint import counted_flops, images, tensors, videos
from bench.endpoint.out_of_memory import guarded
from bench.endpoint.request_format import Form
from bench.record import Case
from bench.wire.messages import TILES_HEADER, WEIGHTS_HEADER, Answer, Message, Size
from bench.workloads import models
from bench.workloads.vae_classes import zoo
from bench.workloads.vae_classes.module import VaeOnDevice
from bench.workloads.vae_classes.scaling import keeps_patches
from bench.workloads.vae_classes.vae_class import VaeSpec

Operation = Literal["encode", "decode"]
WeightsKind = Literal["random", "hub", "local"]
#: Activations grow with the pixels of a whole batch.
PIXELS_AT_ONCE = 2048 * 2048
#: Sides of the images and videos to warm up with.
_REHEARSED_PX = (64, 128, 256, 512)
#: Frames per second of a video file if the zoo does not say how many the model's videos have.
_USUAL_FPS = 24.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Computed:
    """A contiguous tensor on the CPU, the form to send it in, and the number of tiles (None: not tiled)."""

    tensor: torch.Tensor
    form: Form
    base64: bool
    tiles: int | None


@dataclass(frozen=True, slots=True)
class ImageSize:
    """Frames (1: an image), height and width in pixels."""

    frames: int
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class VaeCore:
    """The part that both services of a model share."""

    vae: VaeOnDevice
    model: str
    weights: WeightsKind
    held: Held

    @property
    def spec(self) -> VaeSpec:
        """The model's entry in the zoo."""
        return zoo.get(self.model)

    @property
    def in_patches(self) -> bool:
        """Whether clients may send latents as patches of 2x2."""
        return keeps_patches(self.vae.module)

    def flops(self, operation: Operation, batch: int, size: ImageSize) -> int:
        """Return the floating-point operations for a batch of images or videos of this size, tiled as `run` tiles them.

        If the operations of a model are not counted, it is the pixels, which serve as well to compare its calls.
        """
        factor = self.spec.geometry.factor
        height, width = (max(factor, side // factor * factor) for side in (size.height, size.width))
        counted = counted_flops.of(self._served(operation, ImageSize(size.frames, height, width)))
        return batch * (counted or size.frames * height * width)

    def _served(self, operation: Operation, size: ImageSize) -> Case:
        """Return the case of an image or video of this size as it is computed here: tiled if it is large."""
        axes = models.sized(self.model, size.width, size.height, frames=size.frames)
        case = Case(model=self.model, operation=operation, axes=axes, dtype=tensors.name_of(self.vae.dtype))
        return models.workload(self.model).served(case)

    def size_of(self, operation: Operation, values: torch.Tensor) -> ImageSize:
        """Return the size of the images or videos that are encoded from `values`, or that these latents decode to."""
        spec = self.spec
        factor = 1 if operation == "encode" else spec.geometry.factor
        frames = values.shape[2] if spec.geometry.is_video else 1
        if operation == "decode" and spec.geometry.is_video:
            frames = spec.vae_class.video_frames(spec, frames)
        return ImageSize(frames, values.shape[-2] * factor, values.shape[-1] * factor)

    def rehearsals(self, operation: Operation) -> Iterator[Sequence[Message]]:
        """Yield messages with tensors, one of which asks for a file, for squares whose side doubles from size to size.

        Videos have two latent frames, the first of which is computed differently.
        """
        spec = self.spec
        is_video = spec.geometry.is_video
        frames = spec.vae_class.video_frames(spec, 2) if is_video else 1
        for side in _REHEARSED_PX:
            axes = models.sized(spec.key, side, side, frames=frames)
            shape = spec.payload(Case(model=spec.key, operation=operation, axes=axes, dtype="float32")).sent
            tensor = (*(("shape", str(size)) for size in shape), ("dtype", "float32"))
            body = bytes(4 * math.prod(shape))
            yield [
                Message((*tensor, ("output_type", output)), body, "tensor/binary")
                for output in ("pt", "mp4" if is_video else "pil", "pt", "pt")
            ]

    def run(self, operation: Operation, values: torch.Tensor) -> tuple[torch.Tensor, int | None]:
        """Call the VAE with images or latents on the device. Returns the result and the number of tiles, if tiled.

        A batch of more than PIXELS_AT_ONCE pixels is computed in slices, image by image if necessary.
        """
        served = self._served(operation, self.size_of(operation, values))
        at_once = max(1, PIXELS_AT_ONCE // served.axes.product("width", "height", "frames"))
        if values.shape[0] <= at_once:
            return self._run(served, values)
        parts = [self._run(served, part) for part in torch.split(values, at_once)]
        tiles = [count for _, count in parts if count is not None]
        return torch.cat([part for part, _ in parts]), sum(tiles) if tiles else None

    def _run(self, served: Case, values: torch.Tensor) -> tuple[torch.Tensor, int | None]:
        operation: Operation = "encode" if served.operation == "encode" else "decode"
        call = self.vae.encode if operation == "encode" else self.vae.decode
        self.vae.set_up(served)
        if served.tile is None:
            return call(values), None
        with self.vae.watching_passes(operation) as passes:
            return call(values), len(passes)

    def guarded(self, compute: Callable[[], T]) -> T:
        """Return what `compute` returns. Out-of-memory of any kind becomes a refusal (507), once memory is freed."""
        less = "a smaller or shorter video" if self.spec.geometry.is_video else "a smaller image"
        return guarded(self.held, less, compute)

    def answer(self, computed: Computed) -> Answer:
        """Encode a result as the request asked. The headers give shape, dtype, weights and tiles."""
        headers: dict[str, str] = {WEIGHTS_HEADER: self.weights}
        if computed.tiles is not None:
            headers[TILES_HEADER] = str(computed.tiles)
        if computed.form in images.FILES:
            return Answer(images.write(computed.tensor[0].numpy(), computed.form), f"image/{computed.form}", headers)
        if computed.form == "mp4":
            return Answer(videos.write(computed.tensor.numpy(), self.spec.fps or _USUAL_FPS), "video/mp4", headers)
        shape, dtype = list(computed.tensor.shape), tensors.name_of(computed.tensor.dtype)
        headers |= {"shape": json.dumps(shape), "dtype": dtype}
        body = tensors.to_bytes(computed.tensor)
        if not computed.base64:
            return Answer(body, "tensor/binary", headers)
        about = json.dumps({"shape": shape, "dtype": dtype}).encode()
        inside = b'{"inputs": "%b", "parameters": %b}' % (base64.b64encode(body), about)
        return Answer(inside, "tensor/base64", headers)

    def size(self, sent: torch.Tensor, flops: int, answer_bytes: int, *, base64: bool) -> Size:
        """Return the work and the memory of a request.

        The memory is that of the sent tensor, the result, and the answer made of it: an image file is hardly longer
        than its raw pixels, and base64 is longer by a third.
        """
        return Size(flops, sent.nbytes + answer_bytes + (answer_bytes * 4 // 3 if base64 else answer_bytes))
