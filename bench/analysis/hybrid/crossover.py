"""From which bandwidth, and up to which round trip, remote wins over a local time. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bench.analysis.hybrid.service import Service
from bench.core.network import Path

#: Rates beyond this many times the path's own are no network that anyone has.
_MOST_FACTOR = 1e6
_STEPS = 60


@dataclass(frozen=True, slots=True)
class Crossover:
    """Where remote begins to win.

    Attributes:
        verdict: always (nothing fits locally), never (the endpoint's own work takes as long), or depends.
        factor: least multiple of the path's rates, at its round trip; None: no rate is enough.
        rtt_s: greatest round trip, at the path's rates; None: none is short enough.
    """

    verdict: Literal["always", "never", "depends"]
    factor: float | None = None
    rtt_s: float | None = None


def crossover(path: Path, service: Service, local_s: float | None) -> Crossover:
    """Where remote begins to win over a local time in seconds; None where nothing fits locally.

    The simulated time falls with the rates and rises with the round trip, each without a step back, so that halving
    finds the one place. Each is sought with the other as it is.
    """
    if local_s is None:
        return Crossover("always")
    if service.off_network_s >= local_s:
        return Crossover("never")

    def wins(way: Path) -> bool:
        return service.over(way) <= local_s

    factor = rtt_s = None
    if wins(path.scaled(_MOST_FACTOR)):
        most = math.log(_MOST_FACTOR)
        factor = math.exp(-_greatest(-most, most, lambda lower: wins(path.scaled(math.exp(-lower)))))
    if wins(path.with_rtt(0.0)):
        rtt_s = _greatest(0.0, local_s, lambda rtt_s: wins(path.with_rtt(rtt_s)))
    return Crossover("depends", factor, rtt_s)


def _greatest(low: float, high: float, wins: Callable[[float], bool]) -> float:
    """The greatest value that wins, where `low` does and `high` does not."""
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if wins(middle) else (low, middle)
    return low
