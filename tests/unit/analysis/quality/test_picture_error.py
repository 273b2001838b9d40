"""PSNR and SSIM against known values and their properties, and the picture of the differences."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.quality.picture_error import amplification, difference_picture, picture_error

SIDE = 24


def noise(seed: int = 0, side: int = SIDE) -> npt.NDArray[np.float64]:
    return np.random.default_rng(seed).random((side, side, 3))


def test_a_picture_is_identical_to_itself() -> None:
    error = picture_error(noise(), noise())
    assert error.is_identical
    assert (error.psnr_db, error.ssim, error.mean, error.largest) == (math.inf, 1.0, 0.0, 0.0)


@given(difference=st.floats(min_value=1e-4, max_value=0.5))
def test_the_psnr_of_a_constant_difference_is_that_of_its_definition(difference: float) -> None:
    grey = np.full((SIDE, SIDE, 3), 0.25)
    error = picture_error(grey, grey + difference)
    assert error.psnr_db == pytest.approx(-20 * math.log10(difference))
    assert error.mean == pytest.approx(difference)
    assert not error.is_identical


def test_the_ssim_of_two_flat_pictures_is_that_of_their_means() -> None:
    # without variance only the term of luminance remains: (2 a b + C1) / (a² + b² + C1), C1 = 0.01² (Wang et al. 2004)
    first, second = 0.4, 0.6
    error = picture_error(np.full((SIDE, SIDE, 3), first), np.full((SIDE, SIDE, 3), second))
    expected = (2 * first * second + 1e-4) / (first**2 + second**2 + 1e-4)
    assert error.ssim == pytest.approx(expected)


def test_more_noise_is_a_larger_error() -> None:
    picture = noise() * 0.5 + 0.25
    errors = [picture_error(picture, picture + amount * (noise(1) - 0.5)) for amount in (0.01, 0.05, 0.2)]
    assert [error.psnr_db for error in errors] == sorted((error.psnr_db for error in errors), reverse=True)
    similarities = [error.ssim or 0.0 for error in errors]
    assert similarities == sorted(similarities, reverse=True)
    assert all(-1 <= similarity < 1 for similarity in similarities)


def test_an_error_is_the_same_both_ways() -> None:
    there, back = picture_error(noise(1), noise(2)), picture_error(noise(2), noise(1))
    assert (there.psnr_db, there.ssim) == (pytest.approx(back.psnr_db), pytest.approx(back.ssim))


def test_half_precision_keeps_small_differences() -> None:
    grey = np.full((SIDE, SIDE, 3), 0.25, dtype=np.float16)
    other = grey.copy()
    other[0, 0, 0] = np.nextafter(np.float16(0.25), np.float16(1))
    error = picture_error(grey, other)
    assert math.isfinite(error.psnr_db)
    assert error.largest == pytest.approx(2.0**-12)


def test_a_picture_smaller_than_the_window_has_no_ssim() -> None:
    error = picture_error(noise(1, side=8), noise(2, side=8))
    assert error.ssim is None
    assert math.isfinite(error.psnr_db)


@pytest.mark.parametrize("other", [np.zeros((8, SIDE, 3)), np.zeros((SIDE, SIDE))])
def test_pictures_of_other_shapes_are_refused(other: npt.NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="shapes"):
        picture_error(noise(), other)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_picture_that_is_not_finite_is_refused(value: float) -> None:
    broken = noise()
    broken[0, 0, 0] = value
    with pytest.raises(ValueError, match="not finite"):
        picture_error(noise(), broken)


@pytest.mark.parametrize(("largest", "factor"), [(0.0, 128), (0.001, 128), (0.1, 8), (0.5, 2), (0.9, 1), (1.0, 1)])
def test_differences_are_amplified_as_far_as_the_largest_allows(largest: float, factor: int) -> None:
    grey = np.zeros((SIDE, SIDE, 3))
    other = grey.copy()
    other[3, 4, 1] = largest
    error = picture_error(grey, other)
    assert amplification(error) == factor
    shown = difference_picture(grey, other, factor)
    assert shown.dtype == np.uint8
    assert shown[3, 4, 1] == round(largest * factor * 255)
    assert int(shown.sum()) == int(shown[3, 4, 1])
