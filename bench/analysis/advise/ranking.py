"""In which order the ways of an image stand, and why: the first one is the recommendation. Pure.

1. Ways stand in classes: those that fit with high or medium confidence, in the asked precision; such in a lower
   precision, which changes the whole picture; those that are tight or fit with low confidence, in the asked precision;
   such in a lower one; remote; out of memory.
2. Within a class the least time goes first. Times count as equal that are within 10% of the least, or within the time
   model's error where that is more: its median where both are predicted, which are off to the same side; its worst
   where one of them is. Of equal ones goes first what changes the picture least: untiled, larger tiles, smaller tiles.
   The next is found among those left in the same manner. Where the time of one of a class is not known, what it
   changes of the picture alone decides. A time that is a range is quicker than another only if all of it is: where
   ranges overlap, nothing rests on them.
3. Remote takes an endpoint and a network, which are assumed. Where a local way fits comfortably in the asked precision,
   it goes first only if it takes at most half the time of the first one, and the endpoint's part of that is not
   predicted; else if it is quicker by more than that margin. Where it is quicker and not first, that is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from bench.analysis.advise.card import Place
from bench.analysis.advise.local_ways import Option
from bench.analysis.advise.peaks import Peak
from bench.analysis.advise.remote_way import Away
from bench.analysis.advise.times import Time
from bench.record import Case

#: Times that differ by no more than this share count as equal.
MARGIN = 0.10
#: The most of a comfortable local way's time that remote may take to go first.
_REMOTE_AT_MOST = 0.5
Standing = Literal["fits", "tight", "remote", "out_of_memory", "unsupported"]


@dataclass(frozen=True, slots=True)
class Local:
    """One option on the card, with its peak there, and its time where that is known."""

    option: Option
    peak: Peak
    time: Time | None


@dataclass(frozen=True, slots=True)
class Ranked:
    """A way in its place, and in a few words why it stands there."""

    way: Local | Away
    reason: str

    @property
    def standing(self) -> Standing:
        """Whether it fits, or is remote."""
        return "remote" if isinstance(self.way, Away) else self.way.peak.verdict


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do with one image in one place.

    Attributes:
        image: its untiled case in the asked precision.
        ranked: every way, the recommendation first.
        reason: of the recommendation, in a sentence.
        quicker: of a lower precision, or remote, that would be quicker and is not recommended; None: neither would.
    """

    image: Case
    place: Place
    ranked: tuple[Ranked, ...]
    reason: str
    quicker: str | None

    @property
    def best(self) -> Ranked | None:
        """The recommendation; None where nothing fits and of remote there is no figure."""
        first = self.ranked[0]
        known = first.standing in {"fits", "tight"} or (first.standing == "remote" and first.way.time is not None)
        return first if known else None

    @property
    def local(self) -> tuple[Local, ...]:
        """The ways on the card, the best first."""
        return tuple(one.way for one in self.ranked if isinstance(one.way, Local))


def rank(image: Case, place: Place, ways: Sequence[Local], away: Away) -> Advice:
    """Put the ways of an image in order."""
    local = _in_order(ways)
    first = local[0] if _class(local[0]) < _OUT else None
    ranked = [Ranked(way, _reason(way, local)) for way in local]
    remote = Ranked(away, _remote_reason(away, first))
    place_of_remote = len([way for way in local if _class(way) < _OUT])
    wins = first is not None and _goes_first(away.time, first)
    ranked.insert(0 if wins else place_of_remote, remote)
    reason = _remote_wins(remote, ranked) if wins or first is None else _why(first, local)
    quicker = [_lower(ranked[0], local), None if wins else _quicker_away(away, first)]
    return Advice(image, place, tuple(ranked), reason, "; ".join(one for one in quicker if one) or None)


_COMFORTABLE, _COMFORTABLE_LOWER, _TIGHT, _TIGHT_LOWER, _OUT = range(5)


def _class(way: Local) -> int:
    if way.peak.verdict not in {"fits", "tight"}:
        return _OUT
    if way.peak.is_comfortable:
        return _COMFORTABLE_LOWER if way.option.is_lower else _COMFORTABLE
    return _TIGHT_LOWER if way.option.is_lower else _TIGHT


def _in_order(ways: Sequence[Local]) -> list[Local]:
    found: list[Local] = []
    for _, group in groupby(sorted(ways, key=lambda way: (_class(way), way.option.change)), key=_class):
        found += _by_time(list(group))
    return found


def _by_time(ways: list[Local]) -> Iterator[Local]:
    """Ways of one class, which come in the order of what they change of the picture."""
    if any(way.time is None for way in ways):
        yield from ways
        return
    while ways:
        least = min((way.time for way in ways if way.time), key=lambda time: time.most_s)
        first = next(way for way in ways if way.time and _as_quick(way.time, least))
        ways.remove(first)
        yield first


def margin(one: Time, other: Time) -> float:
    """By which share two times may differ and count as equal. A range has the model's error in it already."""
    model_errors = [
        time.errors for time in (one, other) if time.kind == "predicted" and not time.between and time.errors
    ]
    if one.kind == other.kind == "predicted":
        return max([MARGIN, *(errors.median for errors in model_errors)])
    return max([MARGIN, *(abs(errors.worst.error) for errors in model_errors)])


def _as_quick(time: Time, least: Time) -> bool:
    """Whether one may be as quick as the other, or takes less."""
    return time.least_s <= least.most_s * (1 + margin(time, least))


def _quicker(one: Time | None, other: Time | None) -> bool:
    """Whether one is quicker by more than the margin."""
    return one is not None and other is not None and not _as_quick(other, one)


