"""The arithmetic of costs: money per image at a given volume.

Money is in the currency of the prices, times are in seconds, volumes in images per hour. A video counts by its seconds
or frames (`outputs`), and `image` stands for one of those here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

HOUR_S = 3600.0
#: Hours in a year of 365.25 days.
YEAR_H = 8766.0
JOULES_PER_KWH = 3.6e6
#: use: a card is charged for the seconds that it computes, since it has other work. hour: it is kept for this alone
#: and charged for every hour.
Charge = Literal["use", "hour"]
#: The smallest volume that is searched: about one image per year.
_LEAST_VOLUME = 1e-4
#: In the search for a break-even: volumes per stretch where a cost is curved, and the number of steps.
_POINTS, _STEPS = 64, 200


def ownership_per_hour(price: float, lifetime_years: float) -> float:
    """Money per hour of owning a card: its price spread evenly over all hours of its lifetime, used or not."""
    return price / (lifetime_years * YEAR_H)


def energy_cost(joules: float, price_per_kwh: float) -> float:
    """Money for that much electricity."""
    return joules / JOULES_PER_KWH * price_per_kwh


def machines(volume: float, seconds: float, busy: float = 1.0) -> int:
    """The number of machines that a volume needs, at least 1.

    Each computes an image in `seconds`, and may be busy for the share `busy` of its time.
    """
    return max(1, math.ceil(volume * seconds / (HOUR_S * busy) - 1e-9))


def billed_share(volume: float, start_s: float, idle_s: float | None) -> float:
    """The share of all time for which an endpoint is billed, if it stops after `idle_s` seconds without a request.

    Requests arrive at random (Poisson). The endpoint starts at a request, and runs until there is a gap of `idle_s`:
    (exp(rate * idle_s) - 1) / rate seconds in the mean (Adams 1936, the pedestrian's wait for a gap). The next request
    arrives 1 / rate later. So the billed share is 1 - 1 / (rate * start_s + exp(rate * idle_s)). It is 1 if the
    endpoint never stops (`idle_s` is None). The time to serve a request is neglected.
    """
    if idle_s is None:
        return 1.0
    rate = volume / HOUR_S
    if rate * idle_s > 50:  # such a long gap practically never occurs
        return 1.0
    return 1.0 - 1.0 / (rate * start_s + math.exp(rate * idle_s))


@dataclass(frozen=True, slots=True)
class LocalCost:
    """The cost of a card, bought or rented.

    Attributes:
        rate: money per hour of the card.
        seconds: time per image.
        energy: money for the electricity of one image; 0 if the rate includes it.
        charge: whether the card is charged by the second used or by the hour.
    """

    rate: float
    seconds: float
    energy: float
    charge: Charge = "use"

    def per_hour(self, volume: float) -> float:
        """Money per hour at a volume."""
        hours = volume * self.seconds / HOUR_S if self.charge == "use" else machines(volume, self.seconds)
        return hours * self.rate + volume * self.energy

    def per_image(self, volume: float) -> float:
        """Money for one image at a volume: exactly the same at every volume for a card that is charged by use."""
        if self.charge == "use":
            return self.seconds / HOUR_S * self.rate + self.energy
        return self.per_hour(volume) / volume

    @property
    def step(self) -> float | None:
        """Images per hour of one card that is kept for this alone, after which another is needed; else None."""
        return HOUR_S / self.seconds if self.charge == "hour" else None


@dataclass(frozen=True, slots=True)
class EndpointCost:
    """The cost of an endpoint by the hour, with as many replicas as the volume needs.

    Attributes:
        rate: money per hour of one replica.
        seconds: time per image of a replica; 0 if it is not known, which is allowed for a free endpoint only.
        start_s, idle_s: see `billed_share`. If there is more than one replica, all are assumed to run all the time.
        busy: the share of its time that a replica may compute; at 1 the queue would grow without bound.
        images_per_request: how many images arrive together.
    """

    rate: float
    seconds: float
    start_s: float = 0.0
    idle_s: float | None = None
    busy: float = 1.0
    images_per_request: float = 1.0

    def per_hour(self, volume: float) -> float:
        replicas = machines(volume, self.seconds, self.busy)
        share = billed_share(volume / self.images_per_request, self.start_s, self.idle_s) if replicas == 1 else 1.0
        return replicas * share * self.rate

    def per_image(self, volume: float) -> float:
        """Money for one image at a volume."""
        return self.per_hour(volume) / volume

    @property
    def step(self) -> float | None:
        """Images per hour of one replica; None for a free endpoint whose time is not known."""
        return HOUR_S * self.busy / self.seconds if self.seconds else None


Cost = LocalCost | EndpointCost


def per_1000(cost: Cost, volume: float) -> float:
    """Money for 1,000 images at a volume."""
    return cost.per_image(volume) * 1000


@dataclass(frozen=True, slots=True)
class BreakEven:
    """The volumes between which remote costs no more than local.

    Attributes:
        above: the lower bound; 0 if remote costs no more at the smallest volume already.
        below: the upper bound; None if remote costs no more at every greater volume that was searched.
    """

    above: float
    below: float | None


@cache
def break_even(local: Cost, remote: Cost) -> BreakEven | None:
    """The first range of volumes in which remote costs no more; None if remote is always more expensive.

    Between the volumes at which another machine is needed, the difference per hour is linear in the volume, except
    for the first replica, which may stop when idle. So both ends of each stretch are compared, points in between for
    the first replica too, and each change of sign is found by bisection.
    """

    def is_dearer(volume: float) -> bool:
        return remote.per_hour(volume) > local.per_hour(volume) * (1 + 1e-12)

    last, above = 0.0, None
    for volume in _volumes([step for step in (local.step, remote.step) if step], remote.step or 0.0):
        if above is None and not is_dearer(volume):
            above = _halved(last, volume, is_dearer) if last else 0.0
        elif above is not None and is_dearer(volume):
            return BreakEven(above, _halved(last, volume, lambda v: not is_dearer(v)))
        last = volume
    return None if above is None else BreakEven(above, None)


def _halved(low: float, high: float, holds: Callable[[float], bool]) -> float:
    """The volume between `low` and `high` from which a condition that holds at `low` no longer holds."""
    for _ in range(60):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if holds(middle) else (low, middle)
    return high


def _volumes(steps: Sequence[float], curved_below: float) -> Iterator[float]:
    """The volumes to compare, rising: both sides of each step, and points in between where a cost may be curved."""
    edges = sorted({_LEAST_VOLUME, *(step * n for step in steps or (_LEAST_VOLUME,) for n in range(1, _STEPS + 1))})
    for low, high in itertools.pairwise(edges):
        begin, points = low * (1 + 1e-6), _POINTS if high <= curved_below else 1
        for n in range(points + 1):
            yield begin * (high / begin) ** (n / points)
