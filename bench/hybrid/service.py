"""What an endpoint takes for a request, the network aside: from its own records, or with a card standing in for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.config import Files
from bench.hybrid.payload import payload
from bench.network import Path, Way, request
from bench.record import Case, Kind, Measured, Record, Transport


@dataclass(frozen=True, slots=True)
class Service:
    """One case over one transport, without a network.

    Attributes:
        by: what computes it, for people.
        kind: where the computing's time is from: measured or published.
        case: as it was computed there.
        sent_bytes, received_bytes: of the bodies.
        compute_s: the computing alone.
        off_network_s: all but the network: computing, image files at both ends, and what the software takes.
        whole: whether off_network_s was measured as a whole, on loopback; else it is a sum.
    """

    by: str
    kind: Kind
    case: Case
    transport: Transport
    sent_bytes: int
    received_bytes: int
    compute_s: float
    off_network_s: float
    whole: bool

    def way(self, path: Path) -> Way:
        """What a network adds to a request over a new connection, as diffusers' client makes it: simulated."""
        return request(path, self.sent_bytes, self.received_bytes)

    def over(self, path: Path) -> float:
        """Seconds from end to end over a network: simulated."""
        return self.off_network_s + self.way(path).total_s


def alike(case: Case) -> tuple[object, ...]:
    """What must be the same for one case's remote time to be held against another's local one.

    Precision, tiling, weights and variant are the server's own business; what comes back is the same image.
    """
    return (case.model, case.operation, case.width, case.height, case.frames, case.batch)


def of_loopback(record: Record) -> Service | None:
    """The service that a record of an endpoint on the client's own machine shows; None if it shows none."""
    remote = record.remote
    if remote is None or record.case.transport is None or not remote.endpoint.is_loopback:
        return None
    if not isinstance(record.outcome, Measured) or record.timing is None:
        return None
    if remote.request_bytes is None or remote.response_bytes is None:
        return None
    compute = remote.compute_s
    return Service(
        by=record.device.name,
        kind=record.kind,
        case=record.case,
        transport=record.case.transport,
        sent_bytes=remote.request_bytes,
        received_bytes=remote.response_bytes,
        compute_s=record.timing.median_s if compute is None else compute,
        off_network_s=record.timing.median_s,
        whole=True,
    )


def of_card(record: Record, transport: Transport, files: Files) -> Service | None:
    """The service that a card would be, by its local time; None if it has none. Its memory would be the server's."""
    if not isinstance(record.outcome, Measured) or record.timing is None:
        return None
    carried = payload(record.case, transport, files)
    compute_s = record.timing.median_s
    return Service(
        by=record.device.name,
        kind=record.kind,
        case=record.case,
        transport=transport,
        sent_bytes=carried.sent_bytes,
        received_bytes=carried.received_bytes,
        compute_s=compute_s,
        off_network_s=compute_s + carried.client_s + carried.server_s,
        whole=False,
    )


def quickest(services: Iterable[Service | None]) -> Service | None:
    """The one that takes least, the network aside."""
    return min((one for one in services if one), key=lambda one: one.off_network_s, default=None)


def usual_server(records: Sequence[Record]) -> str | None:
    """The card that stands in for an endpoint unless another is named: the quickest in most cases of all CUDA devices.

    None where there are none; a processor stands in for nothing.
    """
    best: dict[tuple[object, ...], Record] = {}
    for record in records:
        if record.device.kind == "cuda" and record.vram_limit_bytes is None and _seconds(record) is not None:
            held = best.get(alike(record.case))
            if held is None or (_seconds(record) or 0.0) < (_seconds(held) or 0.0):
                best[alike(record.case)] = record
    names = [record.device.name for record in best.values()]
    return max(dict.fromkeys(names), key=names.count, default=None)


def _seconds(record: Record) -> float | None:
    return record.timing.median_s if isinstance(record.outcome, Measured) and record.timing else None
