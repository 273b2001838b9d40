"""Each image's cost on the cards and endpoints that have a price, at each volume. Pure; builds on `hybrid`'s rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from bench.analysis.cost.arithmetic import (
    Charge,
    EndpointCost,
    LocalCost,
    energy_cost,
    ownership_per_hour,
)
from bench.analysis.hybrid.local_or_remote import Comparison
from bench.analysis.hybrid.rows import Row
from bench.analysis.hybrid.service import LEAST_S, alike, seconds, whole_card_s
from bench.config import Card, EndpointPrice, Prices
from bench.errors import ConfigError
from bench.record import Case, Kind, Record, metrics
from bench.workloads.labels import label_of

#: Images an hour that tables show unless others are asked for.
VOLUMES = (1.0, 10.0, 100.0, 1_000.0, 10_000.0)
LEAST_VOLUME, MOST_VOLUME = 1e-4, 1e12
#: How a card can be charged.
CHARGES: tuple[Charge, ...] = get_args(Charge)
#: At most this share of an endpoint's time is planned to be busy. Near 1 requests wait for one another without end.
BUSY = 0.8


@dataclass(frozen=True, slots=True)
class Energy:
    """Joules of one image: measured by the driver, or the board's power over the time, which is the most it can be."""

    joules: float
    found_by: Literal["measured", "board power"]


@dataclass(frozen=True, slots=True)
class Local:
    """One row of `hybrid` at one way to have its card.

    Attributes:
        energy: None where nothing is known of it. A rented card's price has its electricity in it.
        cost: None where nothing fits on the card. It is charged for the seconds that it computes.
    """

    row: Row
    way: Literal["bought", "rented"]
    energy: Energy | None
    cost: LocalCost | None

    def charged(self, charge: Charge) -> LocalCost | None:
        """The same card charged so."""
        return replace(self.cost, charge=charge) if self.cost else None


@dataclass(frozen=True, slots=True)
class Remote:
    """An endpoint with a price, for one image.

    Attributes:
        seconds, kind: of one image on it, and what that time is; None where nobody has it.
        by: the device whose time it is, if it is not the endpoint's own accelerator.
        cost: None where there is no time, and it is not free.
    """

    name: str
    price: EndpointPrice
    seconds: float | None
    kind: Kind | None
    by: str | None
    cost: EndpointCost | None


@dataclass(frozen=True, slots=True)
class Image:
    """One image (model, operation, size): what it costs where."""

    case: Case
    local: tuple[Local, ...]
    remote: tuple[Remote, ...]


@dataclass(frozen=True, slots=True)
class Costs:
    """Everything, image by image."""

    images: tuple[Image, ...]
    volumes: tuple[float, ...]
    prices: Prices
    gaps: tuple[str, ...]


def compare(
    records: Sequence[Record], comparison: Comparison, prices: Prices, volumes: Sequence[float] = VOLUMES
) -> Costs:
    """What each image of the comparison costs, at these images an hour."""
    rows: dict[object, list[Row]] = {}
    for row in comparison.rows:
        rows.setdefault(alike(row.case), []).append(row)
    mine: dict[object, list[Record]] = {}
    for record in records:
        mine.setdefault(alike(record.case), []).append(record)
    images = []
    for way in comparison.ways:
        image = alike(way.case)
        local = [one for row in rows.get(image, ()) for one in _local(row, prices)]
        remote = [_remote(name, price, mine[image]) for name, price in prices.endpoints.items()]
        images.append(Image(way.case, tuple(local), tuple(remote)))
    gaps = tuple(_gaps(comparison, images, prices))
    return Costs(tuple(images), tuple(volumes), prices, gaps)


def checked(volumes: Sequence[float]) -> tuple[float, ...]:
    """Images an hour, rising and each once. Raises ConfigError for what is no volume."""
    for volume in volumes:
        if not MOST_VOLUME >= volume >= LEAST_VOLUME:
            raise ConfigError(
                f"--volume {volume:g}: give images per hour, more than 0 ({LEAST_VOLUME:g} to {MOST_VOLUME:g})."
            )
    return tuple(sorted(set(volumes)))


