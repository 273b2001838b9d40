"""Cards and endpoints that compute an image, in the order of their prices.

A card is offered if the image fits with high or medium confidence, in a precision that the card can use. What an image
costs follows from the time of one call, as in `analysis.cost`; unlike there, the time may be predicted, and then so is
the cost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.analysis.advise.card import Place
from bench.analysis.advise.peaks import Peak
from bench.analysis.advise.precision import why_unusable
from bench.analysis.advise.times import Time
from bench.analysis.cost.arithmetic import HOUR_S, EndpointCost, LocalCost, energy_cost, ownership_per_hour, per_1000
from bench.analysis.cost.image_costs import BUSY
from bench.analysis.cost.outputs import output_of
from bench.config import Card, EndpointPrice, Prices
from bench.config.prices import Purchase, Rental
from bench.record import Case, Tile

#: How a card is had; `unpriced`: nobody's price for it is known.
Way = Literal["bought", "rented", "unpriced"]
_WAYS: tuple[Way, ...] = ("bought", "rented")


@dataclass(frozen=True, slots=True)
class Between:
    """A quantity from its least to its most; `most` is None if nothing bounds it."""

    least: float
    most: float | None

    @property
    def is_exact(self) -> bool:
        """Whether both are the same."""
        return self.least == self.most


@dataclass(frozen=True, slots=True)
class CardOffer:
    """A card for an image.

    Attributes:
        case: the image as it is computed: untiled, or in tiles.
        peak, time: on that card; `time` is None if it is not known.
        price: what the card costs; None if nobody's price is known.
        needed_bytes: the least that it needs by the model of memory.
    """

    case: Case
    place: Place
    peak: Peak
    time: Time | None
    price: Card | None
    needed_bytes: int

    @property
    def lacks(self) -> str:
        """Why the card can't use the precision, as a sentence without a full stop; empty if it can."""
        return why_unusable(self.case.dtype, self.place)

    @property
    def is_comfortable(self) -> bool:
        """Whether it fits with high or medium confidence, in a precision that the card can use."""
        return self.peak.is_comfortable and not self.lacks

    @property
    def is_tight(self) -> bool:
        """Whether it runs, but not comfortably: it is tight, or fits with low confidence."""
        return self.peak.verdict in {"fits", "tight"} and not self.peak.is_comfortable and not self.lacks

    @property
    def demand(self) -> float:
        """What the image takes there, or needs at least, as a share of what the card has for it."""
        return (self.peak.reserved_bytes or self.needed_bytes) / max(self.place.capacities[1], 1)

    def sold(self, way: Way) -> Purchase | Rental | None:
        """The price at which it is bought, or rented for an hour; None if that is not known."""
        return sold_as(self.price, way)


@dataclass(frozen=True, slots=True)
class PricedCard:
    """A card as it is bought or rented.

    Attributes:
        price: its price, or that of an hour; None if it is not known.
        per_1000: cost of 1,000 images, for the seconds in which the card computes: rent, or electricity and a share of
            the price of a bought card. None without a price or a time.
    """

    offer: CardOffer
    way: Way
    price: Purchase | Rental | None = None
    per_1000: Between | None = None


@dataclass(frozen=True, slots=True)
class EndpointOffer:
    """An endpoint for an image.

    Attributes:
        time: of computing one call; None if it is not known.
        by: the device whose time it is; empty without a time.
        lacks: why its accelerator can't use the precision, if its time would have to be predicted; else empty.
        whole_s: seconds from end to end over the network; None without a time, or if no request can carry the image.
        per_1000: money for 1,000 images on a replica that is as busy as planned; None without a time.
    """

    name: str
    price: EndpointPrice
    time: Time | None = None
    by: str = ""
    whole_s: Between | None = None
    per_1000: Between | None = None
    lacks: str = ""


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """On which cards an image can be computed untiled, and what else there is.

    Attributes:
        image: its untiled case.
        offers: every card, for the untiled image; none if `is_too_large`.
        tile: the largest tile with which it fits some card; None if it fits one untiled, or if no tile helps.
        tiled: every card for the image in those tiles.
        endpoints: by price; the network is that of `whole_s`.
        is_too_large: whether the untiled image has a tensor that goes beyond 32-bit indices.
    """

    image: Case
    offers: tuple[CardOffer, ...]
    endpoints: tuple[EndpointOffer, ...]
    network: str
    prices: Prices
    tile: Tile | None = None
    tiled: tuple[CardOffer, ...] = ()
    is_too_large: bool = False

    @property
    def fitting(self) -> tuple[CardOffer, ...]:
        """The cards on which it fits untiled with high or medium confidence, in a precision that they can use."""
        return comfortable(self.offers)

    @property
    def nearest(self) -> CardOffer | None:
        """The card on which it comes nearest to fitting untiled; None if it fits one, or if there are none."""
        possible = [offer for offer in self.offers if offer.peak.verdict != "unsupported" and not offer.lacks]
        if self.fitting or not possible:
            return None
        return min(possible, key=lambda offer: (not offer.is_tight, offer.demand))


