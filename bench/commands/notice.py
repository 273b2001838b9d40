"""The notice that a slow command prints on standard error: a spinner on a terminal, else a line.

A command that ends at once, such as with an error, prints none. Imports only the standard library: torch, pydantic and
the plots take up to a minute to load. rich's spinner is not used, because it starts only once rich is loaded, and stops
while an import holds the interpreter.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TextIO

_Parameters = ParamSpec("_Parameters")
_FRAMES, _PLAIN_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\"
_FRAME_S = 0.1
#: After this the notice shows, so that a user sees something within a second, Python's start included.
_PATIENCE_S = 0.3
#: Loading these holds the interpreter for seconds, in which no other thread can print.
_SLOW_MODULES = {"torch", "diffusers"}
#: Return to the start of the line, and clear it.
_CLEAR = "\r\x1b[2K"


def announced(text: str, command: Callable[_Parameters, None]) -> Callable[_Parameters, None]:
    """The command, which prints that text if it takes a while; not with --quiet or --dry-run."""

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
    """Print the text if the block takes a while, unless something was written to standard output or error before.

    A terminal shows a spinner until something is written or the block ends.
    """
    if sys.stdout is None or sys.stderr is None:  # pythonw has neither
        yield
        return
    notice = _Notice(text, sys.stderr)
    watcher = _SlowImports(notice)
    sys.meta_path.insert(0, watcher)
    output, errors = _Stream(sys.stdout, notice), _Stream(sys.stderr, notice)
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            yield
        finally:
            notice.end()
            with contextlib.suppress(ValueError):
                sys.meta_path.remove(watcher)


class _Notice:
    """A line that a thread writes after a while; on a terminal it has a spinner."""

    def __init__(self, text: str, stream: TextIO) -> None:
        self._stream, self._lock = stream, threading.Lock()
        self._begun, self._ended = False, threading.Event()
        self._spins = _spins(stream)
        room = max(shutil.get_terminal_size().columns - 3, 1)
        self._text = textwrap.shorten(f"{text} ...", room, placeholder=" ...") if self._spins else f"{text} ..."
        self._frames = _FRAMES if (stream.encoding or "").lower().startswith("utf") else _PLAIN_FRAMES
        threading.Thread(target=self._turn, name="notice", daemon=True).start()

    def begin(self) -> None:
        """Print it now, if it was not printed yet."""
        with self._lock:
            if self._begun or self._ended.is_set():
                return
            self._begun = True
            if not self._spins:
                self._ended.set()
            self._write(f"{self._frames[0]} {self._text}" if self._spins else f"{self._text}\n")

    def end(self) -> None:
        """Clear the line, once; if it was not printed yet, it never is."""
        with self._lock:
            if not self._ended.is_set():
                self._ended.set()
                if self._begun:
                    self._write(_CLEAR)

    def _turn(self) -> None:
        if self._ended.wait(_PATIENCE_S):
            return
        self.begin()
        frame = 0
        while not self._ended.wait(_FRAME_S):
            frame += 1
            with self._lock:
                if not self._ended.is_set():
                    self._write(f"{_CLEAR}{self._frames[frame % len(self._frames)]} {self._text}")

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # nobody reads it
            self._stream.write(text)
            self._stream.flush()


class _SlowImports:
    """An import finder that finds nothing, but prints the notice before a module that is slow to load."""

    #: Tells `bench.packages` that it need not ask this finder.
    only_watches = True

    def __init__(self, notice: _Notice) -> None:
        self._notice = notice

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> None:
        """Look at the name only."""
        if name in _SLOW_MODULES:
            self._notice.begin()


def _spins(stream: TextIO) -> bool:
    try:
        return stream.isatty() and os.environ.get("TERM") != "dumb"
    except (AttributeError, OSError, ValueError):
        return False


class _Stream:
    """A standard stream that ends the notice before its first character."""

    def __init__(self, stream: TextIO, notice: _Notice) -> None:
        self._stream, self._notice = stream, notice

    def write(self, text: str) -> int:
        if text:
            self._notice.end()
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        if name in {"buffer", "writelines"}:
            self._notice.end()
        return getattr(self._stream, name)
