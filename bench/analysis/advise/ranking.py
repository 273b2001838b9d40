"""Order the ways to compute an image, with reasons: the first one is the recommendation.

1. There are classes of ways, in this order: those that fit with high or medium confidence in the requested precision;
   the same in a lower precision, which changes the whole picture; those that are tight or fit with low confidence, in
   the requested precision; the same in a lower precision; remote; out of memory. So a lower precision is never
   recommended for its time alone.
2. Within a class the quickest way comes first. Times count as equal if they are within 10% of the least, or within the
   time model's error if that is larger: the median error if both times are predicted (both err in the same direction),
   the worst error if only one is. Of equal times the way that changes the picture least comes first: untiled, then
   larger tiles, then smaller ones. The remaining ways follow by the same rule. If any time of a class is not known,
   only the change of the picture decides. A range counts as quicker than another time only if all of it is: ranges that
   overlap decide nothing.
3. Remote needs an endpoint and a network, which are assumed. If a local way fits comfortably in the requested
   precision, remote comes first only if it takes at most half the time of the first local way, and the endpoint's part
   is not predicted. If no local way fits comfortably, remote comes first if it is quicker by more than the margin.

What remote or a lower precision would gain is in `quicker` if it is not recommended.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from bench.analysis.advise.card import Place
from bench.analysis.advise.local_ways import Option
from bench.analysis.advise.peaks import Peak
from bench.analysis.advise.remote_way import RemoteWay
from bench.analysis.advise.times import Time
from bench.record import Case

#: Times that differ by at most this share count as equal.
MARGIN = 0.10
#: Remote comes before a comfortable local way if it takes at most this share of its time.
_REMOTE_AT_MOST = 0.5
Standing = Literal["fits", "tight", "remote", "out_of_memory", "unsupported"]


@dataclass(frozen=True, slots=True)
class Local:
    """One option on the card, with its peak there, and its time if that is known."""

    option: Option
    peak: Peak
    time: Time | None


@dataclass(frozen=True, slots=True)
class Ranked:
    """A way in its place of the order, and in a few words why it is there."""

    way: Local | RemoteWay
    reason: str

    @property
    def standing(self) -> Standing:
        """Whether it fits on the card; `remote` for a remote way."""
        return "remote" if isinstance(self.way, RemoteWay) else self.way.peak.verdict


@dataclass(frozen=True, slots=True)
class Advice:
    """The ways to compute one image in one place.

    Attributes:
        image: its untiled case in the requested precision.
        ranked: every way, the recommendation first.
        reason: for the recommendation, in a sentence.
        quicker: what a lower precision or remote would gain, if it is not recommended; None if neither is quicker.
    """

    image: Case
    place: Place
    ranked: tuple[Ranked, ...]
    reason: str
    quicker: str | None

    @property
    def best(self) -> Ranked | None:
        """The recommendation; None if nothing fits and no remote time is known."""
        first = self.ranked[0]
        known = first.standing in {"fits", "tight"} or (first.standing == "remote" and first.way.time is not None)
        return first if known else None

    @property
    def local(self) -> tuple[Local, ...]:
        """The ways on the card, the best first."""
        return tuple(ranked.way for ranked in self.ranked if isinstance(ranked.way, Local))


def rank(image: Case, place: Place, ways: Sequence[Local], remote_way: RemoteWay) -> Advice:
    """Put the ways to compute an image in order."""
    local = _in_order(ways)
    first = local[0] if _class(local[0]) < _OUT else None
    ranked = [Ranked(way, _rank_reason(way, local)) for way in local]
    remote = Ranked(remote_way, _remote_reason(remote_way, first))
    place_of_remote = len([way for way in local if _class(way) < _OUT])
    wins = first is not None and _goes_first(remote_way.time, first)
    ranked.insert(0 if wins else place_of_remote, remote)
    reason = _remote_first_reason(remote, ranked) if wins or first is None else _recommendation_reason(first, local)
    quicker = [_quicker_lower(ranked[0], local), None if wins else _quicker_remote(remote_way, first)]
    return Advice(image, place, tuple(ranked), reason, "; ".join(filter(None, quicker)) or None)


_COMFORTABLE, _COMFORTABLE_LOWER, _TIGHT, _TIGHT_LOWER, _OUT = range(5)


def _class(way: Local) -> int:
    if way.peak.verdict not in {"fits", "tight"}:
        return _OUT
    if way.peak.is_comfortable:
        return _COMFORTABLE_LOWER if way.option.is_lower else _COMFORTABLE
    return _TIGHT_LOWER if way.option.is_lower else _TIGHT


def _in_order(ways: Sequence[Local]) -> list[Local]:
    by_class = groupby(sorted(ways, key=lambda way: (_class(way), way.option.change)), key=_class)
    return [way for _, group in by_class for way in _by_time(list(group))]


def _by_time(ways: list[Local]) -> Iterator[Local]:
    """Put ways of one class, given by how much they change the picture, in order."""
    if any(way.time is None for way in ways):
        yield from ways
        return
    while ways:
        least = min((way.time for way in ways if way.time), key=lambda time: time.most_s)
        first = next(way for way in ways if way.time and _as_quick(way.time, least))
        ways.remove(first)
        yield first


def margin(time: Time, other: Time) -> float:
    """The share by which two times may differ and count as equal. A range includes the model's error already."""
    model_errors = [
        each.errors for each in (time, other) if each.kind == "predicted" and not each.between and each.errors
    ]
    if time.kind == other.kind == "predicted":
        return max([MARGIN, *(errors.median for errors in model_errors)])
    return max([MARGIN, *(abs(errors.worst.error) for errors in model_errors)])


