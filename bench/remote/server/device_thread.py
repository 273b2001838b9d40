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
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from bench.errors import chain
from bench.remote.messages import RefusedError
from bench.remote.server.limits import STOPPING, BusyError

T = TypeVar("T")

_TOO_LATE = "it did not come to its turn within the time limit"
#: Weight of the newest call in the moving mean of a kind's rate.
_NEWEST = 0.2


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """What the work returned, and for how long it waited and ran."""

    value: T
    queue_s: float
    compute_s: float


@dataclass(slots=True)
class _Rate:
    """Seconds for a unit of cost: sums that fade, so that large calls count for more than small ones."""

    seconds: float = 0.0
    cost: float = 0.0
    calls: int = 0

    def of(self, cost: float) -> float:
        """Seconds that so much costs; 0 where nothing is known."""
        return cost * self.seconds / self.cost if self.cost else 0.0

    def learn(self, seconds: float, cost: float) -> None:
        """A call took so long. The first one often has much to set up: a quicker second one stands in its stead."""
        self.calls += 1
        if self.calls == 1 or (self.calls == 2 and seconds < self.of(cost)):
            self.seconds, self.cost = seconds, cost
            return
        self.seconds += _NEWEST * (seconds - self.seconds)
        self.cost += _NEWEST * (cost - self.cost)


@dataclass(slots=True, eq=False)
class _Job:
    work: Callable[[], Any]
    kind: str
    cost: float
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
        self._rates: dict[str, _Rate] = {}
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._serve, name="device", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How much work waits for its turn."""
        return len(self._waiting)

    def estimated_wait_s(self) -> float:
        """Seconds until work submitted now would have its turn, by what its kind took a unit of cost (0: unknown yet).

        Work that runs for longer than that is expected to go on for as long as it is late, up to its estimate.
        """
        with self._changed:
            wait = sum(self._estimate_s(job) for job in self._waiting)
            if self._running is not None and self._running.begun is not None:
                estimate = self._estimate_s(self._running)
                wait += min(estimate, abs(estimate - (time.monotonic() - self._running.begun)))
        return wait

    def _estimate_s(self, job: _Job) -> float:
        rate = self._rates.get(job.kind)
        return rate.of(job.cost) if rate else 0.0

    def retry_after_s(self) -> int:
        """Whole seconds after which a refused request is worth another try, at least 1."""
        return max(1, math.ceil(self.estimated_wait_s()))

    def check_room(self) -> None:
        """Raises BusyError if all places of the queue are taken."""
        if len(self._waiting) >= self._places:
            raise self._busy(f"all {self._places} places of the queue are taken")

    async def submit(self, work: Callable[[], T], kind: str, deadline: float = math.inf, cost: float = 1.0) -> Done[T]:
        """Run `work` on the device's thread when its turn comes, and return what it returned or raise what it raised.

        `cost` is what the seconds of this kind go by, pixels for example. Raises BusyError if no place is free, if it
        would not come to its turn before `deadline` (by `time.monotonic`), or, at that very time, if it did not.
        Cancelling gives the place back; work that has begun runs to its end, and its result is dropped.
        """
        loop = asyncio.get_running_loop()
        if time.monotonic() + self.estimated_wait_s() > deadline:
            raise self._busy(_TOO_LATE)
        self.check_room()
        job = _Job(work, kind, cost, deadline, loop, loop.create_future())
        with self._changed:
            if self._closed:
                raise BusyError(STOPPING, 5, "stopping")
            self._waiting.append(job)
            self._changed.notify()
        timer = None if deadline == math.inf else loop.call_later(deadline - time.monotonic(), self._expire, job)
        try:
            done: Done[T] = await job.future
        finally:
            if timer is not None:
                timer.cancel()
            if job.begun is None:  # else the thread has taken it, and may hold the lock
                self._leave(job)
            del job  # an error's traceback holds this frame, and the job would hold the error
        return done

    def _leave(self, job: _Job) -> bool:
        """Take it out of the queue. False if it is not in there any more."""
        with self._changed:
            try:
                self._waiting.remove(job)
            except ValueError:
                return False
        return True

    def _expire(self, job: _Job) -> None:
        if self._leave(job) and not job.future.done():
            job.future.set_exception(self._busy(_TOO_LATE))

    def close(self, timeout_s: float) -> bool:
        """Refuse what waits and end the thread. False if what it runs did not end in time."""
        with self._changed:
            self._closed = True
            left, self._waiting = list(self._waiting), deque()
            self._changed.notify()
        for job in left:
            _tell(job, RefusedError(503, STOPPING, "stopping"))
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
            _tell(job, self._busy(_TOO_LATE))
            return
        try:
            value = job.work()
        except BaseException as error:  # noqa: BLE001 - handed to whoever awaits it; the thread goes on
            _tell(job, _freed(error))
            return
        seconds = time.monotonic() - begun
        with self._changed:
            self._rates.setdefault(job.kind, _Rate()).learn(seconds, job.cost)
        _tell(job, Done(value, begun - job.submitted, seconds))


def _freed(error: BaseException) -> BaseException:
    """The error, whose tracebacks say where it came from but hold none of the tensors of the frames that failed.

    Frames and errors refer to each other, so that they would live until the garbage is collected.
    """
    for each in chain(error):
        traceback.clear_frames(each.__traceback__)
    here = error.__traceback__
    return error.with_traceback(here.tb_next if here else None)


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
