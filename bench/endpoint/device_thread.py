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

from bench.endpoint.limits import STOPPING, BusyError
from bench.endpoint.rates import Rate
from bench.errors import chain
from bench.wire.messages import RefusedError

T = TypeVar("T")

_TOO_LATE = "the requests ahead of this one take too long for it to be served within the time limit"
#: Work is overdue if it runs for so many times its estimate and for at least so many seconds.
_OVERDUE_TIMES = 5.0
_OVERDUE_S = 10.0


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """What the work returned, and for how long it waited and ran."""

    value: T
    queue_s: float
    compute_s: float


@dataclass(frozen=True, slots=True)
class OverdueWork:
    """Work that runs for longer than it should: its kind, its seconds so far, and those expected (0: unknown)."""

    kind: str
    seconds: float
    likely_s: float


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

    def elapsed_s(self) -> float:
        """Seconds since it began; 0 before."""
        return 0.0 if self.begun is None else time.monotonic() - self.begun


class DeviceThread:
    """Runs one piece of work after another, first come first served, on a thread of its own."""

    def __init__(self, places: int) -> None:
        """`places`: how much work may wait, beside the piece that runs."""
        self._places = places
        self._waiting: deque[_Job] = deque()
        self._running: _Job | None = None
        self._closed = False
        self._rates: dict[str, Rate] = {}
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._serve, name="device", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How much work waits for its turn."""
        return len(self._waiting)

    @property
    def running_s(self) -> float:
        """For how long the piece of work that runs has run; 0 where none does."""
        with self._changed:
            return self._running.elapsed_s() if self._running else 0.0

    def learn(self, kind: str, seconds: float, cost: float) -> None:
        """Work of this kind and cost took so long."""
        with self._changed:
            self._rates.setdefault(kind, Rate()).learn(seconds, cost)

    def likely_s(self, kind: str, cost: float) -> float:
        """Seconds that work of this kind and cost will probably take; 0 where nothing is known."""
        with self._changed:
            rate = self._rates.get(kind)
            return rate.likely_s(cost) if rate else 0.0

    def least_s(self, kind: str, cost: float) -> float:
        """Seconds that it takes at the very least (`Rate.least_s`)."""
        with self._changed:
            rate = self._rates.get(kind)
            return rate.least_s(cost) if rate else 0.0

    def overdue(self, limit_s: float) -> OverdueWork | None:
        """What runs, if it does so for longer than the limit, or for many times its estimate."""
        with self._changed:
            job = self._running
            if job is None:
                return None
            elapsed, likely = job.elapsed_s(), self.likely_s(job.kind, job.cost)
        late = likely > 0 and elapsed > max(_OVERDUE_S, _OVERDUE_TIMES * likely)
        return OverdueWork(job.kind, elapsed, likely) if late or elapsed > limit_s else None

    def estimated_wait_s(self) -> float:
        """Seconds until work submitted now would have its turn, by what its kind took before (0: unknown yet)."""
        with self._changed:
            wait = sum(self.likely_s(job.kind, job.cost) for job in self._waiting)
            if self._running is not None:
                wait += self._rest_s(self._running)
        return wait

    def _rest_s(self, job: _Job) -> float:
        """Seconds that running work will probably still take.

        Late work is expected to take as long again as it is late: at most its estimate, until it is so late that the
        estimate means nothing.
        """
        elapsed, likely = job.elapsed_s(), self.likely_s(job.kind, job.cost)
        late = elapsed - likely
        if late <= 0 or elapsed <= _OVERDUE_TIMES * likely:
            return min(likely, abs(late))
        return late if likely else 0.0

    def retry_after_s(self) -> int:
        """Whole seconds after which a refused request is worth another try, at least 1."""
        return max(1, math.ceil(self.estimated_wait_s()))

    def check_room(self) -> None:
        """Raises BusyError if all places of the queue are taken."""
        if len(self._waiting) >= self._places:
            raise self._busy(f"all {self._places} places of the queue are taken")

    async def submit(self, work: Callable[[], T], kind: str, deadline: float = math.inf, cost: float = 1.0) -> Done[T]:
        """Run `work` on the device's thread when its turn comes, and return what it returned or raise what it raised.

        `cost`: its floating-point operations, from which its seconds are estimated. Raises BusyError if no place is
        free, if the work ahead would not let it end before `deadline` (of `time.monotonic`), or, at that time, if it
        has not begun.
        Cancelling gives the place back; work that has begun runs to its end, and its result is dropped.
        """
        loop = asyncio.get_running_loop()
        self._check_time(kind, deadline, cost)
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

    def _check_time(self, kind: str, deadline: float, cost: float) -> None:
        """Raise BusyError if the work ahead leaves too little time. With no work ahead, it is always tried."""
        wait = self.estimated_wait_s()
        late = wait + self.least_s(kind, cost) - (deadline - time.monotonic())
        if wait > 0 and late > 0:
            raise BusyError(f"The endpoint is busy: {_TOO_LATE}. Try again later.", max(1, math.ceil(min(late, wait))))

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
        self.learn(job.kind, seconds, job.cost)
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
