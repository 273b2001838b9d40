"""The error of a picture against its reference: PSNR, SSIM and a picture of the differences.

Pictures are arrays (height, width, channels) of values from 0 to 1, not rounded to the 256 levels of an image file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.floating]

#: The edge in pixels of SSIM's window; smaller pictures have no SSIM.
_WINDOW_PX = 11
#: The factors by which differences may be amplified, so that a picture of small ones is not black.
_AMPLIFICATIONS = (1, 2, 4, 8, 16, 32, 64, 128)


@dataclass(frozen=True, slots=True)
class PictureError:
    """The error of one picture.

    Attributes:
        psnr_db: peak signal-to-noise ratio, 10 log10(1 / mean squared error) dB; infinite for identical pictures.
        ssim: structural similarity of Wang et al. 2004 (Gaussian window of 11 px with sigma 1.5), the mean over the
            picture and its channels; 1 for identical pictures; None if a side is shorter than the window.
        mean: mean absolute difference, from 0 to 1.
        largest: largest absolute difference, from 0 to 1.
    """

    psnr_db: float
    ssim: float | None
    mean: float
    largest: float

    @property
    def is_identical(self) -> bool:
        """Whether both pictures are the same in every value."""
        return self.largest == 0


def picture_error(reference: Picture, picture: Picture) -> PictureError:
    """The error of a picture.

    Raises ValueError if the shapes differ, or if a value is not finite.
    """
    reference, picture = _checked(reference, picture)
    difference = np.abs(picture - reference)
    largest = float(difference.max())
    if largest == 0:
        return PictureError(math.inf, 1.0, 0.0, 0.0)
    from skimage import metrics  # noqa: PLC0415 - scikit-image comes with the extra `measure`

    has_ssim = min(reference.shape[:2]) >= _WINDOW_PX
    ssim = metrics.structural_similarity(
        reference,
        picture,
        data_range=1.0,
        channel_axis=-1,
        gaussian_weights=True,  # with these three, as in the paper
        sigma=1.5,
        use_sample_covariance=False,
    ) if has_ssim else None  # fmt: skip
    return PictureError(
        psnr_db=float(metrics.peak_signal_noise_ratio(reference, picture, data_range=1.0)),
        ssim=None if ssim is None else float(ssim),
        mean=float(difference.mean()),
        largest=largest,
    )


def amplification(error: PictureError) -> int:
    """The power of 2, up to 128, by which the differences can be amplified without clipping the largest."""
    return max(factor for factor in _AMPLIFICATIONS if factor == 1 or factor * error.largest <= 1)


def difference_picture(reference: Picture, picture: Picture, factor: int) -> npt.NDArray[np.uint8]:
    """The absolute differences times `factor`, clipped, in 256 levels: black where the pictures are the same."""
    reference, picture = _checked(reference, picture)
    levels: npt.NDArray[np.uint8] = np.rint(np.clip(np.abs(picture - reference) * factor, 0, 1) * 255).astype(np.uint8)
    return levels


def _checked(reference: Picture, picture: Picture) -> tuple[Picture, Picture]:
    """Both pictures in double precision: squares of small differences vanish in half precision."""
    if reference.shape != picture.shape or reference.ndim != 3:
        raise ValueError(f"pictures of shapes {reference.shape} and {picture.shape} can't be compared")
    if not (np.isfinite(reference).all() and np.isfinite(picture).all()):
        raise ValueError("a picture has values that are not finite")
    return reference.astype(np.float64), picture.astype(np.float64)
