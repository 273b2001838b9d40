"""What an endpoint tells about itself: the contents of its index, of `/ready` and of `/health`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from starlette.responses import Response

from bench.endpoint.device_thread import OverdueWork
from bench.endpoint.state import Endpoint
from bench.wire.messages import PREDICT_PATH

_NOT_READY = {"loading": "models are being loaded", "stopping": "it is shutting down"}
_NOISE = "random weights: the results are noise, for measuring only"


def response(status: int, content: Mapping[str, Any]) -> Response:
    """Return a page. One that is not available now says when to try again."""
    headers = {"retry-after": "5"} if status == 503 else {}
    return Response(json.dumps(content), status, headers, media_type="application/json")


def index(endpoint: Endpoint) -> dict[str, Any]:
    """Return the routes and the kind of weights."""
    offer = endpoint.offer
    routes = [f"POST {path}" for path in offer.routes] + ["GET /health", "GET /ready", "GET /metrics"]
    return {"name": "hybrid-bench endpoint", "routes": routes, "weights": offer.weights, **_noise(endpoint)}


def ready(endpoint: Endpoint) -> tuple[int, dict[str, Any]]:
    """Return 200 if requests are served, else 503 with the reason."""
    reason = endpoint.not_ready
    if reason is None:
        return 200, {"ready": True}
    cause = endpoint.broken or _stuck(endpoint.overdue) or _NOT_READY.get(reason, reason)
    error = f"The endpoint is not ready: {cause.rstrip('.')}."
    return 503, {"ready": False, "error": error, "reason": reason}


def _stuck(overdue: OverdueWork | None) -> str | None:
    if overdue is None:
        return None
    expected = f"; it was expected to take about {overdue.likely_s:.3g} s" if overdue.likely_s else ""
    return f"the device has been computing {overdue.kind} for {overdue.seconds:.0f} s{expected}"


def health(endpoint: Endpoint, *, admitted: bool) -> tuple[int, dict[str, Any]]:
    """Return 200 while the process works, and 503 once its device is broken, which only a restart can repair.

    Clients that were not admitted, because they lack the token, get no information on the machine.
    """
    offer, broken = endpoint.offer, endpoint.broken
    machine = endpoint.machine if admitted else None
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
        "start": endpoint.start.model_dump(mode="json") if endpoint.start else None,
        "device": machine.device.model_dump(mode="json") if machine else None,
        "versions": _versions(environment) if environment else None,
        **({"stand_in": stand_in} if stand_in else {}),
        "environment": environment,
        "token_required": endpoint.bearer.required,
    }
    return (503 if broken else 200), content


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
