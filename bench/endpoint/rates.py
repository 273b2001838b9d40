"""How long a computation will take, by what such ones took before: seconds by floating-point operations. Pure.

Small calls are mostly overhead, so that each size has a rate of its own; between two measured sizes the time is
interpolated, and beyond the largest it grows with the operations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Weight of the newest call in the moving mean of its size.
_NEWEST = 0.2
#: Calls within this factor of operations are of one size.
_SAME_SIZE = 4.0
#: Calls of fewer operations are mostly overhead: a larger one may do up to so many times as many in a second. (Seen on
#: two CPU cores from 64 to 256 px: 3.7 times for sd-v1, 4 to 6 times for the tiny model.)
_SMALL = 1e11
_MOST_GAIN = 4.0
#: Neighbours on the machine can make a call take twice its time: half of an estimate is what a call takes at least.
_NOISE = 2.0
_SHORTEST_S = 1e-9


@dataclass(slots=True)
class _Calls:
    """Calls of one size: fading means of their seconds and cost, and the fewest seconds for a unit of cost."""

    seconds: float
    cost: float
    quickest: float
    count: int = 1

    def learn(self, seconds: float, cost: float) -> None:
        """The first call often has much to set up: a quicker second one stands in its stead."""
        self.count += 1
        self.quickest = min(self.quickest, seconds / cost)
        weight = 1.0 if self.count == 2 and seconds / cost < self.seconds / self.cost else _NEWEST
        self.seconds += weight * (seconds - self.seconds)
        self.cost += weight * (cost - self.cost)

    def gain(self, cost: float) -> float:
        """By how much a call of this cost may be quicker, for its size, than these were."""
        if self.cost >= _SMALL or cost <= self.cost:
            return 1.0
        return min(_MOST_GAIN, math.cbrt(cost / self.cost))


class Rate:
    """What calls of one kind (an operation of a model) took. Costs are floating-point operations."""

    def __init__(self) -> None:
        self._sizes: dict[int, _Calls] = {}

    def learn(self, seconds: float, cost: float) -> None:
        """A call of this cost, at least 1, took so long."""
        seconds = max(seconds, _SHORTEST_S)
        size = math.floor(math.log(cost, _SAME_SIZE))
        if size in self._sizes:
            self._sizes[size].learn(seconds, cost)
        else:
            self._sizes[size] = _Calls(seconds, cost, seconds / cost)

    def likely_s(self, cost: float) -> float:
        """Seconds that a call of this cost will probably take; 0 where nothing is known."""
        calls = sorted(self._sizes.values(), key=lambda each: each.cost)
        below = [each for each in calls if each.cost <= cost]
        above = [each for each in calls if each.cost > cost]
        if below and above:
            low, high = below[-1], above[0]
            way = math.log(cost / low.cost) / math.log(high.cost / low.cost)
            return math.exp((1 - way) * math.log(low.seconds) + way * math.log(high.seconds))
        if not calls:
            return 0.0
        near = below[-1] if below else above[0]
        return near.seconds * cost / near.cost / near.gain(cost)

    def least_s(self, cost: float) -> float:
        """Seconds that a call of this cost takes at the very least, which is what a refusal may go by; 0: unknown.

        The lowest of what the measured sizes say, each at its quickest, less what a larger call may gain; half of it.
        So one slow call, or a warm-up of small ones, refuses nothing that could be served.
        """
        each_says = [cost * calls.quickest / calls.gain(cost) for calls in self._sizes.values() if calls.cost <= cost]
        if not each_says:
            return self.likely_s(cost) / _NOISE
        return min(each_says) / _NOISE
