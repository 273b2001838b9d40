"""The endpoint's limits on concurrent work, and its time-outs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.core.units import MIB, format_bytes
from bench.wire.messages import RefusedError

#: Requests being decoded, encoded or sent, beside those in the queue and the one being computed.
_IN_TRANSIT = 8
_FEWEST_CONNECTIONS = 256
#: The error message of every request once the endpoint is stopping.
STOPPING = "The endpoint is shutting down."


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The limits of one server; seconds and bytes.

    Attributes:
        queue: requests that may wait for the device.
        time_limit_s: time from the end of a request's body until its turn on the device.
        body_timeout_s: time for receiving a body, in addition to the time of its bytes at the slowest rate.
        slowest_rate: bytes per second; a client that sends or receives more slowly is dropped.
        header_timeout_s: time for receiving a request's headers, from their first byte or the connection's start.
        send_timeout_s: time for a client to accept the next piece of a response.
        keep_alive_s: how long an idle connection is kept.
        linger_s: how long to read and discard the body of a request that was refused before its body was read.
        linger_bytes: how many bytes of such a body to read at most.
        max_connections: connections open at once; None: as many as the requests in flight need.
        held_bytes: memory of the bodies, tensors and answers of all requests together.
    """

    queue: int = 192
    time_limit_s: float = 60.0
    body_timeout_s: float = 30.0
    slowest_rate: float = 256 * 1024.0
    header_timeout_s: float = 10.0
    send_timeout_s: float = 30.0
    keep_alive_s: float = 15.0
    linger_s: float = 10.0
    linger_bytes: int = 512 * MIB
    max_connections: int | None = None
    held_bytes: int = 2048 * MIB

    @property
    def in_flight(self) -> int:
        """Requests that may be decoded, queued, computed or sent at once."""
        return self.queue + 1 + _IN_TRANSIT

    @property
    def connections(self) -> int:
        """Connections that may be open at once."""
        return self.max_connections or max(_FEWEST_CONNECTIONS, 2 * self.in_flight)


class BusyError(RefusedError):
    """The endpoint has no room for the request now. `retry_after_s`: whole seconds until another try may succeed."""

    def __init__(self, message: str, retry_after_s: int, reason: str = "busy") -> None:
        super().__init__(503, message, reason)
        self.retry_after_s = retry_after_s


class Reservation:
    """One request's share of the limits: memory as its body arrives, a place in flight once the body is complete."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._entered = False
        self._held_bytes = 0

    def hold(self, count: int) -> None:
        """Reserve `count` bytes in total for this request. Raises BusyError if all requests would exceed the limit.

        A single request always has room.
        """
        admission = self._admission
        more, limit = max(0, count - self._held_bytes), admission.bounds.held_bytes
        if admission.held_bytes > self._held_bytes and admission.held_bytes + more > limit:
            text = f"The endpoint is busy: its requests hold {format_bytes(limit)} of memory. Try again later."
            raise BusyError(text, 1)
        admission.held_bytes += more
        self._held_bytes += more

    def enter(self, retry_after_s: Callable[[], int]) -> None:
        """Count this request as in flight. Raises BusyError if there are too many; calls `retry_after_s` only then."""
        limit = self._admission.bounds.in_flight
        if self._admission.requests >= limit:
            raise BusyError(f"The endpoint is busy with {limit} requests. Try again later.", retry_after_s())
        self._admission.requests += 1
        self._entered = True

    def leave(self) -> None:
        """Release everything."""
        self._admission.requests -= self._entered
        self._admission.held_bytes -= self._held_bytes


class Admission:
    """Counts the requests in flight and the bytes that they hold.

    Used only from the event loop. A client that is still sending its body, or has only announced one, takes no place
    in flight: it has a connection, and holds the bytes that have arrived.
    """

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.requests = 0
        self.held_bytes = 0

    @contextmanager
    def reserve(self) -> Iterator[Reservation]:
        """Give a request a reservation until the end of the block."""
        reservation = Reservation(self)
        try:
            yield reservation
        finally:
            reservation.leave()
