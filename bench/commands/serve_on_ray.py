"""`bench serve --on`: the endpoint as replicas on Ray Serve."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, TextIO

import typer

from bench.errors import BenchError, ConfigError, printable

if TYPE_CHECKING:
    from bench.endpoint.server_settings import LoaderSettings, Settings
    from bench.fleet.application import Application, Count
    from bench.fleet.report import Report

_NAME = "hybrid-bench"
_IDLE_S = 300.0
_INTERRUPTED = 130
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Chosen:
    """The options that only replicas have."""

    on: str
    replicas: str
    idle_s: float
    name: str


def chosen(on: str | None, replicas: str | None, idle: float | None, name: str | None) -> Chosen | None:
    """Return the options with their defaults; None without --on. Raises ConfigError if the others then are given."""
    if on is None:
        given = {"--replicas": replicas, "--idle": idle, "--name": name}
        alone = next((option for option, value in given.items() if value is not None), None)
        if alone:
            raise ConfigError(f"{alone} is for replicas on Ray. Add --on ray.")
        return None
    if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", name):
        raise ConfigError(f"--name {printable(name, 80)}: give up to 63 letters, digits, hyphens, dots or underscores.")
    if idle is not None and "-" not in (replicas or ""):
        raise ConfigError("--idle is for a number of replicas that changes. Add e.g. --replicas 0-4.")
    return Chosen(on, replicas or "1", idle or _IDLE_S, name or _NAME)


class _Stopped(Exception):  # noqa: N818 - it is no error
    """The user asked to stop while the application was starting."""


class _Stop:
    """The user's wish to stop: the first signal is noted, the second ends the process at once.

    A thread reads the signals, because Ray's calls may hold the main one.
    """

    def __init__(self) -> None:
        self.is_wanted = False

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note SIGINT and SIGTERM in the block."""
        reading, writing = socket.socketpair()
        writing.setblocking(False)
        threading.Thread(target=self._read, args=(reading,), daemon=True).start()
        before = {number: signal.signal(number, _leave_to_thread) for number in (signal.SIGINT, signal.SIGTERM)}
        wakeup = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
            writing.close()

    def _read(self, reading: socket.socket) -> None:
        with reading:
            while numbers := reading.recv(16):
                if not {signal.SIGINT, signal.SIGTERM} & set(numbers):
                    continue
                if self.is_wanted:
                    os._exit(_INTERRUPTED)
                self.is_wanted = True


def _leave_to_thread(_signal: int, _frame: FrameType | None) -> None:
    """Do nothing: the thread of `_Stop` has it."""


def serve(settings: Settings, options: Chosen, host: str, port: int, *, as_json: bool, quiet: bool) -> None:
    """Serve from replicas until a signal, then finish what was accepted. Raises BenchError."""
    from bench import packages

    packages.require("`bench serve --on ray`", packages.REPLICAS)
    from bench.fleet import address, cluster, proxy
    from bench.fleet.application import count_of
    from bench.run import surroundings

    count, gpus = count_of(options.replicas), _gpus(settings)
    where = address.address_of(options.on, os.environ.get(address.VARIABLE))
    out, stop = _Output(sys.stdout, as_json, quiet), _Stop()
    out.say("Starting Ray on this machine." if where == address.OWN else f"Connecting to the Ray cluster at {where}.")
    variables = surroundings.shippable(os.environ) | {proxy.VARIABLE: proxy.IMPORT_PATH}
    with stop.noted(), cluster.connected(where, variables):
        if not stop.is_wanted:
            app = _deployed(settings, options, (host, port), count, gpus, out)
            try:
                _serve_until_stopped(app, settings, stop, out)
            finally:
                app.stop(lambda text: out.say(f"warning: {text}", always=True))
                if where != address.OWN and app.is_alone:
                    app.shut_down_if_unused()
    out.say("stopped")


def _gpus(settings: Settings) -> int:
    """Return how many GPUs a replica needs. Raises ConfigError for a device that Ray would choose."""
    loader: LoaderSettings = settings.make_loader  # type: ignore[assignment] # the command made it
    if loader.device not in {"auto", "cpu", "cuda"}:
        raise ConfigError(f"--device {loader.device[:40]}: Ray gives each replica its GPU. Give auto, cuda or cpu.")
    return 0 if loader.device == "cpu" else 1


def _free_port(host: str, port: int) -> int:
    """Return the port, or a free one for 0. Raises BenchError if Ray's proxy could not listen there."""
    from bench.endpoint import serving

    with serving.listen(host, port) as listener:
        return int(listener.getsockname()[1])


@dataclass(frozen=True, slots=True)
class _Output:
    """What is printed where: the one line of JSON on standard output, or else people's lines.

    `stdout`: the one from before the connection, in which Ray's own output is left out.
    """

    stdout: TextIO
    as_json: bool
    quiet: bool

    def say(self, text: str, *, always: bool = False) -> None:
        """Print a line for people; with `always` a warning, even if they asked for quiet."""
        if self.quiet and not always:
            return
        self.line(text, err=self.as_json or always)

    def line(self, text: str, *, err: bool) -> None:
        """Print a line, and continue if nobody reads it."""
        file = sys.stderr if err else self.stdout
        with suppress(OSError, ValueError):
            typer.echo(text, file=file)
            file.flush()


