"""CORS: which web pages may use the endpoint from a browser.

Starlette's CORSMiddleware does not fit: it answers a refused preflight with plain text, where every error of this
protocol is JSON; it answers every path and method alike; and it omits `Vary: Origin` if a request has no Origin.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bench.errors import ConfigError
from bench.wire.messages import (
    RECEIVED_HEADER,
    REPLICA_HEADER,
    RETRIED_HEADER,
    TILES_HEADER,
    TRUNCATED_HEADER,
    WEIGHTS_HEADER,
)

ANY = "*"
_ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")
_REQUEST_HEADERS = "Accept, Authorization, Content-Type"
#: Response headers that a page may read, beside those that every page may.
_EXPOSED = ", ".join(
    (
        *("shape", "dtype", "Server-Timing", "Retry-After", WEIGHTS_HEADER, TILES_HEADER, TRUNCATED_HEADER),
        *(RECEIVED_HEADER, REPLICA_HEADER, RETRIED_HEADER),
    )
)
#: Seconds for which a browser may remember a preflight.
_MAX_AGE = "600"


def parse_origins(texts: Iterable[str]) -> tuple[str, ...]:
    """Return origins as browsers spell them, or `*` for every page. Raises ConfigError."""
    origins = tuple(dict.fromkeys(text.strip().lower().removesuffix("/") for text in texts))
    for origin in origins:
        if origin not in {ANY, "null"} and not _ORIGIN.fullmatch(origin):
            raise ConfigError(
                f"--cors {origin[:80]}: this is not an origin. Write a scheme and a host, such as https://example.com "
                "or http://localhost:3000, or * for every page."
            )
    return (ANY,) if ANY in origins else origins


@dataclass(frozen=True, slots=True)
class Cors:
    """ASGI middleware that adds the headers with which a browser lets a page of an allowed origin read the response."""

    app: ASGIApp
    origins: tuple[str, ...]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        allowed = allowed_origin(scope, self.origins)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=list(message.get("headers", [])))
                if self.origins != (ANY,):
                    headers.add_vary_header("Origin")
                if allowed is not None:
                    headers["access-control-allow-origin"] = allowed
                    headers["access-control-expose-headers"] = _EXPOSED
                message = {**message, "headers": headers.raw}
            await send(message)

        await self.app(scope, receive, with_headers)


def allowed_origin(scope: Scope, origins: tuple[str, ...]) -> str | None:
    """Return the allowed origin as it was configured, or None if the request's origin is not allowed."""
    if origins == (ANY,):
        return ANY
    origin = Headers(scope=scope).get("origin", "").lower()
    return origin if origin in origins else None


def is_preflight(scope: Scope) -> bool:
    """Whether this is a preflight, by which a browser asks whether a page may send its request."""
    headers = Headers(scope=scope)
    return scope["method"] == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers


def preflight_response(methods: str) -> Response:
    """Return the answer to a preflight: what a page may send. `Cors` adds which origin may."""
    return Response(
        status_code=204,
        headers={
            "access-control-allow-methods": methods,
            "access-control-allow-headers": _REQUEST_HEADERS,
            "access-control-max-age": _MAX_AGE,
        },
    )
