"""The child's side: its end together with its parent, and its pipes."""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import signal
import sys
import threading
from typing import NoReturn, TextIO

_PR_SET_PDEATHSIG = 1  # prctl(2)


def die_with(parent: int | None = None) -> None:
    """Ask the kernel to kill this process when the thread that started it ends. Exit now if `parent` has already ended.

    Only Linux has this; elsewhere `requests` exits at the end of standard input.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if parent is not None and os.getppid() != parent:
            os._exit(1)


def requests() -> queue.SimpleQueue[str]:
    """Return a queue of the lines of standard input. When it closes, the process exits at once, even within a call."""
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_forward, args=(lines,), daemon=True).start()
    return lines


def answers() -> TextIO:
    """Return the standard output for messages, and redirect everything that libraries print to standard error."""
    pipe = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    return pipe


def _forward(lines: queue.SimpleQueue[str]) -> NoReturn:
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)
