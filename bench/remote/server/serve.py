"""Run an endpoint: socket, signals, loading, uvicorn. The device's thread loads torch, once the socket listens."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from types import FrameType

import uvicorn

from bench.errors import BenchError
from bench.remote.server import app
from bench.remote.server.connection import Connection
from bench.remote.server.endpoint import Endpoint, Machine, Served

_INTERRUPTED = 130
#: What a graceful end takes beyond the time limit of a request.
_GRACE_S = 10.0
#: For the device's thread to end once nothing is asked of it any more.
_END_S = 2.0


@dataclass(frozen=True, slots=True)
class Loading:
    """How the models come: both run on the device's thread, `take_device` first and `load` once a model.

    `load` returns a model that has been warmed up.
    """

    take_device: Callable[[], Machine]
    load: Callable[[str], Served]


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound, on the first address of the host. Raises BenchError that says what to do."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError, OverflowError) as error:
        raise BenchError(f"--host {host[:200]}: is no address of this machine: {error}. Try 127.0.0.1.") from None
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise BenchError(
            f"--host {host} --port {port}: can't be served at: {error.strerror or error}. Stop what uses the port, or "
            "choose another with --port (0: any that is free)."
        ) from None
    return listener


def url(host: str, listener: socket.socket) -> str:
    """Where the endpoint is reached, as far as the host that was asked for tells."""
    port = listener.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(
    endpoint: Endpoint, listener: socket.socket, loading: Loading, ready: Callable[[], None], *, log: bool
) -> bool:
    """Serve until a signal comes, then finish what was accepted. `ready` is called once the models are there.

    Raises what loading raised. A second signal ends the process at once with 130. False if the device's thread is
    still busy (a signal came while a model was being loaded).
    """
    server = prepare(endpoint, log=log)
    with _signals(endpoint, server):
        try:
            asyncio.run(_run(server, endpoint, listener, loading, ready))
        finally:
            ended = endpoint.close(_END_S)
    return ended


def prepare(endpoint: Endpoint, *, log: bool = False) -> Server:
    """uvicorn for an endpoint: its connections, its limits, and as little else as possible."""
    bounds = endpoint.bounds
    config = uvicorn.Config(
        app.make(endpoint, log=log),
        http=partial(Connection, bounds=bounds, weights=endpoint.offer.weights),  # type: ignore[arg-type] # it calls it
        ws="none",
        lifespan="off",
        loop="asyncio",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=max(1, round(bounds.keep_alive_s)),
        timeout_graceful_shutdown=round(bounds.time_limit_s + bounds.body_timeout_s + _GRACE_S),
    )
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    return Server(config)


class Server(uvicorn.Server):
    """uvicorn's server, whose signals are ours: its own raises them again when it has stopped."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


async def _run(
    server: Server, endpoint: Endpoint, listener: socket.socket, loading: Loading, ready: Callable[[], None]
) -> None:
    loader = asyncio.create_task(_load(endpoint, loading, ready))
    loader.add_done_callback(lambda task: _stop_if_failed(task, server))
    await server.serve(sockets=[listener])
    loader.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await loader


def _stop_if_failed(loader: asyncio.Task[None], server: Server) -> None:
    if loader.cancelled() or loader.exception() is not None:
        server.should_exit = True


async def _load(endpoint: Endpoint, loading: Loading, ready: Callable[[], None]) -> None:
    endpoint.machine = (await endpoint.device.submit(loading.take_device, "load")).value
    for model in endpoint.offer.models:
        endpoint.models[model] = (await endpoint.device.submit(partial(loading.load, model), "load")).value
    ready()


@contextlib.contextmanager
def _signals(endpoint: Endpoint, server: Server) -> Iterator[None]:
    """The first signal stops gracefully; the second one at once."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        if endpoint.stopping:
            os._exit(_INTERRUPTED)
        endpoint.stopping = True
        server.should_exit = True

    names = [signal.SIGINT, signal.SIGTERM]
    before = {name: signal.signal(name, stop) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
