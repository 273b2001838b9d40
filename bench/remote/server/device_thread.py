"""The one thread that drives the device, and the bounded queue before it. Free of torch and of the web stack.

Work is submitted from an event loop and awaited there. Work that is given up before its turn leaves the queue at once;
work whose deadline passes before its turn is refused, not computed.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from bench.remote.messages import RefusedError
from bench.remote.server.limits import BusyError

T = TypeVar("T")

#: Weight of the newest call in the moving mean of a kind's seconds.
_NEWEST = 0.2


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """What the work returned, and for how long it waited and ran."""

    value: T
    queue_s: float
    compute_s: float


@dataclass(slots=True, eq=False)
class _Job:
    work: Callable[[], Any]
    kind: str
    deadline: float
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Done[Any]]
    submitted: float = field(default_factory=time.monotonic)
    begun: float | None = None


class DeviceThread:
    """Runs one piece of work after another, first come first served, on a thread of its own."""

    def __init__(self, places: int) -> None:
        """`places`: how much work may wait, beside the piece that runs."""
        self._places = places
        self._waiting: deque[_Job] = deque()
        self._running: _Job | None = None
        self._closed = False
        self._means: dict[str, float] = {}
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._serve, name="device", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How much work waits for its turn."""
        return len(self._waiting)

    def estimated_wait_s(self) -> float:
        """Seconds until work submitted now would have its turn: means of the kinds before it, 0 for unknown ones."""
        with self._changed:
            wait = sum(self._means.get(job.kind, 0.0) for job in self._waiting)
            if self._running is not None and self._running.begun is not None:
                mean = self._means.get(self._running.kind, 0.0)
                wait += max(0.0, mean - (time.monotonic() - self._running.begun))
        return wait

    def retry_after_s(self) -> int:
        """Whole seconds after which a refused request is worth another try, at least 1."""
        return max(1, math.ceil(self.estimated_wait_s()))

    async def submit(self, work: Callable[[], T], kind: str, deadline: float = math.inf) -> Done[T]:
        """Run `work` on the device's thread when its turn comes, and return what it returned or raise what it raised.

        Raises BusyError if no place is free, if it would not come to its turn before `deadline` (by `time.monotonic`),
        or did not. Cancelling gives the place back; work that has begun runs to its end, and its result is dropped.
        """
        loop = asyncio.get_running_loop()
        if time.monotonic() + self.estimated_wait_s() > deadline:
            raise self._busy("it would not come to its turn within the time limit")
        job = _Job(work, kind, deadline, loop, loop.create_future())
        with self._changed:
            full = self._closed or len(self._waiting) >= self._places
            if not full:
                self._waiting.append(job)
                self._changed.notify()
        if full:
            raise self._busy(f"all {self._places} places of the queue are taken")
        try:
            done: Done[T] = await job.future
        finally:
            with self._changed, contextlib.suppress(ValueError):
                self._waiting.remove(job)
        return done

    def close(self, timeout_s: float) -> bool:
        """Refuse what waits and end the thread. False if what it runs did not end in time."""
        with self._changed:
            self._closed = True
            left, self._waiting = list(self._waiting), deque()
            self._changed.notify()
        for job in left:
            _tell(job, RefusedError(503, "The endpoint is shutting down.", "stopping"))
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _busy(self, why: str) -> BusyError:
        return BusyError(f"The endpoint is busy: {why}. Try again later.", self.retry_after_s())

    def _serve(self) -> None:
        while (job := self._next()) is not None:
            self._run(job)
            with self._changed:
                self._running = None
            del job  # what it holds is not kept until the next one comes

    def _next(self) -> _Job | None:
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            self._running = self._waiting.popleft()
            self._running.begun = time.monotonic()
            return self._running

    def _run(self, job: _Job) -> None:
        begun = job.begun or job.submitted
        if job.future.cancelled():
            return
        if begun > job.deadline:
            _tell(job, self._busy("it did not come to its turn within the time limit"))
            return
        try:
            value = job.work()
        except BaseException as error:  # noqa: BLE001 - handed to whoever awaits it; the thread goes on
            _tell(job, error)
            return
        seconds = time.monotonic() - begun
        mean = self._means.get(job.kind, seconds)
        self._means[job.kind] = mean + _NEWEST * (seconds - mean)
        _tell(job, Done(value, begun - job.submitted, seconds))


def _tell(job: _Job, outcome: Done[Any] | BaseException) -> None:
    """Hand an outcome to the event loop that awaits it, unless it is gone or waits no more."""

    def tell() -> None:
        if job.future.done():
            return
        if isinstance(outcome, BaseException):
            job.future.set_exception(outcome)
        else:
            job.future.set_result(outcome)

    with contextlib.suppress(RuntimeError):  # the loop is closed
        job.loop.call_soon_threadsafe(tell)
