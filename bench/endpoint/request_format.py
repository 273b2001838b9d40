"""The wire protocol of diffusers' remote VAE client: parses messages into frozen requests.

Written from `diffusers/utils/remote_utils.py` (0.42) and the clients of SD.Next and ComfyUI. Parsing raises only
RefusedError, whatever a message contains.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.core.units import ITEM_BYTES
from bench.endpoint.parameters import Parameters, unwrap
from bench.wire.messages import Message, RefusedError

#: The form of a decode's result. jpeg, png: an image file; unit: float32 [B, 3, H, W] in [0, 1]; raw: the model's
#: unchanged output, [B, 3, H, W] in [-1, 1]; uint8: [B, H, W, 3]; mp4: a video file. Of videos, raw is
#: [B, 3, F, H, W], and the B of unit and uint8 counts the frames of all videos, one video after another.
Form = Literal["jpeg", "png", "unit", "raw", "uint8", "mp4"]
_IMAGE_FORMATS: dict[str, Literal["jpeg", "png"]] = {"jpg": "jpeg", "png": "png"}
_OUTPUT_TYPES = ("pil", "pt", "mp4")
_BASE64 = "tensor/base64"
_VIDEO = "video/mp4"
_ACCEPTED = {"image/jpeg", "image/jpg", "image/png", "tensor/binary", _BASE64, _VIDEO}
#: The first bytes of PNG and JPEG files.
_FILES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
#: Models use factors between 0.1 and 2.5. Without bounds a division could overflow or underflow.
_FACTORS = (1e-6, 1e6)
_SHIFTS = (-1e6, 1e6)


@dataclass(frozen=True, slots=True)
class Scaling:
    """How latents on the wire relate to the model's. `own`: use the model's factor and shift if none is given."""

    factor: float | None = None
    shift: float | None = None
    own: bool = False


@dataclass(frozen=True, slots=True)
class DecodeRequest:
    """A latent to decode. `size` is the image's height and width if the latent is packed, else None."""

    shape: tuple[int, ...]
    dtype: str
    scaling: Scaling
    form: Form
    base64: bool = False
    size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class EncodeRequest:
    """An image to encode: a tensor of `shape` and `dtype`, or an image file if those are None."""

    shape: tuple[int, ...] | None
    dtype: str | None
    scaling: Scaling
    base64: bool = False


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a message: a tensor of this shape, or (None) something else, perhaps an image file."""

    shape: tuple[int, ...] | None
    image_file: bool


def content_of(message: Message) -> Content:
    """Return a message's content, judged by its shape or its first bytes. Raises RefusedError if it can't be parsed."""
    parameters, payload = unwrap(message)
    shape = parameters.shape()
    return Content(shape, shape is None and payload.startswith(_FILES))


def decode_request(message: Message) -> tuple[DecodeRequest, bytes]:
    """Return the request and the latent's bytes, whose number is not checked here. Raises RefusedError.

    Absent parameters take the defaults of diffusers' client: `jpg`, `pil`, no post-processing, no scaling. Unknown
    parameters are ignored. So are `height` and `width` unless the latent is packed, because clients always send them,
    and send wrong ones for video.
    """
    parameters, payload = unwrap(message)
    form = _form(parameters, _accepted(message.accept))
    shape, dtype = _tensor(parameters)
    if shape is None or dtype is None:
        missing = "shape" if shape is None else "dtype"
        if shape is None and payload.startswith(_FILES):
            raise RefusedError(400, "The body is an image file. Send a latent, with its shape and dtype in the query.")
        raise RefusedError(400, f"{missing} is missing. Send the latent's shape and dtype in the query.")
    own = parameters.truth("do_scaling") is True
    scaling = _scaling(parameters, own)
    height, width = (parameters.whole(name) if len(shape) == 3 else None for name in ("height", "width"))
    size = None if height is None or width is None else (height, width)
    return DecodeRequest(shape, dtype, scaling, form, _accepted(message.accept) == _BASE64, size), payload


def encode_request(message: Message) -> tuple[EncodeRequest, bytes]:
    """Return the request and the bytes of its tensor or image file. Raises RefusedError.

    Only a tensor has a shape and dtype: diffusers' client sends no Content-Type by which to distinguish the two.
    """
    parameters, payload = unwrap(message)
    shape, dtype = _tensor(parameters)
    if (shape is None) != (dtype is None):
        missing, present = ("dtype", "shape") if dtype is None else ("shape", "dtype")
        raise RefusedError(400, f"{present} is given without {missing}. Send both for a tensor, neither for a file.")
    in_base64 = _accepted(message.accept) == _BASE64
    return EncodeRequest(shape, dtype, _scaling(parameters, own=False), in_base64), payload


def _tensor(parameters: Parameters) -> tuple[tuple[int, ...] | None, str | None]:
    return parameters.shape(), parameters.one_of("dtype", ITEM_BYTES)


def _scaling(parameters: Parameters, own: bool) -> Scaling:
    """Return the scaling. A given factor overrides `do_scaling`, which clients send only if there is no factor."""
    factor = parameters.number("scaling_factor", *_FACTORS)
    shift = parameters.number("shift_factor", *_SHIFTS)
    return Scaling(factor, shift, own and factor is None)


def _accepted(accept: str | None) -> str | None:
    """Return the media type that the client's Accept header asks for, or None if it leaves that open.

    Many HTTP libraries send a default list that includes `text/plain` (axios: `application/json, text/plain, */*`);
    diffusers' client sends `text/plain` alone if it wants a video file.
    """
    types = [part.partition(";")[0].strip().lower() for part in (accept or "").split(",")]
    known = [kind for kind in types if kind in _ACCEPTED]
    return known[0] if known else _VIDEO if types == ["text/plain"] else None


def _form(parameters: Parameters, accepted: str | None) -> Form:
    output = parameters.one_of("output_type", _OUTPUT_TYPES) or "pil"
    image_format = _IMAGE_FORMATS[parameters.one_of("image_format", _IMAGE_FORMATS) or "jpg"]
    partial = parameters.truth("partial_postprocess") is True
    if output == "mp4" or accepted == _VIDEO:
        return "mp4"
    if accepted in {"image/jpeg", "image/jpg"}:
        return "jpeg"
    if accepted == "image/png":
        return "png"
    if output == "pt":
        return "uint8" if partial else "raw"
    return image_format if accepted is None else "unit"
