"""Median, its interval, noise, outliers and what is said of them."""

from __future__ import annotations

import math
import random
from math import comb

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core import stats

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


@pytest.mark.parametrize("samples", [(), (1.0,)])
def test_noise_that_is_not_defined_is_none(samples: tuple[float, ...]) -> None:
    assert stats.noise(samples) is None


@given(st.lists(SECONDS, min_size=2, max_size=20), st.sampled_from([0.25, 8.0]))
def test_noise_does_not_depend_on_the_unit(samples: list[float], factor: float) -> None:
    assert stats.noise([factor * sample for sample in samples]) == pytest.approx(stats.noise(samples), abs=1e-12)


# The interval of the median


@pytest.mark.parametrize(
    ("count", "low", "high"), [(6, 1, 6), (8, 1, 8), (9, 2, 8), (10, 2, 9), (20, 6, 15), (100, 40, 61)]
)
def test_the_interval_is_of_the_tabled_ranks(count: int, low: int, high: int) -> None:
    # given samples that are their own ranks; the ranks are those of published tables of the sign interval at 95%
    samples = random.Random(1).sample(range(1, count + 1), count)

    assert stats.interval([float(sample) for sample in samples]) == (low, high)


@pytest.mark.parametrize("count", range(6))
def test_under_six_samples_there_is_no_interval_at_95_per_cent(count: int) -> None:
    assert stats.interval([1.0] * count) is None


@pytest.mark.parametrize("count", [6, 7, 11, 25, 64, 333, 999, 1000, 1500])
def test_the_ranks_are_the_narrowest_that_keep_the_confidence(count: int) -> None:
    low, high = stats.interval([float(rank) for rank in range(1, count + 1)])
    rank = int(low)

    # then the chance that the median lies below the lower end is at most 2.5%, and one rank further up it is not
    assert high == count + 1 - rank
    assert sum(comb(count, k) for k in range(rank)) / 2**count <= 0.025
    assert sum(comb(count, k) for k in range(rank + 1)) / 2**count > 0.025


def test_the_interval_holds_the_median_as_often_as_it_says() -> None:
    # given 2,000 rows of 15 samples from a skewed distribution whose median is 1
    draw = random.Random(7)
    rows = ([draw.lognormvariate(0, 0.5) for _ in range(15)] for _ in range(2000))
    held = sum(low <= 1 <= high for low, high in map(stats.interval, rows))

    assert 0.95 <= held / 2000 <= 0.98


# Percentiles


