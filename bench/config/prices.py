"""`prices.yaml`: what cards, electricity and endpoints cost. Every price says its unit, its source and its date."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bench.config.values import Figure, Said, Strict
from bench.config.yaml_file import configs, load_as
from bench.errors import quoted

#: No price, whatever the currency, is more; what is less than a millionth of it is free.
_Price = Annotated[Figure, Field(ge=0, le=1e9), AfterValidator(lambda price: price if price >= 1e-6 else 0.0)]
_Waiting = Annotated[Figure, Field(le=1e7)]


def _date(value: Any) -> Any:
    """A date alone: a time of day, or a number that pydantic would take for seconds since 1970, is a slip."""
    written = isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value)
    if isinstance(value, datetime.datetime) or not (written or isinstance(value, datetime.date)):
        raise ValueError(f"{quoted(value)} is no date: write it like 2026-05-19")
    return value


def _unit(per: str) -> AfterValidator:
    """A currency's three letters, and what the price is for."""
    wanted = f"USD{per}"

    def check(text: str) -> str:
        if not re.fullmatch(rf"[A-Z]{{3}}{re.escape(per)}", text):
            raise ValueError(
                f"{quoted(text)} is not the unit of such a price: write {wanted}, or another currency's letters"
            )
        return text

    return AfterValidator(check)


class Sourced(Strict):
    """A figure that says where it is from, and of when it is."""

    source: Said
    date: Annotated[datetime.date, BeforeValidator(_date)]


class Electricity(Sourced):
    """What a kilowatt-hour costs."""

    price: _Price
    unit: Annotated[str, _unit("/kWh")]


class BoardPower(Sourced):
    """What a card draws at the most, which stands for its energy where nobody measured it."""

    watts: Annotated[Figure, Field(gt=0, le=1e5)]


class Purchase(Sourced):
    """A card bought, and over how long its price is spread."""

    price: _Price
    unit: Annotated[str, _unit("")]
    lifetime_years: Annotated[Figure, Field(ge=0.01, le=100)]


class Rental(Sourced):
    """A card rented."""

    price: _Price
    unit: Annotated[str, _unit("/hour")]


class Card(Strict):
    """What one kind of card costs; what is not known is left out."""

    board_power: BoardPower | None = None
    purchase: Purchase | None = None
    rental: Rental | None = None


class EndpointPrice(Sourced):
    """An endpoint by the hour, with how it starts and stops.

    Attributes:
        accelerator: the device's name as torch reports it; None where that is not known of one that is free.
        start_s: what a start takes, billed.
        idle_s: seconds without a request after which it stops, billed; None: it always runs.
        stand_in: a device whose times stand for the accelerator's where nobody measured that one.
        stand_in_reason: why that device may.
    """

    accelerator: Said | None = None
    price: _Price
    unit: Annotated[str, _unit("/hour")]
    start_s: Annotated[_Waiting, Field(ge=0)] = 0.0
    idle_s: Annotated[_Waiting, Field(ge=1)] | None = None
    stand_in: Said | None = None
    stand_in_reason: str = ""

    @model_validator(mode="after")
    def _has_an_accelerator(self) -> EndpointPrice:
        if self.price and self.accelerator is None:
            raise ValueError("an endpoint that costs something needs its `accelerator`, the device's name")
        return self


class Prices(Strict):
    """The file."""

    electricity: Electricity
    cards: dict[str, Card] = Field(default={})
    endpoints: dict[str, EndpointPrice] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_currency(self) -> Prices:
        if len(self._units) > 1:
            raise ValueError(
                f"prices in {' and '.join(sorted(self._units))} stand side by side: convert them to one currency"
            )
        return self

    @property
    def _units(self) -> set[str]:
        units = [self.electricity.unit, *(one.unit for one in self.endpoints.values())]
        units += [one.unit for card in self.cards.values() for one in (card.purchase, card.rental) if one]
        return {unit[:3] for unit in units}

    @property
    def currency(self) -> str:
        """The three letters of all prices."""
        return self.electricity.unit[:3]


def load_prices(path: Path | None = None) -> Prices:
    """Read a file of prices; the shipped one, unless a path is given. Raises ConfigError."""
    return load_as(Prices, path or configs()["prices"], "a file of prices")
