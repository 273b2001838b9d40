"""What Ray's proxy imports: the front, and what it asks of Ray.

`RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH` is Ray's own way to add middleware to its proxy. Which application a path
belongs to, and how many replicas can be sent requests, the proxy does not say in public:
`tests/unit/fleet/test_serve_on_ray.py` fails if that changes.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from bench.fleet.front import Front, Route
from bench.fleet.report import Report

#: The name of every deployment of `bench serve`. By it the front knows what is its own.
DEPLOYMENT = "HybridBench"
#: The path of `middleware`, and the variable in which Ray reads it.
IMPORT_PATH = "bench.fleet.proxy.middleware"
VARIABLE = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"

_LOG = logging.getLogger("bench.fleet")
#: The longest time for the replicas' reports.
_REPORT_S = 5.0


def middleware() -> list[Middleware]:
    """Return what Ray puts around its proxy's application."""
    return [Middleware(front_of)]


def front_of(app: ASGIApp) -> Front:
    """Return the front around Ray's application."""
    return Front(app, ProxiedFleet(_router_of(app)))


def _router_of(app: Any) -> Any:
    """Return the proxy's table of routes. Ray wraps its application in middleware of its own."""
    while not hasattr(app, "proxy_router"):
        app = app._app
    return app.proxy_router


class ProxiedFleet:
    """The replicas as Ray's proxy knows them."""

    def __init__(self, router: Any) -> None:
        self._router = router

    def route(self, path: str) -> Route | None:
        """Return the application of `bench serve` that a path belongs to; None if it is somebody else's."""
        match = self._router.match_route(path)
        if match is None or match[1].deployment_name != DEPLOYMENT:
            return None
        return Route(match[1].app_name, match[0])

    def running(self, route: Route) -> int:
        """Return how many replicas can be sent requests."""
        handle = self._handle(route)
        router = handle and handle._router._asyncio_router._request_router
        return len(router.curr_replicas) if router else 0

    async def reports(self, route: Route) -> Sequence[Report]:
        """Return the reports of the replicas that run and answer in time, in the order of their names."""
        handle = self._handle(route)
        if handle is None:
            return ()
        try:
            answers = await handle.broadcast("report").results_async(timeout_s=_REPORT_S, return_exceptions=True)
        except (RayError, RayServeException, RuntimeError, TimeoutError) as error:  # none runs, or one hangs
            _LOG.warning("No report of %s: %s", route.app, error)
            return ()
        return sorted((answer for answer in answers if isinstance(answer, Report)), key=lambda report: report.replica)

    def _handle(self, route: Route) -> Any:
        match = self._router.match_route(route.prefix)
        return match and match[1]
