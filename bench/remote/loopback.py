"""Starts an endpoint on this machine, as a process that ends with this one."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

from bench.errors import WorkerError
from bench.process.child import Child, checkout_environment
from bench.remote import proxies
from bench.wire.address import Address, parse

_READY_WITHIN_S = 600.0  # a cold disk takes minutes over importing torch
_STOPS_WITHIN_S = 20.0
_KILL_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running endpoint: its address and its process id."""

    address: Address
    pid: int


@contextmanager
def serving(
    models: Sequence[str],
    *,
    token_env: str | None = None,
    arguments: Sequence[str] = (),
    env: Mapping[str, str] = MappingProxyType({}),
    meanwhile: Callable[[], object] = lambda: None,
) -> Iterator[Server]:
    """Run `bench serve` with random weights for these models on a free port, until the end of the block.

    Without `token_env` it needs no token, whatever the environment contains. `arguments` are further arguments of
    `bench serve`, `env` further environment variables. `meanwhile` is called while the endpoint starts, which takes
    seconds. Raises WorkerError if it does not start, and what `meanwhile` raises.
    """
    command = [sys.executable, "-P", "-m", "bench", "serve", "--weights", "random", "--port", "0", "--json", "--quiet"]
    command += [part for model in models for part in ("--model", model)]
    command += ["--token-env", token_env] if token_env and os.environ.get(token_env) else ["--no-token"]
    command += ["--with-parent", str(os.getpid()), *arguments]
    try:
        child = Child(command, env={**checkout_environment(), **env}, own_session=True)
    except OSError as error:
        raise WorkerError(f"The endpoint could not be started: {error}.") from None
    try:
        meanwhile()
        address = parse(_url(child))
        proxies.spare(address)
        yield Server(address, child.pid)
        if child.alive:  # let it finish the accepted requests
            with contextlib.suppress(OSError):
                os.kill(child.pid, signal.SIGTERM)
            child.exit_code(_STOPS_WITHIN_S)
    finally:
        child.kill(_KILL_TIMEOUT_S)


def _url(child: Child) -> str:
    """Return the URL that the process prints once it serves."""
    deadline = time.monotonic() + _READY_WITHIN_S
    try:
        line = child.line(max(0.0, deadline - time.monotonic()))
    except queue.Empty:
        raise WorkerError(f"The endpoint was not ready within {_READY_WITHIN_S:.0f} s.") from None
    message: object = None
    if line is not None:
        with contextlib.suppress(ValueError):
            message = json.loads(line)
    if isinstance(message, dict) and isinstance(message.get("url"), str):
        return str(message["url"])
    child.kill(_KILL_TIMEOUT_S)
    last = next(reversed(child.stderr_tail().splitlines()), "it printed no error")
    raise WorkerError(f"The endpoint did not start: {last.removeprefix('error: ')}")
