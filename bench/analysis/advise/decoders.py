"""What can decode the same latents: the VAEs of one latent space, and an endpoint, on some cards. Values alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.analysis.advise.card import Place
from bench.analysis.advise.peaks import Peak
from bench.analysis.advise.remote_way import RemoteWay
from bench.analysis.advise.times import Time
from bench.analysis.hybrid.service import seconds
from bench.record import Case, Record


@dataclass(frozen=True, slots=True)
class OnCard:
    """One way to decode on a card: its peak, and its time if that is known."""

    peak: Peak
    time: Time | None


@dataclass(frozen=True, slots=True)
class Decoder:
    """One way to decode latents.

    Attributes:
        case: the call.
        on_cards: what it takes on each card, by the card's label; empty if it can't be predicted.
        unknown: why not.
    """

    case: Case
    on_cards: Mapping[str, OnCard]
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class Decoders:
    """The ways to decode one image or video.

    Attributes:
        image: its untiled case with the VAE that the latents are named after.
        places: the cards.
        decoders: that VAE untiled and in tiles, then smaller ones for the same latents.
        remote: an endpoint.
    """

    image: Case
    places: tuple[Place, ...]
    decoders: tuple[Decoder, ...]
    remote: RemoteWay

    @property
    def others(self) -> tuple[str, ...]:
        """The smaller VAEs for the same latents."""
        models = dict.fromkeys(decoder.case.model for decoder in self.decoders)
        return tuple(key for key in models if key != self.image.model)


def shown_places(places: Sequence[Place], records: Sequence[Record]) -> tuple[Place, ...]:
    """Up to three places to show: of those with known times the smallest, one between, and the largest.

    Of all places, if no time is known of any.
    """
    timed = [
        place for place in places if any(place.is_of(record) and seconds(record) is not None for record in records)
    ]
    ordered = sorted(timed or places, key=lambda place: place.limit_or_total_bytes)
    return tuple(dict.fromkeys(ordered[at] for at in (0, len(ordered) // 2, len(ordered) - 1))) if ordered else ()
