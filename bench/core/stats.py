"""Statistics of one case's samples. Warnings are returned, not printed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from functools import cache

#: Median absolute deviations from the median beyond which a sample is an outlier: a modified Z-score of 10
#: (hyperfine's bound; Iglewicz and Hoaglin 1993 for the score, 0.6745 * 14.826 = 10).
OUTLIER_MADS = 14.826
#: With fewer samples the deviation is too uncertain to judge outliers.
_LEAST_SAMPLES = 6
#: Lower bound of the deviation as a share of the median: if most samples are equal, a sample within 1.5% of the median
#: is not an outlier.
_LEAST_MAD = 0.001


def median(samples: Sequence[float]) -> float:
    """The median of at least one sample, in the samples' unit."""
    return statistics.median(samples)


def noise(samples: Sequence[float]) -> float | None:
    """Sample standard deviation divided by the mean; 0 if all samples are equal, None below two samples."""
    if len(samples) < 2:
        return None
    if min(samples) == max(samples):
        return 0.0
    mean = math.fsum(samples) / len(samples)
    spread = math.sqrt(math.fsum((sample - mean) * (sample - mean) for sample in samples) / (len(samples) - 1))
    if spread == 0.0 or not math.isfinite(spread):  # the squares are beyond what a float holds
        spread = statistics.stdev(samples)
    return spread / mean


def interval(samples: Sequence[float], confidence: float = 0.95) -> tuple[float, float] | None:
    """An interval that contains the true median with at least `confidence`, from order statistics.

    Its ends are the samples of rank k and n + 1 - k, with the greatest k for which the binomial distribution (n, 1/2)
    leaves at most (1 - confidence) / 2 on each side (Conover, Practical Nonparametric Statistics, 3.2). Any shape of
    distribution will do. None if there are too few samples for such a pair (below 6 at 95%).
    """
    rank = _interval_rank(len(samples), confidence)
    if rank is None:
        return None
    ordered = sorted(samples)
    return ordered[rank - 1], ordered[len(ordered) - rank]


def percentile(samples: Sequence[float], q: float) -> float:
    """The value below which the share `q` of at least one sample lies, interpolated between the two nearest.

    Type 7 of Hyndman and Fan 1996, the default of NumPy and R.
    """
    ordered = sorted(samples)
    place = q * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def percentile_interval(samples: Sequence[float], q: float, confidence: float = 0.95) -> tuple[float, float] | None:
    """An interval that contains the true percentile with at least `confidence`, from order statistics.

    Its ends are the samples of the ranks beyond which the binomial distribution (n, q) leaves at most
    (1 - confidence) / 2 on each side (David and Nagaraja, Order Statistics, 7.1). Any shape of distribution will do,
    but samples must be independent: latencies under load are correlated, so the interval of a short run is too
    narrow. None if there are too few samples: at 95% below 6 for the median, 72 for q = 0.95, 368 for q = 0.99.
    """
    from scipy import stats as distributions  # noqa: PLC0415 - heavy

    count, half = len(samples), (1 - confidence) / 2
    if not count:
        return None
    binomial = distributions.binom(count, q)
    low, high = int(binomial.ppf(half)), int(binomial.ppf(1 - half)) + 1
    if low < 1 or high > count:
        return None
    ordered = sorted(samples)
    return ordered[low - 1], ordered[high - 1]


def uncertainty(samples: Sequence[float]) -> float | None:
    """Half the width of the median's interval divided by the median; None without an interval or if it is 0."""
    bounds = interval(samples)
    if bounds is None or not median(samples):
        return None
    return (bounds[1] - bounds[0]) / 2 / median(samples)


@cache
def _interval_rank(count: int, confidence: float) -> int | None:
    """The rank (from 1) of the interval's lower end; None if there are too few samples."""
    most = (1 - confidence) / 2 * 2**count if count < 1000 else int((1 - confidence) / 2 * 2**60) << (count - 60)
    below, term, rank = 0, 1, 0
    while below + term <= most:  # below + term: the sequences with at most `rank` samples under the median
        below += term
        term = term * (count - rank) // (rank + 1)
        rank += 1
    return rank or None


def outliers(samples: Sequence[float]) -> tuple[int, ...]:
    """Indices of the samples further than OUTLIER_MADS deviations from the median; empty below 6 samples."""
    if len(samples) < _LEAST_SAMPLES:
        return ()
    middle = median(samples)
    deviation = max(median([abs(sample - middle) for sample in samples]), _LEAST_MAD * abs(middle))
    return tuple(n for n, sample in enumerate(samples) if abs(sample - middle) > OUTLIER_MADS * deviation)


def warnings(samples: Sequence[float]) -> tuple[str, ...]:
    """Warnings about the samples, each with a remedy: a slow start, outliers."""
    odd = outliers(samples)
    middle = median(samples) if odd else 0.0
    if not middle:
        return ()
    messages = []
    slow_start = odd[0] == 0 and samples[0] > middle
    if slow_start:
        messages.append(
            f"slow start: the first timed call took {samples[0] / middle:.1f} times the median, although another "
            "call preceded it. Clocks or caches were still settling: raise `repeats` to give it less weight"
        )
    other_outliers = odd[1:] if slow_start else odd
    if other_outliers:
        worst = max((samples[n] for n in other_outliers), key=lambda sample: abs(sample - middle))
        verb = "is an outlier" if len(other_outliers) == 1 else "are outliers"
        messages.append(
            f"{len(other_outliers)} of {len(samples)} samples {verb}, the furthest at {worst / middle:.1f} times the "
            "median. Something else may have used the machine: check with `bench doctor`, then measure again with "
            "--fresh"
        )
    return tuple(messages)
