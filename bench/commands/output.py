"""Standard output that its reader may close early, as `head` does: the rest is dropped, and the command continues."""

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
    with contextlib.ExitStack() as stack:
        # Python has none if it was closed from the start
        stream = sys.stdout or stack.enter_context(Path(os.devnull).open("w"))
        output = _Output(stream)
        stack.callback(output.flush)
        stack.enter_context(contextlib.redirect_stdout(output))
        yield


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
