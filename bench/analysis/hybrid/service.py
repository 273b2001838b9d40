"""The time of a request at an endpoint, without the network: by its records, or by a card that stands in for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from bench.config import Files
from bench.core.network import Path, Way, request
from bench.record import EXECUTION, Case, Kind, Measured, Record, Transport, alike_but_for, fits_in_one_request
from bench.workloads import models
from bench.workloads.payloads import Body

#: The share of a request's time from which carrying its bodies is most of it.
_MOST = 0.75
#: A time below this counts as unknown: the docs print `0.000` for times below their precision.
LEAST_S = 1e-9
#: The transports whose bodies have sizes that follow from the case's shape, or from `networks.yaml`.
OF_KNOWN_SIZE: tuple[Transport, ...] = ("jpg", "png", "pt", "pt-partial", "tensor", "predict")
#: The kinds of records whose times are known, rather than simulated or predicted.
_KNOWN: tuple[Kind, ...] = ("measured", "published")


@dataclass(frozen=True, slots=True)
class Bodies:
    """The bodies of one request and its answer.

    Attributes:
        sent_bytes, received_bytes: sizes of the bodies.
        client_s, server_s: seconds that each end takes to write or read an image file.
    """

    sent_bytes: int
    received_bytes: int
    client_s: float
    server_s: float


@dataclass(frozen=True, slots=True)
class OverNetwork(Way):
    """Simulated seconds of one image from end to end over a network, and the network's parts of them."""

    seconds: float
    kind: Literal["simulated"] = "simulated"


@dataclass(frozen=True, slots=True)
class EndpointTime:
    """The time of a request at an endpoint for one case over one transport, without a network.

    Attributes:
        by: the name of the endpoint or card that computes it.
        kind: where `compute_s` is from: measured, published or predicted.
        case: the case that it computes.
        sent_bytes, received_bytes: sizes of the bodies.
        compute_s: seconds of computing alone.
        off_network_s: seconds of everything but the network: computing, image files at both ends, software.
        measured_as_whole: whether `off_network_s` was measured in one piece, on loopback; otherwise it is a sum.
    """

    by: str
    kind: Kind
    case: Case
    transport: Transport
    sent_bytes: int
    received_bytes: int
    compute_s: float
    off_network_s: float
    measured_as_whole: bool

    def over(self, path: Path) -> float:
        """Simulated seconds from end to end over a network, with a new connection as diffusers' client makes it."""
        return self.off_network_s + request(path, self.sent_bytes, self.received_bytes).total_s

    def mostly_carried(self, path: Path) -> int | None:
        """The bytes of both bodies, if carrying them takes most of the time over a network; else None."""
        over = self.over_network(path)
        travels = over.upload_s + over.download_s >= _MOST * over.seconds
        return self.sent_bytes + self.received_bytes if travels else None

    def over_network(self, path: Path) -> OverNetwork:
        """Simulated seconds from end to end over a network, with the network's parts of them."""
        added = request(path, self.sent_bytes, self.received_bytes)
        return OverNetwork(**asdict(added), seconds=self.off_network_s + added.total_s)


def alike(case: Case) -> tuple[object, ...]:
    """A key that two cases share if a remote time of one can be compared with a local time of the other.

    Precision, tiling, weights and variant are left out: a server chooses its own, and returns the same image.
    """
    return alike_but_for(case, *EXECUTION, "transport")


def of_loopback(record: Record) -> EndpointTime | None:
    """The time that a record of an endpoint on loopback measured; None for any other record, or without a time."""
    remote = record.remote
    if remote is None or record.case.transport is None or not remote.endpoint.is_loopback:
        return None
    whole_s = seconds(record)
    if whole_s is None or remote.request_bytes is None or remote.response_bytes is None:
        return None
    compute = remote.compute_s
    return EndpointTime(
        by=record.device.name,
        kind=record.kind,
        case=record.case,
        transport=record.case.transport,
        sent_bytes=remote.request_bytes,
        received_bytes=remote.response_bytes,
        compute_s=whole_s if compute is None else compute,
        off_network_s=whole_s,
        measured_as_whole=True,
    )


def of_card(record: Record, transport: Transport, files: Files) -> EndpointTime | None:
    """The time at an endpoint with this card, by its local time; None without a time or a known payload."""
    compute_s = seconds(record)
    if compute_s is None:
        return None
    return of_time(record.case, compute_s, record.kind, record.device.name, transport, files)


def of_time(
    case: Case, compute_s: float, kind: Kind, card: str, transport: Transport, files: Files
) -> EndpointTime | None:
    """The time at an endpoint whose card computes the case in `compute_s`; None if the payload is not known."""
    if case.model not in models.zoo() or not carries(transport, case):
        return None
    body = bodies(case, transport, files)
    if body is None:
        return None
    return EndpointTime(
        by=card,
        kind=kind,
        case=case,
        transport=transport,
        sent_bytes=body.sent_bytes,
        received_bytes=body.received_bytes,
        compute_s=compute_s,
        off_network_s=compute_s + body.client_s + body.server_s,
        measured_as_whole=False,
    )


def bodies(case: Case, transport: Transport, files: Files) -> Bodies | None:
    """The bodies of one request for a case and its answer.

    None if no endpoint serves the case, or if a size is not known.
    """
    payload = models.workload(case.model).payload(case)
    both = payload.bodies(transport) if payload else None
    if both is None:
        return None
    sent, received = both
    kind = files.png if transport == "png" else files.jpg

    def size(body: Body) -> int:
        return body.known_bytes + round(body.file_pixels * kind.bytes_per_pixel)

    write_s, read_s = kind.write_s_per_mpx / 1e6, kind.read_s_per_mpx / 1e6
    return Bodies(
        size(sent),
        size(received),
        client_s=sent.file_pixels * write_s + received.file_pixels * read_s,
        server_s=sent.file_pixels * read_s + received.file_pixels * write_s,
    )


def carries(transport: Transport, case: Case) -> bool:
    """Whether one request over the transport can carry the whole case, such as all its images."""
    if case.model not in models.zoo():
        return fits_in_one_request(transport, case.axes)
    return models.workload(case.model).carries(case, transport)


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
    """The median of a measured or published record in seconds; None under a VRAM limit, where kernels may be slower."""
    return seconds(record) if record.vram_limit_bytes is None else None
