"""How long a request takes over a network that is described by three figures. Pure; imports nothing of the project.

The model is the one of textbooks: TCP's handshake, TLS 1.3's, slow start from a window of ten segments that doubles
each round trip, and then the rate of the link. There is no loss, no queue but the request's own, no name lookup, no
proxy. What server and client compute is no part of it.

Held against Linux's TCP (cubic) over paths of 2 to 170 ms and 5 to 300 Mbit/s by benchmarks/network.py. Left out on
purpose, since it made no difference or does not follow from the three figures:

- HyStart, by which cubic leaves slow start early: on an empty path it does so when the window covers the path.
- The receiver's window, of 64 KiB at first on Linux: it opens as quickly as slow start does, unless the receiver reads
  late. An early flight (the third, of 58 KB) then lacks its last segments, which costs a round trip. It is seen now and
  then, mostly over TLS, where a record can be read only when the whole of its 16 KiB is there.
- What TLS adds to the bytes: 22 a record, 0.13%.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

#: Payload of one TCP segment in bytes: Ethernet's 1500, less 20 of IP, 20 of TCP and 12 of its time stamps.
SEGMENT_BYTES = 1448
#: Segments that may be sent before anything is acknowledged (RFC 6928).
INITIAL_SEGMENTS = 10
#: What a request carries besides its body: request line with query, and headers (of diffusers' client and `bench
#: serve`, rounded; they matter only where bodies are of their size).
REQUEST_HEAD_BYTES, RESPONSE_HEAD_BYTES = 450, 550
#: The TLS 1.3 handshake (RFC 8446), with a chain of two certificates: rounded, it depends on the certificates.
TLS_SENT_BYTES, TLS_RECEIVED_BYTES = 600, 4000

Connection = Literal["new", "kept"]


@dataclass(frozen=True, slots=True)
class Path:
    """The way between a client and an endpoint.

    Attributes:
        rtt_s: round trip of a small packet, in seconds, nothing else on the way.
        up_bit_s: payload bits per second from the client to the endpoint, as speed tests state them.
        down_bit_s: the same from the endpoint to the client.
        tls: whether the address is https, as all public ones are.
        slow_start: False for what does not behave as TCP from end to end (a relay that ends connections).
    """

    rtt_s: float
    up_bit_s: float
    down_bit_s: float
    tls: bool = True
    slow_start: bool = True

    def __post_init__(self) -> None:
        if not (self.rtt_s >= 0 and self.up_bit_s > 0 and self.down_bit_s > 0):
            raise ValueError(f"a path needs a round trip of 0 s or more, and rates above 0: {self}")

    def scaled(self, factor: float) -> Path:
        """The same path at so many times the rates, both ways."""
        return replace(self, up_bit_s=self.up_bit_s * factor, down_bit_s=self.down_bit_s * factor)

    def with_rtt(self, rtt_s: float) -> Path:
        """The same path with another round trip."""
        return replace(self, rtt_s=rtt_s)


@dataclass(frozen=True, slots=True)
class Way:
    """Seconds that the network adds to one request."""

    connect_s: float
    tls_s: float
    upload_s: float
    download_s: float

    @property
    def total_s(self) -> float:
        """All of them: they follow one another."""
        return self.connect_s + self.tls_s + self.upload_s + self.download_s


def request(path: Path, sent_bytes: int, received_bytes: int, connection: Connection = "new") -> Way:
    """The network's part of one request whose bodies have these sizes.

    Upload counts from the first byte sent to the last one at the endpoint, download from the first byte of the answer
    sent to the last one at the client; the endpoint reads the whole body before it computes. Over a kept connection
    there is no handshake, and the window is the initial one again (RFC 5681, 4.1: a connection restarts so when it was
    idle). Linux halves it for each time-out (200 ms and a round trip, or more) instead: a window of 400 kB is back at
    the initial one after a second, one of 6 MB after two to four. A connection that never rests keeps its window: it is
    `slow_start=False` that describes it (within 6%, and 15% too quick where 6 MB meet a round trip of 85 ms at
    200 Mbit/s), and without that the model has been up to 4.6 times too slow.
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
    """Seconds from the first bit of `count` bytes leaving the sender to the last one leaving it.

    Each window is sent at the link's rate; then the sender waits for the first acknowledgement, which comes a round
    trip and one segment after the window's begin, and lets twice the window follow (Kurose and Ross, Computer
    Networking, "latency modelling: dynamic congestion windows"; the same as Cardwell, Savage and Anderson 2000 without
    loss). Once a window lasts as long as that, the link is never idle. Acknowledgements are taken as one a segment
    (Linux sends them so at a connection's start).
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
    """One round trip, and the bytes of the handshake both ways. The client's last message goes with the request."""
    return path.rtt_s + 8 * TLS_SENT_BYTES / path.up_bit_s + 8 * TLS_RECEIVED_BYTES / path.down_bit_s
