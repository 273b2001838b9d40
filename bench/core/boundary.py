"""The search for the last number that a condition holds for, which need not be monotone close to that number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Boundary:
    """The last number that a condition holds for.

    Attributes:
        last: 0 if it holds for none.
        is_most: whether the search ended there, so that the condition may hold for greater numbers.
        has_gaps: whether it does not hold for some number just below.
    """

    last: int
    is_most: bool = False
    has_gaps: bool = False


def find(holds: Callable[[int], bool], guess: Callable[[], int], most: int, beside: int) -> Boundary:
    """The last number from 1 to `most` that a condition holds for.

    It is found by doubling steps from a guess, then by bisection. The `beside` numbers above it are tried too, and
    those below it, because the condition may hold or fail for a few numbers on the other side. Further away it has to
    be monotone.
    """
    if most < 1:
        return Boundary(0)
    known = cache(holds)
    if known(most):
        return Boundary(most, is_most=True)
    last = _bracketed(known, min(max(guess(), 1), most), most)
    while above := next((n for n in range(min(last + beside, most - 1), last, -1) if known(n)), 0):
        last = above
    return Boundary(last, has_gaps=not all(known(n) for n in range(max(1, last - beside), last)))


def interpolated(measure: Callable[[int], int], limit: int, at: tuple[int, int], power: int) -> int:
    """About the last number whose measure is within the limit, for a measure of the form a + b * number ** power.

    `at` are two numbers at which it is measured. 0 if the measure does not grow between them.
    """
    first, second = at
    low, high = measure(first), measure(second)
    if high <= low:
        return 0
    rise = (limit - low) / (high - low) * (second**power - first**power)
    return int(max(rise + first**power, 0) ** (1 / power))


def _bracketed(holds: Callable[[int], bool], guess: int, most: int) -> int:
    """The number that the condition holds for, and not for the next one: by doubling steps, then by halving."""
    low, high, number, step = 0, most, guess, 1
    while high - low > 1:
        if not low < number < high:
            number = (low + high) // 2
        if holds(number):
            low = number
        else:
            high = number
        is_between = low > 0 and high < most
        number = (low + high) // 2 if is_between else low + step if low else high - step
        step *= 2
    return low
