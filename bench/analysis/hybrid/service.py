"""The time of a request at an endpoint without the network, from its records or from a card that stands in for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.analysis.hybrid.payload_bytes import payload
from bench.config import Files
from bench.core.network import Path, request
from bench.core.units import ITEM_BYTES
from bench.record import EXECUTION, FILE_TRANSPORTS, Case, Kind, Measured, Record, Transport, alike_but_for
from bench.workloads import models

#: A shorter time is not known: a docs page prints `0.000` for what is quicker than its digits.
LEAST_S = 1e-9
#: The kinds of records whose times are known, rather than simulated or predicted.
_KNOWN: tuple[Kind, ...] = ("measured", "published")


@dataclass(frozen=True, slots=True)
class OverNetwork:
    """Simulated seconds of one image from end to end over a network, and the network's parts of them."""

    seconds: float
    connect_s: float
    tls_s: float
    upload_s: float
    download_s: float
    kind: Literal["simulated"] = "simulated"


@dataclass(frozen=True, slots=True)
class Service:
    """The time of a request at an endpoint for one case over one transport, without a network.

    Attributes:
        by: the name of the endpoint or card that computes it.
        kind: where `compute_s` is from: measured, published or predicted.
        case: the case that it computes.
        sent_bytes, received_bytes: sizes of the bodies.
        compute_s: seconds of computing alone.
        off_network_s: seconds of everything but the network: computing, image files at both ends, software.
        whole: whether `off_network_s` was measured as a whole, on loopback; otherwise it is a sum.
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

    def over(self, path: Path) -> float:
        """Simulated seconds from end to end over a network, with a new connection as diffusers' client makes it."""
        return self.off_network_s + request(path, self.sent_bytes, self.received_bytes).total_s

    def over_network(self, path: Path) -> OverNetwork:
        """The same with its parts."""
        added = request(path, self.sent_bytes, self.received_bytes)
        return OverNetwork(self.over(path), added.connect_s, added.tls_s, added.upload_s, added.download_s)


def alike(case: Case) -> tuple[object, ...]:
    """A key that two cases share if a remote time of one can be compared with a local time of the other.

    Precision, tiling, weights and variant are left out: a server chooses its own, and returns the same image.
    """
    return alike_but_for(case, *EXECUTION, "transport")


def of_loopback(record: Record) -> Service | None:
    """The service measured by a record of an endpoint on loopback; None for any other record, or without a time."""
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
    """The service that a card would provide, by its local time; None without a time or a known payload."""
    compute_s = seconds(record)
    if compute_s is None:
        return None
    return of_time(record.case, compute_s, record.kind, record.device.name, transport, files)


def of_time(case: Case, compute_s: float, kind: Kind, card: str, transport: Transport, files: Files) -> Service | None:
    """The service of a card that computes the case in `compute_s`; None if the payload is not known."""
    if case.model not in models.zoo() or case.dtype not in ITEM_BYTES or not carries(transport, case):
        return None
    body = payload(case, transport, files)
    if body is None:
        return None
    return Service(
        by=card,
        kind=kind,
        case=case,
        transport=transport,
        sent_bytes=body.sent_bytes,
        received_bytes=body.received_bytes,
        compute_s=compute_s,
        off_network_s=compute_s + body.client_s + body.server_s,
        whole=False,
    )


def carries(transport: Transport, case: Case) -> bool:
    """Whether one request over the transport can carry all images of the case."""
    return transport not in FILE_TRANSPORTS or case.axes.product("batch", "frames") == 1


def usual_server(records: Sequence[Record]) -> str | None:
    """The card that stands in for an endpoint unless another is named: the quickest CUDA device.

    It is the device that is quickest for most of the images that several devices were timed on, or, if there are no
    such images, the device with the most images. CPUs and cards under a VRAM limit are not considered. None without
    a CUDA device.
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
    """The median of a measured or published record in seconds; None without one, or if it was printed as 0.

    `hybrid`, `cost` and `advise` use no other times.
    """
    if record is None or record.kind not in _KNOWN or record.timing is None:
        return None
    if not isinstance(record.outcome, Measured) or record.timing.median_s < LEAST_S:
        return None
    return record.timing.median_s


def whole_card_s(record: Record) -> float | None:
    """The same for a device without a VRAM limit; None under a limit, where kernels may be slower."""
    return seconds(record) if record.vram_limit_bytes is None else None
