"""Measurements of an endpoint: requests one after another, requests while images are generated, and load."""

from __future__ import annotations

import ipaddress
import statistics
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from bench.core.units import format_percent
from bench.record.environment import Device, Package
from bench.record.measurements import Seconds, Timing
from bench.record.stored import Frozen
from bench.record.urls import without_secrets

#: A generator of load that is itself later than this share of the median latency casts doubt on it.
LATE_SHARE = 0.1

#: A row of seconds, one a request, in the order of the calls.
EachCall = tuple[Seconds, ...]
#: A row of seconds, one a round, in the order of the rounds.
EachRound = Annotated[tuple[Seconds, ...], Field(min_length=1)]
Count = Annotated[int, Field(ge=0)]


class Start(Frozen):
    """A measured start of an endpoint: from nothing to ready."""

    seconds: Annotated[float, Field(gt=0)]
    since: Literal["process", "request"] = Field(
        description="its beginning: of its process, or of the request that woke an endpoint that had scaled to zero"
    )

    @property
    def beginning(self) -> str:
        """What it is counted from, in words."""
        return "its process began" if self.since == "process" else "the request that woke it"


class EndpointFacts(Frozen):
    """The endpoint behind a record. Facts that another kind of endpoint does not report are null."""

    url: Annotated[str, AfterValidator(without_secrets)] = Field(
        description="without user, password, query and fragment"
    )
    server_device: Device | None = None
    server_packages: dict[str, Package] = Field(default={}, description="torch, diffusers and the like on the server")
    server_commit: str | None = Field(default=None, description="of Hybrid Bench on the server; '-dirty' if changed")
    reason: str | None = Field(default=None, description="why nothing is known of the server")
    stand_in: str | None = Field(
        default=None, description="what stood in for the server's device in a test. null if real or not told"
    )
    start: Start | None = Field(
        default=None,
        description="the start that the endpoint measured of itself. Left out if it did not tell one",
        exclude_if=lambda start: start is None,
    )

    @property
    def server(self) -> tuple[object, ...]:
        """The facts that must be equal for a run to be continued. The address may change."""
        return (self.server_device, self.server_packages, self.stand_in)

    @property
    def is_loopback(self) -> bool:
        """Whether it was on the client's own machine, without a network. An address that can't be read was not."""
        try:
            host = urlsplit(self.url).hostname or ""
            return host == "localhost" or ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False


class Split(Frozen):
    """Seconds of each part of each request. A row that is not empty has one figure for each request."""

    prepare_s: EachCall = Field(default=(), description="what the user has, to the bytes that are sent")
    connect_s: EachCall = Field(default=(), description="name lookup and TCP; empty on a kept connection")
    tls_s: EachCall = Field(default=(), description="the TLS handshake; empty without TLS")
    upload_s: EachCall = Field(default=(), description="headers and body handed to the operating system")
    server_s: EachCall = Field(
        default=(), description="from the last byte sent to the response's headers: the network's way included"
    )
    download_s: EachCall = Field(default=(), description="the response's body")
    decode_s: EachCall = Field(default=(), description="bytes to what the user gets, a PIL image or a tensor")


class ServerTimes(Frozen):
    """Seconds that the server reports (Server-Timing) for each request. A row that it does not report is empty."""

    receive_s: EachCall = ()
    queue_s: EachCall = ()
    deserialize_s: EachCall = ()
    compute_s: EachCall = ()
    serialize_s: EachCall = ()


class Exchange(Frozen):
    """Requests one after another, by one client over one kind of connection.

    `timing` is end to end: from the tensor (or image) in memory to the result in memory.
    """

    client: Literal["diffusers", "bench"] = Field(
        description="diffusers: its remote_encode and remote_decode; bench: this program's own, which sends the same"
    )
    connection: Literal["new", "kept"] = Field(description="whether each request opens a connection of its own")
    timing: Timing
    reopened: Count = Field(
        default=0, description="kept: requests that found the connection closed, and opened another"
    )
    split: Split | None = Field(default=None, description="null for diffusers' client, which does not report it")
    server: ServerTimes | None = Field(default=None, description="null if the server does not report them")


class Percentile(Frozen):
    """The latency within which a share of the good answers came."""

    q: float = Field(gt=0, lt=1)
    seconds: Seconds
    interval_s: tuple[Seconds, Seconds] | None = Field(
        default=None, description="95% interval, from order statistics (binomial); null if there are too few answers"
    )


