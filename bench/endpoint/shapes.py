"""What a request may be in size: the endpoint's limits and the model's geometry. Free of torch and of the web stack."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from bench.core.units import ITEM_BYTES
from bench.wire.messages import RefusedError
from bench.workloads.image_vae.payloads import Geometry

#: JSON around base64 in the legacy form of a request: names, shape, dtype.
_JSON_SLACK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may ask for, in image pixels, for encode and decode alike.

    Attributes:
        max_pixels: of all images of a request together.
        max_batch: images of a request.
        max_side: of an image's width or height.
    """

    max_pixels: int = 4096 * 4096
    max_batch: int = 16
    max_side: int = 16384

    def check(self, batch: int, width: int, height: int) -> None:
        """Raises RefusedError (413) that names the limit in the way, if one is."""
        if batch > self.max_batch:
            raise _too_large(f"{batch} images in one request; this endpoint takes at most {self.max_batch}")
        if max(width, height) > self.max_side:
            raise _too_large(f"an image of {width}x{height} px; this endpoint takes at most {self.max_side} px a side")
        if batch * width * height > self.max_pixels:
            raise _too_large(
                f"{batch} x {width}x{height} px are {batch * width * height:,} pixels; "
                f"this endpoint takes at most {self.max_pixels:,} in one request"
            )


def _too_large(text: str) -> RefusedError:
    return RefusedError(413, f"{text}. Send less at once, or compute it locally.", "too_large")


def max_latent_bytes(geometry: Geometry, limits: Limits) -> int:
    """The longest body of a decode: float32 latents of all allowed pixels, in base64, in JSON."""
    return _in_base64(limits.max_pixels // geometry.factor**2 * geometry.channels * 4)


def max_image_bytes(limits: Limits) -> int:
    """The longest body of an encode: a float32 tensor of all allowed pixels, in base64, in JSON."""
    return _in_base64(limits.max_pixels * 3 * 4)


def _in_base64(count: int) -> int:
    return -(-count // 3) * 4 + _JSON_SLACK


@dataclass(frozen=True, slots=True)
class Packed:
    """Flux's packed latents are sequences of 2x2 patches: how many patches high and wide the latent is."""

    rows: int
    columns: int


def latent_layout(
    shape: tuple[int, ...], size: tuple[int, int] | None, geometry: Geometry, limits: Limits
) -> Packed | None:
    """Check a latent's shape; say how it is packed, or None if it is [batch, channels, height, width].

    `size` is the image's height and width, which only packed latents [batch, patches, 4 * channels] need. It is rounded
    down to whole patches, as FluxPipeline._unpack_latents does. Raises RefusedError.
    """
    if len(shape) == 5:
        raise no_video(f"shape {list(shape)} has five dimensions, those of a video")
    if len(shape) not in {3, 4}:
        raise RefusedError(
            400,
            f"shape {list(shape)} is no latent. Send [batch, {geometry.channels}, height, width], or packed "
            f"[batch, patches, {4 * geometry.channels}] with the image's height and width.",
        )
    if len(shape) == 4:
        batch, channels, rows, columns = shape
        if channels != geometry.channels:
            raise RefusedError(
                400, f"shape {list(shape)} has {channels} channels; latents of this model have {geometry.channels}."
            )
        _check_not_empty(shape)
        limits.check(batch, columns * geometry.factor, rows * geometry.factor)
        return None
    return _packed(shape, size, geometry, limits)


def _packed(shape: tuple[int, ...], size: tuple[int, int] | None, geometry: Geometry, limits: Limits) -> Packed:
    batch, patches, channels = shape
    if channels != 4 * geometry.channels:
        raise RefusedError(
            400,
            f"shape {list(shape)} has {channels} channels; packed latents of this model have {4 * geometry.channels}.",
        )
    if size is None:
        raise RefusedError(
            400, f"shape {list(shape)} is packed: send height and width, those of the image in pixels, as well."
        )
    _check_not_empty(shape)
    height, width = size
    limits.check(batch, width, height)
    patch = 2 * geometry.factor
    rows, columns = height // patch, width // patch
    if rows * columns != patches:
        raise RefusedError(
            400,
            f"shape {list(shape)} has {patches} patches; an image of height {height} and width {width} has "
            f"{rows} x {columns} of {patch} px, {rows * columns} in all.",
        )
    return Packed(rows, columns)


def is_latent(shape: tuple[int, ...], geometry: Geometry) -> bool:
    """Whether a tensor of this shape can be meant as a latent of the model, packed or not; a video's count as well."""
    if len(shape) == 3:
        return shape[2] == 4 * geometry.channels
    return len(shape) == 5 or (len(shape) == 4 and shape[1] == geometry.channels)


def is_image(shape: tuple[int, ...]) -> bool:
    """Whether a tensor of this shape can be meant as a batch of images."""
    return len(shape) == 4 and shape[1] == 3


def check_image_tensor(shape: tuple[int, ...], geometry: Geometry, limits: Limits) -> None:
    """Check that the model can encode images of that shape, [batch, 3, height, width]. Raises RefusedError."""
    if len(shape) == 5:
        raise no_video(f"shape {list(shape)} has five dimensions, those of a video")
    if len(shape) != 4 or shape[1] != 3:
        raise RefusedError(400, f"shape {list(shape)} is no batch of images. Send [batch, 3, height, width].")
    _check_not_empty(shape)
    batch, _, height, width = shape
    limits.check(batch, width, height)
    for name, side in (("height", height), ("width", width)):
        if side % geometry.factor:
            below = side // geometry.factor * geometry.factor
            near = f"{below} and {below + geometry.factor}" if below else str(geometry.factor)
            raise RefusedError(
                400, f"{name} {side} of shape {list(shape)} is no multiple of {geometry.factor} px. Nearest: {near}."
            )


def _check_not_empty(shape: tuple[int, ...]) -> None:
    if 0 in shape:
        raise RefusedError(400, f"shape {list(shape)} holds no values: every dimension must be at least 1.")


def check_length(body: bytes, shape: tuple[int, ...], dtype: str) -> None:
    """Raises RefusedError (400) unless the body is as long as the shape and dtype say."""
    wanted = prod(shape) * ITEM_BYTES[dtype]
    if len(body) != wanted:
        raise RefusedError(400, f"The body has {len(body)} bytes; shape {list(shape)} in {dtype} takes {wanted}.")


def no_video(what: str) -> RefusedError:
    """The refusal (422) of what only a video model could do."""
    return RefusedError(422, f"{what}; this endpoint serves no video model yet.", "no_video")
