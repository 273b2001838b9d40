"""uvicorn's connection with what it leaves open: slow headers, clients that never read, errors in JSON.

Whatever goes wrong before a request has headers is answered here; everything after that is `shell`'s.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from bench.remote.messages import WEIGHTS_HEADER
from bench.remote.server.limits import Bounds

#: Where a request's scope["state"] holds its connection.
STATE_KEY = "connection"


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
    ) -> None:
        super().__init__(config, server_state, {**app_state, STATE_KEY: self}, _loop)
        self._bounds = bounds
        self._weights = weights
        self._headers_due: asyncio.TimerHandle | None = None
        self._end_due: asyncio.TimerHandle | None = None

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
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_headers_clock()
        elif self._headers_due is None and self.timeout_keep_alive_task is None:
            self._headers_due = self.loop.call_later(self._bounds.header_timeout_s, self._headers_too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all clocks."""
        self._stop_headers_clock()
        if self._end_due is not None:
            self._end_due.cancel()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """A response that ends the connection must be taken in time."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._end_soon()

    def timeout_keep_alive_handler(self) -> None:
        """End an idle connection, even if its client has not read the last response."""
        super().timeout_keep_alive_handler()
        self._end_soon()

    def shutdown(self) -> None:
        """End with the server."""
        super().shutdown()
        if self.transport.is_closing():
            self._end_soon()

    def abort(self) -> None:
        """Drop the connection at once, and what is yet to be sent."""
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls if something is no HTTP."""
        self._refuse(400, msg, "bad_request")

    def _headers_too_slow(self) -> None:
        text = f"The headers of the request did not come within {self._bounds.header_timeout_s:g} s."
        self._refuse(408, text, "slow_headers")

    def _refuse(self, status: int, text: str, reason: str, more: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        """Answer in JSON and close. If a response is under way the connection is closed without another."""
        if self.transport.is_closing():
            return
        body = json.dumps({"error": text, "reason": reason}).encode()
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
