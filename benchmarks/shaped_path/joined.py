"""What each way of joining two sides hands out. Knows none of the ways."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path as File

from bench.core.network import Path

#: A block in which this thread, and the processes that it starts, are on one side.
Side = Callable[[], AbstractContextManager[None]]
_ROOT = File(__file__).parents[2]
_ENDS_WITHIN_S = 10.0


class UnavailableError(Exception):
    """This machine, or this user, can't have such a path; the text says why."""


@dataclass(frozen=True, slots=True)
class Joined:
    """A client's side and a server's, and what is between them.

    Attributes:
        name: how the path is made.
        made_of: the same in words.
        path: what the model is to be asked for: without slow start where this path can't show it.
        client_side: a block in which sockets are the client's.
        server_side: a block in which processes that are started are the server's.
        server_host: the address at which a server is to listen.
        reach: host and port at which the client finds the server's port.
        passed_over: why better ways were not taken.
    """

    name: str
    made_of: str
    path: Path
    client_side: Side
    server_side: Side
    server_host: str
    reach: Callable[[int], tuple[str, int]]
    passed_over: tuple[str, ...] = ()


@contextmanager
def process(
    module: str, arguments: Sequence[object], *, pass_fds: Sequence[int] = ()
) -> Iterator[subprocess.Popen[str]]:
    """A process of this folder, that ends with the block, and with this process however that ends."""
    path = os.pathsep.join([str(_ROOT), str(_ROOT / "benchmarks"), *filter(None, [os.environ.get("PYTHONPATH")])])
    started = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-P", "-m", f"shaped_path.{module}", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        pass_fds=pass_fds,
        start_new_session=True,  # Ctrl-C is for the parent, which ends this one
    )
    try:
        yield started
    finally:
        started.kill()
        started.communicate(timeout=_ENDS_WITHIN_S)
