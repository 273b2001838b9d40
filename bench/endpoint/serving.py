"""Run an endpoint: socket, signals, loading, uvicorn. The device's thread loads torch, once the socket listens."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from types import FrameType

import uvicorn

from bench.endpoint import app, logs
from bench.endpoint.connection import Connection
from bench.endpoint.state import LOADING, Endpoint, Machine, Served
from bench.errors import BenchError

_INTERRUPTED = 130
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
    """Where the endpoint is reached from this machine; what serves at every address is reached at the loopback one."""
    bound, port = listener.getsockname()[:2]
    if ipaddress.ip_address(bound).is_unspecified:
        host = "::1" if ":" in bound else "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine reaches it."""
    return ipaddress.ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback


def serve(
    endpoint: Endpoint, listener: socket.socket, loading: Loading, ready: Callable[[], None], *, log: bool
) -> bool:
    """Serve until a signal comes, then finish what was accepted. `ready` is called once the models are there.

    `log`: a line a request on standard error.

    Raises what loading raised. A second signal ends the process at once with 130. False if the device's thread is
    still busy (a signal came while a model was being loaded).
    """
    server = prepare(endpoint)
    with _signals(endpoint, server), logs.on_stderr(access=log):
        try:
            asyncio.run(_run(server, endpoint, listener, loading, ready))
        finally:
            ended = endpoint.close(_END_S)
    return ended


def prepare(endpoint: Endpoint) -> Server:
    """uvicorn for an endpoint: its connections, its limits, and as little else as possible.

    Everything that it waits for at its end has a limit of its own, so that it needs none.
    """
    bounds = endpoint.bounds
    config = uvicorn.Config(
        app.make(endpoint),
        http=partial(  # type: ignore[arg-type] # it calls it
            Connection, bounds=bounds, weights=endpoint.offer.weights, refused=endpoint.metrics.refused
        ),
        ws="none",
        lifespan="off",
        loop="asyncio",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=max(1, round(bounds.keep_alive_s)),
    )
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
    endpoint.machine = (await endpoint.device.submit(loading.take_device, LOADING)).value
    for model in endpoint.offer.models:
        endpoint.add((await endpoint.device.submit(partial(loading.load, model), LOADING)).value)
    gc.collect()
    gc.freeze()  # or each full collection would walk torch's import (400,000 objects) while no request moves
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
