"""The fields of `bench plan --json`. Times in seconds, memory in bytes, money in the currency that is named."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from pydantic import Field

from bench.analysis.advise.times import Clock, Time
from bench.analysis.planning.card_offers import (
    Between,
    CardOffer,
    EndpointOffer,
    ImagePlan,
    PricedCard,
    between_s,
    cheapest,
    comfortable,
    priced,
)
from bench.config import Prices
from bench.record import Tile, grouped
from bench.report.pages.figures import Figures
from bench.vram.assumptions import ASSUMPTIONS
from bench.workloads import models


class _Between(Figures):
    """From the least to the most; `most` is null if nothing bounds it."""

    least: float
    most: float | None
    kind: str


class _Seconds(_Between):
    """A time: `beyond` says how a prediction goes beyond the times that the model was fitted on."""

    beyond: tuple[str, ...]


class _Price(Figures):
    amount: float = Field(validation_alias="price")
    unit: str
    source: str
    date: date


class _Card(Figures):
    card: str
    total_bytes: int
    memory_assumed: bool
    verdict: str
    confidence: str
    peak_bytes: int | None
    needed_bytes: int
    peak_kind: str
    lacks: str | None
    unknown_rates: tuple[str, ...]
    seconds: _Seconds | None
    purchase: _Price | None
    rental: _Price | None
    per_1000_bought: _Between | None
    per_1000_rented: _Between | None


class _Cheapest(Figures):
    card: str
    price: float


class _Cards(Figures):
    """All cards by price; the cheapest are of those on which it fits with high or medium confidence."""

    tile: Tile | None
    cheapest_to_buy: _Cheapest | None
    cheapest_to_rent: _Cheapest | None
    cards: tuple[_Card, ...]


class _Endpoint(Figures):
    endpoint: str
    accelerator: str | None
    price: _Price
    lacks: str | None
    seconds: _Seconds | None
    time_of: str | None
    end_to_end_s: _Between | None
    per_1000: _Between | None


class _Plan(Figures):
    image: dict[str, Any]
    risk: str | None
    fits_untiled: bool
    beyond_32_bit_indices: bool
    nearest: str | None
    untiled: _Cards
    tiled: _Cards | None
    endpoints: tuple[_Endpoint, ...]


class PlanFigures(Figures):
    """Each image with cards and endpoints by price. `tiled` is null if it fits a card untiled, or if no tile helps."""

    assumptions: str = ASSUMPTIONS
    currency: str
    network: str
    median_error: float | None
    worst_error: float | None
    plans: tuple[_Plan, ...]


def figures(plans: Sequence[ImagePlan], clock: Clock | None) -> PlanFigures:
    """The fields of the plans (at least one), and the errors of predicted times."""
    errors = clock and clock.errors
    return PlanFigures(
        currency=plans[0].prices.currency,
        network=plans[0].network,
        median_error=errors.median if errors else None,
        worst_error=abs(errors.worst.error) if errors else None,
        plans=tuple(map(_plan, plans)),
    )


def _plan(plan: ImagePlan) -> _Plan:
    image = plan.image
    return _Plan(
        image={"model": image.model, "operation": image.operation, **image.axes, "dtype": image.dtype},
        risk=models.workload(image.model).risk(image.model, image.dtype) or None,
        fits_untiled=bool(plan.fitting),
        beyond_32_bit_indices=plan.is_too_large,
        nearest=plan.nearest.place.card if plan.nearest else None,
        untiled=_cards(plan.offers, plan.prices, None),
        tiled=_cards(plan.tiled, plan.prices, plan.tile) if plan.tile else None,
        endpoints=tuple(map(_endpoint, plan.endpoints)),
    )


def _cards(offers: Sequence[CardOffer], prices: Prices, tile: Tile | None) -> _Cards:
    fitting, cards = priced(comfortable(offers), prices), priced(offers, prices)
    ways = grouped(cards, lambda card: card.offer.place.card)
    return _Cards(
        tile=tile,
        cheapest_to_buy=_cheapest(cheapest(fitting, "bought")),
        cheapest_to_rent=_cheapest(cheapest(fitting, "rented")),
        cards=tuple(map(_card, ways)),
    )


def _cheapest(card: PricedCard | None) -> _Cheapest | None:
    if card is None or card.price is None:
        return None
    return _Cheapest(card=card.offer.place.card or "", price=card.price.price)


def _card(ways: Sequence[PricedCard]) -> _Card:
    """A card, once for each way to have it."""
    offer, by_way = ways[0].offer, {card.way: card for card in ways}
    bought, rented = by_way.get("bought"), by_way.get("rented")
    return _Card(
        card=offer.place.card or "",
        total_bytes=offer.place.total_bytes,
        memory_assumed=offer.place.is_memory_assumed,
        verdict=offer.peak.verdict,
        confidence=offer.peak.confidence,
        peak_bytes=offer.peak.reserved_bytes,
        needed_bytes=offer.needed_bytes,
        peak_kind=offer.peak.kind,
        lacks=offer.lacks or None,
        unknown_rates=offer.place.unknown_rates,
        seconds=_seconds(offer.time),
        purchase=_Price.model_validate(bought.price) if bought else None,
        rental=_Price.model_validate(rented.price) if rented else None,
        per_1000_bought=_between(bought.per_1000, offer.time) if bought else None,
        per_1000_rented=_between(rented.per_1000, offer.time) if rented else None,
    )


def _endpoint(offer: EndpointOffer) -> _Endpoint:
    return _Endpoint(
        endpoint=offer.name,
        accelerator=offer.price.accelerator,
        price=_Price.model_validate(offer.price),
        lacks=offer.lacks or None,
        seconds=_seconds(offer.time),
        time_of=offer.by or None,
        end_to_end_s=_between(offer.whole_s, offer.time),
        per_1000=_between(offer.per_1000, offer.time),
    )


def _seconds(time: Time | None) -> _Seconds | None:
    if time is None:
        return None
    span = between_s(time)
    return _Seconds(least=span.least, most=span.most, kind=time.kind, beyond=time.beyond)


def _between(span: Between | None, time: Time | None) -> _Between | None:
    """A quantity that follows from a time: predicted if the time is, else simulated."""
    if span is None:
        return None
    is_predicted = time is not None and time.kind == "predicted"
    return _Between(least=span.least, most=span.most, kind="predicted" if is_predicted else "simulated")
