"""The search for the last number that a condition holds for."""

from __future__ import annotations

import pytest

from bench.core.boundary import Boundary, find, interpolated


@pytest.mark.parametrize("last", [1, 2, 37, 98, 99])
@pytest.mark.parametrize("guess", [-5, 0, 1, 36, 40, 99, 10_000])
def test_the_last_number_is_found_from_any_guess(last: int, guess: int) -> None:
    assert find(lambda number: number <= last, lambda: guess, most=100, beside=2) == Boundary(last)


def test_no_number_and_every_number() -> None:
    assert find(lambda number: False, lambda: 50, most=100, beside=2) == Boundary(0)
    assert find(lambda number: True, lambda: 50, most=100, beside=2) == Boundary(100, is_most=True)
    assert find(lambda number: True, lambda: 50, most=0, beside=2) == Boundary(0)


def test_the_guess_is_not_needed_where_the_greatest_number_holds() -> None:
    def refuse() -> int:
        raise AssertionError

    assert find(lambda number: True, refuse, most=100, beside=2).is_most


@pytest.mark.parametrize("guess", [1, 20, 42, 90])
def test_a_number_beside_the_boundary_counts_and_the_gap_is_told(guess: int) -> None:
    # Given a condition that fails at 41 and holds again at 42
    holds = {*range(1, 41), 42}
    # Then 42 is the last, from whichever side it is reached
    assert find(holds.__contains__, lambda: guess, most=100, beside=2) == Boundary(42, has_gaps=True)


def test_a_gap_further_below_is_not_looked_for() -> None:
    assert find({*range(1, 30), *range(31, 41)}.__contains__, lambda: 40, most=100, beside=2) == Boundary(40)


def test_a_boundary_takes_few_trials() -> None:
    tried: list[int] = []

    def holds(number: int) -> bool:
        tried.append(number)
        return number <= 700

    assert find(holds, lambda: 690, most=1000, beside=2).last == 700
    assert len(tried) == len(set(tried)) <= 14


@pytest.mark.parametrize("limit", [5, 1_000, 123_456])
def test_a_polynomial_is_interpolated_exactly(limit: int) -> None:
    def measure(number: int) -> int:
        return 3 + 7 * number**2

    last = interpolated(measure, limit, (10, 20), power=2)
    assert measure(last) <= limit or last == 0
    assert measure(last + 2) > limit


def test_what_does_not_grow_gives_no_guess() -> None:
    assert interpolated(lambda number: 5, 100, (1, 2), power=2) == 0
