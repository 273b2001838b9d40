"""The tables of costs, for the page and the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial

from bench.analysis.cost.arithmetic import BreakEven, Charge
from bench.analysis.cost.image_costs import Costs, Image, Local, Remote
from bench.config import EndpointPrice, Prices
from bench.core.units import format_amount, format_seconds
from bench.report.document import Cell, Column, Table, table_of
from bench.report.pages import cells
from bench.report.pages.hybrid_tables import precision, precision_cell
from bench.workloads.labels import whole_size_of

#: The use of a card that is charged in this way.
_CARDS: dict[Charge, str] = {"use": "also generates", "hour": "is kept for this alone"}
_Machine = Local | Remote


def local_name(local: Local) -> str:
    """`NVIDIA GeForce RTX 3070, float16, bought`."""
    return f"{local.row.label}, {precision(local.row)}, {local.way}"


def endpoint_name(remote: Remote) -> str:
    """`endpoint aws-l40s: NVIDIA L40S (time of NVIDIA GeForce RTX 4090)`; a measured start is named as well."""
    accelerator = remote.price.accelerator
    by = "its local time" if remote.by == accelerator else f"time of {remote.by}"
    known = [by] if remote.by else []
    known += [f"measured start: {format_seconds(remote.start.seconds)}"] if remote.start else []
    brackets = f" ({', '.join(known)})" if known else ""
    return f"endpoint {remote.name}{f': {accelerator}' if accelerator else ''}{brackets}"


def image_table(image: Image, costs: Costs, *, memory: bool = False, pays: bool = False) -> Table:
    """A line for each card, bought or rented, and each endpoint with a cost, and the amounts at each volume.

    `memory` and `pays` add columns: each card's peak, and from where on each endpoint pays against a card that is kept.
    """
    machines: list[_Machine] = [*image.local, *(remote for remote in image.remote if remote.cost)]
    priced = [remote.name for remote in image.remote if remote.cost and not remote.is_free] if image.local else []
    return table_of(
        machines,
        (Column("Where", may_wrap=True), _name),
        (Column("Time", "seconds"), _time),
        *([(Column("Memory", "percent"), _memory)] if memory else []),
        (Column("Energy", "joules"), _energy),
        *(
            (Column(f"at {volume:,.12g}/h", "amount", key=f"amount_{place}"), partial(_amount, place))
            for place, volume in enumerate(costs.volumes)
        ),
        *([(Column(f"{name} pays", right=True), partial(_pays, name)) for name in priced] if pays else []),
    )


def break_even_table(images: Sequence[Image], charge: Charge, *, free: bool = True) -> Table | None:
    """A line for each card, bought or rented, and size, with the volumes at which each endpoint breaks even.

    `free` tells whether free endpoints have a column. None without cards or endpoints.
    """
    rows = [(image, local) for image in images for local in image.local]
    priced = {
        remote.name for image in images for remote in image.remote if remote.cost and (free or not remote.is_free)
    }
    endpoints = [remote.name for remote in images[0].remote if remote.name in priced]

    def column(name: str) -> tuple[Column, Callable[[tuple[Image, Local]], Cell]]:
        return Column(name, right=True, key=f"endpoint_{name}"), lambda row: break_even_cell(row[1], name, charge)

    if not rows or not endpoints:
        return None
    return table_of(
        rows,
        (Column("Card"), lambda row: _name(row[1])),
        (Column(cells.size_heading(image.case for image in images), splits_table=True), _size),
        *map(column, endpoints),
        title=f"Break-even in {images[0].output.plural} per hour, with a card that {_CARDS[charge]}",
    )


def _size(row: tuple[Image, Local]) -> str:
    return whole_size_of(row[0].case)


def break_even_cell(local: Local, endpoint: str, charge: Charge) -> Cell:
    """`above 1,230/h`, `below 0.2/h`, `always`, `never`, or that nothing else fits; empty without a time."""
    if endpoint not in local.endpoints:
        return Cell()
    if local.cost is None:
        return Cell(text="nothing else fits", kind=local.row.kind)
    return Cell(text=_range(local.break_even_with(endpoint, charge)), kind="simulated")


def prices_table(prices: Prices) -> Table:
    """Every price and rated power, with its source and date."""
    return table_of(
        _prices(prices),
        (Column("What"), lambda price: price.what),
        (Column("Price", right=True), lambda price: price.price),
        (Column("How"), lambda price: price.how),
        (Column("Source", may_wrap=True), lambda price: price.source),
        (Column("Date"), lambda price: str(price.date)),
    )


def _pays(endpoint: str, machine: _Machine) -> Cell:
    return Cell(text="") if isinstance(machine, Remote) else break_even_cell(machine, endpoint, "hour")


def _name(machine: _Machine) -> Cell:
    """The machine's name, marked if its precision is assumed."""
    if isinstance(machine, Remote):
        return Cell(endpoint_name(machine))
    return Cell(local_name(machine), kind=precision_cell(machine.row).kind)


