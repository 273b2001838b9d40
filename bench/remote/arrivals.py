"""The arrival times of a load's requests. Pure; imports nothing of the project."""

from __future__ import annotations

import math

import numpy as np


def poisson(rate_per_s: float, seconds: float, seed: int) -> tuple[float, ...]:
    """Return times in [0, seconds) of a Poisson process: independent of one another and of the answers.

    The gaps are exponential with mean 1 / rate. The same seed gives the same times.
    """
    draw = np.random.default_rng(seed)
    mean = rate_per_s * seconds
    size = int(mean + 6 * math.sqrt(mean) + 20)
    moments = np.cumsum(draw.exponential(1 / rate_per_s, size))
    while moments[-1] < seconds:
        moments = np.concatenate([moments, moments[-1] + np.cumsum(draw.exponential(1 / rate_per_s, size))])
    return tuple(float(moment) for moment in moments[moments < seconds])
