"""The outermost ASGI application. It guarantees for every response, whatever the application does:

- The client can read it: the rest of the request's body is read and discarded, within limits, before and after the
  response. (Closing a socket with unread bytes resets the connection, and the client loses the response.)
- It names the weights, and an error is JSON.
- A client that does not read it is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bench.endpoint.connection import STATE_KEY
from bench.endpoint.limits import STOPPING, Bounds, BusyError
from bench.wire.messages import WEIGHTS_HEADER, RefusedError, error_body

_LOG = logging.getLogger("bench.endpoint")
_ACCESS = logging.getLogger("bench.endpoint.access")
#: How long a refusal waits for the rest of the body. After that it is sent, and the connection is closed.
_REST_S = 1.0
_PIECE = 256 * 1024
FAILED = "The endpoint failed. Its log shows the error."


def error_response(
    error: RefusedError, headers: Mapping[str, str] | None = None, *, has_detail: bool = False
) -> Response:
    """Return an error as the JSON that every client of this protocol expects.

    With `has_detail` the message is there a second time, as clients of FLUX.2's remote text encoder read it.
    """
    extended = dict(headers or {})
    if isinstance(error, BusyError):
        extended["retry-after"] = str(error.retry_after_s)
    if error.status == 401:
        extended["www-authenticate"] = "Bearer"
    body = error_body(error.message, error.reason, error.figures, has_detail=has_detail)
    return Response(body, error.status, extended, media_type="application/json")


class DroppedError(Exception):
    """The client disconnected, or did not read the response in time and was disconnected."""


@dataclass(frozen=True, slots=True)
class Shell:
    """The outermost application. It logs one line for each request."""

    app: ASGIApp
    bounds: Bounds
    weights: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            raise RuntimeError(f"the endpoint accepts HTTP, not {scope['type']}")
        exchange = _Exchange(scope, receive, send, self.bounds, self.weights)
        begun = time.monotonic()
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except DroppedError:
            _LOG.debug("A client was dropped: it did not read its response")
        except asyncio.CancelledError:
            await exchange.fail(BusyError(STOPPING, 5, "stopping"))
        except Exception:  # noqa: BLE001 - the border at which a fault becomes a response
            _LOG.exception("A request failed because of an error in the endpoint")
            await exchange.fail(RefusedError(500, FAILED, "internal"))
        route, took_ms = scope.get("bench.route", "-"), (time.monotonic() - begun) * 1e3
        _ACCESS.info("%s %s %s %.1f ms", time.strftime("%H:%M:%S"), route, exchange.status or "gone", took_ms)


class _Exchange:
    """One request and its response."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, bounds: Bounds, weights: str) -> None:
        headers = Headers(scope=scope)
        self._receive, self._send = receive, send
        self._bounds, self._weights = bounds, weights
        self._connection = scope.get("state", {}).get(STATE_KEY)
        self._body_left = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        #: RFC 9112, 6.1: a proxy may have read another length, and treat the following bytes as another request.
        self._ambiguous = "content-length" in headers and "transfer-encoding" in headers
        self._linger_s = bounds.linger_s
        self._disconnected = False
        self._discarded_bytes = 0
        self._closing = False
        self.status: int | None = None
        self._finished = False

    async def receive(self) -> Message:
        """Return the next part of the request."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._disconnected = True
        elif not message.get("more_body", False):
            self._body_left = False
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the response."""
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif message["type"] == "http.response.body":
            await self._send_body(message)

    async def fail(self, error: RefusedError) -> None:
        """Send an error if no response has begun; else close the connection."""
        if self.status is not None:
            self._abort()
            return
        with contextlib.suppress(DroppedError):
            await error_response(error)({"type": "http"}, self.receive, self.send)

    async def _begin(self, message: Message) -> None:
        if self._connection is not None and self._connection.awaits_100_continue:
            # the client may still send its body, but need not
            self._linger_s = min(self._linger_s, _REST_S)
        elif self._body_left:
            await self._discard(_REST_S)
        headers = MutableHeaders(raw=list(message.get("headers", [])))
        headers.setdefault(WEIGHTS_HEADER, self._weights)
        self._closing = self._body_left or self._ambiguous
        if self._closing:
            headers["connection"] = "close"
        self.status = message["status"]
        await self._pass_on({**message, "headers": headers.raw})

    async def _send_body(self, message: Message) -> None:
        body, more = memoryview(message.get("body", b"")), message.get("more_body", False)
        due = asyncio.get_running_loop().time() + self._bounds.send_timeout_s + len(body) / self._bounds.slowest_rate
        for start in range(0, len(body), _PIECE):
            piece = bytes(body[start : start + _PIECE])
            last = start + _PIECE >= len(body) and not more and not self._closing
            await self._pass_on({"type": "http.response.body", "body": piece, "more_body": not last}, due)
            self._finished = last
        if more or self._finished:
            return
        if self._closing:
            await self._discard(self._linger_s)
        await self._pass_on({"type": "http.response.body", "body": b"", "more_body": False})
        self._finished = True

    async def _pass_on(self, message: Message, due: float = math.inf) -> None:
        """Send a part. Raises DroppedError if the client reads earlier parts too slowly, or not everything by `due`."""
        now = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(min(now + self._bounds.send_timeout_s, due)):
                await self._send(message)
        except TimeoutError:
            self._abort()
            raise DroppedError from None
        if self._connection is not None and self._connection.dropped:
            raise DroppedError

    def _abort(self) -> None:
        if self._connection is not None:
            self._connection.abort()

    async def _discard(self, seconds: float) -> None:
        """Read and discard the rest of the body, for `seconds` at most and within the limit on bytes."""
        try:
            async with asyncio.timeout(seconds):
                while self._body_left and not self._disconnected and self._discarded_bytes < self._bounds.linger_bytes:
                    self._discarded_bytes += len((await self.receive()).get("body", b""))
        except TimeoutError:
            pass
