"""The image that `bench quality` begins with: from a file, or made here."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageOps, UnidentifiedImageError

from bench.errors import ConfigError, printable

#: How a picture that was made here is named in results.
SYNTHETIC = "synthetic"
_SEED = 0
_SHAPES = 24

Pixels = npt.NDArray[np.uint8]


def of(path: Path | None, width: int, height: int) -> Pixels:
    """The image of a file, or one that is made here, as (height, width, 3). Raises ConfigError."""
    return make(width, height) if path is None else read(path, width, height)


def read(path: Path, width: int, height: int) -> Pixels:
    """The image of a file as (height, width, 3): its middle in the wanted aspect, scaled by Lanczos resampling.

    It is turned as its EXIF data say. Raises ConfigError.
    """
    with _opened(path) as image:
        try:
            upright = ImageOps.exif_transpose(image).convert("RGB")
        except (OSError, SyntaxError, ValueError) as error:
            raise _unreadable(path, error) from None
    return np.asarray(ImageOps.fit(upright, (width, height), Image.Resampling.LANCZOS))


def make(width: int, height: int) -> Pixels:
    """A picture (height, width, 3) of smooth colours, sharp edges and fine texture, always the same for a size.

    It has what a VAE finds easy and hard, but it is no photograph: give one to know about photographs.
    """
    random = np.random.default_rng(_SEED)
    rows, columns = np.mgrid[0:height, 0:width] / max(width, height)
    smooth = np.stack([rows, columns, 1 - (rows + columns) / 2], axis=-1)
    picture = Image.fromarray(np.rint(smooth * 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for x, y, across, down, red, green, blue in random.random((_SHAPES, 7)):
        left, top = x * width, y * height
        box = (left, top, left + 1 + across * width / 4, top + 1 + down * height / 4)
        colour = (int(red * 255), int(green * 255), int(blue * 255))
        (draw.ellipse if across < down else draw.rectangle)(box, fill=colour)
    texture = random.normal(0, 12, (height, width, 1)) * (rows > columns)[..., np.newaxis]
    pixels: Pixels = np.clip(np.asarray(picture) + texture, 0, 255).astype(np.uint8)
    return pixels


def digest_of(pixels: Pixels) -> str:
    """The first 16 hex digits of the SHA-256 of the pixels."""
    return hashlib.sha256(pixels.tobytes()).hexdigest()[:16]


def _opened(path: Path) -> Image.Image:
    try:
        with warnings.catch_warnings():  # Pillow refuses what is twice as large as what it warns of
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(path)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> ConfigError:
    if isinstance(error, UnidentifiedImageError):
        reason = "it is not an image that Pillow knows"
    else:
        reason = getattr(error, "strerror", None) or printable(str(error), 100)
    return ConfigError(f"--image {printable(str(path), 200)}: {reason}. Give a PNG or JPEG file.")
