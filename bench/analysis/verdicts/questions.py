"""What is asked (a model, an operation, a size, a precision) and what is known of it on each card. Values alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from bench.record import Case, Kind, Tile

#: fits: with high or medium confidence. tight: it runs, but torch empties its cache or takes low-workspace kernels.
#: oom: out of memory. unsure: predicted to fit, with low confidence. unsupported: torch has no kernels for the card.
#: emulated: it runs, but the card does not compute in the precision, which is never recommended. black: it runs, but
#: the precision may give black images. The order is that of the indices in the file.
Verdict = Literal["fits", "tight", "oom", "unsure", "unsupported", "emulated", "black"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
#: The verdicts of ways that run.
RUNS: frozenset[Verdict] = frozenset({"fits", "tight", "unsure", "emulated", "black"})
#: What stands for a way in `OnCard.best`: remote, or none that is known to run.
REMOTE, NOTHING = -1, -2
#: More measured devices can't be chosen from in a list; those that ran last are answered for.
MOST_DEVICES = 300
Picture = Literal["image", "video"]
#: What is asked: model, operation, width, height, frames and precision.
Key = tuple[str, str, int, int, int | None, str]
#: How a card is had, whose cost is given.
Had = Literal["bought", "rented"]


@dataclass(frozen=True, slots=True)
class Card:
    """A card of gpus.yaml, or a device that something was measured on.

    Attributes:
        memory_bytes: what torch reports; None if that is not known.
        is_memory_assumed: whether it is what the card is sold with, because nobody published what torch reports.
        is_device: whether it was measured in the given results.
        had: whether costs are those of a bought or a rented card; None if no price is known.
    """

    name: str
    memory_bytes: int | None
    is_memory_assumed: bool = False
    is_device: bool = False
    had: Had | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the zoo.

    Attributes:
        aliases: other names for it.
        unit: what its costs are counted by (`analysis.cost.outputs.Unit`).
    """

    key: str
    title: str
    aliases: tuple[str, ...]
    kind: Picture
    unit: str


@dataclass(frozen=True, slots=True)
class Way:
    """A way to compute the same image on a card: its tile (None: untiled), precision and variant.

    `key` is unique in a question; `title` is for people.
    """

    key: str
    title: str
    tile: Tile | None
    dtype: str
    variant: str = "default"


@dataclass(frozen=True, slots=True)
class Figures:
    """What a way takes on a card.

    Attributes:
        way: its index in the question's ways.
        peak_bytes: of torch's pool. If the verdict is oom, the least that it needs. None if that is not known.
        least_s, most_s: the time of one call: the same if one figure is known, else a range. `most_s` is None if
            nothing bounds it; both are None if no time is known.
        peak_kind: where the peak and the verdict are from.
        time_kind: where the time is from.
        cost_per_1000: of 1,000 of the model's unit, for the seconds that the card computes. None without a price, or
            if the time is a range.
    """

    way: int
    verdict: Verdict
    peak_bytes: int | None = None
    least_s: float | None = None
    most_s: float | None = None
    peak_kind: Kind = "predicted"
    time_kind: Kind = "predicted"
    cost_per_1000: float | None = None


@dataclass(frozen=True, slots=True)
class OnCard:
    """The answer on one card.

    Attributes:
        ways: the figures of each way that the card has, in the order of the question's ways. Empty: nothing is known.
        here: the index of the best way on the card itself, or NOTHING.
        best: for each network, `here` or REMOTE, or NOTHING.
    """

    ways: tuple[Figures, ...] = ()
    here: int = NOTHING
    best: tuple[int, ...] = ()


#: A card of which nothing is known.
UNKNOWN = OnCard()


@dataclass(frozen=True, slots=True)
class Remote:
    """The remote way over one network, from end to end.

    Attributes:
        by: the card or endpoint that computes it; empty if no time is known.
        cost_per_1000: on the cheapest endpoint that has such a card, kept as busy as planned; None if there is none.
        endpoint: that endpoint in prices.yaml; empty without a cost.
        note: why no time is known; None if it is.
    """

    least_s: float | None
    most_s: float | None
    kind: Kind
    by: str
    cost_per_1000: float | None = None
    endpoint: str = ""
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """One image or video in a precision, and what is known of it.

    Attributes:
        frames: of a video; None for an image.
        risk: what the precision risks in this model; empty if nothing is known.
        remote: by the network's key.
        cards: in the order of the verdicts' cards; nothing is known of those that are left out at the end.
    """

    model: str
    operation: str
    width: int
    height: int
    frames: int | None
    dtype: str
    risk: str
    ways: tuple[Way, ...]
    remote: Mapping[str, Remote]
    cards: tuple[OnCard, ...]

    def on(self, card: int) -> OnCard:
        """What is known on the card with this index."""
        return self.cards[card] if card < len(self.cards) else UNKNOWN

    @property
    def key(self) -> Key:
        """What is asked: no two questions of one table have the same."""
        return (self.model, self.operation, self.width, self.height, self.frames, self.dtype)


@dataclass(frozen=True, slots=True)
class TimeErrors:
    """How far predicted times within the model's fit were off for cards that it had not seen: relative."""

    median: float
    worst: float


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The answers to common questions on every card.

    Attributes:
        networks: titles by key, the one that choices are made for first.
        errors: of predicted times; None if no time is predicted.
        currency: of all costs.
        left_out: measured devices that nothing is answered for, because too many others ran later.
    """

    cards: tuple[Card, ...]
    models: tuple[Model, ...]
    networks: Mapping[str, str]
    errors: TimeErrors | None
    currency: str
    questions: tuple[Question, ...]
    left_out: int = 0


def three_digits(value: float | None) -> float | None:
    """The value as the verdicts keep it, so that the recommendation is the same before and after it was written."""
    return None if value is None else float(f"{value:.3g}")


def case_of(way: Way, case: Case) -> Case:
    """The case of a way; `case` is any of the same question."""
    return case.model_copy(update={"dtype": way.dtype, "variant": way.variant, "tiling": way.tile or "off"})


def order_of(way: Way, dtype: str) -> tuple[object, ...]:
    """A key that sorts the ways of a question in the precision `dtype` by how much they change the picture.

    Untiled, then larger tiles before smaller ones, then tiles in time; all of that in another precision last.
    """
    tile = way.tile
    area = -math.inf if tile is None else -tile.tile * tile.rows[0]
    overlap = 0 if tile is None else -tile.overlap
    return (way.dtype != dtype, tile is not None and tile.frames is not None, area, overlap, way.variant != "default")


def way_of(case: Case, dtype: str) -> Way:
    """The way that a case is computed in, for a question in the precision `dtype`."""
    tile = case.tile
    precision = [case.dtype] if case.dtype != dtype else []
    variant = [case.variant] if case.variant != "default" else []
    key = " ".join([*precision, *variant, tile.label if tile else "untiled"])
    return Way(key, ", ".join([*precision, *variant, _title(tile)]), tile, case.dtype, case.variant)


def _title(tile: Tile | None) -> str:
    """`tile 512, overlap 128`; not square `tile 360x240, overlap 72x40`; in time also `16 frames, overlap 8`."""
    if tile is None:
        return "untiled"
    size, _, overlap = tile.label.partition(",")[0].partition("/")
    time = "" if tile.frames is None else f", {tile.frames} frames, overlap {tile.overlap_frames or 0}"
    return f"tile {size}, overlap {overlap}{time}"