def _local(row: Row, prices: Prices) -> Iterable[Local]:
    """The row at each way to have its card that has a price; none where it has no time and is not out of memory."""
    card = prices.cards.get(row.device.name)
    if card is None or (row.local_s is None and not row.only_remote_fits):
        return
    energy = _energy(row, card)
    if card.purchase:
        rate = ownership_per_hour(card.purchase.price, card.purchase.lifetime_years)
        paid = energy_cost(energy.joules, prices.electricity.price) if energy else 0.0
        yield Local(row, "bought", energy, _cost(row, rate, paid))
    if card.rental:
        yield Local(row, "rented", energy, _cost(row, card.rental.price, 0.0))


def _cost(row: Row, rate: float, energy: float) -> LocalCost | None:
    return None if row.local_s is None else LocalCost(rate, row.local_s / _images(row.case), energy)


def _images(case: Case) -> int:
    """Images (or frames) that one call computes."""
    return case.axes.product("batch", "frames")


def _energy(row: Row, card: Card) -> Energy | None:
    """Joules of one image by the quickest local way."""
    if row.quickest is None or row.local_s is None:
        return None
    joules = metrics.values(row.quickest).get("energy")
    if joules is not None:
        return Energy(joules, "measured")
    if card.board_power is None:
        return None
    return Energy(card.board_power.watts * row.local_s / _images(row.case), "board power")


def _remote(name: str, price: EndpointPrice, records: Sequence[Record]) -> Remote:
    """An endpoint's time for an image: its accelerator's own, else of the device that stands in for it."""
    for device in (price.accelerator, price.stand_in) if price.price else ():
        found = _served(device, records) if device else None
        if found:
            taken, record = found
            own = device == price.accelerator and record.remote is not None
            kind: Kind = record.kind if own else "simulated"
            cost = EndpointCost(price.price, taken, price.start_s, price.idle_s, BUSY)
            return Remote(name, price, taken, kind, None if own else record.device.name, cost)
    return Remote(name, price, None, None, None, EndpointCost(0.0, 0.0) if not price.price else None)


def _served(device: str, records: Sequence[Record]) -> tuple[float, Record] | None:
    """Seconds in which that device computes one image when it serves, and the record that says so.

    An endpoint on it is asked before the device itself: what it bears is the throughput of a closed load, which has
    codecs and queue in it, or what it says of its computing.
    """
    found: list[tuple[float, Record]] = []
    for record in records:
        taken = _served_s(record, device)
        if taken is not None:
            found.append((taken / _images(record.case), record))
    endpoints = [one for one in found if one[1].remote is not None]
    return min(endpoints or found, key=lambda one: one[0], default=None)


def _served_s(record: Record, device: str) -> float | None:
    """Seconds of one request on the device, if it is the one that computed."""
    remote = record.remote
    if remote is None:
        return whole_card_s(record) if record.device.name == device else None
    server = remote.endpoint.server_device
    if server is None or server.name != device or seconds(record) is None:
        return None
    # across a network, or with one request at a time, a closed load shows latency and not what the device bears
    loads = [one for one in remote.loads if one.kind == "closed" and (one.concurrency or 0) > 1 and not one.errors]
    best = max((one.throughput_per_s for one in loads), default=0.0) if remote.endpoint.is_loopback else 0.0
    taken = 1 / best if best else remote.compute_s
    return taken if taken is not None and taken >= LEAST_S else None


def _gaps(comparison: Comparison, images: Sequence[Image], prices: Prices) -> Iterable[str]:
    """What has no cost, and why."""
    yield from comparison.without
    for device in dict.fromkeys(row.device.name for row in comparison.rows if row.device.name not in prices.cards):
        yield f"{device}: no price of it: add it to `cards` of prices.yaml, or of a file for --prices"
    for row in comparison.rows:
        if row.device.name in prices.cards and row.fits in {"unknown", "untiled: no"}:
            yield f"{row.label}: {label_of(row.case)}: no local time, and it is not known that nothing fits"
    lacks_times = False
    for name, price in prices.endpoints.items():
        without = [image for image in images if next(one for one in image.remote if one.name == name).cost is None]
        if not without:
            continue
        lacks_times = True
        missing = f"{name} ({price.accelerator}): no time was measured or published for it or for a stand-in"
        some = f", for {len(without)} of {len(images)} images" if len(without) < len(images) else ""
        yield f"{missing}{some}"
    if lacks_times:
        yield ("costs rest on measured and published times: times that `bench advise --gpu NAME` predicts are not used")