def _time(machine: _Machine) -> Cell:
    if isinstance(machine, Remote):
        return Cell(machine.seconds, kind=machine.kind)
    return Cell(machine.cost.seconds, kind=machine.row.kind) if machine.cost else _out_of_memory(machine)


def _memory(machine: _Machine) -> Cell:
    """The peak of the card's quickest way; an endpoint takes none of the user's memory."""
    if isinstance(machine, Remote):
        return Cell(text="none")
    return cells.memory(machine.row.quickest) if machine.cost else _out_of_memory(machine)


def _energy(machine: _Machine) -> Cell:
    if isinstance(machine, Remote) or machine.energy is None:
        return Cell()
    return Cell(machine.energy.joules, kind="measured" if machine.energy.source == "measured" else "simulated")


def _amount(place: int, machine: _Machine) -> Cell:
    """Money for 1,000 images at one of the volumes."""
    if machine.per_1000 is None:
        return _out_of_memory(machine) if isinstance(machine, Local) else Cell()
    return Cell(machine.per_1000[place], kind="simulated")


def _out_of_memory(local: Local) -> Cell:
    return Cell(text=cells.OOM, kind=local.row.kind)


def _range(bounds: BreakEven | None) -> str:
    if bounds is None:
        return "never"
    parts = [f"above {format_amount(bounds.above)}/h"] if bounds.above else []
    parts += [f"below {format_amount(bounds.below)}/h"] if bounds.below is not None else []
    return " and ".join(parts) or "always"


@dataclass(frozen=True, slots=True)
class _Price:
    what: str
    price: str
    how: str
    source: str
    date: date


def _prices(prices: Prices) -> list[_Price]:
    power = prices.electricity
    lines = [_Price("electricity", f"{power.price:g} {power.unit}", "", power.source, power.date)]
    for name, card in prices.cards.items():
        if (bought := card.purchase) is not None:
            price, how = _money(bought.price, bought.unit), f"over {bought.lifetime_years:g} years"
            lines.append(_Price(f"{name}, bought", price, how, bought.source, bought.date))
        if (rented := card.rental) is not None:
            price = _money(rented.price, rented.unit)
            lines.append(_Price(f"{name}, rented", price, "", rented.source, rented.date))
        if (board := card.board_power) is not None:
            lines.append(_Price(f"{name}, board power", f"{board.watts:g} W", "", board.source, board.date))
    for name, endpoint in prices.endpoints.items():
        price = _money(endpoint.price, endpoint.unit)
        lines.append(_Price(f"endpoint {name}", price, _terms(endpoint), endpoint.source, endpoint.date))
    return lines


def _money(price: float, unit: str) -> str:
    return f"{price:,.12g} {unit}"


def _terms(endpoint: EndpointPrice) -> str:
    """When an endpoint is billed, and what stands in for it."""
    terms = [f"{endpoint.start_s:g} s to start"] if endpoint.start_s else []
    terms += [f"stops after {endpoint.idle_s:g} s idle"] if endpoint.idle_s else []
    terms += [f"{endpoint.stand_in} stands in for it: {endpoint.stand_in_reason}"] if endpoint.stand_in else []
    return "; ".join(terms)
