"""The order of cards by price, and what an image costs on them."""

from __future__ import annotations

import pytest
from factories import changed
from offers import BOUGHT, IMAGE, RENTED, a_price, an_offer, prices

from bench.analysis.advise.times import Time
from bench.analysis.planning.card_offers import (
    Between,
    CardOffer,
    ImagePlan,
    PricedCard,
    cheapest,
    comfortable,
    endpoint_cost,
    priced,
)
from bench.analysis.speed.extrapolation import Range


def with_price(name: str, *, buy: float | None = None, rent: float | None = None, total_gib: float = 8) -> CardOffer:
    price = {} if buy is None else {"purchase": BOUGHT["purchase"] | {"price": buy}}
    price |= {} if rent is None else {"rental": RENTED["rental"] | {"price": rent}}
    return an_offer(name, price=price, total_gib=total_gib)


def only(offer: CardOffer) -> PricedCard:
    (card,) = priced([offer], prices())
    return card


def test_cards_come_by_purchase_price_then_by_rental_price_then_by_memory() -> None:
    offers = [
        with_price("large", total_gib=24),
        with_price("dear", buy=900, rent=0.1),
        with_price("small", total_gib=12),
        with_price("cheap", buy=300, rent=0.3),
    ]
    cards = [(card.offer.place.card, card.way, card.price and card.price.price) for card in priced(offers, prices())]
    assert cards == [
        ("cheap", "bought", 300),
        ("dear", "bought", 900),
        ("dear", "rented", 0.1),
        ("cheap", "rented", 0.3),
        ("small", "unpriced", None),
        ("large", "unpriced", None),
    ]


def test_the_cheapest_is_of_one_way_and_may_be_missing() -> None:
    cards = priced([with_price("a", rent=0.2), with_price("b", rent=0.1)], prices())
    cheap = cheapest(cards, "rented")
    assert cheap is not None
    assert cheap.offer.place.card == "b"
    assert cheapest(cards, "bought") is None


def test_a_rented_card_costs_its_seconds() -> None:
    # 10 s an image at 0.36 USD an hour
    assert only(an_offer(price=RENTED)).per_1000 == Between(pytest.approx(1.0), pytest.approx(1.0))


def test_a_bought_card_costs_its_share_of_the_price_and_electricity() -> None:
    # 10,000 s at 0.1 USD an hour, and 1 MJ at 0.5 USD/kWh
    amount = 10_000 / 3600 * 0.1 + 1e6 / 3.6e6 * 0.5
    cost = only(an_offer(price=BOUGHT)).per_1000
    assert cost is not None
    assert cost.least == cost.most == pytest.approx(amount)


def test_a_batch_shares_the_time_of_its_call() -> None:
    offer = an_offer(price=RENTED, case=changed(IMAGE, batch=4))
    cost = only(offer).per_1000
    assert cost is not None
    assert cost.least == pytest.approx(0.25)


@pytest.mark.parametrize(("most_s", "most"), [(20.0, 2.0), (None, None)])
def test_a_range_of_times_gives_a_range_of_costs(most_s: float | None, most: float | None) -> None:
    time = Time(None, "predicted", between=Range(10.0, most_s))
    cost = only(an_offer(price=RENTED, time=time)).per_1000
    assert cost is not None
    assert cost.least == pytest.approx(1.0)
    assert cost.most == (None if most is None else pytest.approx(most))


def test_there_is_no_cost_without_a_time_or_a_price() -> None:
    assert only(an_offer(price=RENTED, time=None)).per_1000 is None
    assert only(an_offer()).per_1000 is None


def test_an_endpoint_is_busy_for_at_most_four_fifths() -> None:
    # 3.6 USD an hour is 1 USD for 1,000 s
    cost = endpoint_cost(a_price(3.6), Time(0.8, "published"), images=1)
    assert cost == Between(pytest.approx(1.0), pytest.approx(1.0))
    batch = endpoint_cost(a_price(3.6), Time(0.8, "published"), images=2)
    assert batch is not None
    assert batch.least == pytest.approx(0.5)
    assert endpoint_cost(a_price(3.6), None, images=1) is None
    assert endpoint_cost(a_price(0, accelerator=None), None, images=1) == Between(0.0, 0.0)


def test_only_high_or_medium_confidence_counts_as_fitting() -> None:
    offers = [
        an_offer("sure"),
        an_offer("likely", confidence="medium"),
        an_offer("unlikely", confidence="low"),
        an_offer("tight", verdict="tight"),
        an_offer("small", verdict="out_of_memory", needed_gib=9),
    ]
    assert [offer.place.card for offer in comfortable(offers)] == ["sure", "likely"]
    assert [offer.place.card for offer in offers if offer.is_tight] == ["unlikely", "tight"]


def plan_of(*offers: CardOffer) -> ImagePlan:
    return ImagePlan(IMAGE, offers, (), "fibre", prices())


def test_the_nearest_card_is_a_tight_one_else_that_with_most_room() -> None:
    tight = an_offer("tight", verdict="tight", gib=7)
    small, large = (an_offer(f"{gib}", verdict="out_of_memory", needed_gib=30, total_gib=gib) for gib in (8, 24))
    never = an_offer("old", verdict="unsupported", total_gib=80)
    nearest = [plan_of(*offers).nearest for offers in ([small, tight, large], [small, large, never], [never])]
    assert [offer and offer.place.card for offer in nearest] == ["tight", "24", None]
    assert plan_of(small, an_offer()).nearest is None
