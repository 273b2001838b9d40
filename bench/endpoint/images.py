"""Reads and writes image files, only PNG and JPEG, and checks them before decoding.

Uses Pillow and diffusers' own image processor. Runs on codec threads.
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from diffusers.image_processor import VaeImageProcessor
from PIL import Image, UnidentifiedImageError

from bench.endpoint.shapes import Limits
from bench.wire.messages import RefusedError

Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
#: Pillow's options for each form. diffusers' documentation names no quality for `jpg`; at 95 Pillow's artefacts are
#: smaller than the VAE's own loss. The quickest level of PNG takes a third of the time for 5% more bytes.
FILES = {"jpeg": {"quality": 95}, "png": {"compress_level": 1}}
_SMALLEST_SIDE = 8
#: Each scan of a progressive JPEG costs a pass over the whole image but few bytes. Encoders use about ten.
_MOST_SCANS = 100
#: Each chunk of a PNG costs an iteration in Pillow. The largest image in libpng's chunks of 8 KiB has fewer.
_MOST_CHUNKS = 65_536
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
#: `Limits` replaces Pillow's limit, and is checked before anything is decoded.
Image.MAX_IMAGE_PIXELS = None
#: Exceptions that Pillow's readers are known to raise for broken or hostile files.
_BROKEN = (
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, AttributeError, AssertionError, ArithmeticError),
    *(LookupError, RuntimeError, struct.error, zlib.error, Warning),
)


def read(payload: bytes, limits: Limits, factor: int) -> Pixels:
    """Return the RGB pixels [1, height, width, 3] of a PNG or JPEG file, with sides that are multiples of `factor`.

    Other sides are resized to the next lower multiple by diffusers' VaeImageProcessor (Lanczos resampling), as in a
    local pipeline. Transparency is dropped, as by its `convert_to_rgb`. Of 16-bit gray the upper 8 bits are kept,
    because Pillow's own conversion would clip all but the darkest pixels to white. Raises RefusedError; checks the
    size before decoding anything.
    """
    _check_effort(payload)
    try:
        with Image.open(io.BytesIO(payload), formats=("PNG", "JPEG")) as image:
            width, height = image.size
            limits.check(1, width, height)
            if min(image.size) < _SMALLEST_SIDE:
                text = f"The image has {width}x{height} px. Each side must have at least {_SMALLEST_SIDE} px."
                raise RefusedError(400, text)
            image.load()
            return _rgb(image, factor)
    except UnidentifiedImageError:
        raise RefusedError(
            400,
            f"The body ({len(payload)} bytes) is not a PNG or JPEG file. To send an image tensor, put its shape and "
            "dtype into the query.",
        ) from None
    except _BROKEN as error:
        raise RefusedError(400, f"The image can't be read: {type(error).__name__}: {str(error)[:100]}.") from None


def _check_effort(payload: bytes) -> None:
    """Refuse files that would take far longer to read than their size suggests."""
    if payload.startswith(b"\xff\xd8") and payload.count(b"\xff\xda") > _MOST_SCANS:
        raise RefusedError(400, f"The JPEG has more than {_MOST_SCANS} scans. Save it with fewer.")
    if not payload.startswith(_PNG_MAGIC):
        return
    position = len(_PNG_MAGIC)
    for _ in range(_MOST_CHUNKS):
        if position + 12 > len(payload):
            return
        position += 12 + int.from_bytes(payload[position : position + 4], "big")
    raise RefusedError(400, f"The PNG has more than {_MOST_CHUNKS} chunks. Save it with fewer.")


def _rgb(image: Image.Image, factor: int) -> Pixels:
    processor = VaeImageProcessor(vae_scale_factor=factor, do_convert_rgb=True)
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    height, width = processor.get_default_height_width(image)
    resized = processor.resize(image, height, width)
    return np.array(processor.convert_to_rgb(resized))[None]


def write(pixels: Pixels, form: str) -> bytes:
    """Return the image file of uint8 pixels [height, width, 3]. `form` is a key of FILES."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **FILES[form])
    return buffer.getvalue()
