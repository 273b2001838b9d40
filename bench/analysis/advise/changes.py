"""What would change a recommendation. Each change was found by ranking the ways again under the changed condition."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from bench.analysis.advise.ranking import rank
from bench.analysis.advise.remote_way import RemoteWay
from bench.analysis.advise.times import Time
from bench.analysis.advise.ways import Advice, Change, Local, Ranked

#: The remote way for a round trip in seconds.
RemoteAt = Callable[[float], RemoteWay]
#: The longest round trip that is looked at, and how exactly the threshold is found, in seconds.
_LONGEST_ROUND_TRIP_S, _STEP_S = 2.0, 0.001
#: Stands for a time that nothing bounds.
_UNBOUNDED_S = 1e6


def is_same(way: Ranked | None, other: Ranked | None) -> bool:
    """Whether two recommendations are the same way."""
    return _key(way) == _key(other)


def _key(ranked: Ranked | None) -> str | None:
    if ranked is None:
        return None
    return ranked.way.option.case.id if isinstance(ranked.way, Local) else "remote"


def of_round_trip(advice: Advice, remote_at: RemoteAt) -> Change | None:
    """The round trip at which remote becomes, or stops being, the recommendation; None if there is none.

    `remote_at` gives the remote way for a round trip in seconds.
    """
    is_remote = advice.best is not None and isinstance(advice.best.way, RemoteWay)

    def at(round_trip_s: float) -> Ranked | None:
        return rank(advice.image, advice.place, advice.local, remote_at(round_trip_s)).best

    low, high = 0.0, _LONGEST_ROUND_TRIP_S
    below, above = at(low), at(high)
    if is_same(below, above) or not (is_same(below, advice.best) or is_same(above, advice.best)):
        return None
    while high - low > _STEP_S:
        middle = (low + high) / 2
        low, high = (middle, high) if is_same(at(middle), below) else (low, middle)
    if is_remote:
        return Change("round_trip_above", above, at_s=high)
    return Change("round_trip_below", below, at_s=low) if low > 0 else None


def of_measuring(advice: Advice) -> tuple[Change, ...]:
    """The ways that could come first once this card was measured.

    The model of times errs in the same direction for all ways on a card. So the ways are ranked with the least that
    their times may be, and with the most; a remote time that is predicted for another card errs on its own.
    """
    by_way: dict[str | None, Change] = {}
    remote = next(ranked.way for ranked in advice.ranked if isinstance(ranked.way, RemoteWay))
    for most in (False, True):
        ways = [way if way.time is None else replace(way, time=_bound(way.time, most=most)) for way in advice.local]
        other = remote if remote.time is None else replace(remote, time=_bound(remote.time, most=not most))
        best = rank(advice.image, advice.place, ways, other).best
        if best is not None and not is_same(best, advice.best):
            now = next(ranked for ranked in advice.ranked if is_same(ranked, best))
            by_way.setdefault(_key(now), Change("measured", now))
    return tuple(by_way.values())


def _bound(time: Time, *, most: bool) -> Time:
    """The most or the least that a predicted time may be; another kind of time as it is."""
    if time.kind != "predicted":
        return time
    error = abs(time.errors.worst.error) if time.errors and not time.between else 0.0
    seconds = time.most_s * (1 + error) if most else time.least_s * (1 - error)
    return Time(_UNBOUNDED_S if math.isinf(seconds) else seconds, "measured")


def to_try_with_more_memory(advice: Advice) -> Sequence[Local]:
    """The ways that more memory could make the recommendation, those that change the picture least first."""
    best = advice.best
    most_change = best.way.option.change if best is not None and isinstance(best.way, Local) else math.inf
    ways = [
        way
        for way in advice.local
        if way.option.hazard is None
        and not way.option.is_lower
        and not way.option.is_other_vae
        and not way.peak.is_comfortable
        and way.peak.taken_bytes is not None
        and way.peak.verdict != "unsupported"
        and way.option.change < most_change
    ]
    return sorted(ways, key=lambda way: way.option.change)
