"""The cost of each image on cards and endpoints with a price, at each volume."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from bench.analysis.cost.arithmetic import (
    BreakEven,
    Charge,
    Cost,
    EndpointCost,
    LocalCost,
    break_even,
    energy_cost,
    ownership_per_hour,
    per_1000,
)
from bench.analysis.cost.outputs import Output, output_of
from bench.analysis.hybrid.local_or_remote import Comparison
from bench.analysis.hybrid.rows import Row
from bench.analysis.hybrid.service import LEAST_S, alike, seconds, whole_card_s
from bench.config import Card, EndpointPrice, Prices
from bench.errors import ConfigError
from bench.record import Case, Kind, Record, Start, grouped, metrics
from bench.workloads.labels import label_of

#: Images per hour that tables show by default.
VOLUMES = (1.0, 10.0, 100.0, 1_000.0, 10_000.0)
LEAST_VOLUME, MOST_VOLUME = 1e-4, 1e12
#: The ways to charge for a card.
CHARGES: tuple[Charge, ...] = get_args(Charge)
#: The largest share of its time that an endpoint is planned to be busy. Near 1 the queue would grow without bound.
BUSY = 0.8


@dataclass(frozen=True, slots=True)
class Energy:
    """Joules per image, or per second or frame of a video.

    They were measured by the driver, or are the board's rated power times the time, which is an upper limit.
    """

    joules: float
    source: Literal["measured", "board power"]


@dataclass(frozen=True, slots=True)
class Local:
    """A card, bought or rented, that computes one row of `hybrid`.

    Attributes:
        energy: None if it is not known. The price of a rented card includes its electricity.
        cost: charged by the second of computing; None if nothing fits on the card.
        per_1000: simulated money for 1,000 images at each volume; None without a cost.
        endpoints: the costs of the endpoints for the same image, by name.
    """

    row: Row
    way: Literal["bought", "rented"]
    energy: Energy | None
    cost: LocalCost | None
    per_1000: tuple[float, ...] | None
    endpoints: Mapping[str, EndpointCost]

    @property
    def break_even(self) -> dict[str, dict[Charge, BreakEven | None]]:
        """The volumes at which each endpoint costs no more, by its name and by how the card is charged."""
        return {name: {charge: self.break_even_with(name, charge) for charge in CHARGES} for name in self.endpoints}

    def break_even_with(self, endpoint: str, charge: Charge) -> BreakEven | None:
        """The volume from which this endpoint costs no more than the card, if the card is charged in this way.

        None if there is none, or if the card has no cost.
        """
        if self.cost is None:
            return None
        return break_even(replace(self.cost, charge=charge), self.endpoints[endpoint])


@dataclass(frozen=True, slots=True)
class Remote:
    """An endpoint with a price, for one image.

    Attributes:
        seconds, kind: its time per image, and its source; None if no record has it.
        by: the device whose time it is, unless the endpoint itself was measured.
        start: the measured start that its cost counts with; None: the assumed one of its price.
        cost: None without a time, unless the endpoint is free.
        per_1000: simulated money for 1,000 images at each volume; None without a cost.
    """

    name: str
    price: EndpointPrice
    seconds: float | None
    kind: Kind | None
    by: str | None
    cost: EndpointCost | None
    per_1000: tuple[float, ...] | None
    start: Start | None = None

    @property
    def is_free(self) -> bool:
        return not self.price.price


@dataclass(frozen=True, slots=True)
class Image:
    """The costs of one image (model, operation, size) on each card and endpoint."""

    case: Case
    local: tuple[Local, ...]
    remote: tuple[Remote, ...]

    @property
    def output(self) -> Output:
        """What its costs are counted by."""
        return output_of(self.case)

    @property
    def video(self) -> Output | None:
        """The same of a video; None for an image."""
        return self.output if self.output.is_video else None


@dataclass(frozen=True, slots=True)
class Costs:
    """The costs of all images at each volume (images per hour), and what is missing, in sentences."""

    images: tuple[Image, ...]
    volumes: tuple[float, ...]
    prices: Prices
    gaps: tuple[str, ...]


def compare(
    records: Sequence[Record], comparison: Comparison, prices: Prices, volumes: Sequence[float] = VOLUMES
) -> Costs:
    """The cost of each image of the comparison at these volumes (images per hour)."""
    rows_of = {alike(group[0].case): group for group in grouped(comparison.rows, lambda row: alike(row.case))}
    records_of = {alike(group[0].case): group for group in grouped(records, lambda record: alike(record.case))}
    images = []
    for case in (image.case for image in comparison.remote_images):
        key = alike(case)
        by_server = {_server(group[0]): group for group in grouped(records_of[key], _server)}
        remote = tuple(_remote(name, price, by_server, volumes) for name, price in prices.endpoints.items())
        local = tuple(card for row in rows_of.get(key, ()) for card in _local(row, prices, remote, volumes))
        images.append(Image(case, local, remote))
    gaps = tuple(_gaps(comparison, images, prices))
    return Costs(tuple(images), tuple(volumes), prices, gaps)


def checked(volumes: Sequence[float]) -> tuple[float, ...]:
    """The volumes (images per hour) in rising order, each once. Raises ConfigError for one that is out of range."""
    for volume in volumes:
        if not MOST_VOLUME >= volume >= LEAST_VOLUME:
            raise ConfigError(
                f"--volume {volume:g}: give images per hour, more than 0 ({LEAST_VOLUME:g} to {MOST_VOLUME:g})."
            )
    return tuple(sorted(set(volumes)))


def _local(row: Row, prices: Prices, endpoints: Sequence[Remote], volumes: Sequence[float]) -> Iterable[Local]:
    """The row's card, bought and rented if it has those prices; nothing if it has no time but is not out of memory."""
    card = prices.cards.get(row.device.name)
    if card is None or (row.local_s is None and not row.only_remote_fits):
        return
    energy = _energy(row, card)
    ways: list[tuple[Literal["bought", "rented"], float, float]] = []
    if card.purchase:
        paid = energy_cost(energy.joules, prices.electricity.price) if energy else 0.0
        ways.append(("bought", ownership_per_hour(card.purchase.price, card.purchase.lifetime_years), paid))
    if card.rental:
        ways.append(("rented", card.rental.price, 0.0))
    costs = {endpoint.name: endpoint.cost for endpoint in endpoints if endpoint.cost}
    for way, rate, paid in ways:
        cost = None if row.local_s is None else LocalCost(rate, row.local_s / output_of(row.case).count, paid)
        yield Local(row, way, energy, cost, _amounts(cost, volumes), costs)


