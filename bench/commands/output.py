"""Standard output and error that their reader may close early, as `head` does: the rest is dropped."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO


@contextlib.contextmanager
def closable_output() -> Iterator[None]:
    """Drop what the block prints while standard output is closed, so that its exit code stays the same."""
    with _closable(sys.stdout) as output, contextlib.redirect_stdout(output):
        yield


@contextlib.contextmanager
def closable_errors() -> Iterator[None]:
    """As `closable_output`, of standard error."""
    with _closable(sys.stderr) as errors, contextlib.redirect_stderr(errors):
        yield


@contextlib.contextmanager
def _closable(stream: TextIO | None) -> Iterator[Any]:
    """The stream, written to while it is open; Python has none if it was closed from the start."""
    with contextlib.ExitStack() as stack:
        output = _Output(stream or stack.enter_context(Path(os.devnull).open("w")))
        stack.callback(output.flush)
        yield output


class _Output:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with self._unless_closed():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._unless_closed():
            self._stream.flush()

    @contextlib.contextmanager
    def _unless_closed(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())  # Python flushes the rest there when it ends
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
