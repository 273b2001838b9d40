"""What a command says on standard error before anything slow is loaded: a spinner on a terminal, else a line.

Imports the standard library alone, since torch, pydantic and the plots take up to a minute to load.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TextIO

_Parameters = ParamSpec("_Parameters")
_FRAMES, _PLAIN_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\"
_FRAME_S = 0.1
#: Back to the line's begin, and clear the line.
_CLEAR = "\r\x1b[2K"


def announced(text: str, command: Callable[_Parameters, None]) -> Callable[_Parameters, None]:
    """The command, made to say that text before it begins; it stays silent with --quiet and --dry-run."""

    @functools.wraps(command)
    def announcing(*args: _Parameters.args, **options: _Parameters.kwargs) -> None:
        if options.get("quiet") or options.get("dry_run"):
            command(*args, **options)
            return
        with saying(text):
            command(*args, **options)

    return announcing


@contextlib.contextmanager
def saying(text: str) -> Iterator[None]:
    """Say it at once: on a terminal with a spinner, which ends at the first output or with the block."""
    stream = sys.stderr
    try:
        spins = stream.isatty() and os.environ.get("TERM") != "dumb"
        if not spins:
            stream.write(f"{text} ...\n")
            stream.flush()
    except (AttributeError, OSError, ValueError):  # no standard error, or one that nobody reads
        spins = False
    if not spins:
        yield
        return
    spinner = _Spinner(text, stream)
    with contextlib.redirect_stdout(_Stream(sys.stdout, spinner)), contextlib.redirect_stderr(_Stream(stream, spinner)):
        try:
            yield
        finally:
            spinner.end()


class _Spinner:
    """An animated line drawn by a thread; its first frame is drawn at once, since imports may block the thread."""

    def __init__(self, text: str, stream: TextIO) -> None:
        self._stream, self._lock, self._ended = stream, threading.Lock(), threading.Event()
        room = max(shutil.get_terminal_size().columns - 3, 1)
        self._text = f"{text} ..."[:room]
        self._frames = _FRAMES if (stream.encoding or "").lower().startswith("utf") else _PLAIN_FRAMES
        self._draw(0)
        threading.Thread(target=self._turn, name="notice", daemon=True).start()

    def end(self) -> None:
        """Clear the line, once."""
        with self._lock:
            if not self._ended.is_set():
                self._ended.set()
                self._write(_CLEAR)

    def _turn(self) -> None:
        frame = 0
        while not self._ended.wait(_FRAME_S):
            frame += 1
            self._draw(frame)

    def _draw(self, frame: int) -> None:
        with self._lock:
            if not self._ended.is_set():
                self._write(f"{_CLEAR}{self._frames[frame % len(self._frames)]} {self._text}")

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()


class _Stream:
    """A standard stream, before whose first character the spinner is cleared."""

    def __init__(self, stream: TextIO, spinner: _Spinner) -> None:
        self._stream, self._spinner = stream, spinner

    def write(self, text: str) -> int:
        if text:
            self._spinner.end()
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        if name in {"buffer", "writelines"}:
            self._spinner.end()
        return getattr(self._stream, name)
