"""The endpoint's part in Ray's proxy: it sends a request again whose replica was lost, and answers for all replicas.

It is ASGI middleware around Ray's own application, which hands a request to a replica of its choice. Ray does not send
a request again once a replica has it, because it can't know whether that is safe. Here it is: computing has no side
effect. So the front keeps what the client sends and holds the answer back until it is whole. If the replica is lost
first, the request goes to another one, once. There is no deployment in between that could be lost as well: the process
that holds the client's connection also holds the request.

It knows nothing of Ray but what `Fleet` says.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter as Count
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, generate_latest
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from bench.core.units import MIB
from bench.endpoint import pages
from bench.endpoint.limits import STOPPING, BusyError
from bench.endpoint.operation import authorization
from bench.endpoint.shell import error_response
from bench.fleet import report
from bench.fleet.attempt import HeldAnswer, Recording
from bench.fleet.report import Report
from bench.wire.messages import RETRIED_HEADER, RefusedError

#: Where the front itself answers, beside Ray's own pages: whether it is there, and how many requests it holds.
STATUS_PATH = "/-/bench"
#: By this header of a request a replica learns when somebody began to wait for it, in seconds of Unix time.
WOKEN_HEADER = "x-bench-woken-at"
#: A larger body is not kept: its request is not sent again.
_MOST_BYTES = 512 * MIB
#: Until a replica has told its own limit.
_TIME_LIMIT_S = 60.0
_POLL_S = 0.1
#: The pause before a request that was accepted once, and then lost, is offered to a full queue again.
_AGAIN_S = 0.5
_BUSY = 503


@dataclass(frozen=True, slots=True)
class Route:
    """An application of `bench serve` in this Ray Serve, and the path that its own paths begin with."""

    app: str
    prefix: str


class Fleet(Protocol):
    """What the front asks of Ray."""

    def route(self, path: str) -> Route | None:
        """Return the application of `bench serve` that a path belongs to; None if it is somebody else's."""

    def running(self, route: Route) -> int:
        """Return how many replicas can be sent requests."""

    async def reports(self, route: Route) -> Sequence[Report]:
        """Return the reports of the replicas that run and answer."""


class NoReplicaError(Exception):
    """No replica could be sent the request within its time."""


