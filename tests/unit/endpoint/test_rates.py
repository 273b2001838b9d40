"""How long a computation will take, from what such ones took."""

from __future__ import annotations

import pytest

from bench.endpoint.rates import Rate


def of(*calls: tuple[float, float]) -> Rate:
    """A rate that learnt these seconds and costs."""
    rate = Rate()
    for seconds, cost in calls:
        rate.learn(seconds, cost)
    return rate


def test_nothing_is_known_at_first() -> None:
    assert (Rate().likely_s(1e12), Rate().least_s(1e12)) == (0.0, 0.0)


def test_a_quicker_second_call_stands_in_the_first_one_s_stead_and_means_fade() -> None:
    rate = of((60.0, 100.0), (1.0, 100.0))
    assert rate.likely_s(100.0) == pytest.approx(1.0)
    for _ in range(50):
        rate.learn(2.0, 100.0)
    assert rate.likely_s(100.0) == pytest.approx(2.0, rel=0.01)


def test_between_two_sizes_the_time_is_interpolated_and_small_calls_do_not_move_it() -> None:
    rate = of((0.02, 1e9), (2.0, 1e12))
    before = rate.likely_s(1e12)
    for _ in range(100):
        rate.learn(0.02, 1e9)
    assert rate.likely_s(1e12) == pytest.approx(before)
    assert 0.02 < rate.likely_s(3e10) < 2.0


def test_beyond_the_largest_call_time_grows_with_the_operations() -> None:
    assert of((1.0, 1e12)).likely_s(1e14) == pytest.approx(100.0)


def test_a_small_call_is_mostly_overhead_so_that_a_larger_one_may_be_four_times_as_quick_for_its_size() -> None:
    rate = of((0.01, 1e9))
    assert rate.likely_s(8e9) == pytest.approx(0.01 * 8 / 2)
    assert rate.likely_s(1e12) == pytest.approx(0.01 * 1000 / 4)
    assert rate.least_s(1e12) == pytest.approx(0.01 * 1000 / 4 / 2)


def test_the_least_time_is_half_of_the_lowest_estimate_of_all_sizes() -> None:
    # Given a large call that a neighbour slowed down tenfold, and a smaller one at its full rate
    rate = of((1.0, 1e12), (100.0, 1e13))
    assert rate.likely_s(1e13) == pytest.approx(100.0)
    assert rate.least_s(1e13) == pytest.approx(1.0 * 10 / 2)


def test_a_slow_spell_does_not_raise_the_least_time() -> None:
    rate = of((1.0, 1e12))
    for _ in range(50):
        rate.learn(30.0, 1e12)
    assert rate.likely_s(1e12) > 29
    assert rate.least_s(1e12) == pytest.approx(0.5)


def test_a_smaller_call_than_all_measured_ones_takes_its_share() -> None:
    assert of((1.0, 1e12)).likely_s(1e10) == pytest.approx(0.01)
    assert of((1.0, 1e12)).least_s(1e10) == pytest.approx(0.005)
