"""The worker process as its parent holds it: lines of messages out and in, and its end."""

from __future__ import annotations

import os
from collections.abc import Sequence

from bench.errors import WorkerError
from bench.process.child import Child
from bench.run.messages import Answer, answers

_KILL_TIMEOUT_S = 10.0


class WorkerProcess(Child):
    """A running worker."""

    def __init__(self, command: Sequence[str]) -> None:
        """Start `command` with this process's id as its last argument. Raises OSError if that fails."""
        super().__init__([*command, str(os.getpid())], own_session=True)

    def answer(self, timeout_s: float) -> Answer | None:
        """Return its next answer, or None once it is dead. Raises queue.Empty after `timeout_s` seconds."""
        line = self.line(timeout_s)
        if line is None:
            return None
        try:
            return answers.validate_json(line)
        except ValueError:
            self.kill()  # an invalid answer, so the worker can no longer be trusted
            return None

    def end(self) -> None:
        """Kill the worker without waiting for its end. Another thread may be waiting for its answer."""
        self._process.kill()

    def kill(self, timeout_s: float = _KILL_TIMEOUT_S) -> bool:
        """Kill the worker. Its standard error can still be read. Raises WorkerError if it does not end."""
        if not super().kill(timeout_s):
            raise WorkerError(
                f"The measuring process {self.pid} can't be killed, because it hangs inside the driver. Reset the "
                "device or reboot, then repeat the command to continue."
            )
        return True


def worker_error(problem: str, worker: WorkerProcess | None, remedy: str = "") -> WorkerError:
    """Return the error, with the last line of the worker's standard error: of a traceback, that is the exception."""
    lines = worker.stderr_tail().splitlines() if worker else []
    last = lines[-1].rstrip(".") if lines else "none"
    return WorkerError(f"The measuring process {problem}. Its last line of output: {last}.{remedy}")