class Load(Frozen):
    """Requests that come whether or not earlier ones are answered (open: Poisson), or always as many at once (closed).

    Latencies are of the good answers, in the order in which they were due, from the scheduled time (open) or the
    sending (closed) to the last byte of the body, which is not decoded.
    """

    kind: Literal["open", "closed"]
    rate_per_s: float | None = Field(default=None, gt=0, description="open: requests per second that were asked for")
    share: float | None = Field(default=None, gt=0, description="open: the rate over the capacity that was measured")
    concurrency: int | None = Field(default=None, ge=1, description="closed: requests at once")
    seed: int | None = Field(default=None, description="open: of the arrivals")
    duration_s: float = Field(gt=0, description="over how long requests were sent")
    timeout_s: float | None = Field(default=None, gt=0, description="what one request may take")
    sent: Count = Field(description="requests that fell due; one that found no place is an error, `not sent`")
    succeeded: Count
    throughput_per_s: float = Field(
        ge=0,
        description="good answers over the time from the loop's begin to the last of them, or to the end of sending if "
        "that was later",
    )
    latency_s: EachCall = ()
    percentiles: tuple[Percentile, ...] = ()
    errors: dict[str, int] = Field(default={}, description="by kind: `503 busy`, `timed out`, `ConnectError`, ...")
    retry_after: Count = Field(default=0, description="refusals that carried Retry-After")
    lag_p99_s: Seconds | None = Field(
        default=None,
        description="open: how late the generator itself was, its wait for a free place included: a loaded client "
        "would pass for a slow server",
    )
    connections: int | None = Field(default=None, ge=0, description="that were opened; they are kept and used again")

    @property
    def title(self) -> str:
        """`open, 12.5 /s (80% of capacity)`, or `closed, 8 at once`."""
        if self.kind == "closed":
            return f"closed, {self.concurrency or '?'} at once"
        share = f" ({format_percent(self.share)} of capacity)" if self.share is not None else ""
        return f"open, {self.rate_per_s:.3g} /s{share}" if self.rate_per_s is not None else "open"

    def is_enough_for(self, q: float) -> bool:
        """Whether there are enough good answers for a percentile: at least one is expected beyond it."""
        return self.succeeded * (1 - q) > 1 - 1e-9

    @property
    def is_late(self) -> bool:
        """Whether the generator was so late that its figures are partly its own."""
        median_s = next((percentile.seconds for percentile in self.percentiles if percentile.q == 0.5), None)
        return self.lag_p99_s is not None and median_s is not None and self.lag_p99_s >= LATE_SHARE * median_s


class Overlap(Frozen):
    """Images that are generated and then decoded by the endpoint: in turn, or the last one while the next one is
    generated (overlapped: a queue, and worker threads that make the requests, as in the diffusers docs' Queueing).

    Generation is stood in for by sleeping: a GPU at work leaves the CPU to the client, and sleeping does too. Both ways
    are run in rounds that take turns, A-B-B-A, after a request of each worker that is not counted.
    """

    generation_s: float = Field(gt=0, description="seconds of generation of an image that were asked for")
    share: float | None = Field(
        default=None, gt=0, description="generation_s over the case's own median request, where that was asked for"
    )
    images: int = Field(ge=1, description="in each round")
    workers: int = Field(ge=1, description="threads that make requests when overlapped; in turn there is one")
    client: Literal["diffusers", "bench"] = Field(
        description="whose requests they are, over a new connection each; bench only if there is a token"
    )
    timeout_s: float | None = Field(default=None, gt=0, description="what one request may take")
    in_turn_s: EachRound = Field(description="seconds of each round in which an image waits for the one before")
    overlapped_s: EachRound = Field(
        description="seconds of each overlapped round, from the first generation's begin to the last request's end"
    )
    requests_in_turn_s: EachCall = Field(
        description="latency of each request of the rounds in turn, as the thread that waits for it sees it"
    )
    requests_overlapped_s: EachCall = Field(
        description="latency of each request of the overlapped rounds, in the order of the images; without its wait in "
        "the queue"
    )
    generated_s: EachCall = Field(
        description="how long each generation really was, as sleep ends late: first those of the rounds in turn, then "
        "those of the overlapped ones; sleeping stands in for a GPU, which leaves the CPU alone as well"
    )

    @property
    def title(self) -> str:
        """`12 images of 0.05 s`, or `12 images of 0.05 s (50% of a request)`; with `2 workers` if there are several."""
        share = f" ({format_percent(self.share)} of a request)" if self.share is not None else ""
        workers = f", {self.workers} workers" if self.workers > 1 else ""
        return f"{self.images} images of {self.generation_s:.3g} s{share}{workers}"


class Remote(Frozen):
    """The endpoint, the payload and the latency of one case over one transport."""

    endpoint: EndpointFacts
    request_bytes: int | None = Field(default=None, ge=0, description="of the body")
    response_bytes: int | None = Field(default=None, ge=0, description="of the body; the median if it varies")
    content: str | None = Field(default=None, description="what was sent: an image's bytes depend on what it shows")
    checked: Count = Field(default=0, description="requests whose body the server's checksum confirmed")
    exchanges: tuple[Exchange, ...] = ()
    overlaps: tuple[Overlap, ...] = ()
    loads: tuple[Load, ...] = ()

    def exchange(self, client: Literal["diffusers", "bench"], connection: Literal["new", "kept"]) -> Exchange | None:
        """The exchange by that client over that kind of connection, if there was one."""
        wanted = (client, connection)
        return next((each for each in self.exchanges if (each.client, each.connection) == wanted), None)

    @property
    def primary(self) -> Exchange | None:
        """The exchange of diffusers' client or, if a token is needed, of this program's client, which can send one."""
        return self.exchange("diffusers", "new") or self.exchange("bench", "new")

    @property
    def compute_s(self) -> float | None:
        """The median of the compute times that the server reports; None if it reports none."""
        exchange = self.exchange("bench", "new")
        times = exchange.server.compute_s if exchange and exchange.server else ()
        return statistics.median(times) if times else None
