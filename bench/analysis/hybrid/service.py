"""What an endpoint takes for a request, the network aside: from its own records, or with a card standing in for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis.hybrid.payload_bytes import payload
from bench.config import Files
from bench.core.network import Path, Way, request
from bench.core.units import ITEM_BYTES
from bench.record import EXECUTION, FILE_TRANSPORTS, Case, Kind, Measured, Record, Transport, alike_but_for
from bench.workloads import models

#: A time below this is none: a docs page prints `0.000` for what is quicker than its digits.
LEAST_S = 1e-9
#: Records of these kinds have a time that is known; a simulated or predicted one is not.
_KNOWN: tuple[Kind, ...] = ("measured", "published")


@dataclass(frozen=True, slots=True)
class Service:
    """One case over one transport, without a network.

    Attributes:
        by: what computes it, for people.
        kind: where the computing's time is from: measured, published or predicted.
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
    return alike_but_for(case, *EXECUTION, "transport")


def of_loopback(record: Record) -> Service | None:
    """The service that a record of an endpoint on the client's own machine shows; None if it shows none."""
    remote = record.remote
    if remote is None or record.case.transport is None or not remote.endpoint.is_loopback:
        return None
    whole_s = seconds(record)
    if whole_s is None or remote.request_bytes is None or remote.response_bytes is None:
        return None
    compute = remote.compute_s
    return Service(
        by=record.device.name,
        kind=record.kind,
        case=record.case,
        transport=record.case.transport,
        sent_bytes=remote.request_bytes,
        received_bytes=remote.response_bytes,
        compute_s=whole_s if compute is None else compute,
        off_network_s=whole_s,
        whole=True,
    )


def of_card(record: Record, transport: Transport, files: Files) -> Service | None:
    """The service that a card would be, by its local time; None if it has none, or its payload is not known."""
    compute_s = seconds(record)
    if compute_s is None:
        return None
    return of_time(record.case, compute_s, record.kind, record.device.name, transport, files)


def of_time(case: Case, compute_s: float, kind: Kind, card: str, transport: Transport, files: Files) -> Service | None:
    """The service that a card would be which computes the case in that time; None if its payload is not known."""
    if case.model not in models.zoo() or case.dtype not in ITEM_BYTES or not carries(transport, case):
        return None
    carried = payload(case, transport, files)
    if carried is None:
        return None
    return Service(
        by=card,
        kind=kind,
        case=case,
        transport=transport,
        sent_bytes=carried.sent_bytes,
        received_bytes=carried.received_bytes,
        compute_s=compute_s,
        off_network_s=compute_s + carried.client_s + carried.server_s,
        whole=False,
    )


def carries(transport: Transport, case: Case) -> bool:
    """Whether a request over the transport holds as many images."""
    return transport not in FILE_TRANSPORTS or case.axes.product("batch", "frames") == 1


def usual_server(records: Sequence[Record]) -> str | None:
    """The card that stands in for an endpoint unless another is named: the quickest CUDA device.

    That is the one which is quickest in most of the images that several of them have; a device is not chosen for what
    it alone was measured on. Without such images it is the one with most of them. None where there is no CUDA device; a
    processor stands in for nothing, and nor does a card under a limit.
    """
    images: dict[tuple[object, ...], dict[str, float]] = {}
    for record in records:
        taken = whole_card_s(record)
        if record.device.kind == "cuda" and taken is not None:
            times = images.setdefault(alike(record.case), {})
            times[record.device.name] = min(taken, times.get(record.device.name, taken))
    shared = [times for times in images.values() if len(times) > 1]
    names = [min(times, key=times.__getitem__) for times in shared or images.values()]
    return max(dict.fromkeys(names), key=names.count, default=None)


def seconds(record: Record | None) -> float | None:
    """The time of a record that was measured or published; None where there is none, or it was printed as 0.

    What is known of a time, for `hybrid`, `cost` and `advise` alike.
    """
    if record is None or record.kind not in _KNOWN or record.timing is None:
        return None
    if not isinstance(record.outcome, Measured) or record.timing.median_s < LEAST_S:
        return None
    return record.timing.median_s


def whole_card_s(record: Record) -> float | None:
    """The same of a device that was used whole; None under a VRAM limit, where kernels may be leaner and slower."""
    return seconds(record) if record.vram_limit_bytes is None else None
