"""The requests of an image VAE's or a video VAE's case, made and read with diffusers' own functions."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from diffusers.utils import remote_utils
from PIL import Image

from bench.record import FILE_TRANSPORTS, Case
from bench.remote import failures, mp4, tensor_answer
from bench.remote.http import Post
from bench.remote.payloads import bytes_of, sendable
from bench.wire.address import Address, Token
from bench.workloads.labels import size_of
from bench.workloads.payloads import ImagePayload

_SEED = 0
_SLACK_BYTES = 2**20
#: The arguments of diffusers' function for each transport of a decode's result.
_DECODES: dict[str, dict[str, Any]] = {
    "jpg": {"output_type": "pil", "return_type": "pil", "image_format": "jpg"},
    "png": {"output_type": "pil", "return_type": "pil", "image_format": "png"},
    "pt": {"output_type": "pt", "return_type": "pt"},
    "pt-partial": {"output_type": "pt", "return_type": "pil", "partial_postprocess": True},
    "mp4": {"output_type": "mp4", "return_type": "mp4"},
}


@dataclass(frozen=True, slots=True)
class ImageBody:
    """A user's input for one case: a latent, or an image (a tensor or a PIL image)."""

    case: Case
    payload: ImagePayload
    data: torch.Tensor | Image.Image
    content: str
    #: SHA-256 of the tensor's bytes in hex; None for a PIL image, whose file is encoded anew for each request.
    digest: str | None
    is_tried_first: bool = False

    def has_diffusers_client(self, token: Token | None) -> bool:
        """Whether diffusers' client can be used: it sends no token."""
        return token is None

    @property
    def max_response_bytes(self) -> int:
        """An upper bound on the bytes of a valid answer: float32 values of the result, with room for an image file."""
        payload = self.payload
        return math.prod(payload.tensor if payload.sends_images else payload.images) * 5 + _SLACK_BYTES

    def post(self, address: Address) -> Post:
        """Return the request that diffusers would send."""
        if self.case.operation == "encode":
            request = remote_utils.prepare_encode(image=self.data, **self.payload.scaling)
        else:
            options = {key: value for key, value in _DECODES[self._transport].items() if key != "return_type"}
            request = remote_utils.prepare_decode(tensor=self.data, **self._scaling, **options)
        return Post(address, request["params"], request["headers"], request["data"])

    def sent_digest(self, request: Post) -> str:
        """Return the SHA-256 in hex of the bytes that must arrive."""
        return self.digest or hashlib.sha256(request.data).hexdigest()

    def result(self, content: bytes, headers: Mapping[str, str]) -> object:
        """Return what diffusers makes of an answer."""
        response = SimpleNamespace(content=content, headers=headers)
        if self.case.operation == "encode":
            return remote_utils.postprocess_encode(response)
        options = {key: value for key, value in _DECODES[self._transport].items() if key != "image_format"}
        return remote_utils.postprocess_decode(response, **options)

    def through_diffusers(self, address: Address, token: Token | None = None) -> object:
        """Send the request with diffusers' client, which has no time-out and no size limit. Returns its result."""
        del token  # it sends none
        if self.case.operation == "encode":
            return remote_utils.remote_encode(address.url, self.data, **self.payload.scaling)
        return remote_utils.remote_decode(address.url, self.data, **self._scaling, **_DECODES[self._transport])

    def check_answer(self, content: bytes, headers: Mapping[str, str]) -> None:
        """Raises RequestError unless diffusers can read the answer and it has the right size."""
        if self.case.operation == "decode" and self._transport in FILE_TRANSPORTS:
            self._check_image(content)
        elif self._transport == "mp4":
            self._check_video(content)
        else:
            tensor_answer.check(content, headers, self.shape)

    def check_result(self, result: object) -> None:
        """Raises RequestError unless the result of diffusers' client has the right type and size."""
        images = result if isinstance(result, list) else [result]
        if isinstance(result, torch.Tensor):
            right = tuple(result.shape) == self.shape
        elif isinstance(result, bytes):  # the answer itself, which `check_answer` judges
            right = self._transport == "mp4"
        else:
            right = len(images) == self.case.axes.product("batch", "frames") and all(
                isinstance(image, Image.Image) and image.size == self._image_size for image in images
            )
        if not right:
            raise failures.failed("WrongShape", f"The result is not {size_of(self.case)}. Check the address.")

    @property
    def _scaling(self) -> Mapping[str, Any]:
        """The arguments of diffusers' functions for decoding. A model without a factor gets latents that need none."""
        return self.payload.scaling or {"do_scaling": False}

    @property
    def _transport(self) -> str:
        assert self.case.transport is not None  # noqa: S101 - every case of an endpoint has one
        return self.case.transport

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a valid answer that is a tensor."""
        payload = self.payload
        if payload.sends_images:
            return payload.tensor
        batch, channels, *frames, height, width = payload.images
        if self.case.transport == "pt-partial":
            return (batch * math.prod(frames), height, width, channels)
        return payload.images

    @property
    def _image_size(self) -> tuple[int, int]:
        """Width and height, in PIL's order."""
        *_, height, width = self.payload.images
        return width, height

    def _check_image(self, content: bytes) -> None:
        try:
            with Image.open(io.BytesIO(content), formats=["JPEG", "PNG"]) as image:
                size, kind = image.size, image.format
        except Exception as error:  # noqa: BLE001 - Pillow raises many kinds of errors for invalid bytes
            message = f"The answer is not an image: {type(error).__name__}. Check the address."
            raise failures.failed("UndecodableImage", message) from None
        if size != self._image_size:
            raise failures.failed(
                "WrongShape",
                f"The image is {size[0]}x{size[1]}, not {size_of(self.case)}. Check that the address is this model's.",
            )
        expected = {"jpg": "JPEG", "png": "PNG"}[self._transport]
        if kind != expected:
            raise failures.failed("WrongFormat", f"The image is {kind}, but {expected} was requested.")

    def _check_video(self, content: bytes) -> None:
        facts = mp4.facts(content)
        if facts is None:
            raise failures.failed("UndecodableVideo", "The answer is not an MP4 file with a video. Check the address.")
        frames = self.case.axes["frames"] if facts.frames is None else facts.frames
        if (facts.width, facts.height, frames) != (*self._image_size, self.case.axes["frames"]):
            raise failures.failed(
                "WrongShape",
                f"The video has {frames} frames of {facts.width}x{facts.height}, not {size_of(self.case)}. Check that "
                "the address is this model's.",
            )

    def valid_answer(self) -> tuple[bytes, dict[str, str]]:
        """Return an answer of zeros, or an empty image file; no video file, which nobody decodes."""
        if self.case.operation == "decode" and self._transport in FILE_TRANSPORTS:
            buffer = io.BytesIO()
            Image.new("RGB", self._image_size).save(buffer, "JPEG" if self._transport == "jpg" else "PNG")
            return buffer.getvalue(), {}
        partial = self._transport == "pt-partial"
        values = torch.zeros(self.shape, dtype=torch.uint8 if partial else torch.float32)
        return bytes_of(values), {"shape": str(list(values.shape)), "dtype": "uint8" if partial else "float32"}


