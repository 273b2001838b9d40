"""Statistics of one case's samples. Pure; imports nothing of the project; warnings are returned, never printed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence


def median(samples: Sequence[float]) -> float:
    """The median of at least one sample, in the samples' unit."""
    return statistics.median(samples)


def noise(samples: Sequence[float]) -> float | None:
    """Relative noise: sample standard deviation over the mean; None under two samples or at a mean of zero."""
    if len(samples) < 2:
        return None
    mean = math.fsum(samples) / len(samples)
    return statistics.stdev(samples) / mean if mean else None