class Front:
    """The middleware."""

    def __init__(self, app: ASGIApp, fleet: Fleet) -> None:
        self._app, self._fleet = app, fleet
        self._in_flight: Count[str] = Count()
        #: The last report of each application, for the time in which none of its replicas runs.
        self._last: dict[str, Report] = {}
        #: The applications that were here, by their prefix.
        self._seen: dict[str, Route] = {}
        #: When somebody began to wait for an application without a replica.
        self._woken_at: dict[str, float] = {}
        self._registry = registry = CollectorRegistry()
        labels = ("application",)
        self._retried = Counter(
            "bench_endpoint_retried",
            "Requests that were sent again because their replica was lost.",
            labels,
            registry=registry,
        )
        self._lost = Counter(
            "bench_endpoint_lost", "Requests that two replicas in turn were lost with.", labels, registry=registry
        )
        self._replicas = Gauge(
            "bench_endpoint_replicas", "Replicas that can be sent requests.", labels, registry=registry
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_ray_s = scope["path"].startswith("/-/")
        route = None if is_ray_s else self._fleet.route(scope["path"])
        if scope["path"] == STATUS_PATH:
            await _json(200, {"in_flight": dict(self._in_flight)})(scope, receive, send)
        elif route is None:
            stopped = None if is_ray_s else self._stopped(scope["path"])
            await (stopped or self._app)(scope, receive, send)
        else:
            self._seen[route.prefix] = route
            with self._counted(route):
                await self._answer(route, scope, receive, send)

    async def _answer(self, route: Route, scope: Scope, receive: Receive, send: Send) -> None:
        running = self._fleet.running(route)
        if scope["method"] in {"GET", "HEAD"}:
            page = await self._page(route, scope, running)
            if page is not None:
                await page(scope, receive, send)
                return
        refusal = None if running else self._refusal_of_a_stranger(route, scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        if running:
            self._woken_at.pop(route.app, None)
        else:
            self._woken_at.setdefault(route.app, time.time())
        await self._forward(route, scope, receive, send)

    def _stopped(self, path: str) -> ASGIApp | None:
        """Return the answer to a request for an application that was here before and that Ray no longer has."""
        known = any(path.startswith(prefix.rstrip("/") + "/") for prefix in self._seen)
        return error_response(BusyError(STOPPING, 5, "stopping")) if known else None

    @contextlib.contextmanager
    def _counted(self, route: Route) -> Iterator[None]:
        self._in_flight[route.app] += 1
        try:
            yield
        finally:
            self._in_flight[route.app] -= 1

    # what all replicas tell together

    async def _page(self, route: Route, scope: Scope, running: int) -> ASGIApp | None:
        """Return the page that this path is, made for all replicas; None if it is no page."""
        path = scope["path"].removeprefix(route.prefix.rstrip("/")).rstrip("/") or "/"
        if path not in {"/", "/health", "/ready", "/metrics"}:
            return None
        reports = await self._fleet.reports(route) if running else ()
        if reports:
            self._last[route.app] = reports[0]
        last = self._last.get(route.app)
        admitted = last is not None and last.bearer.admits(authorization(scope))
        if path == "/ready" or last is None:
            return _json(*report.ready_page(reports, last))
        if path == "/health":
            return _json(*report.health_page(reports, last, admitted=admitted))
        if path == "/":
            return _json(200, last.index)
        return self._metrics(route, reports, running) if admitted else self._refusal_of_a_stranger(route, scope)

    def _metrics(self, route: Route, reports: Sequence[Report], running: int) -> Response:
        self._replicas.labels(route.app).set(running)
        self._retried.labels(route.app)
        text = report.metrics_page(reports, generate_latest(self._registry))
        return Response(text, headers={"content-type": CONTENT_TYPE_LATEST})

    def _refusal_of_a_stranger(self, route: Route, scope: Scope) -> ASGIApp | None:
        """Return the refusal of a request without the token, which shall not wake a replica; None if it may."""
        last = self._last.get(route.app)
        try:
            if last is not None:
                last.bearer.check(authorization(scope))
        except RefusedError as error:
            return error_response(error)
        return None

    # what one replica computes

    async def _forward(self, route: Route, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a request to a replica, and once to another if the first is lost, and pass on the answer."""
        recording = Recording(receive, _MOST_BYTES)
        try:
            answer = await self._attempt(route, scope, recording)
            retried = not answer.is_whole and recording.is_whole and not recording.disconnected
            if retried:
                self._retried.labels(route.app).inc()
                answer = await self._again(route, scope, recording)
        except NoReplicaError:
            refusal = BusyError("No replica is ready yet. Try again later.", 5, "loading")
            await error_response(refusal)(scope, receive, send)
            return
        if recording.disconnected:
            return
        more = {RETRIED_HEADER: "1"} if retried else {}
        if answer.is_whole:
            await self._pass_on(answer, more, scope, receive, send)
            return
        self._lost.labels(route.app).inc()
        text = "The replica that had this request was lost" + (", and so was the next one." if retried else ".")
        await error_response(BusyError(f"{text} Try again.", 1, "replica_lost"), more)(scope, receive, send)

    async def _again(self, route: Route, scope: Scope, recording: Recording) -> HeldAnswer:
        """Send a request again that had been accepted: a full queue now is no reason to refuse it, but to wait."""
        due = time.monotonic() + 2 * self._time_limit_s(route)
        answer = await self._attempt(route, scope, recording)
        while answer.is_whole and answer.status == _BUSY and time.monotonic() < due and not recording.disconnected:
            await asyncio.sleep(_AGAIN_S)
            answer = await self._attempt(route, scope, recording)
        return answer

    def _time_limit_s(self, route: Route) -> float:
        last = self._last.get(route.app)
        return last.time_limit_s if last else _TIME_LIMIT_S

    async def _attempt(self, route: Route, scope: Scope, recording: Recording) -> HeldAnswer:
        """Hand a request to Ray, and return its answer, which is not whole if the replica was lost.

        Raises NoReplicaError if there is no replica for too long.
        """
        headers = [(name, value) for name, value in scope["headers"] if name != WOKEN_HEADER.encode()]
        woken_at = self._woken_at.get(route.app)
        if woken_at is not None:
            headers.append((WOKEN_HEADER.encode(), str(woken_at).encode()))
        answer, limit_s = HeldAnswer(), self._time_limit_s(route)
        due = time.monotonic() + limit_s
        task = asyncio.ensure_future(self._app({**scope, "headers": headers}, recording.reader(), answer.take))
        try:
            while not task.done():
                if self._fleet.running(route):  # one that is being stopped may still finish what it has
                    due = time.monotonic() + 2 * limit_s
                elif time.monotonic() > due:
                    raise NoReplicaError
                await asyncio.wait({task}, timeout=_POLL_S)
            await task
        finally:
            task.cancel()
            await asyncio.wait({task})
        return answer

    async def _pass_on(
        self, answer: HeldAnswer, more: dict[str, str], scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Send an answer of the endpoint's as it is, and one of Ray's as this protocol's clients expect it."""
        if answer.is_the_endpoint_s:
            await answer.pass_on(send, more)
            return
        if answer.status == 404:  # it was taken away a moment ago
            refusal = BusyError(STOPPING, 5, "stopping")
        else:
            refusal = BusyError("The endpoint is busy. Try again later.", _retry_after_s(answer.headers))
        await error_response(refusal, more)(scope, receive, send)


def _retry_after_s(headers: Headers) -> int:
    text = headers.get("retry-after", "")
    return max(1, int(text)) if text.isdecimal() else 1


def _json(status: int, content: dict[str, object]) -> Response:
    return pages.response(status, content)
