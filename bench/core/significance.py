"""Statistics of two sides: tests, their correction for many cases, and the interval of a change.

Functions import scipy when they need it, so that `bench --help`, `bench run` and the worker do
not load it. For any finite input the result is a number, never NaN, and scipy never raises.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from bench.core import stats

#: Accepted chance of at least one false alarm among all cases of a metric if nothing has changed.
ALPHA = 0.05
#: A t test needs the variance of each side; three values say almost nothing about it.
LEAST_RUNS = 4
#: Relative difference up to which two shares count as equal: 1050 / 1000 - 1 is slightly more than 0.05.
_SAME = 1e-9
#: Size of the smaller side up to which the exact distribution of U is used if there are no ties: scipy's own bound.
_EXACT_UP_TO = 8


def middle(values: Sequence[float]) -> float:
    """The median of at least one finite value; finite even if the sum of the two middle values overflows."""
    median = stats.median(values)
    if math.isfinite(median):
        return median
    ordered = sorted(values)
    return ordered[len(ordered) // 2 - 1] / 2 + ordered[len(ordered) // 2] / 2


def change(base: float, head: float) -> float | None:
    """`head / base - 1`; 0 if equal, None if `base` is not above zero or the ratio is not finite."""
    if base == head:
        return 0.0
    ratio = head / base if base > 0 else math.inf
    return ratio - 1 if math.isfinite(ratio) else None


def exceeds(share: float, limit: float) -> bool:
    """Whether a share is above a limit by more than rounding errors."""
    return share > limit and not math.isclose(share, limit, rel_tol=_SAME)


def reaches(share: float, limit: float) -> bool:
    """Whether a share is at least the limit, rounding errors aside."""
    return share >= limit or math.isclose(share, limit, rel_tol=_SAME)


def separated(base: Sequence[float], head: Sequence[float]) -> bool:
    """Whether every value of one side is beyond every value of the other. Neither side is empty."""
    return max(base) < min(head) or max(head) < min(base)


def mann_whitney_each(pairs: Sequence[tuple[Sequence[float], Sequence[float]]]) -> list[float]:
    """The two-sided p of the Mann-Whitney U test for each pair: could its sides be draws from one distribution?

    Exact if the smaller side has up to 8 values and no two values are equal, otherwise the normal approximation with
    its corrections for ties and continuity. Separated sides have the smallest possible p, with or without ties inside a
    side. p = 1 if all values are equal or a side is empty. Pairs of equal sizes and method share one call of scipy.
    """
    p_of: dict[int, float] = {}
    batches: dict[tuple[int, int, bool], list[int]] = {}
    for place, (base, head) in enumerate(pairs):
        together = [*base, *head]
        if not base or not head or min(together) == max(together):
            p_of[place] = 1.0
        elif separated(base, head):
            p_of[place] = least_p(len(base), len(head))
        else:
            ties = len(set(together)) < len(together)
            batches.setdefault((len(base), len(head), ties), []).append(place)
    for (_, _, ties), places in batches.items():
        bases, heads = ([list(pairs[place][side]) for place in places] for side in (0, 1))
        p_of |= zip(places, _mann_whitney(bases, heads, ties=ties), strict=True)
    return [p_of[place] for place in range(len(pairs))]


@cache
def least_p(base_count: int, head_count: int) -> float:
    """The smallest p that `mann_whitney_each` can return for these numbers of values; 1 for an empty side."""
    if not base_count or not head_count:
        return 1.0
    if min(base_count, head_count) <= _EXACT_UP_TO:  # two of all orders of the values have the sides apart
        return min(1.0, 2 / math.comb(base_count + head_count, base_count))
    return _mann_whitney([range(base_count)], [range(base_count, base_count + head_count)], ties=False)[0]


def _mann_whitney(bases: Sequence[Sequence[float]], heads: Sequence[Sequence[float]], *, ties: bool) -> list[float]:
    """The p of each row of `bases` against the same row of `heads`; all rows of a side have as many values."""
    from scipy.stats import mannwhitneyu  # noqa: PLC0415 - see the module's docstring

    exact = min(len(bases[0]), len(heads[0])) <= _EXACT_UP_TO and not ties
    method = "exact" if exact else "asymptotic"
    tested = mannwhitneyu(bases, heads, alternative="two-sided", method=method, axis=1)
    return [_probability(p) for p in tested.pvalue]


def _probability(scipy_p: Any) -> float:
    """A p from scipy as a number from 0 to 1; 1, which shows nothing, if scipy returned NaN."""
    p = float(scipy_p)
    return min(max(p, 0.0), 1.0) if math.isfinite(p) else 1.0


@dataclass(frozen=True, slots=True)
class TTest:
    """p of the t tests, and an interval of the change with at least 95% (None if a value is not above zero)."""

    p: float
    interval: tuple[float, float] | None


def constant(base: Sequence[float], head: Sequence[float]) -> bool:
    """Whether neither side varies, not even in its logarithms: then there is no variance to test with."""
    return all(len(set(side)) <= 1 for side in _scaled(base, head))


def t_test(base: Sequence[float], head: Sequence[float]) -> TTest:
    """Welch's and Student's t test on the logarithms of at least 2 values a side: the larger p, the wider interval.

    Meant for the medians of runs, which are few. A rank test of 5 against 5 cannot go below p = 0.0079, so no change in
    any of 40 cases could be significant (0.05 / 40 = 0.00125). In return the t tests assume that the offsets between
    runs are roughly normal (as ratios, hence the logarithms). Student's test with pooled variance is then exact for any
    numbers of runs if both sides vary equally. Welch's (1947, Biometrika 34:28) also holds if they do not, but claims
    too much for 4 against 12. With equal numbers of runs Welch's p is always the larger. Offsets with two modes (fast
    and slow placement in memory) are not covered: a few runs may all hit one mode on each side and look like a change.

    If a value is not above zero, the values themselves are tested and there is no interval. Sides that do not vary
    have p = 1 if equal, else 0.

    scipy's `ttest_ind` gives the same numbers (a test holds them against it), but both tests with their intervals take
    3.4 ms of CPU time there and 0.045 ms here, for each of thousands of rows, and NaN for sides that do not vary. Only
    the standard errors are computed here; the distribution is scipy's.
    """
    base_logs, head_logs = _scaled(base, head)
    shift = math.fsum(head_logs) / len(head) - math.fsum(base_logs) / len(base)
    squared_errors = [_squared_error(side) for side in (base_logs, head_logs)]
    if not sum(squared_errors):
        return TTest(float(base_logs[0] == head_logs[0]), None)
    variants = (_welch(squared_errors, len(base), len(head)), _pooled(squared_errors, len(base), len(head)))
    tests = [_t(shift, error, freedom) for error, freedom in variants]
    p, margin = max(p for p, _ in tests), max(margin for _, margin in tests)
    return TTest(p, _changes(shift - margin, shift + margin) if min((*base, *head)) > 0 else None)


def _welch(squared_errors: Sequence[float], base_count: int, head_count: int) -> tuple[float, float]:
    """The standard error of the difference and its degrees of freedom, from the squared errors of both means."""
    total = sum(squared_errors)
    weights = [squared_error / total for squared_error in squared_errors]
    freedom = 1 / (weights[0] ** 2 / (base_count - 1) + weights[1] ** 2 / (head_count - 1))
    return math.sqrt(total), freedom


def _pooled(squared_errors: Sequence[float], base_count: int, head_count: int) -> tuple[float, float]:
    """As `_welch`, with one variance for both sides."""
    freedom = base_count + head_count - 2
    base_error, head_error = squared_errors
    squares = base_error * base_count * (base_count - 1) + head_error * head_count * (head_count - 1)
    return math.sqrt(squares / freedom * (1 / base_count + 1 / head_count)), float(freedom)


def _t(shift: float, error: float, freedom: float) -> tuple[float, float]:
    """The two-sided p, and half the width of the 95% interval."""
    if not error:  # too small to be a number
        return float(not shift), 0.0
    from scipy.special import stdtr, stdtrit  # noqa: PLC0415 - Student's t distribution and its inverse

    return _probability(2 * stdtr(freedom, -abs(shift) / error)), float(stdtrit(freedom, 0.975)) * error


def _squared_error(values: Sequence[float]) -> float:
    """The squared standard error of the mean; exactly zero if all values are equal."""
    if min(values) == max(values):
        return 0.0
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values)


def _scaled(base: Sequence[float], head: Sequence[float]) -> tuple[list[float], list[float]]:
    """Logarithms of both sides; if a value is not above zero, shares of the greatest, whose squares are finite."""
    values = [*base, *head]
    if values and min(values) > 0:
        return [math.log(value) for value in base], [math.log(value) for value in head]
    greatest = max((abs(value) for value in values), default=0.0) or 1.0
    return [value / greatest for value in base], [value / greatest for value in head]


def _changes(low: float, high: float) -> tuple[float, float] | None:
    """The ends of an interval on the log scale as relative changes; None if they are not finite."""
    if not (math.isfinite(low) and math.isfinite(high)) or max(low, high) > 700:  # e**709 is the greatest float
        return None
    return math.expm1(low), math.expm1(high)


def interval(base: Sequence[float], head: Sequence[float]) -> tuple[float, float] | None:
    """An interval of at least 95% for the change of the median: both sides' intervals, combined on the log scale.

    The sides' intervals come from order statistics (`stats.interval`). The method of variance estimates recovery
    combines them (Zou and Donner 2008, Statistics in Medicine 27:1693; Newcombe's hybrid): with d the difference of the
    medians, the lower end is d minus the root of the summed squares of head's lower and base's upper arm, and the upper
    end is the mirror image. The sides' intervals usually cover more than 95%, so the result may contain 0 although the
    test shows a change. None below 6 values a side, and if an end is not above zero.
    """
    base_interval, head_interval = stats.interval(base), stats.interval(head)
    if base_interval is None or head_interval is None or min(*base_interval, *head_interval) <= 0:
        return None
    base_middle, head_middle = math.log(middle(base)), math.log(middle(head))
    base_low, base_high = (math.log(end) for end in base_interval)
    head_low, head_high = (math.log(end) for end in head_interval)
    difference = head_middle - base_middle
    return _changes(
        difference - math.hypot(head_middle - head_low, base_high - base_middle),
        difference + math.hypot(head_high - head_middle, base_middle - base_low),
    )


def within_reach(least: Sequence[float], alpha: float = ALPHA) -> tuple[bool, ...]:
    """Which cases count as tested, from the smallest p that each can reach with its number of values.

    A case that cannot become significant cannot raise a false alarm, so it does not count towards the correction for
    many cases. Tarone's rule (1990, Biometrics 46:515): take the smallest k such that at most k cases can fall below
    alpha / k; those cases are tested. The rule depends on numbers of values only, never on the values.
    """
    ordered = sorted(least)
    for k in range(1, len(ordered) + 1):
        if bisect_left(ordered, alpha / k) <= k:
            return tuple(p < alpha / k for p in least)
    return ()


def holm(ps: Sequence[float]) -> tuple[float, ...]:
    """Each p adjusted for the number of tests, in input order (Holm 1979, Scandinavian Journal of Statistics 6:65).

    The chance that any adjusted p falls below alpha by accident is at most alpha.
    """
    adjusted, highest = [1.0] * len(ps), 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=lambda n: ps[n])):
        highest = max(highest, min(1.0, ps[place] * (len(ps) - rank)))
        adjusted[place] = highest
    return tuple(adjusted)


@cache
def samples_needed(cases: int, alpha: float = ALPHA) -> int:
    """The samples that each side needs so that this many cases can be tested together."""
    count = 1
    while least_p(count, count) >= alpha / max(cases, 1):
        count += 1
    return count


def geometric_mean(ratios: Sequence[float]) -> float | None:
    """The geometric mean of ratios above zero; None if there are none."""
    return math.exp(math.fsum(math.log(ratio) for ratio in ratios) / len(ratios)) if ratios else None
