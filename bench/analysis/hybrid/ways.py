"""An image's way over an endpoint: what serves it, what that takes over each network, and what was measured. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bench.analysis.hybrid.scenario import Request
from bench.analysis.hybrid.service import Service, carries, of_card, of_loopback, seconds
from bench.record import Case, OutOfMemory, Record, Transport


@dataclass(frozen=True, slots=True)
class Remote:
    """An image's way over an endpoint.

    Attributes:
        service: what the endpoint takes; None where nobody has a time.
        over_s: seconds from end to end over each network: simulated.
        measured: records of endpoints of this image and transport, over whatever way there was; a network's or none.
        reason: why there is no service.
    """

    service: Service | None
    over_s: Mapping[str, float]
    measured: tuple[Record, ...]
    reason: str | None = None

    @property
    def across(self) -> tuple[Record, ...]:
        """Those that were measured across a network."""
        return tuple(one for one in self.measured if one.remote and not one.remote.endpoint.is_loopback)


@dataclass(frozen=True, slots=True)
class Way:
    """The remote way of an image; the case is one of those that are of it."""

    case: Case
    remote: Remote


def remote_way(group: Sequence[Record], request: Request, card: str | None) -> Remote:
    """The quickest service that is known of an image over the first network, and what was measured of it.

    `group` are all records of the image, `card` is the device that may stand in for an endpoint.
    """
    transport = request.transports.get(group[0].case.operation)
    if transport is None:
        return Remote(None, {}, (), "how its payload travels is not known")
    endpoints = [one for one in group if one.remote is not None]
    mine = [one for one in endpoints if one.case.transport == transport]
    cards = [one for one in group if one.remote is None and one.device.name == card and one.vram_limit_bytes is None]
    service = _service(cards, mine, request, transport)
    over_s = {name: service.over(path) for name, path in request.paths.items()} if service else {}
    measured = tuple(one for one in mine if seconds(one) is not None)
    found = Remote(service, over_s, measured)
    if service or found.across:
        return found
    return replace(found, reason=_why_none(endpoints, cards, card, request, transport))


def _service(
    cards: Sequence[Record], endpoints: Sequence[Record], request: Request, transport: Transport
) -> Service | None:
    known = [of_card(one, transport, request.files) for one in cards]
    known += [of_loopback(one) for one in endpoints if request.server in {None, one.device.name}]
    path = request.paths[request.network]
    return min((one for one in known if one), key=lambda one: one.over(path), default=None)


def _why_none(
    endpoints: Sequence[Record], cards: Sequence[Record], card: str | None, request: Request, transport: Transport
) -> str:
    asked = [one for one in endpoints if request.server in {None, one.device.name} and seconds(one) is not None]
    others = dict.fromkeys(str(one.case.transport) for one in asked)
    if others:
        return f"an endpoint was measured over {', '.join(others)}, not over {transport}; --transport chooses"
    if card is None and request.server is not None:
        return f"{request.server} was not measured on it"
    if card is None:
        return "no endpoint was measured, and no GPU's times are there to stand in for one"
    return _why_no_card(cards, card, transport)


def _why_no_card(cards: Sequence[Record], card: str, transport: Transport) -> str:
    if cards and all(isinstance(one.outcome, OutOfMemory) for one in cards):
        return f"out of memory on {card} too, which stands in for an endpoint"
    timed = [one for one in cards if seconds(one) is not None]
    if not timed:
        return f"no time of an endpoint, nor of {card}, which would stand in for one"
    if not carries(transport, timed[0].case):
        return "an image file holds one image; --transport pt carries more"
    return f"what a request of it carries is not known, so {card} can't stand in for an endpoint"
