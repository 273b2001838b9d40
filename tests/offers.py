"""Offers of cards and endpoints with round figures, to build tests of `plan` from."""

from __future__ import annotations

import datetime
from typing import Any

from factories import GIB, a_case
from ways import a_place

from bench.analysis.advise.peaks import Peak
from bench.analysis.advise.times import Time
from bench.analysis.planning.card_offers import CardOffer
from bench.config import Card, EndpointPrice, Prices
from bench.record import Case

IMAGE = a_case(model="sdxl", size=2048)
SOURCED = {"source": "a shop", "date": datetime.date(2026, 1, 2)}
TEN_SECONDS = Time(10.0, "published")
#: A card that uses 100 W, costs 876.6 USD and lasts a year, so that owning it costs 0.1 USD an hour.
BOUGHT = {
    "purchase": {"price": 876.6, "unit": "USD", "lifetime_years": 1, **SOURCED},
    "board_power": {"watts": 100, **SOURCED},
}
RENTED = {"rental": {"price": 0.36, "unit": "USD/hour", **SOURCED}}


def prices(**fields: Any) -> Prices:
    """A kilowatt-hour for 0.5 USD, and a free endpoint."""
    electricity = {"price": 0.5, "unit": "USD/kWh", **SOURCED}
    endpoints = {"free": {"price": 0, "unit": "USD/hour", **SOURCED}}
    return Prices.model_validate({"electricity": electricity, "endpoints": endpoints} | fields)


def a_price(amount: float = 3.6, **fields: Any) -> EndpointPrice:
    """An endpoint by the hour."""
    return EndpointPrice.model_validate(
        {"accelerator": "NVIDIA Test", "price": amount, "unit": "USD/hour"} | SOURCED | fields
    )


def an_offer(
    card: str = "NVIDIA Test",
    *,
    gib: float = 4,
    verdict: str = "fits",
    confidence: str = "high",
    time: Time | None = TEN_SECONDS,
    case: Case = IMAGE,
    price: dict[str, Any] | None = None,
    total_gib: float = 8,
    needed_gib: float = 3,
) -> CardOffer:
    """A card of 8 GiB, of which the image takes 4."""
    runs = verdict in {"fits", "tight"}
    peak = Peak(
        kind="published",
        verdict=verdict,  # type: ignore[arg-type]
        confidence=confidence,  # type: ignore[arg-type]
        reserved_bytes=int(gib * GIB) if runs else None,
        needed_bytes=None,
        reason="for a test",
    )
    place = a_place(card=card, total_bytes=int(total_gib * GIB))
    bought_or_rented = Card.model_validate(price) if price else None
    return CardOffer(case, place, peak, time if runs else None, bought_or_rented, int(needed_gib * GIB))
