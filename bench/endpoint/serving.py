"""Runs an endpoint: socket, signals, model loading, uvicorn. Only the device's thread loads torch."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ipaddress
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

import psutil
import uvicorn

from bench.endpoint import app, logs
from bench.endpoint.connection import Connection
from bench.endpoint.state import LOADING, Endpoint
from bench.errors import BenchError
from bench.record import Start

if TYPE_CHECKING:
    from bench.endpoint.startup import Loader

_INTERRUPTED = 130
#: Time for the device's thread to end after the last request.
_END_S = 2.0


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on the first address of the host. Raises BenchError if that is impossible."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError, OverflowError) as error:
        raise BenchError(f"--host {host[:200]}: not an address of this machine: {error}. Try 127.0.0.1.") from None
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise BenchError(
            f"--host {host} --port {port}: can't listen: {error.strerror or error}. Stop the program that uses the "
            "port, or choose another port with --port (0: any free port)."
        ) from None
    return listener


def url(host: str, listener: socket.socket) -> str:
    """Return the endpoint's URL for use on this machine: the loopback address if it listens on every address."""
    bound, port = listener.getsockname()[:2]
    if ipaddress.ip_address(bound).is_unspecified:
        host = "::1" if ":" in bound else "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine can reach the socket."""
    return ipaddress.ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback


def serve(
    endpoint: Endpoint,
    listener: socket.socket,
    make_loader: Callable[[], Loader],
    ready: Callable[[], None],
    *,
    log: bool,
) -> bool:
    """Serve until a signal arrives, then finish the accepted requests.

    `make_loader` is called on the device's thread, `ready` once all models are loaded; `log` writes a line for each
    request to standard error. A second signal ends the process at once with exit code 130. Returns False if the
    device's thread is still busy, because the signal arrived while it was loading a model. Raises what loading raises.
    """
    server = prepare(endpoint)
    with _signals(endpoint, server), logs.on_stderr(access=log):
        try:
            asyncio.run(_run(server, endpoint, listener, make_loader, ready))
        finally:
            ended = endpoint.close(_END_S)
    return ended


def prepare(endpoint: Endpoint) -> Server:
    """Return uvicorn's server for an endpoint, with our connections and limits and as little else as possible.

    It needs no time-out for stopping, because everything that it waits for has its own.
    """
    bounds = endpoint.bounds
    config = uvicorn.Config(
        app.make(endpoint),
        http=partial(  # type: ignore[arg-type] # uvicorn calls it as it would a class
            Connection, bounds=bounds, weights=endpoint.offer.weights, on_refusal=endpoint.metrics.refused
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
    """uvicorn's server without its signal handling, which would raise each signal again after stopping."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: `_signals` handles them."""
        yield


async def _run(
    server: Server,
    endpoint: Endpoint,
    listener: socket.socket,
    make_loader: Callable[[], Loader],
    ready: Callable[[], None],
) -> None:
    async def load() -> None:
        try:
            await load_models(endpoint, make_loader)
            ready()
        except BaseException:
            server.should_exit = True
            raise

    loading = asyncio.create_task(load())
    await server.serve(sockets=[listener])
    loading.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await loading


async def load_models(endpoint: Endpoint, make_loader: Callable[[], Loader]) -> None:
    """Take the device, load and warm up all models, and note how long the start took. Raises what loading raises."""
    loader = (await endpoint.device.submit(make_loader, LOADING)).value
    endpoint.machine = (await endpoint.device.submit(loader.take_device, LOADING)).value
    for model in endpoint.offer.models:
        endpoint.add((await endpoint.device.submit(partial(loader.load, model), LOADING)).value)
    gc.collect()
    gc.freeze()  # else each full collection would traverse torch's 400,000 objects while all requests wait
    endpoint.start = Start(seconds=time.time() - psutil.Process().create_time(), since="process")


@contextlib.contextmanager
def _signals(endpoint: Endpoint, server: Server) -> Iterator[None]:
    """Stop gracefully at the first signal, and at once at the second."""

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
