"""Two-sided statistics: against scipy's and textbooks' figures, and answers for whatever finite input."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, ttest_ind

from bench.core import significance

TIMES = st.lists(st.floats(min_value=0, allow_nan=False, allow_infinity=False), min_size=1, max_size=12)
FEW = st.lists(st.sampled_from([0.0, 5e-324, 1.0, 1.0000000000000002, 2.0, 1.7e308]), min_size=2, max_size=7)


def mann_whitney(base: Sequence[float], head: Sequence[float]) -> float:
    """The p of one pair of sides."""
    return significance.mann_whitney_each([(base, head)])[0]


def _samples(seed: int, count: int, centre: float = 1.0) -> list[float]:
    draw = random.Random(seed)
    return [centre * (1 + draw.gauss(0, 0.01)) for _ in range(count)]


def _p(base: Sequence[float], head: Sequence[float]) -> float:
    return significance.mann_whitney_each([(base, head)])[0]


@pytest.mark.parametrize("counts", [(4, 4), (5, 30), (20, 20)])
def test_mann_whitney_is_scipy_s(counts: tuple[int, int]) -> None:
    base, head = _samples(1, counts[0]), _samples(2, counts[1])
    assert _p(base, head) == mannwhitneyu(base, head).pvalue


@pytest.mark.parametrize(("count", "p"), [(3, 2 / 20), (4, 2 / 70), (5, 2 / 252), (8, 2 / 12870)])
def test_the_least_p_is_that_of_the_one_arrangement_in_which_the_sides_are_apart(count: int, p: float) -> None:
    assert significance.least_p(count, count) == pytest.approx(p)


def test_sides_that_are_apart_have_the_least_p_also_with_ties_inside() -> None:
    # given samples of a coarse clock, which scipy would give the normal approximation, p = 0.002 at least
    assert _p((1.0,) * 7, (2.0,) * 7) == significance.least_p(7, 7)


@pytest.mark.parametrize(("base", "head"), [((1.0,) * 5, (1.0,) * 5), ((), (1.0,)), ((1.0,), ()), ((), ())])
def test_nothing_is_shown_by_equal_samples_or_by_none(base: tuple[float, ...], head: tuple[float, ...]) -> None:
    assert _p(base, head) == 1.0


@pytest.mark.parametrize(("counts", "spread", "pooled"), [((5, 5), 1, False), ((4, 12), 1, True), ((4, 12), 9, False)])
def test_of_welch_s_and_the_pooled_t_the_more_careful_one_counts(
    counts: tuple[int, int], spread: float, pooled: bool
) -> None:
    # given medians of runs whose logarithms have the same spread on both sides, or a wider one in the shorter side
    base = [math.exp(spread * 0.01 * (n / (counts[0] - 1) - 0.5)) for n in range(counts[0])]
    head = [math.exp(0.05 + 0.01 * (n / (counts[1] - 1) - 0.5)) for n in range(counts[1])]
    # when they are tested
    found = significance.t_test(base, head)
    # then p is the greater and the interval the wider of scipy's two, on logarithms
    both = [
        ttest_ind([math.log(v) for v in head], [math.log(v) for v in base], equal_var=equal) for equal in (False, True)
    ]
    assert found.p == pytest.approx(max(one.pvalue for one in both))
    wider = max((one.confidence_interval(0.95) for one in both), key=lambda ends: ends.high - ends.low)
    assert found.interval == pytest.approx([math.expm1(end) for end in wider])
    if not pooled:
        assert found.p == pytest.approx(both[0].pvalue)


def test_the_t_test_is_no_more_than_the_pooled_one_where_few_runs_happen_to_agree() -> None:
    # given four runs that happen to lie closer together than twelve others: Welch's alone would be surer
    base, head = [1.0, 1.0001, 1.0002, 1.0003], [1.02 + 0.01 * n for n in range(-5, 7)]
    welch = ttest_ind([math.log(v) for v in head], [math.log(v) for v in base], equal_var=False)
    assert significance.t_test(base, head).p > 2 * welch.pvalue


@pytest.mark.parametrize(("head", "p"), [((2.0,) * 3, 0.0), ((1.0,) * 3, 1.0)])
def test_sides_that_do_not_vary_are_equal_or_not(head: tuple[float, ...], p: float) -> None:
    assert significance.t_test((1.0,) * 3, head) == significance.TTest(p, None)
    assert significance.constant((1.0,) * 3, head)


def test_the_t_test_takes_zeros_and_then_has_no_interval() -> None:
    found = significance.t_test((0.0, 0.0, 1.0), (8.0, 9.0, 10.0))
    assert 0 < found.p < 0.05
    assert found.interval is None


@pytest.mark.parametrize(
    ("share", "limit", "exceeds", "reaches"),
    [
        (1050 / 1000 - 1, 0.05, False, True),  # 0.050000000000000044
        (1.02 / 1 - 1, 0.02, False, True),
        (1.1 / 1 - 1, 0.1, False, True),
        (57 / 50 - 1, 0.14, False, True),  # 0.1399999999999999
        (0.050001, 0.05, True, True),
        (0.049999, 0.05, False, False),
        (1e-12, 0.0, True, True),
        (0.0, 0.0, False, True),
        (math.inf, 9.0, True, True),
    ],
)
def test_a_share_that_is_the_limit_but_for_the_last_bits_is_the_limit(
    share: float, limit: float, exceeds: bool, reaches: bool
) -> None:
    assert (significance.exceeds(share, limit), significance.reaches(share, limit)) == (exceeds, reaches)


def test_the_interval_joins_the_arms_of_both_sides() -> None:
    # given ten samples a side: ranks 2 and 9 are the ends of each side's own interval
    base, head = [float(n) for n in range(10, 20)], [float(n) for n in range(20, 30)]
    # when they are joined
    low, high = significance.interval(base, head) or (0.0, 0.0)
    # then by Zou and Donner's formula on logarithms
    d = math.log(24.5 / 14.5)
    assert math.log1p(low) == pytest.approx(d - math.hypot(math.log(24.5 / 21), math.log(18 / 14.5)))
    assert math.log1p(high) == pytest.approx(d + math.hypot(math.log(28 / 24.5), math.log(14.5 / 11)))


@pytest.mark.parametrize(("base", "head"), [([1.0] * 5, [1.0] * 9), ([0.0, *[1.0] * 5], [1.0] * 6), ([], [1.0] * 9)])
def test_there_is_no_interval_of_few_samples_or_zeros(base: list[float], head: list[float]) -> None:
    assert significance.interval(base, head) is None


def test_the_interval_holds_the_true_change_as_often_as_it_says() -> None:
    # given 400 pairs of sides whose true change is 4%
    pairs = [(_samples(n, 20), _samples(-n - 1, 20, centre=1.04)) for n in range(400)]
    # then 95 in 100 of their intervals hold it or more; order statistics err on the safe side
    ends = [significance.interval(base, head) or (0.0, 0.0) for base, head in pairs]
    assert 0.93 < sum(low <= 0.04 <= high for low, high in ends) / 400 <= 1


@pytest.mark.parametrize(
    ("base", "head", "change"),
    [(2.0, 3.0, 0.5), (2.0, 0.0, -1.0), (0.0, 0.0, 0.0), (0.0, 1.0, None), (-1.0, 1.0, None), (5e-324, 1e308, None)],
)
def test_the_change_is_relative_to_a_base_above_zero(base: float, head: float, change: float | None) -> None:
    assert significance.change(base, head) == change


def test_holm_steps_down_and_never_decreases() -> None:
    # Holm (1979): 0.01 x 4, 0.013 x 3 (not below the one before), 0.03 x 2, 0.6
    assert significance.holm([0.03, 0.01, 0.6, 0.013]) == pytest.approx((0.06, 0.04, 0.6, 0.04))
    assert significance.holm([]) == ()


@pytest.mark.parametrize(
    ("least", "within"),
    [
        ([0.02], [True]),
        ([0.1], [False]),
        ([0.0286] * 40, [False] * 40),  # four samples a side: one case could be tested, forty can't
        ([0.0] * 2 + [0.02] * 38, [True] * 2 + [False] * 38),
        ([1e-9] * 40, [True] * 40),
        ([], []),
    ],
)
def test_a_case_that_can_t_be_shown_does_not_weigh_on_the_others(least: list[float], within: list[bool]) -> None:
    assert list(significance.within_reach(least, 0.05)) == within


@given(st.lists(st.floats(min_value=0, max_value=1), max_size=30))
def test_each_tested_case_could_be_shown_among_all_tested(least: list[float]) -> None:
    within = significance.within_reach(least)
    assert all(p < significance.ALPHA / sum(within) for p, one in zip(least, within, strict=True) if one)


@pytest.mark.parametrize(("cases", "samples"), [(1, 4), (40, 7)])
def test_the_samples_needed_are_enough_for_all_cases(cases: int, samples: int) -> None:
    assert significance.samples_needed(cases) == samples


def test_the_geometric_mean_of_a_half_and_two_is_one() -> None:
    assert significance.geometric_mean([0.5, 2.0]) == pytest.approx(1)
    assert significance.geometric_mean([]) is None


@pytest.mark.filterwarnings("error")
@given(TIMES | FEW, TIMES | FEW)
def test_any_finite_times_have_a_finite_answer(base: list[float], head: list[float]) -> None:
    assert math.isfinite(significance.middle(base))
    assert 0 <= _p(base, head) <= 1
    ends = significance.interval(base, head)
    if min(len(base), len(head)) >= 2:
        found = significance.t_test(base, head)
        assert 0 <= found.p <= 1
        ends = (*(ends or ()), *(found.interval or ()))
    assert all(math.isfinite(end) for end in ends or ())


def test_scipy_is_not_loaded_before_it_is_needed() -> None:
    code = "import sys, bench.cli, bench.commands.compare, bench.analysis.compare; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("ratio_log", "has_interval"), [(600, True), (690, True), (709, False), (1000, False), (-1000, True)]
)
def test_an_interval_whose_end_is_no_finite_number_is_left_out(ratio_log: float, has_interval: bool) -> None:
    # given two sides that hardly vary, and whose ratio is e to that power
    base = [math.exp(-ratio_log / 2) * factor for factor in (1.0, 1.001, 0.999, 1.0005)]
    head = [math.exp(ratio_log / 2) * factor for factor in (1.0, 1.001, 0.999, 1.0005)]

    # when they are tested
    tested = significance.t_test(base, head)

    # then the change is shown, and its interval has two finite ends or is left out
    assert tested.p < 1e-6
    assert (tested.interval is not None) == has_interval
    assert tested.interval is None or all(map(math.isfinite, tested.interval))


def test_a_median_whose_sum_would_overflow_is_finite() -> None:
    assert significance.middle([1.5e308, 1.7e308]) == 1.6e308
    assert significance.middle([1.0, 1.5e308, 1.7e308, 1.7e308]) == 1.6e308


@pytest.mark.parametrize(
    ("base", "head", "apart"),
    [([1, 2], [3, 4], True), ([3, 4], [1, 2], True), ([1, 3], [3, 4], False), ([3, 4], [1, 3], False)],
)
def test_sides_are_apart_if_no_value_is_shared_or_between(base: list[float], head: list[float], apart: bool) -> None:
    assert significance.separated(base, head) is apart


def test_a_geometric_mean_of_nothing_is_none() -> None:
    assert significance.geometric_mean([]) is None


def test_pairs_tested_together_have_the_p_that_each_has_alone() -> None:
    # given pairs of several sizes, with ties, apart, equal and empty
    pairs = [((1.0, 3.0, 5.0), (2.0, 4.0, 6.0)), ((1.0, 3.0, 4.5), (2.0, 4.0, 0.5)), ((1.0, 2.0), (2.0, 3.0))]
    pairs += [((1.0, 2.0, 3.0), (4.0, 5.0, 6.0)), ((1.0,), (1.0,)), ((), (1.0,))]

    assert significance.mann_whitney_each(pairs) == [_p(*pair) for pair in pairs]
    assert significance.mann_whitney_each([]) == []
