"""prices.yaml: what is read, and what is said of a file that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import refusal

from bench import config
from bench.errors import ConfigError

GOOD = """
electricity: { price: 0.2, unit: USD/kWh, source: the bill, date: 2026-01-31 }
cards:
  NVIDIA Test:
    board_power: { watts: 300, source: data sheet, date: 2026-01-31 }
    purchase: { price: 1000, unit: USD, lifetime_years: 4, source: the shop, date: 2026-01-31 }
    rental: { price: 0.36, unit: USD/hour, source: the cloud, date: 2026-01-31 }
endpoints:
  mine: { accelerator: NVIDIA Served, price: 1.5, unit: USD/hour, idle_s: 900, source: myself, date: 2026-01-31 }
  public: { price: 0, unit: USD/hour, source: the docs, date: 2026-01-31 }
"""


def load(folder: Path, text: str = GOOD) -> config.Prices:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return config.load_prices(path)


def test_prices_are_read_with_their_currency(tmp_path: Path) -> None:
    found = load(tmp_path)
    assert found.currency == "USD"
    assert found.cards["NVIDIA Test"].purchase is not None
    assert load(tmp_path, GOOD.replace("USD", "EUR")).currency == "EUR"


def test_every_shipped_price_says_where_it_is_from_and_of_when() -> None:
    found = config.load_prices()
    sourced = [found.electricity, *found.endpoints.values()]
    sourced += [one for card in found.cards.values() for one in (card.board_power, card.purchase, card.rental) if one]
    assert all(len(one.source) > 10 and one.date.year >= 2018 for one in sourced)


def test_the_shipped_file_has_the_endpoints_that_were_published() -> None:
    prices = {(one.accelerator, one.price) for one in config.load_prices().endpoints.values()}
    assert len(prices) >= 11


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (" unit: USD/kWh,", "", "`electricity.unit` is missing"),
        ("source: the cloud, date: 2026-01-31", "source: cloud", "`cards.NVIDIA Test.rental.date` is missing"),
        ("source: the shop, ", "", "`cards.NVIDIA Test.purchase.source` is missing"),
        ("price: 0.2", "price: -0.2", "key `electricity.price`: must be at least 0"),
        ("unit: USD/kWh", "unit: USD", "USD/kWh"),
        ("price: 0.36, unit: USD/hour", "price: 0.36, unit: dollars", "write USD/hour"),
        ("price: 0.36, unit: USD/hour", "price: 0.36, unit: EUR/hour", "EUR and USD"),
        ("source: the bill, date: 2026-01-31", "source: the bill, date: yesterday", "key `electricity.date`"),
        ("source: the bill, date: 2026-01-31", "source: the bill, date: 2026", "2026-05-19"),
        ("source: the bill, date: 2026-01-31", "source: the bill, date: '1699920000'", "'1699920000'"),
        ("source: the bill, date: 2026-01-31", "source: the bill, date: 2026-01-31 12:00:00", "2026-05-19"),
        ("price: 0.36", "price: 1e308", "key `cards.NVIDIA Test.rental.price`"),
        ("lifetime_years: 4", "lifetime_years: 1e-320", "key `cards.NVIDIA Test.purchase.lifetime_years`"),
        ("lifetime_years: 4", "lifetime_years: 0", "key `cards.NVIDIA Test.purchase.lifetime_years`"),
        ("watts: 300", "wats: 300", "unknown key 'wats'. Did you mean 'watts'?"),
        ("accelerator: NVIDIA Served, ", "", "needs its `accelerator`"),
        ("idle_s: 900", "idle_s: 0", "key `endpoints.mine.idle_s`"),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_is_refused_with_its_key(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    message = refusal(ConfigError, lambda: load(tmp_path, GOOD.replace(old, new, 1)))
    assert said in message
    assert str(tmp_path / "mine.yaml") in message
