"""Checks of a request's shape against the endpoint's limits and the model."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

from bench.core.units import ITEM_BYTES
from bench.wire.messages import RefusedError
from bench.workloads.vae_classes.vae_class import VaeSpec

#: Bytes of JSON around base64 in legacy requests: names, shape, dtype.
_JSON_SLACK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits on one request: in image pixels, for encode and decode alike, and in tokens.

    Attributes:
        max_pixels: pixels of all images of a request together; of videos one frame of each counts.
        max_batch: images, videos or prompts in a request.
        max_side: pixels of an image's width or height.
        max_frames: frames of a video.
        max_video_pixels: pixels of all frames of all videos of a request together.
        max_tokens: tokens of all prompts of a request together.
    """

    max_pixels: int = 4096 * 4096
    max_batch: int = 16
    max_side: int = 16384
    max_frames: int = 257
    max_video_pixels: int = 2**27
    max_tokens: int = 2**14

    def check(self, batch: int, width: int, height: int, frames: int | None = None) -> None:
        """Raises RefusedError (413) with the exceeded limit, if there is one. `frames` is None for images."""
        kind = "image" if frames is None else "video"
        if batch > self.max_batch:
            raise _too_large(f"The request has {batch} {kind}s; this endpoint allows at most {self.max_batch}")
        if max(width, height) > self.max_side:
            raise _too_large(
                f"The {kind} has {width}x{height} px; this endpoint allows at most {self.max_side} px per side"
            )
        if frames is not None and frames > self.max_frames:
            raise _too_large(f"The video has {frames} frames; this endpoint allows at most {self.max_frames}")
        for pixels, allowed, of_frames in (
            (batch * width * height, self.max_pixels, ""),
            (batch * width * height * (frames or 0), self.max_video_pixels, f" in {frames} frames"),
        ):
            if pixels > allowed:
                raise _too_large(
                    f"{batch} x {width}x{height} px{of_frames} are {pixels:,} pixels; this endpoint allows at most "
                    f"{allowed:,} in one request"
                )

    def check_tokens(self, batch: int, tokens: int) -> None:
        """Raises RefusedError (413) if so many prompts of so many tokens exceed the limit."""
        if batch * tokens > self.max_tokens:
            raise _too_large(
                f"{batch} x {tokens} tokens are {batch * tokens:,}; this endpoint allows at most {self.max_tokens:,} "
                "in one request"
            )


def _too_large(text: str) -> RefusedError:
    return RefusedError(413, f"{text}. Send less at once, or compute it locally.", "too_large")


