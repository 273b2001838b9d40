"""The time that a network adds to a request, from round trip and rates.

The textbook model: TCP handshake, TLS 1.3 handshake, slow start from a window of ten segments that doubles each round
trip, then the rate of the link. It has no loss, no cross traffic, no name lookup and no proxy, and leaves out what
server and client compute.

benchmarks/network.py compares it with Linux's TCP (cubic) over paths of 2 to 170 ms and 5 to 300 Mbit/s. Left out
because it made no difference or cannot be derived from round trip and rates:

- HyStart, with which cubic leaves slow start early: on an idle path it does so when the window covers the path.
- The receive window, initially 64 KiB on Linux: it opens as quickly as slow start does, unless the receiver reads
  late. An early flight (the third, of 58 KB) then lacks its last segments, which costs a round trip. This happens
  occasionally, mostly over TLS, where a record can be read only after all of its 16 KiB have arrived.
- TLS framing: 22 bytes per record, 0.13%.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: Payload of one TCP segment in bytes: Ethernet's 1500, less 20 of IP, 20 of TCP and 12 of its time stamps.
SEGMENT_BYTES = 1448
#: Segments that may be sent before anything is acknowledged (RFC 6928).
INITIAL_SEGMENTS = 10
#: Bytes besides the body: request line with query, and headers, as diffusers' client and `bench serve` send them,
#: rounded. They matter only if the body is as small.
REQUEST_HEAD_BYTES, RESPONSE_HEAD_BYTES = 450, 550
#: The TLS 1.3 handshake (RFC 8446) with a chain of two certificates, rounded: it depends on the certificates.
TLS_SENT_BYTES, TLS_RECEIVED_BYTES = 600, 4000

Connection = Literal["new", "kept"]


@dataclass(frozen=True, slots=True)
class Path:
    """The network path between a client and an endpoint.

    Attributes:
        rtt_s: round trip of a small packet on an idle path, in seconds.
        up_bit_s: payload bits per second from the client to the endpoint, as speed tests state them.
        down_bit_s: payload bits per second from the endpoint to the client.
        tls: whether the address is https.
        slow_start: False for a path that is not TCP from end to end (a relay that terminates connections).
    """

    rtt_s: float
    up_bit_s: float
    down_bit_s: float
    tls: bool = True
    slow_start: bool = True

    def __post_init__(self) -> None:
        if not (self.rtt_s >= 0 and self.up_bit_s > 0 and self.down_bit_s > 0):
            raise ValueError(f"a path needs a round trip of at least 0 s and rates above 0: {self}")

    def scaled(self, factor: float) -> Path:
        """The same path with both rates multiplied by `factor`."""
        return Path(self.rtt_s, self.up_bit_s * factor, self.down_bit_s * factor, self.tls, self.slow_start)

    def with_rtt(self, rtt_s: float) -> Path:
        """The same path with another round trip."""
        return Path(rtt_s, self.up_bit_s, self.down_bit_s, self.tls, self.slow_start)


@dataclass(frozen=True, slots=True)
class Way:
    """Seconds that the network adds to one request."""

    connect_s: float
    tls_s: float
    upload_s: float
    download_s: float

    @property
    def total_s(self) -> float:
        """The sum: the four phases follow one another."""
        return self.connect_s + self.tls_s + self.upload_s + self.download_s


def request(path: Path, sent_bytes: int, received_bytes: int, connection: Connection = "new") -> Way:
    """The time that the network adds to one request with bodies of these sizes.

    Upload lasts from the first byte sent until the last one reaches the endpoint, download from the first byte of the
    answer sent until the last one reaches the client. The endpoint reads the whole body before it computes.

    A kept connection has no handshake and starts from the initial window, as RFC 5681 (4.1) prescribes after idle time.
    Linux instead halves the window for each time-out (200 ms plus a round trip, or more): a window of 400 kB is back at
    the initial one after 1 s, one of 6 MB after 2 to 4 s. A connection that is never idle keeps its window. Use
    `slow_start=False` for it: measured within 6%, and 15% too fast for 6 MB at 85 ms and 200 Mbit/s. With slow start
    the model was up to 4.6 times too slow for such connections.
    """
    new = connection == "new"
    half = path.rtt_s / 2
    return Way(
        connect_s=path.rtt_s if new else 0.0,
        tls_s=_tls_s(path) if new and path.tls else 0.0,
        upload_s=half + send_s(sent_bytes + REQUEST_HEAD_BYTES, path.up_bit_s, path.rtt_s, slow_start=path.slow_start),
        download_s=half
        + send_s(received_bytes + RESPONSE_HEAD_BYTES, path.down_bit_s, path.rtt_s, slow_start=path.slow_start),
    )


def send_s(count: int, bit_s: float, rtt_s: float, *, slow_start: bool = True) -> float:
    """Seconds from the first to the last bit of `count` bytes leaving the sender.

    Each window is sent at the link's rate. The sender then waits for the first acknowledgement, which arrives a round
    trip and one segment after the window began, and sends twice the window (Kurose and Ross, Computer Networking,
    "latency modelling: dynamic congestion windows"; equal to Cardwell, Savage and Anderson 2000 without loss). When a
    window lasts that long, the link is never idle. Each segment is acknowledged, as Linux does at the start of a
    connection.
    """
    rate = bit_s / 8
    if not slow_start:
        return count / rate
    waiting, window, covered = 0.0, INITIAL_SEGMENTS * SEGMENT_BYTES, 0
    acknowledged_s = rtt_s + SEGMENT_BYTES / rate
    while covered + window < count and window / rate < acknowledged_s:
        waiting += acknowledged_s - window / rate
        covered += window
        window *= 2
    return count / rate + waiting


def _tls_s(path: Path) -> float:
    """One round trip and the handshake's bytes both ways. The client's last message travels with the request."""
    return path.rtt_s + 8 * TLS_SENT_BYTES / path.up_bit_s + 8 * TLS_RECEIVED_BYTES / path.down_bit_s
