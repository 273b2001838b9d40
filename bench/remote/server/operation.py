"""A POST to one operation of one model: receive, decode, wait for the device, compute, encode, send. ASGI."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bench.remote.messages import RECEIVED_HEADER, Answer, Message, RefusedError
from bench.remote.server.endpoint import AnyService, Endpoint
from bench.remote.server.limits import BusyError, Place
from bench.remote.server.shell import SlowClientError

_LOG = logging.getLogger("bench.endpoint")
_PHASES = ("receive", "queue", "deserialize", "compute", "serialize")
_MOST_PARAMETERS = 1000
#: nginx's status for a client that closed its connection; only metrics ever see it.
_GONE = 499
T = TypeVar("T")


class GoneError(Exception):
    """The client has closed its connection."""


@dataclass(slots=True)
class _Progress:
    """What is known of a request so far; told to the client even if it is refused later."""

    seconds: dict[str, float] = field(default_factory=dict)
    sha256: str | None = None

    def headers(self) -> dict[str, str]:
        """Server-Timing (milliseconds) of the phases that were passed, and the checksum of the body."""
        told = ", ".join(f"{name};dur={self.seconds[name] * 1e3:.3f}" for name in _PHASES if name in self.seconds)
        headers = {"server-timing": told} if told else {}
        return {**headers, RECEIVED_HEADER: self.sha256} if self.sha256 else headers


def error_response(error: RefusedError, headers: Mapping[str, str] | None = None) -> Response:
    """The JSON that every client of this protocol expects of an error."""
    more = dict(headers or {})
    if isinstance(error, BusyError):
        more["retry-after"] = str(error.retry_after_s)
    if error.status == 401:
        more["www-authenticate"] = "Bearer"
    body = json.dumps({"error": error.message, "reason": error.reason})
    return Response(body, error.status, more, media_type="application/json")


@dataclass(frozen=True, slots=True)
class Operation:
    """The application of one route."""

    endpoint: Endpoint
    model: str
    name: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever goes wrong, the next one is served."""
        progress = _Progress()
        try:
            await self._serve(scope, receive, send, progress)
        except GoneError:
            self.endpoint.metrics.answered(self.model, self.name, _GONE)
        except RefusedError as error:
            await self._refuse(error, progress, scope, receive, send)
        except SlowClientError:
            raise  # the shell has dropped it
        except Exception:  # noqa: BLE001 - the border at which a fault becomes a response
            _LOG.exception("%s of %s failed", self.name, self.model)
            fault = RefusedError(500, "The endpoint failed; its log says how.", "internal")
            await self._refuse(fault, progress, scope, receive, send)
            await self.endpoint.check_device()

    async def _serve(self, scope: Scope, receive: Receive, send: Send, progress: _Progress) -> None:
        headers = Headers(scope=scope)
        endpoint = self.endpoint
        service = self._admit(headers)
        announced = int(headers.get("content-length", "0"))
        with endpoint.admission.admit(endpoint.device.retry_after_s()) as place:
            place.hold(announced)
            body = await self._body(receive, place, service.max_body_bytes, progress)
            message = Message(_query(scope), body, headers.get("content-type"), headers.get("accept"))
            del body
            answer = await self._compute(service, message, receive, progress)
            del message
            self._count(200, progress, len(answer.body))
            response = Response(answer.body, 200, {**answer.headers, **progress.headers()}, answer.media_type)
            if answer.media_type.startswith("text/"):
                response.headers["content-type"] = answer.media_type
            await response(scope, receive, send)

    def _admit(self, headers: Headers) -> AnyService:
        """Refuse what needs no body to be refused."""
        endpoint = self.endpoint
        endpoint.bearer.check(_raw(headers, b"authorization"))
        service = endpoint.service(self.model, self.name)
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding not in {"", "identity"}:
            raise RefusedError(415, f"Content-Encoding {encoding[:80]}: send the body as it is.", "encoding")
        if int(headers.get("content-length", "0")) > service.max_body_bytes:
            raise _too_long(service.max_body_bytes)
        endpoint.make_room()
        return service

    async def _body(self, receive: Receive, place: Place, limit: int, progress: _Progress) -> bytes:
        begun = time.monotonic()
        parts: list[bytes] = []
        total, digest = 0, hashlib.sha256()
        timeout_s = self.endpoint.bounds.body_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise GoneError
                    part, more = message.get("body", b""), message.get("more_body", False)
                    total += len(part)
                    if total > limit:
                        raise _too_long(limit)
                    place.hold(total)
                    digest.update(part)
                    parts.append(part)
        except TimeoutError:
            raise RefusedError(408, f"The body did not come within {timeout_s:g} s.", "slow_body") from None
        progress.seconds["receive"] = time.monotonic() - begun
        progress.sha256 = digest.hexdigest()
        self.endpoint.metrics.received.inc(total)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _compute(self, service: AnyService, message: Message, receive: Receive, progress: _Progress) -> Answer:
        """The service's three steps. The second one is given up if the client goes away before its turn."""
        endpoint, loop = self.endpoint, asyncio.get_running_loop()
        deadline = time.monotonic() + endpoint.bounds.time_limit_s
        begun = time.monotonic()
        request = await loop.run_in_executor(endpoint.codecs, service.read, message)
        progress.seconds["deserialize"] = time.monotonic() - begun
        kind = f"{self.model}/{self.name}"
        done = await _unless_gone(endpoint.device.submit(lambda: service.compute(request), kind, deadline), receive)
        progress.seconds["queue"], progress.seconds["compute"] = done.queue_s, done.compute_s
        begun = time.monotonic()
        answer: Answer = await loop.run_in_executor(endpoint.codecs, service.write, done.value)
        progress.seconds["serialize"] = time.monotonic() - begun
        return answer

    async def _refuse(
        self, error: RefusedError, progress: _Progress, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self.endpoint.metrics.refused(error.reason)
        self._count(error.status, progress, 0)
        await error_response(error, progress.headers())(scope, receive, send)

    def _count(self, status: int, progress: _Progress, sent: int) -> None:
        metrics = self.endpoint.metrics
        metrics.answered(self.model, self.name, status)
        metrics.sent.inc(sent)
        for phase, seconds in progress.seconds.items():
            metrics.phase(self.model, self.name, phase, seconds)


async def _unless_gone(work: Coroutine[Any, Any, T], receive: Receive) -> T:
    """What `work` returns. Raises GoneError, and cancels it, if the client closes its connection first."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    working, watching = asyncio.ensure_future(work), asyncio.ensure_future(gone())
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise GoneError
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


def _query(scope: Scope) -> tuple[tuple[str, str], ...]:
    text = scope["query_string"].decode("latin-1")
    try:
        return tuple(parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS))
    except ValueError:
        raise RefusedError(400, f"The query has more than {_MOST_PARAMETERS} parameters.") from None


def _raw(headers: Headers, name: bytes) -> bytes | None:
    return next((value for key, value in headers.raw if key.lower() == name), None)


def _too_long(limit: int) -> RefusedError:
    return RefusedError(413, f"The body is longer than {limit} bytes, the longest that is served here.", "too_large")