def _deployed(
    settings: Settings, options: Chosen, listen_at: tuple[str, int], count: Count, gpus: int, out: _Output
) -> Application:
    """Start Ray Serve, unless it runs already, and begin to start the application."""
    from bench.fleet import application

    is_shared = application.is_running()
    if not is_shared:
        application.start(listen_at[0], _free_port(*listen_at))
    prefix = f"/{options.name}" if is_shared else "/"
    app = application.Application(options.name, count, _url(prefix), is_alone=not is_shared)
    lacking = app.lacking(gpus)
    app.deploy(settings, prefix, options.idle_s, gpus, own_threads="OMP_NUM_THREADS" not in os.environ)
    _announce(app, settings, out)
    if lacking is not None:
        instead = "" if gpus == 0 else ", and --device cpu needs none"
        out.say(f"Waiting: {lacking}. They start once there is room; Ctrl-C ends{instead}.", always=True)
    return app


def _serve_until_stopped(app: Application, settings: Settings, stop: _Stop, out: _Output) -> None:
    """Wait until the replicas are ready, say so, and wait for a signal. Raises BenchError if they can't start."""
    try:
        _wait_until_ready(app, stop, out)
    except _Stopped:
        return
    _warn_without_front(app, out)
    _say_ready(app, settings, out)
    while not stop.is_wanted:
        time.sleep(_POLL_S)


def _url(prefix: str) -> str:
    """Return where clients reach the application, as seen from this machine."""
    from bench.fleet import application

    host, port = application.address()
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not listened at
        host = application.head_address()
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}{prefix.rstrip('/')}"


def _announce(app: Application, settings: Settings, out: _Output) -> None:
    """Print where it listens, what it will serve and to whom."""
    number = f"{app.count.least} to {app.count.most}" if not app.count.is_fixed else str(app.count.most)
    replicas = "1 replica" if number == "1" else f"{number} replicas"
    out.say(f"Listening at {app.url}; starting {replicas} of {', '.join(settings.offer.models)} on Ray Serve ...")
    for path, (model, operations) in settings.offer.routes.items():
        what = "" if path in {f"/{model}/{name}" for name in operations} else f"  ({' or '.join(operations)})"
        out.say(f"  POST {app.url}{path}{what}")
    out.say("  GET  /health /ready /metrics")
    out.say("Requests need a token." if settings.bearer.required else "Requests need no token.")
    if settings.offer.weights == "random":
        out.say("Random weights: results are noise, for measuring only.")


def _wait_until_ready(app: Application, stop: _Stop, out: _Output) -> None:
    """Wait for the first replicas. Raises BenchError if they can't start."""
    ready = 0
    for state in app.states():
        if stop.is_wanted:
            raise _Stopped
        if state.problem is not None:
            raise BenchError(state.problem)
        if state.ready != ready:
            ready = state.ready
            out.say(f"{ready} of {app.count.first} replicas ready.")
        if state.is_ready:
            return


def _warn_without_front(app: Application, out: _Output) -> None:
    if app.front_status() is None:
        out.say(
            f"warning: a request is not sent again if its replica is lost: {app.url} is answered by a Ray Serve that "
            "`bench serve` did not start, or can't be reached from here. Let `bench serve` start Ray Serve itself.",
            always=True,
        )


def _say_ready(app: Application, settings: Settings, out: _Output) -> None:
    reports = app.reports()
    if not reports:
        raise BenchError("The replicas were lost as soon as they were ready. Ray's logs on their nodes may show why.")
    if out.as_json:
        out.line(json.dumps(_ready_line(app, settings, reports)), err=False)
        return
    devices = {str(report.health[1]["device"]["name"]) for report in reports}
    out.say(f"Serving at {app.url} on {', '.join(sorted(devices))}. Ctrl-C finishes accepted requests and stops.")


def _ready_line(app: Application, settings: Settings, reports: list[Report]) -> dict[str, object]:
    """The line of `bench serve`, and the application with its replicas."""
    content = reports[0].health[1]
    routes = {
        model: {
            "address": f"{app.url}/{model}",
            **{name: f"{app.url}/{model}/{name}" for name in settings.offer.operations_of(model)},
            "dtype": served["dtype"],
            "weights_bytes": served["weights_bytes"],
        }
        for model, served in content["models"].items()
    }
    return {
        "url": app.url,
        "models": routes,
        "weights": settings.offer.weights,
        "noise": settings.offer.weights == "random",
        "device": content["device"],
        "application": app.name,
        "replicas": [{"name": report.replica, "node": report.node, "pid": report.pid} for report in reports],
    }
