"""One request of this program's own client, and when each part of it was done. Needs httpx2; free of torch."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from bench.errors import BenchError
from bench.remote import trouble
from bench.remote.reachability import CONNECT_TIMEOUT_S
from bench.wire.address import Address, Discretion, Token

if TYPE_CHECKING:
    import ssl

    import httpx2

_CONNECT, _TLS = "connection.connect_tcp", "connection.start_tls"
_SENT, _ANSWERED = "http11.send_request_body", "http11.receive_response_headers"
_BEGUN = "http11.send_request_headers"


@dataclass(frozen=True, slots=True)
class Post:
    """A request as diffusers makes it: URL without these parameters, query in order, headers, body."""

    address: Address
    parameters: Mapping[str, Any]
    headers: Mapping[str, str]
    data: bytes

    @property
    def url(self) -> str:
        """The URL with its query, spelt as requests spells it: `True`, and a key for each value of a list."""
        query = str(urlencode(dict(self.parameters), doseq=True))
        if not query:
            return self.address.url
        return f"{self.address.url}{'&' if '?' in self.address.url else '?'}{query}"


@dataclass(slots=True)
class Marks:
    """Moments (time.perf_counter) at which the parts of one request began and ended."""

    begun: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)

    def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        """Note an event of httpx2's `trace` extension; what comes with it is not looked at."""
        name, _, what = event.rpartition(".")
        moments = self.begun if what == "started" else self.ended
        moments[name] = time.perf_counter()

    def took(self, name: str) -> float | None:
        """Seconds of one part, or None if there was no such part."""
        return self.between(self.begun.get(name), self.ended.get(name))

    @staticmethod
    def between(begin: float | None, end: float | None) -> float | None:
        """Seconds between two moments, where both are known."""
        return None if begin is None or end is None else max(0.0, end - begin)


@dataclass(frozen=True, slots=True)
class Reply:
    """A good response, whole, and the seconds of its parts; None where there was no such part."""

    headers: Mapping[str, str]
    content: bytes
    wire_bytes: int
    connect_s: float | None
    tls_s: float | None
    upload_s: float
    server_s: float
    download_s: float


class Client:
    """Posts to endpoints, over a new connection each time or over one that is kept."""

    def __init__(self, address: Address, token: Token | None, discretion: Discretion, *, kept: bool) -> None:
        httpx = library()
        self._address, self._discretion, self._kept = address, discretion, kept
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1 if kept else 0, keepalive_expiry=3600)
        self._client = httpx.Client(
            limits=limits,
            headers=authorization(token),
            verify=tls_context(),
            trust_env=not address.is_loopback,  # no proxy stands between this machine and itself
        )

    def post(self, request: Post, deadline: float, max_bytes: int) -> Reply:
        """Send and take the whole answer, of at most `max_bytes` bytes, before `deadline` (of time.monotonic).

        A kept connection that the endpoint has closed meanwhile is opened again, once. Raises TroubleError, or
        TimeoutError at the deadline.
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
            raise trouble.of_exception(error, self._address, self._discretion) from None
        except (TimeoutError, httpx.TimeoutException):  # before OSError, of which the first is one
            raise TimeoutError from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise trouble.of_exception(error, self._address, self._discretion) from None

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _post(self, request: Post, deadline: float, max_bytes: int) -> Reply:
        marks = Marks()
        left = max(0.001, deadline - time.monotonic())
        timeout = library().Timeout(left, connect=min(left, CONNECT_TIMEOUT_S))
        begin = time.perf_counter()
        with self._client.stream(
            "POST",
            request.url,
            content=request.data,
            headers=dict(request.headers),
            extensions={"trace": marks},
            timeout=timeout,
        ) as response:
            content = _read(response, deadline, max_bytes)
            end = time.perf_counter()
            if response.status_code != 200:
                raise trouble.of_status(response.status_code, response.headers, content, self._discretion)
            answered = marks.ended.get(_ANSWERED, end)
            sent = min(marks.ended.get(_SENT, answered), answered)
            return Reply(
                headers=response.headers,
                content=content,
                wire_bytes=response.num_bytes_downloaded,
                connect_s=marks.took(_CONNECT),
                tls_s=marks.took(_TLS),
                upload_s=max(0.0, sent - marks.begun.get(_BEGUN, begin)),
                server_s=answered - sent,
                download_s=end - answered,
            )


def authorization(token: Token | None) -> dict[str, str]:
    """The header that carries a token; none without one."""
    return {"Authorization": f"Bearer {token.value}"} if token else {}


def _read(response: httpx2.Response, deadline: float, max_bytes: int) -> bytes:
    """The whole body, or the beginning of a refusal's. Raises TroubleError for one that does not end."""
    good = response.status_code == 200
    parts, size = [], 0
    for chunk in response.iter_bytes():
        parts.append(chunk)
        size += len(chunk)
        if not good and size > trouble.READ_OF_AN_ERROR:
            break
        if size > max_bytes and good:
            raise trouble.failed(
                "ResponseTooLarge",
                f"The answer goes on after {max_bytes} bytes, more than this case's result can be. Check the address.",
            )
        if time.monotonic() > deadline:
            raise TimeoutError
    return b"".join(parts)


@cache
def tls_context() -> ssl.SSLContext:
    """Which certificates are trusted. Made once: loading the certificates takes longer than a request."""
    context: ssl.SSLContext = library().create_ssl_context()
    return context


def library() -> Any:
    """The module httpx2. Raises BenchError if it is not installed."""
    try:
        import httpx2  # noqa: PLC0415 - an extra
    except ImportError:
        raise BenchError("`bench remote` needs httpx2. Install it with: pip install 'hybrid-bench[remote]'") from None
    return httpx2