def _amounts(cost: Cost | None, volumes: Sequence[float]) -> tuple[float, ...] | None:
    return tuple(per_1000(cost, volume) for volume in volumes) if cost else None


def _energy(row: Row, card: Card) -> Energy | None:
    """Joules per image, second or frame of the quickest local way."""
    if row.quickest is None or row.local_s is None:
        return None
    count, joules = output_of(row.case).count, metrics.values(row.quickest).get("energy")
    if joules is not None:  # of one image or frame
        return Energy(joules * row.case.axes.product("batch", "frames") / count, "measured")
    if card.board_power is None:
        return None
    return Energy(card.board_power.watts * row.local_s / count, "board power")


def _server(record: Record) -> str | None:
    """The device that computed the case: the record's own, or the endpoint's; None if the endpoint did not say."""
    if record.remote is None:
        return record.device.name
    server = record.remote.endpoint.server_device
    return None if server is None else server.name


def _remote(
    name: str, price: EndpointPrice, by_server: Mapping[str | None, Sequence[Record]], volumes: Sequence[float]
) -> Remote:
    """An endpoint with the time of its accelerator, or of the device that stands in for it.

    `by_server` has the records of the image by what computed it (`_server`).
    """
    for device in (price.accelerator, price.stand_in) if price.price else ():
        timed = _serving_time(by_server.get(device, ())) if device else None
        if timed:
            taken_s, record = timed
            own = device == price.accelerator and record.remote is not None
            kind: Kind = record.kind if own else "simulated"
            output = output_of(record.case)
            together = output.count if output.is_video else 1.0
            start = measured_start(by_server.get(price.accelerator, ())) if price.idle_s else None
            start_s = start.seconds if start else price.start_s
            cost = EndpointCost(price.price, taken_s, start_s, price.idle_s, BUSY, together)
            by = None if own else record.device.name
            return Remote(name, price, taken_s, kind, by, cost, _amounts(cost, volumes), start)
    free = None if price.price else EndpointCost(0.0, 0.0)
    return Remote(name, price, None, None, None, free, _amounts(free, volumes))


