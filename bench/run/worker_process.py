"""The parent's side of one measuring process: sends requests, receives answers. Never loads torch."""

from __future__ import annotations

import os
from collections.abc import Sequence

from pydantic import ValidationError

from bench.errors import WorkerError
from bench.process.child import Child
from bench.run.messages import Answer, answers

_KILL_TIMEOUT_S = 10.0


class WorkerProcess:
    """A running worker."""

    def __init__(self, command: Sequence[str]) -> None:
        """Start `command` with this process's id as its last argument. Raises OSError if that fails."""
        self._child = Child([*command, str(os.getpid())], own_session=True)

    @property
    def alive(self) -> bool:
        """Whether the worker still runs."""
        return self._child.alive

    def send(self, line: str) -> None:
        """Write one request, and forget the standard error so far. If the worker has died, `answer` will tell."""
        self._child.send(line)

    def answer(self, timeout_s: float) -> Answer | None:
        """Return its next answer, or None once it is dead. Raises queue.Empty after `timeout_s` seconds."""
        line = self._child.line(timeout_s)
        if line is None:
            return None
        try:
            return answers.validate_json(line)
        except (ValidationError, ValueError):
            self.kill()  # an invalid answer, so the worker can no longer be trusted
            return None

    def exit_code(self) -> int:
        """Wait for the end, and return subprocess's exit code: negative for a signal."""
        code = self._child.exit_code()
        assert code is not None  # noqa: S101 - there is no time-out
        return code

    def stderr_tail(self) -> str:
        """Return the end of its standard error since the last request."""
        return self._child.stderr_tail()

    def kill(self) -> None:
        """Kill the worker. Its standard error can still be read. Raises WorkerError if it does not end."""
        if not self._child.kill(_KILL_TIMEOUT_S):
            raise WorkerError(
                f"The measuring process {self._child.pid} can't be killed, because it hangs inside the driver. Reset "
                "the device or reboot, then repeat the command to continue."
            )
