"""Order the ways to compute an image, with reasons: the first one is the recommendation.

1. There are classes of ways, in this order: those that fit with high or medium confidence in the requested precision
   (or in float32, if the card can't use the requested one); the same in a lower precision, which changes the whole
   picture; those that are tight or fit with low confidence, in the requested precision; the same in a lower precision;
   those whose precision may give black images; remote; another VAE for the same latents; those that spill into system
   memory on Windows; those whose precision the card only emulates, which are never recommended; out of memory. So a
   lower precision or another VAE is never recommended for its time alone.
2. Within a class the quickest way comes first. Times count as equal if they are within 10% of the least, or within the
   time model's error if that is larger: the median error if both times are predicted (both err in the same direction),
   the worst error if only one is. Of equal times the way that changes the picture least comes first: untiled, then
   larger tiles, then smaller ones. The remaining ways follow by the same rule. If any time of a class is not known,
   only the change of the picture decides. A range counts as quicker than another time only if all of it is: ranges that
   overlap decide nothing.
3. Remote needs an endpoint and a network, which are assumed. If a local way fits comfortably in the requested
   precision, remote comes first only if it takes at most half the time of the first local way, and the endpoint's part
   is not predicted. If no local way fits comfortably, remote comes first if it is quicker by more than the margin. If
   all local ways that run may give black images, are another VAE or spill, remote comes first if its time is known.

What remote, a lower precision or another VAE would gain is in `quicker` if it is not recommended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from bench.analysis.advise.card import Place
from bench.analysis.advise.reasons import (
    quicker_lower,
    quicker_other,
    quicker_remote,
    rank_reason,
    recommendation_reason,
    remote_first_reason,
    remote_reason,
)
from bench.analysis.advise.remote_way import RemoteWay
from bench.analysis.advise.time_order import as_quick, quicker
from bench.analysis.advise.times import Time
from bench.analysis.advise.ways import (
    BLACK,
    COMFORTABLE,
    OTHER_VAE,
    OUT,
    SPILLS,
    Advice,
    Local,
    Ranked,
    is_eligible,
    rank_class,
)
from bench.record import Case

#: Remote comes before a comfortable local way if it takes at most this share of its time.
_REMOTE_AT_MOST = 0.5


def rank(image: Case, place: Place, ways: Sequence[Local], remote_way: RemoteWay) -> Advice:
    """Put the ways to compute an image in order."""
    local = _in_order(ways)
    first = _eligible(local)
    ranked = [Ranked(way, rank_reason(way, local)) for way in local]
    remote = Ranked(remote_way, remote_reason(remote_way, first))
    before_remote = OUT if remote_way.time is None else OTHER_VAE
    place_of_remote = len([way for way in local if rank_class(way) < before_remote])
    wins = first is not None and _goes_first(remote_way.time, first)
    ranked.insert(0 if wins else place_of_remote, remote)
    reason = remote_first_reason(remote, ranked) if wins or first is None else recommendation_reason(first, local)
    gains = [
        quicker_lower(ranked[0], local),
        quicker_other(ranked[0], local),
        None if wins else quicker_remote(remote_way, first),
    ]
    return Advice(image, place, tuple(ranked), reason, "; ".join(filter(None, gains)) or None)


def first_local(ways: Sequence[Local]) -> Local | None:
    """The first way on the card, if it may be recommended."""
    return _eligible(_in_order(ways))


def is_remote_first(remote: Time | None, first: Local | None) -> bool:
    """Whether remote with this time is recommended. `first` is the first way on the card; None if there is none."""
    return remote is not None and (first is None or _goes_first(remote, first))


def _eligible(in_order: Sequence[Local]) -> Local | None:
    return in_order[0] if in_order and is_eligible(in_order[0]) else None


def _in_order(ways: Sequence[Local]) -> list[Local]:
    by_class = groupby(sorted(ways, key=lambda way: (rank_class(way), way.option.change)), key=rank_class)
    return [way for one_class, group in by_class for way in _within_class(one_class, list(group))]


def _within_class(one_class: int, ways: list[Local]) -> Iterable[Local]:
    """Put ways of one class in order: those that spill by hazard, then by how much; the others by time."""
    if one_class == SPILLS:
        return sorted(ways, key=lambda way: (way.option.hazard is not None, way.peak.spilled_bytes or 0))
    if one_class in {BLACK, OTHER_VAE}:
        return sorted(ways, key=lambda way: not way.peak.is_comfortable)
    return _by_time(ways)


def _by_time(ways: list[Local]) -> Iterator[Local]:
    """Put ways of one class, given by how much they change the picture, in order."""
    if any(way.time is None for way in ways):
        yield from ways
        return
    while ways:
        least = min((way.time for way in ways if way.time), key=lambda time: time.most_s)
        first = next(way for way in ways if way.time and as_quick(way.time, least))
        ways.remove(first)
        yield first


def _goes_first(remote: Time | None, first: Local) -> bool:
    """Whether remote is recommended instead of the first local way, because it is quicker or safer."""
    if remote is None:
        return False
    if rank_class(first) in {BLACK, OTHER_VAE, SPILLS}:
        return True
    if first.time is None:
        return False
    if rank_class(first) == COMFORTABLE:
        return remote.kind != "predicted" and remote.most_s <= first.time.least_s * _REMOTE_AT_MOST
    return quicker(remote, first.time)
