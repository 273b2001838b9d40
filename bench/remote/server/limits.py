"""How much the endpoint takes on at once, and for how long it waits for anyone. Free of torch and of the web stack."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.remote.messages import RefusedError
from bench.units import MIB, format_bytes

#: Requests beyond the queue and the one that is computed: those being received, decoded, encoded or sent.
_ON_THE_WAY = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The limits of one server; seconds and bytes.

    Attributes:
        queue: requests that may wait for the device.
        time_limit_s: from the end of a request's body until its turn on the device.
        body_timeout_s: for receiving a whole body.
        header_timeout_s: for receiving a request's headers, from their first byte or the connection's start.
        send_timeout_s: for a client to take the next piece of a response.
        keep_alive_s: an idle connection is kept for so long.
        linger_s: for reading away the body of a request that was refused before it was read.
        linger_bytes: and how much of it.
        connections: open at once.
        held_bytes: bodies held at once, all requests together.
    """

    queue: int = 16
    time_limit_s: float = 60.0
    body_timeout_s: float = 30.0
    header_timeout_s: float = 10.0
    send_timeout_s: float = 30.0
    keep_alive_s: float = 15.0
    linger_s: float = 10.0
    linger_bytes: int = 512 * MIB
    connections: int = 256
    held_bytes: int = 2048 * MIB

    @property
    def in_flight(self) -> int:
        """Requests that are received, queued, computed or sent at once."""
        return self.queue + 1 + _ON_THE_WAY


class BusyError(RefusedError):
    """The endpoint has no room at the moment. `retry_after_s`: whole seconds after which it is worth another try."""

    def __init__(self, message: str, retry_after_s: int, reason: str = "busy") -> None:
        super().__init__(503, message, reason)
        self.retry_after_s = retry_after_s


class Place:
    """One admitted request's share of the bytes that may be held."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.held_bytes = 0

    def hold(self, count: int) -> None:
        """Hold so many bytes in all from now on. Raises BusyError if all requests together would hold too many."""
        more = max(0, count - self.held_bytes)
        self._admission.take(more)
        self.held_bytes += more


class Admission:
    """Counts the requests that are on their way through the server, and the bytes of their bodies.

    Used from the event loop alone. A body is counted by its announced length before any of it is read.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self.requests = 0
        self.held_bytes = 0

    @contextmanager
    def admit(self, retry_after_s: int) -> Iterator[Place]:
        """A place until the end of the block. Raises BusyError if none is free."""
        if self.requests >= self._bounds.in_flight:
            text = f"The endpoint is busy: it has {self._bounds.in_flight} requests in hand. Try again later."
            raise BusyError(text, retry_after_s)
        self.requests += 1
        place = Place(self)
        try:
            yield place
        finally:
            self.requests -= 1
            self.held_bytes -= place.held_bytes

    def take(self, count: int) -> None:
        """Add bytes to those held. A single body always finds room in an empty server."""
        if self.held_bytes and self.held_bytes + count > self._bounds.held_bytes:
            limit = format_bytes(self._bounds.held_bytes)
            raise BusyError(f"The endpoint is busy: the requests in hand hold {limit}. Try again later.", 1)
        self.held_bytes += count
