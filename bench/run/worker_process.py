"""One measuring process as its parent holds it: pipes, a thread that listens, and its last words. Never loads torch."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from bench.errors import WorkerError
from bench.run.protocol import Answer, answers

_CHECKOUT = Path(__file__).resolve().parents[2]
_TAIL_BYTES = 2000
_KILL_TIMEOUT_S = 10.0


def _environment() -> dict[str, str]:
    """The worker's environment: ours, and from a checkout that is not installed its root to import from."""
    if not (_CHECKOUT / "pyproject.toml").is_file():
        return dict(os.environ)
    paths = [str(_CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


class WorkerProcess:
    """A worker that was started with `command` and this process's id."""

    def __init__(self, command: Sequence[str]) -> None:
        """Raises OSError if it can't be started."""
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
        self._process = subprocess.Popen(  # noqa: S603 - our own worker
            [*command, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=_environment(),
            start_new_session=True,  # Ctrl-C in the terminal is the parent's to handle
        )
        self._heard = 0
        self._said: queue.SimpleQueue[Answer | None] = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def alive(self) -> bool:
        """Whether it can still be given a case."""
        return self._process.poll() is None

    def send(self, line: str) -> None:
        """Write one request. A worker that has died is noticed by `answer`; what it printed before is forgotten."""
        self._heard = os.fstat(self._stderr.fileno()).st_size
        assert self._process.stdin is not None  # noqa: S101 - Popen with PIPE sets it
        with contextlib.suppress(OSError):
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    def answer(self, timeout_s: float) -> Answer | None:
        """What it says next, or None once it is dead. Raises queue.Empty after `timeout_s` seconds of silence."""
        return self._said.get(timeout=timeout_s)

    def exit_code(self) -> int:
        """As subprocess gives it: negative for a signal."""
        return self._process.wait()

    def stderr_tail(self) -> str:
        """The end of what it printed since the last request.

        Read without a seek, since a worker that still runs shares the file's position.
        """
        size = os.fstat(self._stderr.fileno()).st_size
        begin = max(self._heard, size - _TAIL_BYTES)
        if sys.platform == "win32":  # no pread there; it is only asked for the last words of a dead worker
            self._stderr.seek(begin)
            return self._stderr.read().decode(errors="replace").strip()
        return os.pread(self._stderr.fileno(), size - begin, begin).decode(errors="replace").strip()

    def kill(self) -> None:
        """End it at once, whatever it is doing. What it printed can still be read."""
        self._process.kill()
        try:
            self._process.wait(_KILL_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise WorkerError(
                f"The measuring process {self._process.pid} can't be ended: it hangs inside the driver. Reset the "
                "device or reboot, then give the same command to go on."
            ) from None
        self._listener.join(_KILL_TIMEOUT_S)  # the pipe stays open if the worker left a child behind
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # a request that was never read
                    pipe.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - Popen with PIPE sets it
        try:
            for line in self._process.stdout:
                self._said.put(answers.validate_json(line))
        except (ValidationError, ValueError):
            self._process.kill()  # it no longer makes sense, so it can't be trusted with a case
        self._said.put(None)
