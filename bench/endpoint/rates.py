"""Estimates of how long a computation will take, from earlier ones: seconds as a function of operations.

Small calls are mostly overhead, so each size has its own rate. Between two measured sizes the time is interpolated;
beyond the largest it grows with the number of operations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Weight of the newest call in the moving mean of its size.
_NEWEST = 0.2
#: Calls whose operations differ by less than this factor have the same size.
_SAME_SIZE = 4.0
#: Calls of fewer operations are mostly overhead: a larger call may do up to _MOST_GAIN times as many per second.
#: (Measured on two CPU cores from 64 to 256 px: 3.7 times for sd-v1, 4 to 6 times for the tiny model.)
_SMALL = 1e11
_MOST_GAIN = 4.0
#: Other programs on the machine can double a call's time, so a call takes at least half of its estimate.
_NOISE = 2.0
_SHORTEST_S = 1e-9


@dataclass(slots=True)
class _Calls:
    """Calls of one size: moving means of their seconds and cost, and the fewest seconds per unit of cost."""

    seconds: float
    cost: float
    quickest: float
    count: int = 1

    def learn(self, seconds: float, cost: float) -> None:
        """Add a call. A second call that is quicker replaces the first, which often includes set-up."""
        self.count += 1
        self.quickest = min(self.quickest, seconds / cost)
        weight = 1.0 if self.count == 2 and seconds / cost < self.seconds / self.cost else _NEWEST
        self.seconds += weight * (seconds - self.seconds)
        self.cost += weight * (cost - self.cost)

    def gain(self, cost: float) -> float:
        """Return how many times as many operations per second a call of this cost may do."""
        if self.cost >= _SMALL or cost <= self.cost:
            return 1.0
        return min(_MOST_GAIN, math.cbrt(cost / self.cost))


class Rate:
    """The times of one kind of call (an operation of a model). Costs are floating-point operations."""

    def __init__(self) -> None:
        self._sizes: dict[int, _Calls] = {}

    def learn(self, seconds: float, cost: float) -> None:
        """Record the seconds of a call of this cost, which is at least 1."""
        seconds = max(seconds, _SHORTEST_S)
        size = math.floor(math.log(cost, _SAME_SIZE))
        if size in self._sizes:
            self._sizes[size].learn(seconds, cost)
        else:
            self._sizes[size] = _Calls(seconds, cost, seconds / cost)

    def likely_s(self, cost: float) -> float:
        """Seconds that a call of this cost will probably take; 0 if nothing is known."""
        sizes = sorted(self._sizes.values(), key=lambda calls: calls.cost)
        below = [calls for calls in sizes if calls.cost <= cost]
        above = [calls for calls in sizes if calls.cost > cost]
        if below and above:
            low, high = below[-1], above[0]
            share = math.log(cost / low.cost) / math.log(high.cost / low.cost)
            return math.exp((1 - share) * math.log(low.seconds) + share * math.log(high.seconds))
        if not sizes:
            return 0.0
        near = below[-1] if below else above[0]
        return near.seconds * cost / near.cost / near.gain(cost)

    def least_s(self, cost: float) -> float:
        """Seconds that a call of this cost takes at least, on which a refusal may rest; 0: unknown.

        Half of the lowest estimate from the measured sizes: each at its quickest, less what a larger call may gain.
        So neither a slow call nor a warm-up of small calls makes the endpoint refuse what it could serve.
        """
        estimates = [cost * calls.quickest / calls.gain(cost) for calls in self._sizes.values() if calls.cost <= cost]
        return (min(estimates) if estimates else self.likely_s(cost)) / _NOISE
