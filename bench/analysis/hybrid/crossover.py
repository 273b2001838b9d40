"""From which bandwidth, and up to which round trip, remote is as quick as a local time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bench.analysis.hybrid.service import EndpointTime
from bench.core.network import Path

#: Rates are sought up to this many times the path's own, beyond any real network.
_MOST_FACTOR = 1e6
_STEPS = 60


@dataclass(frozen=True, slots=True)
class Crossover:
    """Where remote begins to win.

    Attributes:
        verdict: always (nothing fits locally), never (the endpoint's own work takes as long), or depends.
        factor: the smallest multiple of the path's rates, at its round trip; None if no rate is enough.
        rtt_s: the longest round trip in seconds, at the path's rates; None if none is short enough.
    """

    verdict: Literal["always", "never", "depends"]
    factor: float | None = None
    rtt_s: float | None = None


def crossover(path: Path, service: EndpointTime, local_s: float | None) -> Crossover:
    """Find where remote begins to win over a local time in seconds; `local_s` is None if nothing fits locally.

    The simulated time falls monotonically with the rates and rises with the round trip, so bisection finds each
    boundary. One is varied while the other stays as it is.
    """
    if local_s is None:
        return Crossover("always")
    if service.off_network_s >= local_s:
        return Crossover("never")

    def wins(other: Path) -> bool:
        return service.over(other) <= local_s

    factor = rtt_s = None
    if wins(path.scaled(_MOST_FACTOR)):
        most = math.log(_MOST_FACTOR)
        factor = math.exp(-_greatest(-most, most, lambda lower: wins(path.scaled(math.exp(-lower)))))
    if wins(path.with_rtt(0.0)):
        rtt_s = _greatest(0.0, local_s, lambda rtt_s: wins(path.with_rtt(rtt_s)))
    return Crossover("depends", factor, rtt_s)


def _greatest(low: float, high: float, wins: Callable[[float], bool]) -> float:
    """The greatest value that wins, given that `low` wins and `high` does not."""
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if wins(middle) else (low, middle)
    return low
