"""A replica: the endpoint of `bench serve` in an actor of Ray Serve, on a device of its own. Imports Ray."""

from __future__ import annotations

import os
import time

from ray import serve
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bench.endpoint import app, pages, serving
from bench.endpoint.server_settings import Settings
from bench.errors import BenchError
from bench.fleet.front import WOKEN_HEADER
from bench.fleet.report import Report
from bench.record import Start
from bench.wire.messages import REPLICA_HEADER

#: Around an error of ours in the long text that Ray makes of a failed start.
MARK = "\N{LEFT-POINTING DOUBLE ANGLE QUOTATION MARK}bench\N{RIGHT-POINTING DOUBLE ANGLE QUOTATION MARK}"


class StartError(Exception):
    """A replica could not start. The text between two marks is for users."""


@serve.ingress()
class Replica:
    """One replica. Ray sends it requests once its models are loaded; one whose device breaks is replaced."""

    async def __init__(  # type: ignore[misc] # Ray awaits it
        self, settings: Settings, *, can_sleep: bool, own_threads: bool
    ) -> None:
        """Take the device, load the models and warm them up. Raises StartError.

        `can_sleep`: the last replica is stopped while nobody uses it. `own_threads`: see `Application.deploy`.
        """
        if own_threads:  # Ray sets it to the CPUs of the actor; torch reads it when it is imported
            os.environ.pop("OMP_NUM_THREADS", None)
        self._can_sleep = can_sleep
        self._name = serve.get_replica_context().replica_id.unique_id
        self._endpoint = settings.endpoint()
        try:
            await serving.load_models(self._endpoint, settings.make_loader)
        except BenchError as error:
            raise StartError(f"{MARK}{error}{MARK}") from error
        self._ready_at = time.time()

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """Return the application of every endpoint, whose answers name this replica."""
        inner = app.make(self._endpoint)

        async def named(scope: Scope, receive: Receive, send: Send) -> None:
            async def with_name(message: Message) -> None:
                if message["type"] == "http.response.start":
                    headers = MutableHeaders(raw=list(message["headers"]))
                    headers[REPLICA_HEADER] = self._name
                    message = {**message, "headers": headers.raw}
                await send(message)

            if scope["type"] != "http":
                await _accept_lifespan(scope, receive, send)
                return
            self._note_waking(Headers(scope=scope).get(WOKEN_HEADER))
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            await inner({**scope, "path": path or "/"}, receive, with_name)

        return named

    def _note_waking(self, woken_at: str | None) -> None:
        """Count the start from the request that waited for it, if this replica was started for one."""
        start = self._endpoint.start
        if woken_at is None or start is None or start.since == "request" or not self._can_sleep:
            return
        seconds = self._ready_at - float(woken_at)
        if seconds > 0:
            self._endpoint.start = Start(seconds=seconds, since="request")

    def report(self) -> Report:
        """Return what this replica tells of itself."""
        endpoint, context = self._endpoint, serve.get_replica_context()
        return Report(
            replica=context.replica_id.unique_id,
            node=os.uname().nodename,
            pid=os.getpid(),
            index=pages.index(endpoint),
            ready=pages.ready(endpoint),
            health=pages.health(endpoint, admitted=True),
            public=pages.health(endpoint, admitted=False),
            metrics=endpoint.metrics.text(),
            bearer=endpoint.bearer,
            time_limit_s=endpoint.bounds.time_limit_s,
            can_sleep=self._can_sleep,
        )

    def check_health(self) -> None:
        """Raise BenchError if the device is broken for good: Ray then replaces the replica."""
        if self._endpoint.broken is not None:
            raise BenchError(self._endpoint.broken_message)


async def _accept_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
