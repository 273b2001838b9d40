"""A process with a time limit, which is ended with all that it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from bench.process.child import checkout_environment

#: Seconds that a process has to end after each of these signals, before it is killed. What a shell starts in the
#: background ignores SIGINT.
_GRACES_S = {signal.SIGINT: 5.0, signal.SIGTERM: 5.0}


def run_boxed(
    command: Sequence[str], log: Path, most_s: float, *, stdout: Path | None = None, cwd: Path | None = None
) -> int | None:
    """Run a command for at most `most_s` seconds, its output in the file `log`; standard output in its own, if given.

    Returns its exit code, or None if it took longer. It and all that it started are ended when this returns or raises.
    Raises OSError if the command can't be started.
    """
    with contextlib.ExitStack() as files:
        errors = files.enter_context(log.open("wb"))
        output = files.enter_context(stdout.open("wb")) if stdout else errors
        process = files.enter_context(_started(command, output, errors, cwd))
        try:
            return process.wait(most_s)
        except subprocess.TimeoutExpired:
            return None


@contextlib.contextmanager
def _started(
    command: Sequence[str], output: IO[bytes], errors: IO[bytes], cwd: Path | None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own, so that Ctrl-C in a terminal reaches this program alone."""
    new_group = 0
    if sys.platform == "win32":
        new_group = subprocess.CREATE_NEW_PROCESS_GROUP
    process = subprocess.Popen(  # noqa: S603 - our own programs
        command,
        cwd=cwd,
        env=checkout_environment(),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        start_new_session=sys.platform != "win32",
        creationflags=new_group,
    )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process's group: politely, then at once. Children of a process that has ended are ended too."""
    if sys.platform == "win32":  # no signals to a group there; the measuring process ends with its parent
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            process.send_signal(signal.CTRL_BREAK_EVENT)
            process.wait(_GRACES_S[signal.SIGINT])
        process.kill()
    else:
        try:
            for polite, grace_s in _GRACES_S.items():
                with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                    os.killpg(process.pid, polite)
                    process.wait(grace_s)
                    break
        finally:  # also after a second Ctrl-C
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    process.wait()
