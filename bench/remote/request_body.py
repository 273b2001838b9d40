"""What is sent for a case, and what becomes of the answer, both by diffusers' own functions. Loads torch, diffusers."""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from diffusers.utils import remote_utils
from PIL import Image

from bench.core.units import ITEM_BYTES
from bench.errors import ConfigError
from bench.record import FILE_TRANSPORTS, Case
from bench.remote import trouble
from bench.remote.http import Post
from bench.remote.payloads import bytes_of, sendable
from bench.wire.address import Address
from bench.workloads import models
from bench.workloads.base import Payload as Carried
from bench.workloads.labels import size_of

_SEED = 0
_SLACK_BYTES = 2**20
_ITEM_BYTES = {**ITEM_BYTES, "uint8": 1}
#: What each way of a decode's result asks of diffusers' function.
_DECODES: dict[str, dict[str, Any]] = {
    "jpg": {"output_type": "pil", "return_type": "pil", "image_format": "jpg"},
    "png": {"output_type": "pil", "return_type": "pil", "image_format": "png"},
    "pt": {"output_type": "pt", "return_type": "pt"},
    "pt-partial": {"output_type": "pt", "return_type": "pil", "partial_postprocess": True},
}


@dataclass(frozen=True, slots=True)
class Payload:
    """What a user has in memory for one case: a latent, or an image (as a tensor or as PIL's)."""

    case: Case
    given: torch.Tensor | Image.Image
    content: str
    #: SHA-256 of the tensor's bytes in hex; None for an image, whose file is made anew each time.
    digest: str | None

    @property
    def max_response_bytes(self) -> int:
        """No right answer is longer: float32 values of the result, a good deal more for an image's file."""
        carried = _carried(self.case)
        return math.prod(carried.tensor if carried.sends_images else carried.images) * 5 + _SLACK_BYTES

    def post(self, address: Address) -> Post:
        """The request that diffusers would make."""
        if self.case.operation == "encode":
            made = remote_utils.prepare_encode(image=self.given, **_carried(self.case).scaling)
        else:
            wanted = {key: value for key, value in _DECODES[self._transport].items() if key != "return_type"}
            made = remote_utils.prepare_decode(tensor=self.given, **_carried(self.case).scaling, **wanted)
        return Post(address, made["params"], made["headers"], made["data"])

    def sent_digest(self, request: Post) -> str:
        """SHA-256 in hex of what must arrive."""
        return self.digest or hashlib.sha256(request.data).hexdigest()

    def result(self, content: bytes, headers: Mapping[str, str]) -> object:
        """What diffusers makes of an answer."""
        response = SimpleNamespace(content=content, headers=headers)
        if self.case.operation == "encode":
            return remote_utils.postprocess_encode(response)
        wanted = {key: value for key, value in _DECODES[self._transport].items() if key != "image_format"}
        return remote_utils.postprocess_decode(response, **wanted)

    def through_diffusers(self, address: Address) -> object:
        """The whole way by diffusers' client, which has no time-out and no bound."""
        scaling = _carried(self.case).scaling
        if self.case.operation == "encode":
            return remote_utils.remote_encode(address.url, self.given, **scaling)
        return remote_utils.remote_decode(address.url, self.given, **scaling, **_DECODES[self._transport])

    def check_answer(self, content: bytes, headers: Mapping[str, str]) -> None:
        """Raises TroubleError unless the answer is one that diffusers can read, of the right size."""
        if self.case.operation == "decode" and self._transport in FILE_TRANSPORTS:
            self._check_image(content)
        else:
            self._check_tensor(content, headers)

    def check_result(self, result: object) -> None:
        """Raises TroubleError unless diffusers' client returned what was asked for."""
        images = result if isinstance(result, list) else [result]
        if isinstance(result, torch.Tensor):
            right = tuple(result.shape) == self.shape
        else:
            right = all(isinstance(image, Image.Image) and image.size == self._image_size for image in images)
        if not right:
            raise trouble.failed("WrongShape", f"The result is not of {size_of(self.case)}. Check the address.")

    @property
    def _transport(self) -> str:
        assert self.case.transport is not None  # noqa: S101 - cases of an endpoint have one
        return self.case.transport

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a right answer that is a tensor."""
        carried = _carried(self.case)
        if carried.sends_images:
            return carried.tensor
        batch, channels, height, width = carried.images
        return (batch, height, width, channels) if self.case.transport == "pt-partial" else carried.images

    @property
    def _image_size(self) -> tuple[int, int]:
        """Width and height, as PIL has them."""
        *_, height, width = _carried(self.case).images
        return width, height

    def _check_image(self, content: bytes) -> None:
        try:
            with Image.open(io.BytesIO(content), formats=["JPEG", "PNG"]) as image:
                size, kind = image.size, image.format
        except Exception as error:  # noqa: BLE001 - Pillow raises many kinds for bytes that are no image
            raise trouble.failed("UndecodableImage", f"The answer is no image: {type(error).__name__}.") from None
        if size != self._image_size:
            raise trouble.failed(
                "WrongShape",
                f"The image is {size[0]}x{size[1]}, not {size_of(self.case)}. Is another model behind the address?",
            )
        wanted = {"jpg": "JPEG", "png": "PNG"}[self._transport]
        if kind != wanted:
            raise trouble.failed("WrongFormat", f"The image is {kind}, and {wanted} was asked for.")

    def _check_tensor(self, content: bytes, headers: Mapping[str, str]) -> None:
        missing = [name for name in ("shape", "dtype") if name not in headers]
        if missing:
            raise trouble.failed(
                "MissingHeaders", f"The answer lacks the headers {' and '.join(missing)}. Is the address that of a VAE?"
            )
        shape, dtype = _shape_in(headers["shape"]), headers["dtype"]
        if shape is None or dtype not in _ITEM_BYTES:
            raise trouble.failed("BadHeaders", "The answer's headers `shape` and `dtype` make no sense.")
        if shape != self.shape:
            raise trouble.failed(
                "WrongShape",
                f"The answer's shape is {list(shape)[:6]}, not {list(self.shape)}. Is another model behind it?",
            )
        if math.prod(shape) * _ITEM_BYTES[dtype] != len(content):
            raise trouble.failed(
                "Truncated",
                f"The answer has {len(content)} bytes, not the {list(shape)} values of {dtype} it speaks of.",
            )


def make(case: Case) -> Payload:
    """The payload of a case: the same for the same case, on every machine.

    Decode: normal latents. Encode: an image whose amplitudes fall with frequency as those of natural images do (Field
    1987, JOSA A 4(12), 2379): as the file's size depends on what an image shows, white noise would be the worst case.
    """
    carried = _carried(case)
    dtype: torch.dtype = getattr(torch, case.dtype)
    if not carried.sends_images:
        latents = torch.randn(carried.tensor, generator=torch.Generator().manual_seed(_SEED))
        return _of_tensor(case, latents.to(dtype), "normal latents")
    batch, _, height, width = carried.images
    image = np.stack([natural_image(height, width, _SEED + place) for place in range(batch)])
    if case.transport == "png":
        pixels = np.rint(image[0] * 255).astype(np.uint8)
        return Payload(case, Image.fromarray(pixels), "1/f noise image", None)
    values = torch.from_numpy(image).permute(0, 3, 1, 2) * 2 - 1
    return _of_tensor(case, values.to(dtype), "1/f noise image")


def _of_tensor(case: Case, tensor: torch.Tensor, content: str) -> Payload:
    ready = sendable(tensor)
    return Payload(case, ready, content, hashlib.sha256(bytes_of(ready)).hexdigest())


def _carried(case: Case) -> Carried:
    """What a request of the case carries. Raises ConfigError for a model that no endpoint serves."""
    carried = models.workload(case.model).payload(case)
    if carried is None:
        raise ConfigError(f"{case.model}: no endpoint serves a {models.workload(case.model).name}.")
    return carried


def natural_image(height: int, width: int, seed: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """(height, width, 3) in [0, 1]: grey with an amplitude of 1/f, and a quarter as much of each colour's own."""
    draw = np.random.default_rng(seed)
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = np.inf  # no constant part
    fields = [
        np.fft.irfft2(np.fft.rfft2(draw.standard_normal((height, width))) / frequency, s=(height, width))
        for _ in range(4)
    ]
    grey, *colours = [field / max(float(field.std()), 1e-12) for field in fields]
    image = 0.5 + 0.2 * (grey[..., None] + 0.25 * np.stack(colours, axis=-1))
    return image.clip(0, 1).astype(np.float32)


def _shape_in(text: str) -> tuple[int, ...] | None:
    try:
        values = json.loads(text[:200])
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, list) or not all(type(value) is int and 0 < value < 2**31 for value in values):
        return None
    return tuple(values)
