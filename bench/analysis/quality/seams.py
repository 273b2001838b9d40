"""The error where tiles meet, against the error elsewhere.

The definition is this program's own. diffusers starts a tile every `tile - overlap` pixels, and blends it with the tile
before over its first `overlap` pixels. A seam is such a strip and 8 px (one latent pixel of most VAEs) on either side,
which makes it 16 px wide where tiles only touch. The seam error is the root mean square of the differences inside the
strips; it is compared with that of all other pixels, because tiles also shift the colours of a whole tile: each is
normalised by its own mean and deviation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.analysis.quality.picture_error import Picture
from bench.record import Tile

_BESIDE_PX = 8


@dataclass(frozen=True, slots=True)
class SeamError:
    """The error of a tiled picture, at its seams and elsewhere.

    Attributes:
        near: root mean square of the differences at seams, from 0 to 1.
        elsewhere: the same of all other pixels.
        share: the part of the pixels that are at a seam, from 0 to 1.
    """

    near: float
    elsewhere: float
    share: float

    @property
    def ratio(self) -> float | None:
        """How many times as large the error is at seams; None if there is none elsewhere."""
        return self.near / self.elsewhere if self.elsewhere else None


def seam_error(reference: Picture, picture: Picture, tile: Tile) -> SeamError | None:
    """The error of a picture (height, width, channels) that was computed in tiles.

    None if there is no seam, or no pixel that is not at one. Raises ValueError if the shapes differ.
    """
    if reference.shape != picture.shape:
        raise ValueError(f"pictures of shapes {reference.shape} and {picture.shape} can't be compared")
    near = seams(reference.shape[0], reference.shape[1], tile)
    share = float(near.mean())
    if share in (0.0, 1.0):
        return None
    squares = np.square(picture.astype(np.float64) - reference.astype(np.float64)).mean(axis=-1)
    return SeamError(math.sqrt(float(squares[near].mean())), math.sqrt(float(squares[~near].mean())), share)


def seams(height: int, width: int, tile: Tile) -> npt.NDArray[np.bool_]:
    """Whether each pixel (height, width) is at a seam."""
    rows, columns = _strips(height, *tile.rows), _strips(width, tile.tile, tile.overlap)
    return rows[:, np.newaxis] | columns[np.newaxis, :]


def _strips(length: int, tile: int, overlap: int) -> npt.NDArray[np.bool_]:
    """Whether each pixel along a side is in the strip of a seam."""
    near = np.zeros(length, dtype=np.bool_)
    for start in range(tile - overlap, length, tile - overlap):
        near[max(start - _BESIDE_PX, 0) : start + overlap + _BESIDE_PX] = True
    return near