def _goes_first(away: Time | None, first: Local) -> bool:
    """Whether remote is so much quicker than the first local way that it is recommended instead."""
    if away is None or first.time is None:
        return False
    if _class(first) == _COMFORTABLE:
        return away.kind != "predicted" and away.most_s <= first.time.least_s * _REMOTE_AT_MOST
    return _quicker(away, first.time)


def _against(one: Time | None, other: Time | None, what: str = "") -> str:
    """`23% longer than WHAT`, `2.4 times as long as`, `23% less time than`, `about as long as`; empty for no time.

    Of ranges no share is told: `longer than`, `less time than`, or that they overlap.
    """
    if one is None or other is None:
        return ""
    than, than_as = (f" than {what}", f" as {what}") if what else ("", "")
    quicker, slower = _quicker(one, other), _quicker(other, one)
    if one.between or other.between:
        return f"less time{than}" if quicker else f"longer{than}" if slower else ""
    factor = one.least_s / other.least_s
    if quicker:
        return f"{1 - factor:.0%} less time{than}"
    if not slower:
        return f"about as long{than_as}"
    if factor >= 2:
        return f"{factor:.1f} times as long{than_as}"
    return f"{factor - 1:.0%} longer{than}"


def _reason(way: Local, local: Sequence[Local]) -> str:
    """Why a way stands where it does, beside the first of all local ones."""
    first = local[0]
    if not way.peak.is_comfortable:
        return way.peak.reason
    if way is first:
        return _merit(way, local)
    said = [_against(way.time, first.time)]
    if way.option.is_lower and not first.option.is_lower:
        said.append("at the risk of a lower precision")
    elif way.option.change > first.option.change and not way.option.is_exact:
        said.append("changes the picture more")
    return ", ".join(part for part in said if part) or "fits"


def _merit(way: Local, local: Sequence[Local]) -> str:
    """Why the first of all local ways is the first."""
    same = [one for one in local if _class(one) == _class(way)]
    several = len({one.option.case.dtype for one in local}) > 1
    fits = f"{f'in {way.option.case.dtype} ' if several else ''}that fits comfortably"
    if len(same) == 1:
        return f"the only way {fits}"
    if any(one.time is None for one in same) or way.time is None:
        return f"changes the picture least of all {fits} (not all times are known)"
    if all(_quicker(way.time, one.time) for one in same if one is not way):
        return f"the quickest {fits}"
    if any(one.time.between for one in same if one.time):
        return f"changes the picture least of all {fits} (their times are ranges that overlap)"
    least = min(one.time.least_s for one in same if one.time)
    if way.time.least_s == least:
        return f"the quickest {fits}"
    return f"within {max(0.01, way.time.least_s / least - 1):.0%} of the quickest {fits}, and changes the picture less"


def _why(first: Local, local: Sequence[Local]) -> str:
    """Of the recommendation: what became of the ways that change the picture less, and its own merit."""
    less = [way for way in local if way.option.change < first.option.change and way.option.case.variant == "default"]
    less = sorted((way for way in less if not way.option.is_lower), key=lambda way: way.option.change)
    said = [f"{way.option.label}: {_short(way, first)}" for way in less if way.option.case.tile is None]
    tiles = [way for way in less if way.option.case.tile]
    worse = [way.option.label for way in tiles if not way.peak.is_comfortable]
    slower = [way.option.label for way in tiles if way.peak.is_comfortable and _quicker(first.time, way.time)]
    said += [f"{_listed(worse)}: not comfortably"] if worse else []
    said += [f"{_listed(slower)}: slower"] if slower else []
    own = _reason(first, local) if first.peak.is_comfortable else f"nothing fits comfortably; this: {first.peak.reason}"
    return "; ".join([*said, own])


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(labels) if len(labels) < 3 else f"{labels[0]} to {labels[-1]}"


def _short(way: Local, first: Local) -> str:
    """What became of a way that changes the picture less than the first."""
    if way.peak.is_comfortable:
        return _against(way.time, first.time) or "fits"
    time = f" ({way.time.text} {way.time.kind})" if way.time else ""
    return f"{way.peak.reason}{time}"


def _remote_reason(away: Away, first: Local | None) -> str:
    if away.time is None:
        return f"no figure: {away.reason}"
    if first is None or first.time is None:
        return "none of the card's memory"
    return f"none of the card's memory; {_against(away.time, first.time, first.option.label)}"


def _remote_wins(remote: Ranked, ranked: Sequence[Ranked]) -> str:
    """Why remote is first, or why nothing is: what became of the local ways."""
    local = [one.way for one in ranked if isinstance(one.way, Local)]
    fits = [way for way in local if _class(way) < _OUT]
    if fits:
        return f"{remote.reason} ({fits[0].time.text if fits[0].time else '-'})"
    smallest = min(local, key=lambda way: (way.peak.needed_bytes is None, way.peak.needed_bytes or 0))
    if smallest.peak.verdict == "unsupported":
        return f"nothing runs here: {smallest.peak.reason}"
    return f"nothing fits here; {smallest.option.label}: {smallest.peak.reason}"


def _quicker_away(away: Away, first: Local | None) -> str | None:
    """What remote would gain, where it is not recommended."""
    if first is None or away.time is None or not _quicker(away.time, first.time):
        return None
    less = _against(away.time, first.time)
    return f"remote, by {away.by}, {away.time.text} ({away.time.kind}), {less}"


def _lower(first: Ranked, local: Sequence[Local]) -> str | None:
    """What a lower precision would gain, where it is not recommended."""
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
    return f"{way.option.label}, {time.text} ({time.kind}), {less}, at the risk of a lower precision"
