"""One image computed by an endpoint: what serves it, what that takes over each network, and what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.analysis.hybrid.scenario import Request
from bench.analysis.hybrid.service import EndpointTime, OverNetwork, carries, of_card, of_loopback, seconds
from bench.record import FILE_TRANSPORTS, Case, OutOfMemory, Record, Transport


@dataclass(frozen=True, slots=True)
class RemoteImage:
    """One image computed by an endpoint.

    Attributes:
        case: one of the cases of the image; they differ in execution and transport only.
        service: what the endpoint takes; None if nobody has a time.
        over: the time from end to end over each network, by the network's name; empty without a service.
        measured: records of endpoints with a time for this image and transport, on loopback or across a network.
        reason: why there is neither a service nor a measurement across a network.
    """

    case: Case
    service: EndpointTime | None = None
    over: Mapping[str, OverNetwork] = field(default_factory=dict)
    measured: tuple[Record, ...] = ()
    reason: str | None = None

    @property
    def over_s(self) -> dict[str, float]:
        """Simulated seconds from end to end over each network."""
        return {name: over.seconds for name, over in self.over.items()}

    @property
    def across(self) -> tuple[Record, ...]:
        """The measured records whose requests crossed a network."""
        return tuple(record for record in self.measured if _is_across(record))


def remote_image(group: Sequence[Record], request: Request, card: str | None) -> RemoteImage:
    """The quickest service known for an image over the first network, and what endpoints were measured to take.

    `group` holds all records of the image, `card` is the device that may stand in for an endpoint.
    """
    case = group[0].case
    transport = request.transport_of(case)
    if transport is None:
        return RemoteImage(case, reason=f"the transport of {case.operation} is not known")
    endpoints = [record for record in group if record.remote is not None]
    same_transport = [record for record in endpoints if record.case.transport == transport]
    cards = [
        record
        for record in group
        if record.remote is None and record.device.name == card and record.vram_limit_bytes is None
    ]
    service = _quickest_service(cards, same_transport, request, transport)
    measured = tuple(record for record in same_transport if seconds(record) is not None)
    has_time = service is not None or any(map(_is_across, measured))
    return RemoteImage(
        case=case,
        service=service,
        over={name: service.over_network(path) for name, path in request.paths.items()} if service else {},
        measured=measured,
        reason=None if has_time else _why_no_service(endpoints, cards, card, request, transport),
    )


def _is_across(record: Record) -> bool:
    return record.remote is not None and not record.remote.endpoint.is_loopback


def _quickest_service(
    cards: Sequence[Record], endpoints: Sequence[Record], request: Request, transport: Transport
) -> EndpointTime | None:
    services = [of_card(record, transport, request.files) for record in cards]
    services += [of_loopback(record) for record in endpoints if request.server in {None, record.device.name}]
    path = request.paths[request.network]
    return min((service for service in services if service), key=lambda service: service.over(path), default=None)


def _why_no_service(
    endpoints: Sequence[Record], cards: Sequence[Record], card: str | None, request: Request, transport: Transport
) -> str:
    timed = [
        record for record in endpoints if request.server in {None, record.device.name} and seconds(record) is not None
    ]
    transports = dict.fromkeys(str(record.case.transport) for record in timed)
    if transports:
        return f"an endpoint was measured over {', '.join(transports)}, not over {transport}; choose with --transport"
    if card is None and request.server is not None:
        return f"{request.server} was not measured on it"
    if card is None:
        return "no endpoint was measured, and there are no GPU times to stand in for one"
    return _why_no_card(cards, card, transport)


def _why_no_card(cards: Sequence[Record], card: str, transport: Transport) -> str:
    if cards and all(isinstance(record.outcome, OutOfMemory) for record in cards):
        return f"{card}, which stands in for an endpoint, is out of memory too"
    timed = [record for record in cards if seconds(record) is not None]
    if not timed:
        return f"neither an endpoint nor {card}, which would stand in for one, has a time"
    if not carries(transport, timed[0].case):
        is_file = transport in FILE_TRANSPORTS
        return (
            "an image file holds one image; --transport pt carries more"
            if is_file
            else f"a request over {transport} can't carry it; choose another with --transport"
        )
    return f"the size of a request is not known, so {card} can't stand in for an endpoint"
