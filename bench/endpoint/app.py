"""The endpoint as an ASGI application: its routes and its information pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from bench.endpoint import cors
from bench.endpoint.cors import Cors
from bench.endpoint.device_thread import OverdueWork
from bench.endpoint.operation import Operation, authorization
from bench.endpoint.shell import Shell, error_response
from bench.endpoint.state import Endpoint
from bench.wire.messages import PREDICT_PATH, RefusedError

_NOT_READY = {"loading": "models are being loaded", "stopping": "it is shutting down"}
_NOISE = "random weights: the results are noise, for measuring only"


def make(endpoint: Endpoint) -> ASGIApp:
    """Return the application. Slashes at the end of a path are ignored: clients don't follow a redirected POST."""
    pages: dict[str, dict[str, ASGIApp]] = {
        path: {"GET": _Page(endpoint, answer)}
        for path, answer in (("/", _index), ("/health", _health), ("/ready", _ready), ("/metrics", _metrics))
    }
    for path, (model, operations) in endpoint.offer.routes.items():
        pages.setdefault(path, {})["POST"] = Operation(endpoint, model, operations, path)
    by_path = {path: _ByMethod(path, methods, endpoint) for path, methods in pages.items()}

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        app = by_path.get(scope["path"].rstrip("/") or "/") or _not_found(endpoint, scope, pages)
        await app(scope, receive, send)

    app = Cors(route, endpoint.origins) if endpoint.origins else route
    return Shell(app, endpoint.bounds, endpoint.offer.weights)


def _not_found(endpoint: Endpoint, scope: Scope, pages: Iterable[str]) -> ASGIApp:
    endpoint.metrics.refused("not_found")
    path = scope["path"][:200]
    models = ", ".join(endpoint.offer.models)
    text = f"{path} is not served here. {endpoint.offer.instead_of(path.rstrip('/'), pages)} Models: {models}."
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


def _json(status: int, content: dict[str, Any]) -> Response:
    headers = {"retry-after": "5"} if status == 503 else {}
    return Response(json.dumps(content), status, headers, media_type="application/json")


def _metrics(endpoint: Endpoint, scope: Scope) -> Response:
    """Return the counters. They need the token, as the operations do."""
    try:
        endpoint.bearer.check(authorization(scope))
    except RefusedError as error:
        endpoint.metrics.refused(error.reason)
        return error_response(error)
    return Response(endpoint.metrics.text(), headers={"content-type": endpoint.metrics.media_type})


def _index(endpoint: Endpoint, _: Scope) -> Response:
    offer = endpoint.offer
    routes = [f"POST {path}" for path in offer.routes] + ["GET /health", "GET /ready", "GET /metrics"]
    return _json(200, {"name": "hybrid-bench endpoint", "routes": routes, "weights": offer.weights, **_noise(endpoint)})


def _ready(endpoint: Endpoint, _: Scope) -> Response:
    reason = endpoint.not_ready
    if reason is None:
        return _json(200, {"ready": True})
    cause = endpoint.broken or _stuck(endpoint.overdue) or _NOT_READY.get(reason, reason)
    error = f"The endpoint is not ready: {cause.rstrip('.')}."
    return _json(503, {"ready": False, "error": error, "reason": reason})


def _stuck(overdue: OverdueWork | None) -> str | None:
    if overdue is None:
        return None
    expected = f"; it was expected to take about {overdue.likely_s:.3g} s" if overdue.likely_s else ""
    return f"the device has been computing {overdue.kind} for {overdue.seconds:.0f} s{expected}"


def _health(endpoint: Endpoint, scope: Scope) -> Response:
    """Return 200 while the process works, and 503 once its device is broken, which only a restart can repair.

    If a token is needed, requests without it get no information on the machine.
    """
    offer, broken = endpoint.offer, endpoint.broken
    machine = endpoint.machine if endpoint.bearer.admits(authorization(scope)) else None
    environment = machine.environment.model_dump(mode="json") if machine else None
    # every client is told what replaces the device in tests, so that it takes no figure for a device's
    stand_in = endpoint.machine.environment.stand_in if endpoint.machine else None
    content = {
        "status": "broken" if broken else "alive",
        **({"error": endpoint.broken_message, "reason": "device_broken"} if broken else {}),
        "ready": endpoint.not_ready is None,
        "weights": offer.weights,
        **_noise(endpoint),
        "models": {model: _model(endpoint, model) for model in offer.models},
        "limits": {**offer.limits, **asdict(endpoint.bounds)},
        "device": machine.device.model_dump(mode="json") if machine else None,
        "versions": _versions(environment) if environment else None,
        **({"stand_in": stand_in} if stand_in else {}),
        "environment": environment,
        "token_required": endpoint.bearer.required,
    }
    return _json(503 if broken else 200, content)


def _noise(endpoint: Endpoint) -> dict[str, Any]:
    return {"noise": True, "note": _NOISE} if endpoint.offer.weights == "random" else {"noise": False}


def _model(endpoint: Endpoint, model: str) -> dict[str, Any]:
    offer, served = endpoint.offer, endpoint.models.get(model)
    bodies = {name: service.max_body_bytes for name, service in served.services.items()} if served else None
    return {
        "loaded": served is not None,
        "weights": offer.weights,
        "dtype": served.dtype if served else None,
        "dtype_note": served.note if served else None,
        "weights_bytes": served.weights_bytes if served else None,
        **(served.facts if served else {}),
        "address": f"/{model}",
        "routes": {operation: f"/{model}/{operation}" for operation in offer.operations_of(model)},
        **({"predict": f"/{model}{PREDICT_PATH}"} if f"/{model}{PREDICT_PATH}" in offer.routes else {}),
        "max_body_bytes": bodies,
    }


def _versions(environment: dict[str, Any]) -> dict[str, Any]:
    packages = {name: package["version"] for name, package in environment["packages"].items()}
    return {**packages, "commit": environment["project_commit"]}