def max_latent_bytes(spec: VaeSpec, limits: Limits) -> int:
    """Return the most bytes of a decode's body: float32 latents of all allowed pixels, in base64, in JSON."""
    geometry = spec.geometry
    pixels = limits.max_pixels
    if geometry.is_video:  # each video has one latent frame for its first frame, and one for each `frames` others
        pixels += limits.max_video_pixels // geometry.frames
    return _in_base64(pixels // geometry.factor**2 * geometry.channels * 4)


def max_image_bytes(spec: VaeSpec, limits: Limits) -> int:
    """Return the most bytes of an encode's body: a float32 tensor of all allowed pixels, in base64, in JSON."""
    return _in_base64((limits.max_video_pixels if spec.geometry.is_video else limits.max_pixels) * 3 * 4)


def _in_base64(count: int) -> int:
    return -(-count // 3) * 4 + _JSON_SLACK


@dataclass(frozen=True, slots=True)
class Layout:
    """How the latents of a request are laid out, and the images or videos that they decode to.

    Attributes:
        frames: frames of each video; None: images.
        rows: height of the latent as the model takes it, in latent pixels.
        columns: its width.
        form: `plain`: [batch, channels, height, width], with frames before the height if they are of videos. `packed`:
            [batch, patches, 4 * channels], as Flux's and other pipelines have them. `patches`: [batch, 4 * channels,
            height / 2, width / 2]. `one_frame`: latents of images with a dimension for their only frame.
    """

    frames: int | None
    rows: int
    columns: int
    form: Literal["plain", "packed", "patches", "one_frame"] = "plain"


def latent_layout(
    shape: tuple[int, ...], size: tuple[int, int] | None, spec: VaeSpec, limits: Limits, *, in_patches: bool = False
) -> Layout:
    """Check a latent's shape and return its layout. Raises RefusedError.

    `size` is the image's height and width, which only packed latents [batch, patches, 4 * channels] need. It is rounded
    down to whole patches, as FluxPipeline._unpack_latents does. `in_patches` says whether the model's pipeline keeps
    latents as patches of 2x2, so that clients may send [batch, 4 * channels, height / 2, width / 2].
    """
    geometry = spec.geometry
    channels, factor = geometry.channels, geometry.factor
    if geometry.is_video:
        return _video_layout(shape, spec, limits)
    if len(shape) == 3:
        return _packed(shape, size, spec, limits)
    if len(shape) not in {4, 5}:
        raise _wrong(
            shape,
            f"is not a latent. Send [batch, {channels}, height, width], or packed [batch, patches, {4 * channels}] "
            "with the image's height and width.",
        )
    if len(shape) == 5 and shape[2] != 1:
        raise no_video(f"shape {list(shape)} is that of a video's latent", spec)
    *_, rows, columns = shape
    is_patches = in_patches and len(shape) == 4 and shape[1] == 4 * channels
    if is_patches:
        rows, columns = 2 * rows, 2 * columns
    else:
        _check_channels(shape, shape[1], channels, "latents")
    _check_not_empty(shape)
    limits.check(shape[0], columns * factor, rows * factor)
    return Layout(None, rows, columns, "patches" if is_patches else "one_frame" if len(shape) == 5 else "plain")


def _video_layout(shape: tuple[int, ...], spec: VaeSpec, limits: Limits) -> Layout:
    geometry = spec.geometry
    if len(shape) != 5:
        raise _wrong(
            shape,
            f"is not a latent of {spec.key}, which decodes videos. Send [batch, {geometry.channels}, latent frames, "
            "height, width]; an image is a video of one frame.",
        )
    batch, channels, latent_frames, rows, columns = shape
    _check_channels(shape, channels, geometry.channels, "latents")
    _check_not_empty(shape)
    frames = spec.vae_class.video_frames(spec, latent_frames)
    limits.check(batch, columns * geometry.factor, rows * geometry.factor, frames)
    if refusal := spec.vae_class.frames_refusal(spec, frames):
        raise _wrong(shape, f"is that of {refusal}.")
    return Layout(frames, rows, columns)


def _packed(shape: tuple[int, ...], size: tuple[int, int] | None, spec: VaeSpec, limits: Limits) -> Layout:
    batch, patches, channels = shape
    geometry = spec.geometry
    _check_channels(shape, channels, 4 * geometry.channels, "packed latents")
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
    return Layout(None, 2 * rows, 2 * columns, "packed")


def is_latent(shape: tuple[int, ...], spec: VaeSpec, *, in_patches: bool = False) -> bool:
    """Whether this can be the shape of a latent of the model, or is meant to be one of a video."""
    channels = spec.geometry.channels
    if len(shape) == 3:
        return shape[2] == 4 * channels
    if len(shape) == 5:
        return shape[1] != 3
    return len(shape) == 4 and (shape[1] == channels or (in_patches and shape[1] == 4 * channels))


def is_image(shape: tuple[int, ...]) -> bool:
    """Whether this can be the shape of a batch of images or videos."""
    return len(shape) in {4, 5} and shape[1] == 3


def check_image_tensor(shape: tuple[int, ...], spec: VaeSpec, limits: Limits) -> None:
    """Check that the model can encode images or videos of this shape. Raises RefusedError.

    Images are [batch, 3, height, width], videos [batch, 3, frames, height, width].
    """
    is_video = spec.geometry.is_video
    if len(shape) == 5 and not is_video:
        raise no_video(f"shape {list(shape)} has the five dimensions of a video", spec)
    if len(shape) != (5 if is_video else 4) or shape[1] != 3:
        kind, frames_too = ("videos", "frames, ") if is_video else ("images", "")
        raise _wrong(shape, f"is not a batch of {kind}. Send [batch, 3, {frames_too}height, width].")
    _check_not_empty(shape)
    frames = shape[2] if is_video else None
    batch, *_, height, width = shape
    limits.check(batch, width, height, frames)
    for name, side in (("height", height), ("width", width)):
        if refusal := spec.side_refusal(side):
            raise _wrong(shape, f"has a wrong {name}: {refusal}.")
    if frames is not None and (refusal := spec.vae_class.frames_refusal(spec, frames)):
        raise _wrong(shape, f"has {refusal}.")


def _check_channels(shape: tuple[int, ...], channels: int, expected: int, what: str) -> None:
    if channels != expected:
        raise _wrong(shape, f"has {channels} channels; {what} of this model have {expected}.")


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


def no_video(problem: str, spec: VaeSpec) -> RefusedError:
    """Return the refusal (422) of a request that only a video model could serve."""
    return RefusedError(422, f"{problem}, but {spec.key} is a model of images. Send it to a video model.", "no_video")