def _as_quick(time: Time, least: Time) -> bool:
    """Whether `time` may be as short as `least`, or is shorter."""
    return time.least_s <= least.most_s * (1 + margin(time, least))


def _quicker(time: Time | None, other: Time | None) -> bool:
    """Whether `time` is shorter than `other` by more than the margin."""
    return time is not None and other is not None and not _as_quick(other, time)


def _goes_first(remote: Time | None, first: Local) -> bool:
    """Whether remote is so much quicker than the first local way that it is recommended instead."""
    if remote is None or first.time is None:
        return False
    if _class(first) == _COMFORTABLE:
        return remote.kind != "predicted" and remote.most_s <= first.time.least_s * _REMOTE_AT_MOST
    return _quicker(remote, first.time)


def _against(time: Time | None, other: Time | None, what: str = "") -> str:
    """`23% longer than WHAT`, `2.4 times as long as`, `23% less time than`, `about as long as`; empty for no time.

    Ranges have no share: `longer than`, `less time than`, or nothing if they overlap.
    """
    if time is None or other is None:
        return ""
    than, than_as = (f" than {what}", f" as {what}") if what else ("", "")
    quicker, slower = _quicker(time, other), _quicker(other, time)
    if time.between or other.between:
        return f"less time{than}" if quicker else f"longer{than}" if slower else ""
    factor = time.least_s / other.least_s
    if quicker:
        return f"{1 - factor:.0%} less time{than}"
    if not slower:
        return f"about as long{than_as}"
    if factor >= 2:
        return f"{factor:.1f} times as long{than_as}"
    return f"{factor - 1:.0%} longer{than}"


def _rank_reason(way: Local, local: Sequence[Local]) -> str:
    """Why a way has its place, compared with the first local way."""
    first = local[0]
    if not way.peak.is_comfortable:
        return way.peak.reason
    if way is first:
        return _first_reason(way, local)
    parts = [_against(way.time, first.time)]
    if way.option.is_lower and not first.option.is_lower:
        parts.append("but in lower precision")
    elif way.option.change > first.option.change and not way.option.is_exact:
        parts.append("changes the picture more")
    return ", ".join(filter(None, parts)) or "fits"


