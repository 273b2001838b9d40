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

#: The key of a request's connection in its scope["state"].
STATE_KEY = "connection"
#: After a refusal, the connection continues to read and discard for this long.
_DRAIN_S = 1.0
#: Parsing a chunk costs far more than its bytes: a body of more chunks than this needs this mean size in bytes.
_FREE_CHUNKS = 4096
_SMALLEST_CHUNK = 64
#: Bytes of a request line and its headers.
_LARGEST_HEAD = 16 * 1024
#: How often to check whether a client that has stopped sending is still connected.
_POLL_S = 0.05


class _Parser(h11.Connection):
    """h11's parser, which also refuses bodies in tiny chunks and other versions of HTTP.

    To h11 the preface of HTTP/2 looks like a request that is followed by garbage.
    """

    def __init__(self, largest_head: int) -> None:
        super().__init__(h11.SERVER, largest_head)
        self._chunks = self._bytes = 0
        #: Why this class refused the last event; None if h11 did.
        self.refusal: str | None = None

    def next_event(self) -> Any:
        """Return the next event. Raises RemoteProtocolError for invalid HTTP and for too many chunks."""
        event = super().next_event()
        if isinstance(event, h11.Request):
            if not event.http_version.startswith(b"1."):
                self._refuse("This endpoint accepts only HTTP/1.1. Send the request with HTTP/1.1.")
            self._chunks = self._bytes = 0
        elif isinstance(event, h11.Data):
            self._chunks += event.chunk_end
            self._bytes += len(event.data)
            if self._chunks > _FREE_CHUNKS and self._bytes < self._chunks * _SMALLEST_CHUNK:
                self._refuse("The body has too many tiny chunks. Send larger chunks, or a Content-Length.")
        return event

    def _refuse(self, reason: str) -> NoReturn:
        self.refusal = reason
        raise h11.RemoteProtocolError(reason)


class Connection(H11Protocol):
    """One connection. It always ends, whatever its client does."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        bounds: Bounds,
        weights: str,
        on_refusal: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`on_refusal` is called with the reason of each refusal by this class."""
        super().__init__(config, server_state, {**app_state, STATE_KEY: self}, _loop)
        self._bounds = bounds
        self._weights = weights
        self._on_refusal = on_refusal
        self.conn = self._parser = _Parser(_LARGEST_HEAD)
        #: The connection is ending: further input is discarded.
        self._ending = False
        #: The client has shut down its sending side and waits for the response.
        self._half_closed = False
        self._drained = 0
        self._headers_due: asyncio.TimerHandle | None = None
        #: These end the connection.
        self._timers: list[asyncio.TimerHandle] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection, or refuse it if there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self._bounds.connections:
            text = f"The endpoint is busy: it has {self._bounds.connections} open connections. Try again later."
            self._refuse(503, text, "busy", ((b"retry-after", b"1"),))
            return
        self._headers_due = self.loop.call_later(self._bounds.header_timeout_s, self._headers_too_slow)

    def data_received(self, data: bytes) -> None:
        """Parse the data, and start or stop the time-out for headers."""
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
        """Keep the connection of a client that has stopped sending until it has its response.

        If the client has gone away entirely, sending `100 Continue` provokes a reset, which `_poll` notices.
        """
        cycle = self.cycle
        if self._ending or cycle is None or cycle.more_body or cycle.response_complete:
            return False
        if not self._half_closed:
            self._half_closed = True
            if not cycle.response_started and self.conn.their_http_version == b"1.1":
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                self._poll()
        return True

    def _poll(self) -> None:
        """Drop the connection if the other end has reset it."""
        if self.transport.is_closing() or self.cycle.response_started:
            return
        if self.transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.abort()
            return
        self.loop.call_later(_POLL_S, self._poll)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel all timers."""
        self._stop_headers_clock()
        for timer in self._timers:
            timer.cancel()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Start a time-out for reading the response, if the response ends the connection."""
        super().on_response_complete()
        if self._half_closed and self.cycle.response_complete:
            self.transport.close()
        if self.transport.is_closing():
            self._end_soon()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, even if its client has not read the last response."""
        super().timeout_keep_alive_handler()
        self._end_soon()

    def shutdown(self) -> None:
        """Close when the server stops."""
        if self._ending:
            self.transport.close()
        else:
            super().shutdown()
        if self.transport.is_closing():
            self._end_soon()

    @property
    def dropped(self) -> bool:
        """Whether the client disconnected before its response was complete."""
        return self.cycle is not None and self.cycle.disconnected

    @property
    def awaits_100_continue(self) -> bool:
        """Whether the client waits for `100 Continue` before it sends its body."""
        return self.conn.they_are_waiting_for_100_continue

    def abort(self) -> None:
        """Close the connection at once; unsent data is lost."""
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Answer invalid HTTP; uvicorn calls this."""
        self._refuse(400, self._parser.refusal or msg, "bad_request")

    def _headers_too_slow(self) -> None:
        text = f"The headers of the request did not arrive within {self._bounds.header_timeout_s:g} s. Try again."
        self._refuse(408, text, "slow_headers")

    def _refuse(self, status: int, text: str, reason: str, more: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        """Answer in JSON and close. If a response has already begun, only close."""
        if self._ending or self.transport.is_closing():
            return
        self._ending = True
        self._on_refusal(reason)
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
        # closing with unread bytes would reset the connection, and the client would lose the answer
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.flow.resume_reading()
            drain_s = min(_DRAIN_S, self._bounds.linger_s)
            self._timers.append(self.loop.call_later(drain_s, self.transport.close))
        else:
            self.transport.close()
        self._end_soon()

    def _take_over(self) -> bool:
        """Cut the application off from its request. Returns False if it has already begun to answer."""
        if self.cycle is None or self.cycle.response_complete:
            return True
        self.cycle.disconnected = True  # whatever the application still sends is dropped
        self.cycle.message_event.set()
        return not self.cycle.response_started

    def _end_soon(self) -> None:
        """Close the connection in a while, even if the client does not read the rest of its response."""
        self._timers.append(self.loop.call_later(self._bounds.send_timeout_s, self.abort))

    def _stop_headers_clock(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None
