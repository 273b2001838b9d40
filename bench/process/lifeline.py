"""Processes that serve another one and do not outlive it. Imports nothing of the project, and nothing heavy."""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import signal
import sys
import threading
from typing import NoReturn

_PR_SET_PDEATHSIG = 1  # prctl(2)


def die_with(parent: int | None = None) -> None:
    """Ask the kernel to kill this process when the thread that started it ends; end now if `parent` already has.

    Linux alone has this; elsewhere the end of the standard input tells.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if parent is not None and os.getppid() != parent:
            os._exit(1)


def requests() -> queue.SimpleQueue[str]:
    """The lines of the standard input as they come. When it closes, this process ends at once, even within a call."""
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_hand_on, args=(lines,), daemon=True).start()
    return lines


def _hand_on(lines: queue.SimpleQueue[str]) -> NoReturn:
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)
