"""Where seams are, and the error there against the error elsewhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.quality.seams import seam_error, seams
from bench.record import Tile

TILE = Tile(tile=512, overlap=128)


def test_a_seam_is_where_a_tile_is_blended_with_the_one_before() -> None:
    # tiles begin at 0, 384 and 768
    near = seams(1024, 1024, TILE)
    columns = np.flatnonzero(near[0])
    assert columns.tolist() == [*range(376, 520), *range(760, 904)]
    assert (near == near.T).all()


def test_tiles_that_only_touch_have_seams_too() -> None:
    near = seams(64, 128, Tile(tile=64, overlap=0))
    assert np.flatnonzero(near[0]).tolist() == list(range(56, 72))


def test_rows_have_seams_of_their_own() -> None:
    near = seams(300, 100, Tile(tile=200, overlap=0, height=100, overlap_height=20))
    assert not near[:72].any()
    assert near[72:108].all()


def test_an_error_at_seams_alone_is_all_near_them() -> None:
    grey = np.full((1024, 1024, 3), 0.5)
    near = seams(1024, 1024, TILE)
    error = seam_error(grey, grey + 0.1 * near[..., np.newaxis], TILE)
    assert error is not None
    assert error.near == pytest.approx(0.1)
    assert error.elsewhere == 0
    assert error.ratio is None
    assert error.share == pytest.approx(near.mean())


@given(difference=st.floats(min_value=1e-3, max_value=0.5))
def test_an_error_that_is_the_same_everywhere_has_no_seams(difference: float) -> None:
    grey = np.full((128, 128, 3), 0.25)
    error = seam_error(grey, grey + difference, Tile(tile=64, overlap=16))
    assert error is not None
    assert error.ratio == pytest.approx(1)
    assert error.near == pytest.approx(difference)


def test_identical_pictures_have_no_error_anywhere() -> None:
    picture = np.random.default_rng(0).random((128, 128, 3))
    error = seam_error(picture, picture.copy(), Tile(tile=64, overlap=16))
    assert error is not None
    assert (error.near, error.elsewhere, error.ratio) == (0, 0, None)


def test_both_errors_make_up_that_of_the_picture() -> None:
    first, second = (np.random.default_rng(seed).random((128, 96, 3)) for seed in (1, 2))
    error = seam_error(first, second, Tile(tile=64, overlap=16))
    assert error is not None
    squares = error.share * error.near**2 + (1 - error.share) * error.elsewhere**2
    assert math.isclose(squares, float(np.square(first - second).mean()))


@pytest.mark.parametrize("tile", [Tile(tile=256, overlap=0), Tile(tile=32, overlap=24)])
def test_without_seams_or_with_nothing_else_there_is_no_seam_error(tile: Tile) -> None:
    picture = np.zeros((128, 128, 3))
    assert seam_error(picture, picture, tile) is None


def test_pictures_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="shapes"):
        seam_error(np.zeros((8, 8, 3)), np.zeros((8, 16, 3)), TILE)