def comfortable(offers: Iterable[CardOffer]) -> tuple[CardOffer, ...]:
    """The cards on which the image fits with high or medium confidence, in a precision that they can use."""
    return tuple(offer for offer in offers if offer.is_comfortable)


def priced(offers: Sequence[CardOffer], prices: Prices) -> list[PricedCard]:
    """The cards by purchase price, then by rental price, then those without a price by their memory.

    A card that can be bought and rented comes twice.
    """
    cards: list[PricedCard] = []
    for way in _WAYS:
        having = [(price, offer) for offer in offers if (price := offer.sold(way)) is not None]
        having.sort(key=lambda pair: (pair[0].price, pair[1].place.total_bytes))
        cards += [
            PricedCard(offer, way, price, local_cost(offer.case, offer.time, offer.price, way, prices))
            for price, offer in having
        ]
    named = {card.offer.place.card for card in cards}
    unpriced = [offer for offer in offers if offer.place.card not in named]
    unpriced.sort(key=lambda offer: offer.place.total_bytes)
    return [*cards, *(PricedCard(offer, "unpriced") for offer in unpriced)]


def cheapest(cards: Iterable[PricedCard], way: Way) -> PricedCard | None:
    """The first card in the order of `priced` that is bought, rented or unpriced; None if there is none."""
    return next((card for card in cards if card.way == way), None)


def endpoint_cost(price: EndpointPrice, time: Time | None, images: float) -> Between | None:
    """The cost of 1,000 images on an endpoint whose replica is as busy as planned; None without a time.

    `time` is that of a call for so many images.
    """
    if not price.price:
        return Between(0.0, 0.0)

    def money(taken_s: float) -> float:
        cost = EndpointCost(price.price, taken_s, busy=BUSY)
        return per_1000(cost, HOUR_S * BUSY / taken_s)

    return _cost(time, images, money)


def between_s(time: Time) -> Between:
    """The seconds of a call from the least to the most."""
    if time.seconds is not None:
        return Between(time.seconds, time.seconds)
    return Between(time.least_s, None if math.isinf(time.most_s) else time.most_s)


def local_cost(case: Case, time: Time | None, card: Card | None, way: Way, prices: Prices) -> Between | None:
    """The cost of 1,000 images on a card that is bought or rented, for the seconds in which it computes.

    None without a time, or without such a price.
    """
    sold = sold_as(card, way)
    if card is None or sold is None:
        return None
    rate, watts = sold.price, 0.0  # rent includes electricity
    if isinstance(sold, Purchase):
        rate = ownership_per_hour(sold.price, sold.lifetime_years)
        watts = card.board_power.watts if card.board_power else 0.0

    def money(taken_s: float) -> float:
        energy = energy_cost(watts * taken_s, prices.electricity.price)
        return per_1000(LocalCost(rate, taken_s, energy), 1.0)

    return _cost(time, output_of(case).count, money)


def sold_as(card: Card | None, way: Way) -> Purchase | Rental | None:
    """The price at which a card is bought, or rented for an hour; None if that is not known."""
    if card is None or way == "unpriced":
        return None
    return card.purchase if way == "bought" else card.rental


def _cost(time: Time | None, images: float, money: Callable[[float], float]) -> Between | None:
    """What a time for so many images costs, from its least to its most, by the money of seconds per image."""
    if time is None:
        return None
    taken = between_s(time)
    return Between(money(taken.least / images), None if taken.most is None else money(taken.most / images))
