"""This program's HTTP client, which times the parts of each request. Needs httpx2."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from bench import packages
from bench.remote import failures
from bench.remote.reachability import CONNECT_TIMEOUT_S
from bench.wire.address import Address, Redactor, Token

if TYPE_CHECKING:
    import ssl

    import httpx2

_CONNECT, _TLS = "connection.connect_tcp", "connection.start_tls"
_SENT, _ANSWERED = "http11.send_request_body", "http11.receive_response_headers"
_BEGUN = "http11.send_request_headers"


@dataclass(frozen=True, slots=True)
class Post:
    """A request as diffusers makes it: address, query parameters in order, headers, body."""

    address: Address
    parameters: Mapping[str, Any]
    headers: Mapping[str, str]
    data: bytes

    @property
    def url(self) -> str:
        """The URL with its query, written as the library requests does: `True`, and a key for each list item."""
        query = str(urlencode(dict(self.parameters), doseq=True))
        if not query:
            return self.address.url
        return f"{self.address.url}{'&' if '?' in self.address.url else '?'}{query}"


@dataclass(slots=True)
class TraceTimes:
    """The times (time.perf_counter) at which the parts of one request began and ended."""

    begun: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)

    def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        """Record the time of an event of httpx2's `trace` extension. `info` is ignored."""
        name, _, kind = event.rpartition(".")
        times = self.begun if kind == "started" else self.ended
        times[name] = time.perf_counter()

    def took(self, name: str) -> float | None:
        """Return the seconds of one part, or None if the request had no such part."""
        begin, end = self.begun.get(name), self.ended.get(name)
        return None if begin is None or end is None else max(0.0, end - begin)


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete successful response, and the seconds of its parts; None for a part that it did not have."""

    headers: Mapping[str, str]
    content: bytes
    wire_bytes: int
    connect_s: float | None
    tls_s: float | None
    upload_s: float
    server_s: float
    download_s: float


class Client:
    """Posts to an endpoint, over a new connection for each request or over one kept connection."""

    def __init__(self, address: Address, token: Token | None, redact: Redactor, *, kept: bool) -> None:
        httpx = library()
        self._address, self._redact, self._kept = address, redact, kept
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1 if kept else 0, keepalive_expiry=3600)
        self._client = httpx.Client(limits=limits, **client_options(address, token))

    def post(self, request: Post, deadline: float, max_bytes: int) -> Reply:
        """Send a request and read the whole answer, of at most `max_bytes`, before `deadline` (of time.monotonic).

        If the endpoint has closed the kept connection, it is opened again once. Raises RequestError, or TimeoutError
        at the deadline.
        """
        httpx = library()
        try:
            try:
                return self._post(request, deadline, max_bytes)
            except httpx.RemoteProtocolError as error:
                if not (self._kept and "without sending" in str(error)):
                    raise
            return self._post(request, deadline, max_bytes)
        except httpx.ConnectTimeout as error:
            raise failures.of_exception(error, self._address, self._redact) from None
        except (TimeoutError, httpx.TimeoutException):  # before OSError, which includes TimeoutError
            raise TimeoutError from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise failures.of_exception(error, self._address, self._redact) from None

    def close(self) -> None:
        """Close the connection, if it is kept."""
        self._client.close()

    def _post(self, request: Post, deadline: float, max_bytes: int) -> Reply:
        times = TraceTimes()
        left = max(0.001, deadline - time.monotonic())
        timeout = library().Timeout(left, connect=min(left, CONNECT_TIMEOUT_S))
        begin = time.perf_counter()
        with self._client.stream(
            "POST",
            request.url,
            content=request.data,
            headers=dict(request.headers),
            extensions={"trace": times},
            timeout=timeout,
        ) as response:
            content = _read(response, deadline, max_bytes)
            end = time.perf_counter()
            if response.status_code != 200:
                raise failures.of_status(response.status_code, response.headers, content, self._redact)
            answered = times.ended.get(_ANSWERED, end)
            sent = min(times.ended.get(_SENT, answered), answered)
            return Reply(
                headers=response.headers,
                content=content,
                wire_bytes=response.num_bytes_downloaded,
                connect_s=times.took(_CONNECT),
                tls_s=times.took(_TLS),
                upload_s=max(0.0, sent - times.begun.get(_BEGUN, begin)),
                server_s=answered - sent,
                download_s=end - answered,
            )


def client_options(address: Address, token: Token | None) -> dict[str, Any]:
    """Return the arguments that all clients of httpx2 have in common. Requests to this machine bypass all proxies."""
    return {
        "headers": {"Authorization": f"Bearer {token.value}"} if token else {},
        "verify": tls_context(),
        "trust_env": not address.is_loopback,
    }


def _read(response: httpx2.Response, deadline: float, max_bytes: int) -> bytes:
    """Return the whole body, or the beginning of an error's body. Raises RequestError if the body is too long."""
    ok = response.status_code == 200
    parts, size = [], 0
    for chunk in response.iter_bytes():
        parts.append(chunk)
        size += len(chunk)
        if not ok and size > failures.READ_OF_AN_ERROR:
            break
        if size > max_bytes and ok:
            raise failures.failed(
                "ResponseTooLarge",
                f"The answer is longer than {max_bytes} bytes, the most that this case's result can have. Check the "
                "address.",
            )
        if time.monotonic() > deadline:
            raise TimeoutError
    return b"".join(parts)


@cache
def tls_context() -> ssl.SSLContext:
    """Return the context with the trusted certificates. Loading them takes longer than a request, so it is cached."""
    context: ssl.SSLContext = library().create_ssl_context()
    return context


@cache
def library() -> Any:
    """Return the module httpx2. Raises PackageError if it is missing or broken."""
    packages.load("`bench remote`", packages.HTTP)
    import httpx2  # noqa: PLC0415 - an extra

    return httpx2
