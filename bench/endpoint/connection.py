"""uvicorn's connection, extended by time-outs for slow clients, a bound on connections, and errors in JSON.

It answers whatever goes wrong before a request has headers; `shell` answers everything after that.

It relies on uvicorn's internals, because no server has all of this as settings. The same hostile clients were sent to
four (November 2026). uvicorn 0.54 waits for headers for ever, with h11 and with httptools (its issue 157), and keeps a
client that never reads. hypercorn 0.18 and granian 2.8 answer broken HTTP with an empty 400, where this protocol's
clients parse JSON, and reset a connection whose refused body is still being sent, so that the client loses the answer.
granian also leaves a client that has shut down its sending side without an answer. A proxy in front would need a second
program and its configuration on each GPU machine. `tests/unit/endpoint/test_uvicorn_internals.py` fails if uvicorn
changes what this file uses, and pyproject.toml admits only versions that were tried.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, NoReturn

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from bench.endpoint.limits import Bounds
from bench.wire.messages import WEIGHTS_HEADER, error_body

#: Where a request's scope["state"] holds its connection.
STATE_KEY = "connection"
#: After a refusal, what still comes is read away for so long.
_DRAIN_S = 1.0
#: A chunk costs far more than its bytes: a body of more than so many must have so many bytes in each, on average.
_FREE_CHUNKS = 4096
_SMALLEST_CHUNK = 64
#: Bytes of a request's line and headers.
_LARGEST_HEAD = 16 * 1024
#: How often a client that sends no more is looked at, whether it still listens.
_LOOK_S = 0.05


class _Parser(h11.Connection):
    """h11's, but for bodies in tiny chunks, and other versions of HTTP.

    HTTP/2 begins with what looks like a request to h11, followed by something that does not.
    """

    def __init__(self, largest_head: int) -> None:
        super().__init__(h11.SERVER, largest_head)
        self._chunks = self._bytes = 0
        #: Why the last event was refused, if not by h11.
        self.refusal: str | None = None

    def next_event(self) -> Any:
        """The next event. Raises RemoteProtocolError for what is no HTTP, or too laborious."""
        event = super().next_event()
        if isinstance(event, h11.Request):
            if not event.http_version.startswith(b"1."):
                self._refuse("This endpoint speaks HTTP/1.1 alone. Send the request with that.")
            self._chunks = self._bytes = 0
        elif isinstance(event, h11.Data):
            self._chunks += event.chunk_end
            self._bytes += len(event.data)
            if self._chunks > _FREE_CHUNKS and self._bytes < self._chunks * _SMALLEST_CHUNK:
                self._refuse("The body comes in too many tiny chunks.")
        return event

    def _refuse(self, why: str) -> NoReturn:
        self.refusal = why
        raise h11.RemoteProtocolError(why)


class Connection(H11Protocol):
    """One connection. It ends by itself whatever its client does or leaves undone."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        bounds: Bounds,
        weights: str,
        refused: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`refused` is told the reason of every refusal that happens here."""
        super().__init__(config, server_state, {**app_state, STATE_KEY: self}, _loop)
        self._bounds = bounds
        self._weights = weights
        self._refused = refused
        self.conn = self._parser = _Parser(_LARGEST_HEAD)
        #: It is over, and what the client still sends is read away.
        self._ending = False
        #: The client sends no more, and waits for its answer.
        self._half_closed = False
        self._drained = 0
        self._headers_due: asyncio.TimerHandle | None = None
        self._end_due: asyncio.TimerHandle | None = None
        self._close_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or turn it away where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self._bounds.connections:
            text = f"The endpoint is busy: it has {self._bounds.connections} connections. Try again later."
            self._refuse(503, text, "busy", ((b"retry-after", b"1"),))
            return
        self._headers_due = self.loop.call_later(self._bounds.header_timeout_s, self._headers_too_slow)

    def data_received(self, data: bytes) -> None:
        """Read on, and start or stop the clock for the headers."""
        if self._ending:
            self._drained += len(data)
            if self._drained > self._bounds.linger_bytes:
                self.abort()
        if self._ending or self.transport.is_closing():
            return
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_headers_clock()
        elif self._headers_due is None and self.timeout_keep_alive_task is None:
            self._headers_due = self.loop.call_later(self._bounds.header_timeout_s, self._headers_too_slow)

    def eof_received(self) -> bool:  # type: ignore[override]
        """A client that sends no more still gets its answer; one that is gone is found out by telling it something."""
        cycle = self.cycle
        if self._ending or cycle is None or cycle.more_body or cycle.response_complete:
            return False
        if not self._half_closed:
            self._half_closed = True
            if not cycle.response_started and self.conn.their_http_version == b"1.1":
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                self._look()
        return True

    def _look(self) -> None:
        """Drop the connection if its other end has said that it knows nothing of it any more."""
        if self.transport.is_closing() or self.cycle.response_started:
            return
        if self.transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.abort()
            return
        self.loop.call_later(_LOOK_S, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all clocks."""
        self._stop_headers_clock()
        if self._close_due is not None:
            self._close_due.cancel()
        if self._end_due is not None:
            self._end_due.cancel()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """A response that ends the connection must be taken in time."""
        super().on_response_complete()
        if self._half_closed and self.cycle.response_complete:
            self.transport.close()
        if self.transport.is_closing():
            self._end_soon()

    def timeout_keep_alive_handler(self) -> None:
        """End an idle connection, even if its client has not read the last response."""
        super().timeout_keep_alive_handler()
        self._end_soon()

    def shutdown(self) -> None:
        """End with the server."""
        if self._ending:
            self.transport.close()
        else:
            super().shutdown()
        if self.transport.is_closing():
            self._end_soon()

    @property
    def dropped(self) -> bool:
        """Whether the client is gone before its response was complete."""
        return self.cycle is not None and self.cycle.disconnected

    @property
    def waits_to_be_asked(self) -> bool:
        """Whether the client asked for `100 Continue`, and has sent nothing of its body so far."""
        return self.conn.they_are_waiting_for_100_continue

    def abort(self) -> None:
        """Drop the connection at once, and what is yet to be sent."""
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls if something is no HTTP, or is so only to keep the server busy."""
        self._refuse(400, self._parser.refusal or msg, "bad_request")

    def _headers_too_slow(self) -> None:
        text = f"The headers of the request did not come within {self._bounds.header_timeout_s:g} s."
        self._refuse(408, text, "slow_headers")

    def _refuse(self, status: int, text: str, reason: str, more: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        """Answer in JSON and close. If a response is under way the connection is closed without another."""
        if self._ending or self.transport.is_closing():
            return
        self._ending = True
        self._refused(reason)
        self._stop_headers_clock()
        self._unset_keepalive_if_required()
        body = error_body(text, reason)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
            (WEIGHTS_HEADER.encode(), self._weights.encode()),
            *more,
        ]
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE} and self._take_over():
            for event in (
                h11.Response(status_code=status, headers=headers, reason=b""),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        # closed with bytes unread, the connection would be reset, and the client lose the answer
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.flow.resume_reading()
            self._close_due = self.loop.call_later(min(_DRAIN_S, self._bounds.linger_s), self.transport.close)
        else:
            self.transport.close()
        self._end_soon()

    def _take_over(self) -> bool:
        """Take the request from the application, if it has one and has not begun to answer it."""
        if self.cycle is None or self.cycle.response_complete:
            return True
        self.cycle.disconnected = True  # what the application still says is dropped
        self.cycle.message_event.set()
        return not self.cycle.response_started

    def _end_soon(self) -> None:
        if self._end_due is None:
            self._end_due = self.loop.call_later(self._bounds.send_timeout_s, self.abort)

    def _stop_headers_clock(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None
