"""`prices.yaml`: what cards, electricity and endpoints cost, each price with its unit, source and date."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bench.config.values import Figure, SourceText, Strict
from bench.config.yaml_file import configs, load_as
from bench.errors import quoted
from bench.record import without_url_secrets

#: Bounded for any currency; less than a millionth counts as free.
_Price = Annotated[Figure, Field(ge=0, le=1e9), AfterValidator(lambda price: price if price >= 1e-6 else 0.0)]
_Waiting = Annotated[Figure, Field(le=1e7)]
#: As in results, where an endpoint may be named by its URL: a password in it is left out.
_EndpointName = Annotated[str, AfterValidator(without_url_secrets)]


def _date(value: Any) -> Any:
    """A date; not a time of day, nor a number, which pydantic would read as seconds since 1970. Raises ValueError."""
    written = isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value)
    if isinstance(value, datetime.datetime) or not (written or isinstance(value, datetime.date)):
        raise ValueError(f"{quoted(value)} is not a date: write it like 2026-05-19")
    return value


def _unit(per: str) -> AfterValidator:
    """The check of a unit: a currency's three letters and `per`."""
    wanted = f"USD{per}"

    def check(text: str) -> str:
        if not re.fullmatch(rf"[A-Z]{{3}}{re.escape(per)}", text):
            raise ValueError(
                f"{quoted(text)} is not a unit for this price: write {wanted}, or another currency's letters"
            )
        return text

    return AfterValidator(check)


class Sourced(Strict):
    """A figure with its source and date."""

    source: SourceText
    date: Annotated[datetime.date, BeforeValidator(_date)]


class Electricity(Sourced):
    """The price of a kilowatt-hour."""

    price: _Price
    unit: Annotated[str, _unit("/kWh")]


class BoardPower(Sourced):
    """The most power that a card draws; used for its energy if nobody measured that."""

    watts: Annotated[Figure, Field(gt=0, le=1e5)]


class Purchase(Sourced):
    """The price of a bought card, and the years over which it is spread."""

    price: _Price
    unit: Annotated[str, _unit("")]
    lifetime_years: Annotated[Figure, Field(ge=0.01, le=100)]


class Rental(Sourced):
    """The price of a rented card."""

    price: _Price
    unit: Annotated[str, _unit("/hour")]


class Card(Strict):
    """The prices of one kind of card; unknown ones are left out."""

    board_power: BoardPower | None = None
    purchase: Purchase | None = None
    rental: Rental | None = None


class EndpointPrice(Sourced):
    """An endpoint by the hour, with how it starts and stops.

    Attributes:
        accelerator: the device's name as torch reports it; None if it is unknown, which only a free endpoint may have.
        start_s: seconds that a start takes; they are billed.
        idle_s: seconds without a request after which it stops; they are billed. None: it always runs.
        stand_in: a device whose times are used if nobody measured the accelerator.
        stand_in_reason: why they can be used.
    """

    accelerator: SourceText | None = None
    price: _Price
    unit: Annotated[str, _unit("/hour")]
    start_s: Annotated[_Waiting, Field(ge=0)] = 0.0
    idle_s: Annotated[_Waiting, Field(ge=1)] | None = None
    stand_in: SourceText | None = None
    stand_in_reason: str = ""

    @model_validator(mode="after")
    def _has_an_accelerator(self) -> EndpointPrice:
        if self.price and self.accelerator is None:
            raise ValueError("an endpoint with a price needs its `accelerator`, the device's name")
        return self


class Prices(Strict):
    """The content of prices.yaml, or of a file for `--prices`."""

    electricity: Electricity
    cards: dict[str, Card] = Field(default={})
    endpoints: dict[_EndpointName, EndpointPrice] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_currency(self) -> Prices:
        if len(self._units) > 1:
            raise ValueError(f"prices are in {' and '.join(sorted(self._units))}: convert them to one currency")
        return self

    @property
    def _units(self) -> set[str]:
        units = [self.electricity.unit, *(endpoint.unit for endpoint in self.endpoints.values())]
        units += [price.unit for card in self.cards.values() for price in (card.purchase, card.rental) if price]
        return {unit[:3] for unit in units}

    @property
    def currency(self) -> str:
        """The three letters of the currency of all prices."""
        return self.electricity.unit[:3]


def load_prices(path: Path | None = None) -> Prices:
    """The prices in a file, by default the shipped one. Raises ConfigError."""
    return load_as(Prices, path or configs()["prices"], "a file of prices")
