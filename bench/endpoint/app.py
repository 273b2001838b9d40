"""The endpoint as an ASGI application: its routes and its information pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from bench.endpoint import cors, pages
from bench.endpoint.cors import Cors
from bench.endpoint.operation import Operation, authorization
from bench.endpoint.shell import Shell, error_response
from bench.endpoint.state import Endpoint
from bench.wire.messages import RefusedError


def make(endpoint: Endpoint) -> ASGIApp:
    """Return the application. Slashes at the end of a path are ignored: clients don't follow a redirected POST."""
    applications: dict[str, dict[str, ASGIApp]] = {
        path: {"GET": _Page(endpoint, answer)}
        for path, answer in (("/", _index), ("/health", _health), ("/ready", _ready), ("/metrics", _metrics))
    }
    for path, (model, operations) in endpoint.offer.routes.items():
        applications.setdefault(path, {})["POST"] = Operation(endpoint, model, operations, path)
    by_path = {path: _ByMethod(path, methods, endpoint) for path, methods in applications.items()}

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        app = by_path.get(scope["path"].rstrip("/") or "/") or _not_found(endpoint, scope, applications)
        await app(scope, receive, send)

    app = Cors(route, endpoint.origins) if endpoint.origins else route
    return Shell(app, endpoint.bounds, endpoint.offer.weights)


def _not_found(endpoint: Endpoint, scope: Scope, paths: Iterable[str]) -> ASGIApp:
    endpoint.metrics.refused("not_found")
    path = scope["path"][:200]
    models = ", ".join(endpoint.offer.models)
    text = f"{path} is not served here. {endpoint.offer.instead_of(path.rstrip('/'), paths)} Models: {models}."
    return error_response(RefusedError(404, text, "not_found"))


@dataclass(frozen=True, slots=True)
class _ByMethod:
    """One path and its applications by method."""

    path: str
    methods: Mapping[str, ASGIApp]
    endpoint: Endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["bench.route"] = f"{scope['method'] if scope['method'].isalpha() else '?'} {self.path}"
        app = self.methods.get("GET" if scope["method"] == "HEAD" else scope["method"])
        await (app or self._without_app(scope))(scope, receive, send)

    def _without_app(self, scope: Scope) -> ASGIApp:
        """Return the answer to a preflight, or a refusal that lists the valid methods."""
        endpoint = self.endpoint
        allowed = ", ".join((*self.methods, *(["HEAD"] if "GET" in self.methods else [])))
        if endpoint.origins and cors.is_preflight(scope):
            if cors.allowed_origin(scope, endpoint.origins) is not None:
                return cors.preflight_response(allowed)
            endpoint.metrics.refused("origin")
            text = "This origin may not use the endpoint. Start it with --cors ORIGIN to allow it."
            return error_response(RefusedError(403, text, "origin"))
        endpoint.metrics.refused("method")
        text = f"{self.path} does not accept {scope['method'][:40]}. Valid: {allowed}."
        if scope["method"] == "POST":
            posts = [path for path in endpoint.offer.routes if path != "/"]
            text = f"{text} Post to {', '.join(posts)}."
        return error_response(RefusedError(405, text, "method"), {"allow": allowed})


@dataclass(frozen=True, slots=True)
class _Page:
    """A GET that needs no body."""

    endpoint: Endpoint
    answer: Callable[[Endpoint, Scope], Response]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.answer(self.endpoint, scope)(scope, receive, send)


def _index(endpoint: Endpoint, _: Scope) -> Response:
    return pages.response(200, pages.index(endpoint))


def _ready(endpoint: Endpoint, _: Scope) -> Response:
    return pages.response(*pages.ready(endpoint))


def _health(endpoint: Endpoint, scope: Scope) -> Response:
    return pages.response(*pages.health(endpoint, admitted=endpoint.bearer.admits(authorization(scope))))


def _metrics(endpoint: Endpoint, scope: Scope) -> Response:
    """Return the counters. They need the token, as the operations do."""
    try:
        endpoint.bearer.check(authorization(scope))
    except RefusedError as error:
        endpoint.metrics.refused(error.reason)
        return error_response(error)
    return Response(endpoint.metrics.text(), headers={"content-type": endpoint.metrics.media_type})