def make(case: Case, payload: ImagePayload) -> ImageBody:
    """Return the payload of a case, the same on every machine.

    Decode: normal latents. Encode: an image whose amplitudes fall with frequency as in natural images (Field 1987,
    JOSA A 4(12), 2379), because the size of a file depends on the image, and white noise would be the worst case.
    """
    dtype: torch.dtype = getattr(torch, case.dtype)
    if not payload.sends_images:
        latents = torch.randn(payload.tensor, generator=torch.Generator().manual_seed(_SEED))
        return _of_tensor(case, payload, latents.to(dtype), "normal latents")
    batch, _, *frames, height, width = payload.images
    image = np.stack([natural_image(height, width, _SEED + place) for place in range(batch)])
    if case.transport == "png":
        pixels = np.rint(image[0] * 255).astype(np.uint8)
        return ImageBody(case, payload, Image.fromarray(pixels), "1/f noise image", None)
    values = torch.from_numpy(image).permute(0, 3, 1, 2) * 2 - 1
    if frames:  # what a tensor holds does not change its size or how long it takes
        return _of_tensor(
            case, payload, values.to(dtype).unsqueeze(2).expand(payload.images), "1/f noise image in each frame"
        )
    return _of_tensor(case, payload, values.to(dtype), "1/f noise image")


def _of_tensor(case: Case, payload: ImagePayload, tensor: torch.Tensor, content: str) -> ImageBody:
    data = sendable(tensor)
    return ImageBody(case, payload, data, content, hashlib.sha256(bytes_of(data)).hexdigest())


def natural_image(height: int, width: int, seed: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return an image (height, width, 3) in [0, 1]: 1/f noise in grey, plus a quarter as much in each colour."""
    draw = np.random.default_rng(seed)
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = np.inf  # removes the mean
    fields = [
        np.fft.irfft2(np.fft.rfft2(draw.standard_normal((height, width))) / frequency, s=(height, width))
        for _ in range(4)
    ]
    grey, *colours = [field / max(float(field.std()), 1e-12) for field in fields]
    image = 0.5 + 0.2 * (grey[..., None] + 0.25 * np.stack(colours, axis=-1))
    return image.clip(0, 1).astype(np.float32)
