"""Statistics of two sides: tests, their correction for many cases, and the interval of a change.

Pure; imports `stats`. scipy is loaded inside the functions that need it, so that `bench --help`, `bench run` and the
worker never pay for it. Whatever finite numbers are given, an answer is: never NaN, never an exception of scipy's.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from bench.core import stats

#: The chance of one or more false alarms among all cases of a metric that is accepted, where nothing has changed.
ALPHA = 0.05
#: A t test needs a variance of each side, and of three values one has next to no idea of it.
LEAST_RUNS = 4
#: Two shares that differ by less than this part of themselves are one: 1050 / 1000 - 1 is a little more than 0.05.
_SAME = 1e-9
#: scipy's own bound ("auto") up to which the exact distribution of U is used, where there are no ties.
_EXACT_UP_TO = 8


def middle(values: Sequence[float]) -> float:
    """The median of at least one finite value; finite also where the sum of the two middle ones is not."""
    found = stats.median(values)
    if math.isfinite(found):
        return found
    ordered = sorted(values)
    return ordered[len(ordered) // 2 - 1] / 2 + ordered[len(ordered) // 2] / 2


def change(base: float, head: float) -> float | None:
    """`head / base - 1`; 0 where equal, None where `base` is not above zero or the ratio is not finite."""
    if base == head:
        return 0.0
    ratio = head / base if base > 0 else math.inf
    return ratio - 1 if math.isfinite(ratio) else None


def exceeds(share: float, limit: float) -> bool:
    """Whether a share is above a limit by more than floating-point numbers are off."""
    return share > limit and not math.isclose(share, limit, rel_tol=_SAME)


def reaches(share: float, limit: float) -> bool:
    """Whether a share is a limit or more, or less by no more than floating-point numbers are off."""
    return share >= limit or math.isclose(share, limit, rel_tol=_SAME)


def separated(base: Sequence[float], head: Sequence[float]) -> bool:
    """Whether all values of one side lie beyond all of the other. Neither side is empty."""
    return max(base) < min(head) or max(head) < min(base)


def mann_whitney(base: Sequence[float], head: Sequence[float]) -> float:
    """The two-sided p of the Mann-Whitney U test: could both sides be draws from one distribution?

    Exact where the smaller side has up to 8 values and no two values are equal, else by the normal approximation with
    its corrections for ties and continuity. Sides that are apart have the least p there is, ties inside a side or not.
    Values that are all equal have p = 1, as has an empty side.
    """
    together = [*base, *head]
    if not base or not head or min(together) == max(together):
        return 1.0
    if separated(base, head):
        return least_p(len(base), len(head))
    return _mann_whitney(base, head, ties=len(set(together)) < len(together))


@cache
def least_p(base_count: int, head_count: int) -> float:
    """The least p that `mann_whitney` can give with that many values a side; 1 for an empty side.

    Found by the test itself on two ranges that lie apart.
    """
    if not base_count or not head_count:
        return 1.0
    return _mann_whitney(range(base_count), range(base_count, base_count + head_count), ties=False)


def _mann_whitney(base: Sequence[float], head: Sequence[float], *, ties: bool) -> float:
    from scipy.stats import mannwhitneyu  # noqa: PLC0415 - see the module's docstring

    exact = min(len(base), len(head)) <= _EXACT_UP_TO and not ties
    method = "exact" if exact else "asymptotic"
    return _probability(mannwhitneyu(base, head, alternative="two-sided", method=method).pvalue)


def _probability(found: Any) -> float:
    """A p out of scipy; 1, which shows nothing, where it has none."""
    p = float(found)
    return min(max(p, 0.0), 1.0) if math.isfinite(p) else 1.0


@dataclass(frozen=True, slots=True)
class TTest:
    """What the t tests say: p, and an interval of the change of 95% or more (None where a value is not above zero)."""

    p: float
    interval: tuple[float, float] | None


def constant(base: Sequence[float], head: Sequence[float]) -> bool:
    """Whether neither side varies, also not in its logarithms: then there is no variance to test by."""
    return all(len(set(side)) <= 1 for side in _scaled(base, head))


def t_test(base: Sequence[float], head: Sequence[float]) -> TTest:
    """Two t tests on the logarithms of 2 or more values a side; p (two-sided) is the greater, the interval the wider.

    They are for the medians of runs, of which there are few. A rank test of 5 against 5 can't give less than
    p = 0.0079, so that none of 40 cases could ever be shown (0.05 / 40 = 0.00125). The price is an assumption: that
    the offsets from run to run are about normal (logarithms make them ratios). Student's test with the variance of
    both sides pooled is then exact where the offsets of both are equally wide, whatever the numbers of runs; Welch's
    (1947, Biometrika 34:28) holds up where they are not, but says too much of 4 against 12. With equal numbers the
    greater p is always Welch's. Offsets of two modes (a fast and a slow placement in memory) are not covered: few runs
    may all be of one mode on each side, and look like a change.

    Where a value is not above zero the values themselves are tested and there is no interval. Sides that do not vary
    have p = 1 if equal, else 0.
    """
    of_base, of_head = _scaled(base, head)
    shift = math.fsum(of_head) / len(head) - math.fsum(of_base) / len(base)
    parts = [_squared_error(side) for side in (of_base, of_head)]
    if not sum(parts):
        return TTest(float(of_base[0] == of_head[0]), None)
    both = [_t(shift, *found) for found in (_welch(parts, len(base), len(head)), _pooled(parts, len(base), len(head)))]
    reach = max(reach for _, reach in both)
    return TTest(max(p for p, _ in both), _changes(shift - reach, shift + reach) if min((*base, *head)) > 0 else None)


def _welch(parts: Sequence[float], base_count: int, head_count: int) -> tuple[float, float]:
    """The standard error of the difference and its degrees of freedom, out of the squared errors of both means."""
    weights = [part / sum(parts) for part in parts]
    freedom = 1 / (weights[0] ** 2 / (base_count - 1) + weights[1] ** 2 / (head_count - 1))
    return math.sqrt(sum(parts)), freedom


def _pooled(parts: Sequence[float], base_count: int, head_count: int) -> tuple[float, float]:
    """As `_welch`, by one variance for both sides."""
    freedom = base_count + head_count - 2
    squares = parts[0] * base_count * (base_count - 1) + parts[1] * head_count * (head_count - 1)
    return math.sqrt(squares / freedom * (1 / base_count + 1 / head_count)), float(freedom)


def _t(shift: float, error: float, freedom: float) -> tuple[float, float]:
    """The two-sided p, and half the width of the 95% interval."""
    if not error:  # too small to be a number
        return float(not shift), 0.0
    from scipy.special import stdtr, stdtrit  # noqa: PLC0415 - Student's t distribution and its inverse

    return _probability(2 * stdtr(freedom, -abs(shift) / error)), float(stdtrit(freedom, 0.975)) * error


def _squared_error(values: Sequence[float]) -> float:
    """The square of the standard error of the mean, exactly zero where all values are equal."""
    if min(values) == max(values):
        return 0.0
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values)


def _scaled(base: Sequence[float], head: Sequence[float]) -> tuple[list[float], list[float]]:
    """Logarithms of both sides; where a value is not above zero, shares of the greatest, whose squares are finite."""
    together = [*base, *head]
    if together and min(together) > 0:
        return [math.log(value) for value in base], [math.log(value) for value in head]
    greatest = max((abs(value) for value in together), default=0.0) or 1.0
    return [value / greatest for value in base], [value / greatest for value in head]


def _changes(low: float, high: float) -> tuple[float, float] | None:
    """The ends of an interval on the log scale as relative changes; None where they are no finite numbers."""
    if not (math.isfinite(low) and math.isfinite(high)) or max(low, high) > 700:  # e**709 is the greatest float
        return None
    return math.expm1(low), math.expm1(high)


def interval(base: Sequence[float], head: Sequence[float]) -> tuple[float, float] | None:
    """An interval of the change of the median, of at least 95%: each side's own interval, joined on the log scale.

    The sides' intervals are those of `stats.interval`, by order statistics. They are joined by the method of variance
    estimates recovery (Zou and Donner 2008, Statistics in Medicine 27:1693; Newcombe's hybrid): with d the difference
    of the medians, its lower end is d less the root of the sum of squares of head's lower and base's upper arm, its
    upper end the other way round. The sides' own are of 95% or more, mostly more, and so is what is made of them: it
    may hold 0 where the test shows a change. None under 6 values a side, and where an end is not above zero.
    """
    of_base, of_head = stats.interval(base), stats.interval(head)
    if of_base is None or of_head is None or min(*of_base, *of_head) <= 0:
        return None
    base_middle, head_middle = math.log(middle(base)), math.log(middle(head))
    base_low, base_high = (math.log(end) for end in of_base)
    head_low, head_high = (math.log(end) for end in of_head)
    difference = head_middle - base_middle
    return _changes(
        difference - math.hypot(head_middle - head_low, base_high - base_middle),
        difference + math.hypot(head_high - head_middle, base_middle - base_low),
    )


def within_reach(least: Sequence[float], alpha: float = ALPHA) -> tuple[bool, ...]:
    """Which cases count as tested, given the least p that each can reach with its number of values.

    A case that could not be shown whatever its values are is no chance of a false alarm, so it need not weigh on the
    others. The rule is Tarone's (1990, Biometrics 46:515): the smallest k such that at most k cases can fall below
    alpha / k; those cases are tested. It looks at numbers of values only, never at the values.
    """
    ordered = sorted(least)
    for k in range(1, len(ordered) + 1):
        if bisect_left(ordered, alpha / k) <= k:
            return tuple(one < alpha / k for one in least)
    return ()


def holm(ps: Sequence[float]) -> tuple[float, ...]:
    """Each p adjusted for all of them, in their order (Holm 1979, Scandinavian Journal of Statistics 6:65).

    Those below alpha are false alarms, one or more of them, with a chance of at most alpha.
    """
    adjusted, highest = [1.0] * len(ps), 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=lambda n: ps[n])):
        highest = max(highest, min(1.0, ps[place] * (len(ps) - rank)))
        adjusted[place] = highest
    return tuple(adjusted)


@cache
def samples_needed(cases: int, alpha: float = ALPHA) -> int:
    """How many samples a side would do for each of that many cases to be testable together."""
    count = 1
    while least_p(count, count) >= alpha / max(cases, 1):
        count += 1
    return count


def geometric_mean(ratios: Sequence[float]) -> float | None:
    """The geometric mean of ratios above zero; None of none."""
    return math.exp(math.fsum(math.log(ratio) for ratio in ratios) / len(ratios)) if ratios else None
