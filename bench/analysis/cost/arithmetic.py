"""The arithmetic of costs: money per image at so many images an hour. Pure numbers; imports nothing of the project.

Money is in whatever currency the prices are in, times are seconds, volumes images per hour.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, Protocol

HOUR_S = 3600.0
#: Hours of a year: 365.25 days.
YEAR_H = 8766.0
JOULES_PER_KWH = 3.6e6
#: What a card is charged for: the seconds that it computes (it has other work), or every hour (it is kept for this).
Charge = Literal["use", "hour"]
#: The least volume that is looked at: one image in a year, about.
_LEAST_VOLUME = 1e-4
#: Volumes looked at where a cost is curved, and steps looked at, in the search for a break-even.
_POINTS, _STEPS = 64, 200


def ownership_per_hour(price: float, lifetime_years: float) -> float:
    """What an hour of owning costs: the price spread evenly over all hours of the lifetime, used or not."""
    return price / (lifetime_years * YEAR_H)


def energy_cost(joules: float, price_per_kwh: float) -> float:
    """What that much electricity costs."""
    return joules / JOULES_PER_KWH * price_per_kwh


def machines(volume: float, seconds: float, busy: float = 1.0) -> int:
    """How many machines a volume needs, each computing an image in `seconds` and at most the share `busy` of the time.

    At least one, however small the volume.
    """
    return max(1, math.ceil(volume * seconds / (HOUR_S * busy) - 1e-9))


def billed_share(volume: float, start_s: float, idle_s: float | None) -> float:
    """The share of all time that an endpoint is billed which stops after `idle_s` seconds without a request.

    Requests come at random (Poisson). From one that wakes it the endpoint is up for its start, and then until a gap of
    `idle_s`: (exp(rate * idle_s) - 1) / rate seconds in the mean (Adams 1936, the pedestrian's wait for a gap); the
    next request comes 1 / rate after that. The share of the cycle that is billed is
    1 - 1 / (rate * start_s + exp(rate * idle_s)). 1 for one that never stops. What it takes to serve is neglected
    beside the idle time.
    """
    if idle_s is None:
        return 1.0
    rate = volume / HOUR_S
    if rate * idle_s > 50:  # a gap so long will not come
        return 1.0
    return 1.0 - 1.0 / (rate * start_s + math.exp(rate * idle_s))


class Cost(Protocol):
    """Something that computes images for money."""

    def per_hour(self, volume: float) -> float:
        """Money per hour at so many images an hour."""
        ...

    @property
    def step(self) -> float | None:
        """The volume that one machine bears; at each multiple of it another is needed. None: cost has no steps."""
        ...


@dataclass(frozen=True, slots=True)
class LocalCost:
    """A card of one's own, or a rented one.

    Attributes:
        rate: money an hour of the card.
        seconds: of one image.
        energy: money for the electricity of one image; 0 where the rate has it.
        charge: whether the card is charged by the second used or by the hour.
    """

    rate: float
    seconds: float
    energy: float
    charge: Charge = "use"

    def per_hour(self, volume: float) -> float:
        """Money per hour at so many images an hour."""
        hours = volume * self.seconds / HOUR_S if self.charge == "use" else machines(volume, self.seconds)
        return hours * self.rate + volume * self.energy

    @property
    def step(self) -> float | None:
        """Images an hour of one card."""
        return HOUR_S / self.seconds if self.charge == "hour" else None


@dataclass(frozen=True, slots=True)
class EndpointCost:
    """An endpoint by the hour, of as many replicas as the volume needs.

    Attributes:
        rate: money an hour of one replica.
        seconds: in which a replica computes one image; 0 if that is not known, for one that is free.
        start_s, idle_s: of `billed_share`; a second replica is taken to run always.
        busy: the share of its time that a replica is let compute; at 1 requests would queue without end.
    """

    rate: float
    seconds: float
    start_s: float = 0.0
    idle_s: float | None = None
    busy: float = 1.0

    def per_hour(self, volume: float) -> float:
        """Money per hour at so many images an hour."""
        replicas = machines(volume, self.seconds, self.busy)
        share = billed_share(volume, self.start_s, self.idle_s) if replicas == 1 else 1.0
        return replicas * share * self.rate

    @property
    def step(self) -> float | None:
        """Images an hour of one replica; None where its time is not known, and does not matter: it is free."""
        return HOUR_S * self.busy / self.seconds if self.seconds else None


def per_1000(cost: Cost, volume: float) -> float:
    """Money for 1,000 images at so many an hour."""
    return cost.per_hour(volume) / volume * 1000


@dataclass(frozen=True, slots=True)
class BreakEven:
    """Between which volumes (images an hour) the remote way costs no more than the local one.

    Attributes:
        above: 0 where that is so from the start.
        below: None where it is so for every greater volume that was looked at.
    """

    above: float
    below: float | None


@cache
def break_even(local: Cost, remote: Cost) -> BreakEven | None:
    """The first range of volumes in which the remote way costs no more; None where it is dearer at all.

    Between the volumes at which another machine is needed the difference of both per hour is a straight line, but for
    the first replica, which may stop when idle: so the ends of each such stretch are looked at, within the first
    replica's points between them too, and a change of sign is found by halving.
    """

    def dearer(volume: float) -> bool:
        return remote.per_hour(volume) > local.per_hour(volume) * (1 + 1e-12)

    last, above = 0.0, None
    for volume in _volumes([one for one in (local.step, remote.step) if one], remote.step or 0.0):
        if above is None and not dearer(volume):
            above = _halved(last, volume, dearer) if last else 0.0
        elif above is not None and dearer(volume):
            return BreakEven(above, _halved(last, volume, lambda one: not dearer(one)))
        last = volume
    return None if above is None else BreakEven(above, None)


def _halved(low: float, high: float, holds: Callable[[float], bool]) -> float:
    """Where a condition that holds at `low` ceases to, before `high`."""
    for _ in range(60):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if holds(middle) else (low, middle)
    return high


def _volumes(steps: Sequence[float], curved_below: float) -> Iterator[float]:
    """Volumes to look at, rising: both sides of each step, and points between where a cost may be no straight line."""
    edges = sorted({_LEAST_VOLUME, *(step * n for step in steps or (_LEAST_VOLUME,) for n in range(1, _STEPS + 1))})
    for low, high in itertools.pairwise(edges):
        begin, points = low * (1 + 1e-6), _POINTS if high <= curved_below else 1
        for n in range(points + 1):
            yield begin * (high / begin) ** (n / points)