@given(st.lists(SECONDS, min_size=1, max_size=30), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_percentiles_are_those_of_numpy(samples: list[float], q: float) -> None:
    assert stats.percentile(samples, q) == pytest.approx(float(numpy.quantile(samples, q)), rel=1e-9)


def test_a_percentile_lies_between_its_neighbours() -> None:
    assert stats.percentile([10.0, 20.0, 30.0], 0.75) == 25.0


@pytest.mark.parametrize("count", [6, 9, 20, 100])
def test_the_interval_of_the_50th_percentile_is_that_of_the_median(count: int) -> None:
    samples = [float(rank) for rank in range(count)]
    assert stats.percentile_interval(samples, 0.5) == stats.interval(samples)


@pytest.mark.parametrize(("q", "fewest"), [(0.5, 6), (0.9, 36), (0.95, 72), (0.99, 368)])
def test_a_percentile_has_an_interval_once_there_are_enough_samples(q: float, fewest: int) -> None:
    # 368: the first n for which 0.99 ** n, the chance that no sample is above the 99th percentile, is under 2.5%
    assert stats.percentile_interval([1.0] * (fewest - 1), q) is None
    assert stats.percentile_interval([1.0] * fewest, q) == (1.0, 1.0)
    assert q**fewest <= 0.025 < q ** (fewest - 1)


def test_the_interval_holds_the_percentile_as_often_as_it_says() -> None:
    draw = numpy.random.default_rng(5)
    true = -math.log(0.1)  # the 90th percentile of an exponential
    rows = [stats.percentile_interval(list(draw.exponential(size=60)), 0.9) for _ in range(800)]
    held = sum(row is not None and row[0] <= true <= row[1] for row in rows)
    assert 0.935 <= held / 800 <= 0.99


def test_no_samples_have_no_interval() -> None:
    assert stats.percentile_interval([], 0.9) is None


# Uncertainty


def test_the_uncertainty_is_half_the_interval_over_the_median() -> None:
    assert stats.uncertainty([0.24, 0.25, 0.25, 0.25, 0.25, 0.26]) == pytest.approx(0.04)


@pytest.mark.parametrize("samples", [(), (1.0,) * 5, (0.0,) * 6])
def test_too_few_samples_or_a_median_of_nothing_have_no_uncertainty(samples: tuple[float, ...]) -> None:
    assert stats.uncertainty(samples) is None


# Outliers


def test_a_sample_far_from_the_others_is_an_outlier() -> None:
    assert stats.outliers([1.0, 1.01, 0.99, 1.02, 3.0, 0.98]) == (4,)


def test_a_sample_beside_equal_ones_is_an_outlier_only_if_it_matters() -> None:
    # given samples whose median absolute deviation is nothing
    assert stats.outliers([1.0, 1.0, 1.0, 1.0, 1.01, 1.0]) == ()
    assert stats.outliers([1.0, 1.0, 1.0, 1.0, 1.02, 1.0]) == (4,)


@pytest.mark.parametrize("samples", [(), (1.0,), (1.0, 9.0), (1.0, 1.01, 0.99, 1.0, 9.0), (0.0,) * 6, (1.0,) * 6])
def test_too_few_or_equal_samples_have_no_outliers(samples: tuple[float, ...]) -> None:
    assert stats.outliers(samples) == ()
    assert stats.warnings(samples) == ()


@given(st.lists(SECONDS, min_size=6, max_size=20))
def test_fewer_than_half_of_the_samples_are_outliers(samples: list[float]) -> None:
    assert len(stats.outliers(samples)) < len(samples) / 2


def test_a_slow_first_sample_has_a_message_of_its_own_that_says_what_to_do() -> None:
    (said,) = stats.warnings([2.5, 1.0, 1.01, 0.99, 1.0, 1.0])

    assert "slow start" in said
    assert "2.5 times" in said
    assert "repeats" in said


def test_other_outliers_are_counted_with_the_worst_and_what_to_do() -> None:
    (said,) = stats.warnings([1.0, 1.01, 4.0, 0.99, 1.0, 3.0, 1.0])

    assert "2 of 7" in said
    assert "4.0 times" in said
    assert "--fresh" in said


def test_a_slow_start_and_other_outliers_are_both_said() -> None:
    assert len(stats.warnings([2.5, 1.0, 1.01, 4.0, 0.99, 1.0, 1.0])) == 2


def test_a_first_sample_that_is_too_quick_is_no_slow_start() -> None:
    (said,) = stats.warnings([0.1, 1.0, 1.01, 0.99, 1.0, 1.0])

    assert "1 of 6 samples" in said
    assert "slow start" not in said


@pytest.mark.parametrize(("last", "places"), [(114.8, ()), (114.9, (6,)), (85.2, ()), (85.1, (6,))])
def test_an_outlier_has_a_modified_z_score_above_ten(last: float, places: tuple[int, ...]) -> None:
    # given samples whose median is 100 and whose median absolute deviation is 1: a score of 10 is 14.826 away
    assert stats.outliers([99.0, 100.0, 101.0, 99.0, 100.0, 101.0, last]) == places


@pytest.mark.parametrize(("odd", "places"), [(1.0148, ()), (1.0149, (4,)), (0.9852, ()), (0.9851, (4,))])
def test_beside_equal_samples_an_outlier_is_one_and_a_half_per_cent_away(odd: float, places: tuple[int, ...]) -> None:
    assert stats.outliers([1.0, 1.0, 1.0, 1.0, odd, 1.0]) == places


def test_the_furthest_outlier_may_be_a_quick_one() -> None:
    (warning,) = stats.warnings([1.0, 1.01, 0.99, 1.0, 1.0, 0.2, 1.5])

    assert "2 of 7" in warning
    assert "0.2 times" in warning


def test_a_slow_first_sample_is_not_counted_among_the_others() -> None:
    _, others = stats.warnings([2.5, 1.0, 1.01, 4.0, 0.99, 1.0, 1.0])

    assert "1 of 7" in others
