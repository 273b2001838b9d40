"""The endpoint's log on standard error, written by a thread: a blocked reader of the log blocks no request."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import QueueHandler, QueueListener

from bench.core import identity

#: Lines that may wait to be written; further ones are dropped.
_MOST_WAITING = 1000
#: Time for writing the last lines when the endpoint stops.
_STOP_TIMEOUT_S = 1.0


class _DroppingHandler(QueueHandler):
    """Drops a line if the queue is full."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the base class's name
        """Ignore the error: the line is lost, but the request is served."""


class _StderrHandler(logging.StreamHandler):  # type: ignore[type-arg] # StreamHandler is generic in stubs only
    """Writes lines without GPU UUIDs."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line with every GPU UUID hashed."""
        return identity.hide(super().format(record))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the base class's name
        """Ignore the error: standard error may be closed."""


class _Listener(QueueListener):
    """Writes the lines of a queue to standard error."""

    def __init__(self, waiting: queue.Queue[logging.LogRecord | None]) -> None:
        super().__init__(waiting, _StderrHandler())
        self._waiting = waiting

    def enqueue_sentinel(self) -> None:
        """Queue the sentinel. Waits for room if the queue is full, where the base class raises `queue.Full`."""
        self._waiting.put(None)


@contextmanager
def on_stderr(*, access: bool) -> Iterator[None]:
    """Write errors to standard error until the end of the block, and with `access` also one line for each request."""
    waiting: queue.Queue[logging.LogRecord | None] = queue.Queue(_MOST_WAITING)
    handler, listener = _DroppingHandler(waiting), _Listener(waiting)
    listener.start()
    logging.getLogger("bench.endpoint.access").setLevel(logging.INFO if access else logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    loggers = [logging.getLogger(name) for name in ("bench.endpoint", "uvicorn.error")]
    for logger in loggers:
        logger.propagate = False
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
            logger.propagate = True
        # `stop` waits until all lines are written, without a time-out
        stopping = threading.Thread(target=listener.stop, daemon=True)
        stopping.start()
        stopping.join(_STOP_TIMEOUT_S)
