"""A process that serves this one line by line: its pipes, a thread that listens, its last words. Nothing heavy."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from bench.core import identity

_TAIL_BYTES = 2000
_CHECKOUT = Path(__file__).resolve().parents[2]


def checkout_environment() -> dict[str, str]:
    """A child's environment: ours, and from a checkout that is not installed its root to import from."""
    if not (_CHECKOUT / "pyproject.toml").is_file():
        return dict(os.environ)
    paths = [str(_CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


class Child:
    """A running process. What it prints on its standard error is kept aside, for when it dies."""

    def __init__(
        self, command: Sequence[str], *, env: Mapping[str, str] | None = None, own_session: bool = False
    ) -> None:
        """`env`: `checkout_environment()` unless given. `own_session`: Ctrl-C in the terminal is left to this process.

        Raises OSError if it can't be started.
        """
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own programs
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env=checkout_environment() if env is None else env,
                start_new_session=own_session,
            )
        except OSError:
            self._stderr.close()
            raise
        self._heard = 0
        self._said: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def send(self, line: str) -> None:
        """Write a line; never waits, since a pipe holds thousands. That it has died is noticed by `line`.

        What it printed before on its standard error is forgotten.
        """
        self._heard = os.fstat(self._stderr.fileno()).st_size
        assert self._process.stdin is not None  # noqa: S101 - Popen with PIPE sets it
        with contextlib.suppress(OSError):
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    def line(self, timeout_s: float) -> bytes | None:
        """The next line that it says, or None once it is dead. Raises queue.Empty after `timeout_s` seconds."""
        return self._said.get(timeout=timeout_s)

    def exit_code(self, timeout_s: float | None = None) -> int | None:
        """As subprocess gives it, negative for a signal; None if it has not ended within `timeout_s` seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout_s)
        return None

    def stderr_tail(self) -> str:
        """The end of what it printed since the last line that it was sent, without UUIDs of GPUs.

        Read without a seek, since a child that still runs shares the file's position.
        """
        size = os.fstat(self._stderr.fileno()).st_size
        begin = max(self._heard, size - _TAIL_BYTES)
        if sys.platform == "win32":  # no pread there; it is only asked for the last words of a dead child
            self._stderr.seek(begin)
            printed = self._stderr.read()
        else:
            printed = os.pread(self._stderr.fileno(), size - begin, begin)
        return identity.hide(printed.decode(errors="replace").strip())

    def kill(self, timeout_s: float) -> bool:
        """End it at once, whatever it is doing; False if it has not ended within `timeout_s` seconds.

        What it printed can still be read.
        """
        self._process.kill()
        ended = self.exit_code(timeout_s) is not None
        self._listener.join(timeout_s if ended else 0)  # the pipe stays open if the child left one of its own behind
        said = None if self._listener.is_alive() else self._process.stdout  # one that is being read can't be closed
        for pipe in (self._process.stdin, said):
            if pipe is not None:
                with contextlib.suppress(OSError):  # a line that was never read
                    pipe.close()
        return ended

    def _listen(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - Popen with PIPE sets it
        for line in self._process.stdout:
            self._said.put(line)
        self._said.put(None)