def _first_reason(way: Local, local: Sequence[Local]) -> str:
    same = [other for other in local if _class(other) == _class(way)]
    several = len({other.option.case.dtype for other in local}) > 1
    fits = f"{f'in {way.option.case.dtype} ' if several else ''}that fits comfortably"
    if len(same) == 1:
        return f"the only way {fits}"
    if any(other.time is None for other in same) or way.time is None:
        return f"changes the picture least of all {fits} (not all times are known)"
    if all(_quicker(way.time, other.time) for other in same if other is not way):
        return f"the quickest {fits}"
    if any(other.time.between for other in same if other.time):
        return f"changes the picture least of all {fits} (their times are ranges that overlap)"
    least = min(other.time.least_s for other in same if other.time)
    if way.time.least_s == least:
        return f"the quickest {fits}"
    return f"within {max(0.01, way.time.least_s / least - 1):.0%} of the quickest {fits}, and changes the picture less"


def _recommendation_reason(first: Local, local: Sequence[Local]) -> str:
    """The reason for the recommendation: why not a way that changes the picture less, and its own merit."""
    less = [way for way in local if way.option.change < first.option.change and way.option.case.variant == "default"]
    less = sorted((way for way in less if not way.option.is_lower), key=lambda way: way.option.change)
    parts = [f"{way.option.label}: {_drawback(way, first)}" for way in less if way.option.case.tile is None]
    tiles = [way for way in less if way.option.case.tile]
    worse = [way.option.label for way in tiles if not way.peak.is_comfortable]
    slower = [way.option.label for way in tiles if way.peak.is_comfortable and _quicker(first.time, way.time)]
    parts += [f"{_listed(worse)}: fits only tightly"] if worse else []
    parts += [f"{_listed(slower)}: slower"] if slower else []
    start = "" if first.peak.is_comfortable else "nothing fits comfortably; chosen: "
    return "; ".join([*parts, f"{start}{_rank_reason(first, local)}"])


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(labels) if len(labels) < 3 else f"{labels[0]} to {labels[-1]}"


def _drawback(way: Local, first: Local) -> str:
    """Why a way that changes the picture less than the first one is not first."""
    if way.peak.is_comfortable:
        return _against(way.time, first.time) or "fits"
    time = f" ({way.time.text} {way.time.kind})" if way.time else ""
    return f"{way.peak.reason}{time}"


def _remote_reason(remote: RemoteWay, first: Local | None) -> str:
    if remote.time is None:
        return f"no time known: {remote.reason}"
    if first is None or first.time is None:
        return "takes none of the card's memory"
    return f"takes none of the card's memory; {_against(remote.time, first.time, first.option.label)}"


def _remote_first_reason(remote: Ranked, ranked: Sequence[Ranked]) -> str:
    """Why remote comes first, or why nothing does: the problem with the local ways."""
    local = [each.way for each in ranked if isinstance(each.way, Local)]
    fits = [way for way in local if _class(way) < _OUT]
    if fits:
        return f"{remote.reason} ({fits[0].time.text if fits[0].time else '-'})"
    smallest = min(local, key=lambda way: (way.peak.needed_bytes is None, way.peak.needed_bytes or 0))
    if smallest.peak.verdict == "unsupported":
        return f"nothing runs here: {smallest.peak.reason}"
    return f"nothing fits here; {smallest.option.label}: {smallest.peak.reason}"


def _quicker_remote(remote: RemoteWay, first: Local | None) -> str | None:
    """A sentence on what remote would gain, if it is not recommended."""
    if first is None or remote.time is None or not _quicker(remote.time, first.time):
        return None
    less = _against(remote.time, first.time)
    return f"remote, by {remote.by}, {remote.time.text} ({remote.time.kind}), {less}"


def _quicker_lower(first: Ranked, local: Sequence[Local]) -> str | None:
    """A sentence on what a lower precision would gain, if it is not recommended."""
    if isinstance(first.way, Local) and first.way.option.is_lower:
        return None
    quicker = [
        (way, way.time)
        for way in local
        if _class(way) == _COMFORTABLE_LOWER and way.time is not None and _quicker(way.time, first.way.time)
    ]
    if not quicker:
        return None
    way, time = quicker[0]
    less = _against(time, first.way.time)
    return f"{way.option.label}, {time.text} ({time.kind}), {less}, but in lower precision"
