"""The ways to compute one image in one place, in order, and what would change the first one. Values alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.analysis.advise.card import Place
from bench.analysis.advise.local_ways import Option
from bench.analysis.advise.peaks import Fate, Peak
from bench.analysis.advise.remote_way import RemoteWay
from bench.analysis.advise.times import Time
from bench.analysis.advise.variants import Variant
from bench.record import Case

Standing = Fate | Literal["remote"]
#: more_memory: with `at_bytes` available; less_memory: with less than that. round_trip_below, round_trip_above: over
#: the same network with a round trip below or above `at_s`. measured: if it was measured, at the least or most
#: time that it may take. any_precision: without the precision that the user asked for. fewer_frames: for a video of at
#: most `at_frames`.
Condition = Literal[
    "more_memory", "less_memory", "round_trip_below", "round_trip_above", "measured", "any_precision", "fewer_frames"
]

#: The classes of ways on a card, the best first; `ranking` says what they are.
COMFORTABLE, COMFORTABLE_LOWER, TIGHT, TIGHT_LOWER, BLACK, OTHER_VAE, SPILLS, EMULATED, OUT = range(9)


def is_eligible(way: Local) -> bool:
    """Whether a way may be recommended: it runs, in a precision that the card computes in."""
    return rank_class(way) < EMULATED


def rank_class(way: Local) -> int:
    """The class of a way: the lower, the better."""
    apart = {
        OUT: not way.peak.runs,
        EMULATED: way.option.hazard == "emulated",
        SPILLS: way.peak.verdict == "spills",
        OTHER_VAE: way.option.is_other_vae,
        BLACK: way.option.hazard == "black_images",
    }
    if any(apart.values()):
        return next(one_class for one_class, holds in apart.items() if holds)
    if way.peak.is_comfortable:
        return COMFORTABLE_LOWER if way.option.is_lower else COMFORTABLE
    return TIGHT_LOWER if way.option.is_lower else TIGHT


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
class Change:
    """A condition under which another way comes first, found by ranking the ways again under it.

    Attributes:
        way: the way that comes first then; None if nothing can be recommended.
        at_bytes: available memory, for changes of memory.
        is_other_card: whether the card has less memory than `at_bytes`.
        at_s: round trip in seconds, for changes of the network.
        at_frames: the most frames, for changes of a video's length.
    """

    condition: Condition
    way: Ranked | None
    at_bytes: int | None = None
    is_other_card: bool = False
    at_s: float | None = None
    at_frames: int | None = None


@dataclass(frozen=True, slots=True)
class Advice:
    """The ways to compute one image in one place.

    Attributes:
        image: its untiled case in the requested precision.
        ranked: every way, the recommendation first.
        reason: for the recommendation, in a sentence.
        quicker: what a lower precision or remote would gain, if it is not recommended; None if neither is quicker.
        changes: what would change the recommendation; empty if nobody looked.
        variants: variants that are worth measuring, because they were published as quicker.
    """

    image: Case
    place: Place
    ranked: tuple[Ranked, ...]
    reason: str
    quicker: str | None
    changes: tuple[Change, ...] = ()
    variants: tuple[Variant, ...] = ()

    @property
    def best(self) -> Ranked | None:
        """The recommendation; None if nothing fits and no remote time is known."""
        first = self.ranked[0]
        if isinstance(first.way, RemoteWay):
            return None if first.way.time is None else first
        return first if is_eligible(first.way) else None

    @property
    def local(self) -> tuple[Local, ...]:
        """The ways on the card, the best first."""
        return tuple(ranked.way for ranked in self.ranked if isinstance(ranked.way, Local))
