"""Statistics of one case's samples. Pure; imports nothing of the project; warnings are returned, never printed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from functools import cache

#: |x - median| over the median absolute deviation beyond which a sample is an outlier: a modified Z-score of 10
#: (hyperfine's bound; Iglewicz and Hoaglin 1993 for the score, 0.6745 * 14.826 = 10).
OUTLIER_MADS = 14.826
#: With fewer samples the deviation itself is too much a matter of chance for anything to be judged by it.
_LEAST_SAMPLES = 6
#: The deviation is taken as at least this share of the median: where most samples are equal, nothing within
#: 1.5% of the median is an outlier.
_LEAST_MAD = 0.001


def median(samples: Sequence[float]) -> float:
    """The median of at least one sample, in the samples' unit."""
    return statistics.median(samples)


def noise(samples: Sequence[float]) -> float | None:
    """Relative noise: sample standard deviation over the mean; 0 where all are equal, None under two samples."""
    if len(samples) < 2:
        return None
    spread = statistics.stdev(samples)
    return spread / (math.fsum(samples) / len(samples)) if spread else 0.0


def interval(samples: Sequence[float], confidence: float = 0.95) -> tuple[float, float] | None:
    """An interval that holds the true median with at least `confidence`, from order statistics.

    Its ends are the samples of rank k and n + 1 - k, k the greatest for which the binomial distribution (n, 1/2)
    leaves at most half of the rest on each side (Conover, Practical Nonparametric Statistics, 3.2). No shape of the
    distribution is assumed. None where there are too few samples for any such pair (under 6 at 95%).
    """
    rank = _interval_rank(len(samples), confidence)
    if rank is None:
        return None
    ordered = sorted(samples)
    return ordered[rank - 1], ordered[len(ordered) - rank]


def percentile(samples: Sequence[float], q: float) -> float:
    """The value below which the share `q` of at least one sample lies, linear between the two nearest.

    Hyndman and Fan 1996, type 7: that of NumPy and R.
    """
    ordered = sorted(samples)
    place = q * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def percentile_interval(samples: Sequence[float], q: float, confidence: float = 0.95) -> tuple[float, float] | None:
    """An interval that holds the true percentile with at least `confidence`, from order statistics.

    Its ends are the samples of the ranks beyond which the binomial distribution (n, q) leaves at most half of the rest
    on each side (David and Nagaraja, Order Statistics, 7.1). No shape is assumed, but that the samples are independent:
    latencies under load hang together, and the interval of a short run is then too narrow. None where there are too
    few samples: at 95% under 6 for the median, 72 for q = 0.95, 368 for q = 0.99.
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
    """Half of the median's interval over the median; None where there is no interval, or the median is 0."""
    between = interval(samples)
    if between is None or not median(samples):
        return None
    return (between[1] - between[0]) / 2 / median(samples)


@cache
def _interval_rank(count: int, confidence: float) -> int | None:
    """The rank (from 1) of the interval's lower end, or None."""
    most = (1 - confidence) / 2 * 2**count if count < 1000 else int((1 - confidence) / 2 * 2**60) << (count - 60)
    below, term, rank = 0, 1, 0
    while below + term <= most:  # below + term: the sequences with at most `rank` samples under the median
        below += term
        term = term * (count - rank) // (rank + 1)
        rank += 1
    return rank or None


def outliers(samples: Sequence[float]) -> tuple[int, ...]:
    """Places (from 0) of the samples that are further from the median than OUTLIER_MADS deviations; under 6, none."""
    if len(samples) < _LEAST_SAMPLES:
        return ()
    middle = median(samples)
    deviation = max(median([abs(sample - middle) for sample in samples]), _LEAST_MAD * abs(middle))
    return tuple(n for n, sample in enumerate(samples) if abs(sample - middle) > OUTLIER_MADS * deviation)


def warnings(samples: Sequence[float]) -> tuple[str, ...]:
    """What a reader of the samples should know, each with what to do: a slow start, outliers."""
    odd = outliers(samples)
    middle = median(samples) if odd else 0.0
    if not middle:
        return ()
    said = []
    if odd[0] == 0 and samples[0] > middle:
        said.append(
            f"slow start: the first timed call took {samples[0] / middle:.1f} times the median, although a call came "
            "before it. Clocks or caches were still settling: raise `repeats`, so that it weighs less"
        )
    others = [n for n in odd if n or samples[0] <= middle]
    if others:
        worst = max((samples[n] for n in others), key=lambda sample: abs(sample - middle))
        said.append(
            f"{len(others)} of {len(samples)} samples {'is an outlier' if len(others) == 1 else 'are outliers'}, the "
            f"furthest {worst / middle:.1f} times the median. Something else may have used the machine: look for it "
            "(`bench doctor`) and measure again with --fresh"
        )
    return tuple(said)
