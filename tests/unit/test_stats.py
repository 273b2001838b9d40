"""Median and noise of samples."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import stats

SECONDS = st.floats(min_value=1e-6, max_value=1e3)


@pytest.mark.parametrize(
    ("samples", "median"), [((3.0,), 3.0), ((3.0, 1.0, 2.0), 2.0), ((4.0, 1.0, 3.0, 2.0), 2.5), ((1.0, 1.0, 9.0), 1.0)]
)
def test_the_median_is_the_middle_sample(samples: tuple[float, ...], median: float) -> None:
    assert stats.median(samples) == median


@given(st.lists(SECONDS, min_size=1, max_size=20))
def test_the_median_lies_among_the_samples(samples: list[float]) -> None:
    assert min(samples) <= stats.median(samples) <= max(samples)


def test_noise_is_the_sample_deviation_over_the_mean() -> None:
    # given samples of mean 2 and sample variance ((1 + 0 + 1) / 2) = 1, then their noise is one half
    assert stats.noise((1.0, 2.0, 3.0)) == 0.5


def test_equal_samples_have_no_noise() -> None:
    assert stats.noise((0.05, 0.05, 0.05)) == 0


@pytest.mark.parametrize("samples", [(), (1.0,), (0.0, 0.0)])
def test_noise_that_is_not_defined_is_none(samples: tuple[float, ...]) -> None:
    assert stats.noise(samples) is None


@given(st.lists(SECONDS, min_size=2, max_size=20), st.sampled_from([0.25, 8.0]))
def test_noise_does_not_depend_on_the_unit(samples: list[float], factor: float) -> None:
    assert stats.noise([factor * sample for sample in samples]) == pytest.approx(stats.noise(samples), abs=1e-12)
