"""The endpoint's log on standard error, written by a thread of its own: a reader that stops reading stops nothing."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from bench.core import identity

#: Lines that may wait to be written; further ones are dropped.
_MOST_WAITING = 1000
#: For the last lines to be written at the end.
_END_S = 1.0


class _Dropping(logging.handlers.QueueHandler):
    """Never waits, and never fails."""

    def enqueue(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(queue.Full):
            self.queue.put_nowait(record)


@contextmanager
def on_stderr(*, access: bool) -> Iterator[None]:
    """Write what goes wrong to standard error until the end of the block; with `access` a line a request as well."""
    waiting: queue.Queue[logging.LogRecord | None] = queue.Queue(_MOST_WAITING)
    handler = _Dropping(waiting)
    writer = threading.Thread(target=_write, args=(waiting,), name="log", daemon=True)
    writer.start()
    logger, lines = logging.getLogger("bench.endpoint"), logging.getLogger("bench.endpoint.access")
    web = logging.getLogger("uvicorn.error")
    web.setLevel(logging.ERROR)
    lines.setLevel(logging.INFO if access else logging.WARNING)
    logger.propagate = web.propagate = False
    for each in (logger, web):
        each.addHandler(handler)
    try:
        yield
    finally:
        for each in (logger, web):
            each.removeHandler(handler)
        logger.propagate = web.propagate = True
        with contextlib.suppress(queue.Full):
            waiting.put_nowait(None)
        writer.join(_END_S)


def _write(waiting: queue.Queue[logging.LogRecord | None]) -> None:
    stderr = logging.StreamHandler()
    while (record := waiting.get()) is not None:
        # a closed standard error is no reason to end
        with contextlib.suppress(OSError, ValueError):
            stderr.stream.write(f"{identity.hide(stderr.format(record))}\n")
            stderr.flush()
