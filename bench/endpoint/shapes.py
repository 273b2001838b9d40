"""Checks of a request's shape against the endpoint's limits and the model."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from bench.core.units import ITEM_BYTES
from bench.wire.messages import RefusedError
from bench.workloads.vae_classes.base import Geometry

#: Bytes of JSON around base64 in legacy requests: names, shape, dtype.
_JSON_SLACK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits on one request, in image pixels, for encode and decode alike.

    Attributes:
        max_pixels: pixels of all images of a request together.
        max_batch: images in a request.
        max_side: pixels of an image's width or height.
    """

    max_pixels: int = 4096 * 4096
    max_batch: int = 16
    max_side: int = 16384

    def check(self, batch: int, width: int, height: int) -> None:
        """Raises RefusedError (413) with the exceeded limit, if there is one."""
        if batch > self.max_batch:
            raise _too_large(f"The request has {batch} images; this endpoint allows at most {self.max_batch}")
        if max(width, height) > self.max_side:
            raise _too_large(
                f"The image has {width}x{height} px; this endpoint allows at most {self.max_side} px per side"
            )
        if batch * width * height > self.max_pixels:
            raise _too_large(
                f"{batch} x {width}x{height} px are {batch * width * height:,} pixels; this endpoint allows at most "
                f"{self.max_pixels:,} in one request"
            )


def _too_large(text: str) -> RefusedError:
    return RefusedError(413, f"{text}. Send less at once, or compute it locally.", "too_large")


def max_latent_bytes(geometry: Geometry, limits: Limits) -> int:
    """Return the most bytes of a decode's body: float32 latents of all allowed pixels, in base64, in JSON."""
    return _in_base64(limits.max_pixels // geometry.factor**2 * geometry.channels * 4)


def max_image_bytes(limits: Limits) -> int:
    """Return the most bytes of an encode's body: a float32 tensor of all allowed pixels, in base64, in JSON."""
    return _in_base64(limits.max_pixels * 3 * 4)


def _in_base64(count: int) -> int:
    return -(-count // 3) * 4 + _JSON_SLACK


@dataclass(frozen=True, slots=True)
class Packed:
    """The height and width in patches of a packed latent. Flux packs latents as sequences of 2x2 patches."""

    rows: int
    columns: int


def latent_layout(
    shape: tuple[int, ...], size: tuple[int, int] | None, geometry: Geometry, limits: Limits
) -> Packed | None:
    """Check a latent's shape. Returns how it is packed, or None if it is [batch, channels, height, width].

    `size` is the image's height and width, which only packed latents [batch, patches, 4 * channels] need. It is rounded
    down to whole patches, as FluxPipeline._unpack_latents does. Raises RefusedError.
    """
    if len(shape) == 5:
        raise no_video(f"shape {list(shape)} has the five dimensions of a video")
    if len(shape) not in {3, 4}:
        raise _wrong(
            shape,
            f"is not a latent. Send [batch, {geometry.channels}, height, width], or packed "
            f"[batch, patches, {4 * geometry.channels}] with the image's height and width.",
        )
    if len(shape) == 4:
        batch, channels, rows, columns = shape
        if channels != geometry.channels:
            raise _wrong(shape, f"has {channels} channels; latents of this model have {geometry.channels}.")
        _check_not_empty(shape)
        limits.check(batch, columns * geometry.factor, rows * geometry.factor)
        return None
    return _packed(shape, size, geometry, limits)


def _packed(shape: tuple[int, ...], size: tuple[int, int] | None, geometry: Geometry, limits: Limits) -> Packed:
    batch, patches, channels = shape
    if channels != 4 * geometry.channels:
        raise _wrong(shape, f"has {channels} channels; packed latents of this model have {4 * geometry.channels}.")
    if size is None:
        raise _wrong(shape, "is that of a packed latent. Also send the image's height and width in pixels.")
    _check_not_empty(shape)
    height, width = size
    limits.check(batch, width, height)
    patch = 2 * geometry.factor
    rows, columns = height // patch, width // patch
    if rows * columns != patches:
        raise _wrong(
            shape,
            f"has {patches} patches; an image of height {height} and width {width} has {rows} x {columns} of {patch} "
            f"px, {rows * columns} in all.",
        )
    return Packed(rows, columns)


def is_latent(shape: tuple[int, ...], geometry: Geometry) -> bool:
    """Whether this can be the shape of a latent of the model, packed or not, or of a video's latent."""
    if len(shape) == 3:
        return shape[2] == 4 * geometry.channels
    return len(shape) == 5 or (len(shape) == 4 and shape[1] == geometry.channels)


def is_image(shape: tuple[int, ...]) -> bool:
    """Whether this can be the shape of a batch of images."""
    return len(shape) == 4 and shape[1] == 3


def check_image_tensor(shape: tuple[int, ...], geometry: Geometry, limits: Limits) -> None:
    """Check that the model can encode images of this shape, [batch, 3, height, width]. Raises RefusedError."""
    if len(shape) == 5:
        raise no_video(f"shape {list(shape)} has the five dimensions of a video")
    if len(shape) != 4 or shape[1] != 3:
        raise _wrong(shape, "is not a batch of images. Send [batch, 3, height, width].")
    _check_not_empty(shape)
    batch, _, height, width = shape
    limits.check(batch, width, height)
    for name, side in (("height", height), ("width", width)):
        if side % geometry.factor:
            below = side // geometry.factor * geometry.factor
            near = f"{below} and {below + geometry.factor}" if below else str(geometry.factor)
            raise _wrong(shape, f"has the {name} {side} instead of a multiple of {geometry.factor}. Nearest: {near}.")


def _wrong(shape: tuple[int, ...], problem: str) -> RefusedError:
    return RefusedError(400, f"shape {list(shape)} {problem}")


def _check_not_empty(shape: tuple[int, ...]) -> None:
    if 0 in shape:
        raise _wrong(shape, "is empty. Every dimension must be at least 1.")


def check_length(body: bytes, shape: tuple[int, ...], dtype: str) -> None:
    """Raises RefusedError (400) unless the body's length matches the shape and dtype."""
    expected = prod(shape) * ITEM_BYTES[dtype]
    if len(body) != expected:
        raise RefusedError(400, f"The body has {len(body)} bytes, but shape {list(shape)} in {dtype} needs {expected}.")


def no_video(problem: str) -> RefusedError:
    """Return the refusal (422) of a request that only a video model could serve."""
    return RefusedError(422, f"{problem}. This endpoint serves no video models yet.", "no_video")
