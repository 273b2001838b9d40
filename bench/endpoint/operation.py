"""The ASGI application of one route: receive a request, decode it, wait for the device, compute, encode, send."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bench.core.units import format_bytes
from bench.endpoint import routing
from bench.endpoint.limits import BusyError, Reservation
from bench.endpoint.shell import FAILED, DroppedError, error_response
from bench.endpoint.state import Endpoint, kind
from bench.wire.messages import PREDICT_PATH, RECEIVED_HEADER, Answer, Message, RefusedError, Size

_LOG = logging.getLogger("bench.endpoint")
_PHASES = ("receive", "queue", "deserialize", "compute", "serialize", "send")
_MOST_PARAMETERS = 1000
#: nginx's status for a client that closed its connection; it appears only in metrics.
_DISCONNECTED = 499
_INTERNAL = "internal"
#: The operation in metrics until the body shows whether it is an image or a latent.
_UNDECIDED = "undecided"
T = TypeVar("T")


class DisconnectedError(Exception):
    """The client has closed its connection."""


@dataclass(slots=True)
class _Progress:
    """The operation, phases and checksum of a request so far. The client gets them even if it is refused later."""

    operation: str
    seconds: dict[str, float] = field(default_factory=dict)
    sha256: str | None = None

    def headers(self) -> dict[str, str]:
        """Return Server-Timing (milliseconds) for the finished phases, and the checksum of the body."""
        timing = ", ".join(f"{name};dur={self.seconds[name] * 1e3:.3f}" for name in _PHASES if name in self.seconds)
        headers = {"server-timing": timing} if timing else {}
        return {**headers, RECEIVED_HEADER: self.sha256} if self.sha256 else headers


def authorization(scope: Scope) -> bytes | None:
    """Return the value of the Authorization header."""
    return next((value for key, value in scope["headers"] if key.lower() == b"authorization"), None)


@dataclass(frozen=True, slots=True)
class Operation:
    """The application of one route. If it has several operations, the content of a request decides."""

    endpoint: Endpoint
    model: str
    names: tuple[str, ...]
    path: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Whatever goes wrong, the next request is served."""
        progress = _Progress(self.names[0] if len(self.names) == 1 else _UNDECIDED)
        try:
            refusal = await self._serve_or_refuse(scope, receive, send, progress)
            if refusal is None:
                return
            if refusal.reason != _INTERNAL:
                self.endpoint.metrics.refused(refusal.reason)
            has_detail = self.path.endswith(PREDICT_PATH)
            await error_response(refusal, progress.headers(), has_detail=has_detail)(scope, receive, send)
            self._count(refusal.status, progress)
        except DroppedError:
            self._count(_DISCONNECTED, progress)
            raise  # the shell handles it
        if refusal.reason == _INTERNAL:
            await self.endpoint.check_device()

    async def _serve_or_refuse(
        self, scope: Scope, receive: Receive, send: Send, progress: _Progress
    ) -> RefusedError | None:
        """Serve a request, or return the refusal. Its traceback is removed, because that would keep tensors alive."""
        try:
            await self._serve(scope, receive, send, progress)
        except DisconnectedError:
            self._count(_DISCONNECTED, progress)
        except RefusedError as error:
            error.__cause__ = error.__context__ = None
            return error.with_traceback(None)
        except DroppedError:
            raise
        except Exception:  # noqa: BLE001 - the border at which a fault becomes a response
            _LOG.exception("%s of %s failed", progress.operation, self.model)
            return RefusedError(500, FAILED, _INTERNAL)
        return None

    async def _serve(self, scope: Scope, receive: Receive, send: Send, progress: _Progress) -> None:
        headers = Headers(scope=scope)
        endpoint = self.endpoint
        limit = self._check_headers(scope, headers)
        with endpoint.admission.reserve() as reservation:
            body = await self._body(receive, reservation, limit, progress)
            reservation.enter(endpoint.device.retry_after_s)
            message = Message(_query(scope), body, headers.get("content-type"), headers.get("accept"), self.path)
            del body
            answer = await self._compute(message, reservation, receive, progress)
            del message
            response = Response(answer.body, 200, {**answer.headers, **progress.headers()}, answer.media_type)
            begun = time.monotonic()
            await response(scope, receive, send)
            progress.seconds["send"] = time.monotonic() - begun
            self._count(200, progress, len(answer.body))

    def _check_headers(self, scope: Scope, headers: Headers) -> int:
        """Check all that can be checked without the body. Returns the most bytes that the body may have."""
        endpoint = self.endpoint
        endpoint.bearer.check(authorization(scope))
        limit = max(endpoint.service(self.model, name).max_body_bytes for name in self.names)
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding not in {"", "identity"}:
            raise RefusedError(
                415, f"Content-Encoding {encoding[:80]} is not supported. Send the body uncompressed.", "encoding"
            )
        chunked = "transfer-encoding" in headers  # then Content-Length is to be ignored
        if not chunked and int(headers.get("content-length", "0")) > limit:
            raise _too_long(limit)
        endpoint.check_waiting_time()
        return limit

    async def _body(self, receive: Receive, reservation: Reservation, limit: int, progress: _Progress) -> bytes:
        """Receive the whole body. Each byte received extends the time-out by its time at the slowest rate."""
        loop, bounds = asyncio.get_running_loop(), self.endpoint.bounds
        begun, due = time.monotonic(), loop.time() + bounds.body_timeout_s
        parts: list[bytes] = []
        total, digest = 0, hashlib.sha256()
        try:
            async with asyncio.timeout_at(due) as limited:
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise DisconnectedError
                    part, more = message.get("body", b""), message.get("more_body", False)
                    total += len(part)
                    if total > limit:
                        raise _too_long(limit)
                    reservation.hold(total)
                    digest.update(part)
                    parts.append(part)
                    limited.reschedule(due + total / bounds.slowest_rate)
        except TimeoutError:
            text = f"The body did not arrive within {bounds.body_timeout_s:g} s"
            text += f" plus 1 s for each {format_bytes(int(bounds.slowest_rate))} of it. Try again."
            raise RefusedError(408, text, "slow_body") from None
        progress.seconds["receive"] = time.monotonic() - begun
        progress.sha256 = digest.hexdigest()
        self.endpoint.metrics.received.inc(total)
        reservation.hold(2 * total)  # the whole body, and its parts or later its decoded form
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _compute(
        self, message: Message, reservation: Reservation, receive: Receive, progress: _Progress
    ) -> Answer:
        """Run the service's three steps. The computation is cancelled if the client disconnects before its turn."""
        endpoint = self.endpoint
        deadline = time.monotonic() + endpoint.bounds.time_limit_s
        begun = time.monotonic()
        name, request, size = await self._on_codec_thread(lambda: self._read(message), deadline)
        progress.operation, service = name, endpoint.service(self.model, name)
        progress.seconds["deserialize"] = time.monotonic() - begun
        reservation.hold(len(message.body) + size.held_bytes)
        if endpoint.is_too_slow(self.model, name, size.flops):
            raise await self._on_codec_thread(
                lambda: endpoint.too_slow(self.model, name, request, size.flops), deadline
            )
        work = endpoint.device.submit(lambda: service.compute(request), kind(self.model, name), deadline, size.flops)
        done = await _unless_disconnected(work, receive)
        progress.seconds["queue"], progress.seconds["compute"] = done.queue_s, done.compute_s
        begun = time.monotonic()
        answer: Answer = await self._on_codec_thread(lambda: service.write(done.value), math.inf)
        progress.seconds["serialize"] = time.monotonic() - begun
        return answer

    def _read(self, message: Message) -> tuple[str, Any, Size]:
        """Return the operation, its parsed request and its size.

        Raises RefusedError, which names the right address if known.
        """
        services = self.endpoint.models[self.model].services
        own = {name: services[name] for name in self.names}
        name = routing.operation_of(self.model, own, message)
        try:
            request = services[name].read(message)
        except RefusedError as error:
            raise routing.elsewhere(error, self.model, name, services, message) from None
        return name, request, services[name].size(request)

    async def _on_codec_thread(self, work: Callable[[], T], deadline: float) -> T:
        """Return what `work` returns. Raises BusyError if no thread is free by the deadline, or memory runs out."""
        future: Future[T] = self.endpoint.codecs.submit(work)
        loop = asyncio.get_running_loop()
        left = deadline - time.monotonic()
        timer = None if deadline == math.inf else loop.call_later(left, future.cancel)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if time.monotonic() < deadline - 0.01 or not future.cancelled():
                raise
        except MemoryError:
            pass
        finally:
            if timer is not None:
                timer.cancel()
            late = future.cancelled()
            del future  # else a cycle: an error's traceback holds this frame, and the future holds the error
        if late:
            text = "The endpoint is busy: no thread was free to decode the body within the time limit. Try again later."
            raise BusyError(text, self.endpoint.device.retry_after_s())
        raise BusyError("The endpoint is busy: it has run out of memory for now. Try again later.", 1)

    def _count(self, status: int, progress: _Progress, sent_bytes: int = 0) -> None:
        self.endpoint.metrics.answered(self.model, progress.operation, status, progress.seconds, sent_bytes)


async def _unless_disconnected(work: Coroutine[Any, Any, T], receive: Receive) -> T:
    """Return what `work` returns. Raises DisconnectedError and cancels the work if the client disconnects first."""

    async def disconnect() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    working, watching = asyncio.ensure_future(work), asyncio.ensure_future(disconnect())
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise DisconnectedError
    finally:
        working.cancel()
        watching.cancel()
        await asyncio.wait({working, watching})
        del working, watching  # else a cycle: an error's traceback holds this frame, and the task holds the error


def _query(scope: Scope) -> tuple[tuple[str, str], ...]:
    text = scope["query_string"].decode("latin-1")
    try:
        return tuple(parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS))
    except ValueError:
        raise RefusedError(400, f"The query has more than {_MOST_PARAMETERS} parameters.") from None


def _too_long(limit: int) -> RefusedError:
    return RefusedError(413, f"The body is longer than {limit} bytes, the limit of this endpoint.", "too_large")
