"""How much the endpoint takes on at once, and for how long it waits for anyone. Free of torch and of the web stack."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.core.units import MIB, format_bytes
from bench.wire.messages import RefusedError

#: Requests beyond the queue and the one that is computed: those being decoded, encoded or sent.
_ON_THE_WAY = 8
_FEWEST_CONNECTIONS = 256
#: What every request is told once the endpoint ends.
STOPPING = "The endpoint is shutting down."


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The limits of one server; seconds and bytes.

    Attributes:
        queue: requests that may wait for the device.
        time_limit_s: from the end of a request's body until its turn on the device.
        body_timeout_s: for receiving a body, beside what its bytes take at the slowest rate.
        slowest_rate: bytes a second below which a client is too slow, sending or receiving.
        header_timeout_s: for receiving a request's headers, from their first byte or the connection's start.
        send_timeout_s: for a client to take the next piece of a response.
        keep_alive_s: an idle connection is kept for so long.
        linger_s: for reading away the body of a request that was refused before it was read.
        linger_bytes: and how much of it.
        max_connections: open at once; None for as many as the requests in flight need.
        held_bytes: of bodies, tensors and answers held at once, all requests together.
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
        """Requests that are decoded, queued, computed or sent at once."""
        return self.queue + 1 + _ON_THE_WAY

    @property
    def connections(self) -> int:
        """Open at once."""
        return self.max_connections or max(_FEWEST_CONNECTIONS, 2 * self.in_flight)


class BusyError(RefusedError):
    """The endpoint has no room at the moment. `retry_after_s`: whole seconds after which it is worth another try."""

    def __init__(self, message: str, retry_after_s: int, reason: str = "busy") -> None:
        super().__init__(503, message, reason)
        self.retry_after_s = retry_after_s


class Place:
    """One request's share of what may be held: bytes from the first that comes, a place once its body is there."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._entered = False
        self.held_bytes = 0

    def hold(self, count: int) -> None:
        """Hold so many bytes in all from now on. Raises BusyError if all requests together would hold too many."""
        more = max(0, count - self.held_bytes)
        self._admission.take(more, self.held_bytes)
        self.held_bytes += more

    def enter(self, retry_after_s: Callable[[], int]) -> None:
        """Count among the requests in flight. Raises BusyError if there are too many; only then is the time asked."""
        self._admission.enter(retry_after_s)
        self._entered = True

    def leave(self) -> None:
        """Give everything back."""
        self._admission.leave(self.held_bytes, entered=self._entered)


class Admission:
    """Counts the requests that are on their way through the server, and the bytes that they hold.

    Used from the event loop alone. Whoever only sends a body, or says that he will, takes no place from others: he has
    a connection, and holds the bytes that came.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self.open = 0
        self.requests = 0
        self.held_bytes = 0

    @contextmanager
    def place(self) -> Iterator[Place]:
        """A request until the end of the block."""
        self.open += 1
        place = Place(self)
        try:
            yield place
        finally:
            place.leave()

    def enter(self, retry_after_s: Callable[[], int]) -> None:
        """One more in flight. Raises BusyError."""
        if self.requests >= self._bounds.in_flight:
            text = f"The endpoint is busy: it has {self._bounds.in_flight} requests in hand. Try again later."
            raise BusyError(text, retry_after_s())
        self.requests += 1

    def take(self, count: int, own: int) -> None:
        """Add bytes to those held. A single request, which holds `own` of them, always finds room."""
        if self.held_bytes > own and self.held_bytes + count > self._bounds.held_bytes:
            limit = format_bytes(self._bounds.held_bytes)
            raise BusyError(f"The endpoint is busy: the requests in hand hold {limit}. Try again later.", 1)
        self.held_bytes += count

    def leave(self, held_bytes: int, *, entered: bool) -> None:
        """A request is done."""
        self.open -= 1
        self.requests -= entered
        self.held_bytes -= held_bytes
