"""One measuring process as its parent holds it: requests in, answers out. Never loads torch."""

from __future__ import annotations

import os
from collections.abc import Sequence

from pydantic import ValidationError

from bench.errors import WorkerError
from bench.process.child import Child
from bench.run.messages import Answer, answers

_KILL_TIMEOUT_S = 10.0


class WorkerProcess:
    """A worker that was started with `command` and this process's id."""

    def __init__(self, command: Sequence[str]) -> None:
        """Raises OSError if it can't be started."""
        self._child = Child([*command, str(os.getpid())], own_session=True)

    @property
    def alive(self) -> bool:
        """Whether it can still be given a case."""
        return self._child.alive

    def send(self, line: str) -> None:
        """Write one request. A worker that has died is noticed by `answer`; what it printed before is forgotten."""
        self._child.send(line)

    def answer(self, timeout_s: float) -> Answer | None:
        """What it says next, or None once it is dead. Raises queue.Empty after `timeout_s` seconds of silence."""
        line = self._child.line(timeout_s)
        if line is None:
            return None
        try:
            return answers.validate_json(line)
        except (ValidationError, ValueError):
            self.kill()  # it no longer makes sense, so it can't be trusted with a case
            return None

    def exit_code(self) -> int:
        """As subprocess gives it: negative for a signal."""
        code = self._child.exit_code()
        assert code is not None  # noqa: S101 - without a time-out it is waited for
        return code

    def stderr_tail(self) -> str:
        """The end of what it printed since the last request."""
        return self._child.stderr_tail()

    def kill(self) -> None:
        """End it at once, whatever it is doing. What it printed can still be read."""
        if not self._child.kill(_KILL_TIMEOUT_S):
            raise WorkerError(
                f"The measuring process {self._child.pid} can't be ended: it hangs inside the driver. Reset the "
                "device or reboot, then give the same command to go on."
            )