def measured_start(records: Iterable[Record]) -> Start | None:
    """The start that the endpoints of these records measured: the longest of those that a request began, else of all.

    A provider that first has to find a machine takes longer than the server can know.
    """
    starts = [record.remote.endpoint.start for record in records if record.remote and record.remote.endpoint.start]
    by_request = [start for start in starts if start.since == "request"]
    return max(by_request or starts, key=lambda start: start.seconds, default=None)


def _serving_time(records: Sequence[Record]) -> tuple[float, Record] | None:
    """Seconds per image, or per second or frame of a video, by the records of one device; and the one that says so.

    A measured endpoint on the device is preferred to the device's local time. Its time follows from the throughput
    under a closed load, which includes codecs and queue, or else from its own figure of computing.
    """
    timed: list[tuple[float, Record]] = []
    for record in records:
        taken_s = _serving_s(record)
        if taken_s is not None:
            timed.append((taken_s / output_of(record.case).count, record))
    endpoints = [(taken_s, record) for taken_s, record in timed if record.remote is not None]
    return min(endpoints or timed, key=lambda pair: pair[0], default=None)


def _serving_s(record: Record) -> float | None:
    """Seconds of one request as the record tells; None if it does not."""
    remote = record.remote
    if remote is None:
        return whole_card_s(record)
    if seconds(record) is None:
        return None
    # across a network, or with one request at a time, a closed load shows latency and not the endpoint's capacity
    loads = [load for load in remote.loads if load.kind == "closed" and (load.concurrency or 0) > 1 and not load.errors]
    best = max((load.throughput_per_s for load in loads), default=0.0) if remote.endpoint.is_loopback else 0.0
    taken_s = 1 / best if best else remote.compute_s
    return taken_s if taken_s is not None and taken_s >= LEAST_S else None


def _gaps(comparison: Comparison, images: Sequence[Image], prices: Prices) -> Iterable[str]:
    """Sentences that say what has no cost, and why."""
    yield from comparison.without
    pipelines = dict.fromkeys(row.case.model for row in comparison.pipelines)
    if pipelines:
        names = ", ".join(pipelines)
        yield f"no costs of whole pipelines ({names}): `bench hybrid` compares their ways by time and memory"
    unpriced = dict.fromkeys(row.device.name for row in comparison.rows if row.device.name not in prices.cards)
    if unpriced:
        yield f"no price for {', '.join(unpriced)}: add one to `cards` in prices.yaml, or in a file for --prices"
    for row in comparison.rows:
        if row.device.name in prices.cards and row.fits in {"unknown", "untiled: no"}:
            yield f"{row.label}: {label_of(row.case)}: no local time, and it is not known whether it fits"
    untimed: list[str] = []
    for name, price in prices.endpoints.items():
        count = sum(remote.cost is None for image in images for remote in image.remote if remote.name == name)
        some = f" for {count} of {len(images)} images" if count < len(images) else ""
        untimed += [f"{name} ({price.accelerator}){some}"] if count else []
    if untimed:
        yield f"no time was measured or published for these endpoints or for stand-ins: {', '.join(untimed)}"
        yield "no costs from predicted times (those of `bench advise`), only from measured and published ones"
