"""A child process that exchanges lines with this one.

subprocess has no time-out for reading one line, so a thread reads them into a queue.
"""

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
    """Return a child's environment: this process's, plus the checkout's root to import from, if there is a checkout."""
    if not (_CHECKOUT / "pyproject.toml").is_file():
        return dict(os.environ)
    paths = [str(_CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


class Child:
    """A running child process. Its standard error is kept, to explain its death."""

    def __init__(
        self, command: Sequence[str], *, env: Mapping[str, str] | None = None, own_session: bool = False
    ) -> None:
        """Start the command. Raises OSError if that fails.

        `env` is `checkout_environment()` unless given. With `own_session` Ctrl-C in the terminal does not reach the
        child.
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
        self._stderr_read = 0
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def send(self, line: str) -> None:
        """Write a line, and forget the standard error so far. If the process has died, `line` will tell.

        Never waits, because a pipe has room for thousands of lines.
        """
        self._stderr_read = os.fstat(self._stderr.fileno()).st_size
        assert self._process.stdin is not None  # noqa: S101 - Popen with PIPE sets it
        with contextlib.suppress(OSError):
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    def line(self, timeout_s: float) -> bytes | None:
        """Return its next line of output, or None once it is dead. Raises queue.Empty after `timeout_s` seconds."""
        return self._lines.get(timeout=timeout_s)

    def exit_code(self, timeout_s: float | None = None) -> int | None:
        """Return subprocess's exit code, negative for a signal; None if it has not ended within `timeout_s` seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout_s)
        return None

    def stderr_tail(self) -> str:
        """Return the end of its standard error since the last `send`, without GPU UUIDs.

        Reads without seeking, because a running child shares the file's position.
        """
        size = os.fstat(self._stderr.fileno()).st_size
        begin = max(self._stderr_read, size - _TAIL_BYTES)
        if sys.platform == "win32":  # no pread there; the child is already dead
            self._stderr.seek(begin)
            printed = self._stderr.read()
        else:
            printed = os.pread(self._stderr.fileno(), size - begin, begin)
        return identity.hide(printed.decode(errors="replace").strip())

    def kill(self, timeout_s: float) -> bool:
        """Kill the process. Returns False if it has not ended within `timeout_s` seconds.

        Its output can still be read.
        """
        self._process.kill()
        ended = self.exit_code(timeout_s) is not None
        self._listener.join(timeout_s if ended else 0)  # a surviving grandchild would keep the pipe open
        stdout = None if self._listener.is_alive() else self._process.stdout  # can't be closed while it is being read
        for pipe in (self._process.stdin, stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # stdin may hold a line that nobody read
                    pipe.close()
        return ended

    def _listen(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - Popen with PIPE sets it
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)
