"""The only thread that uses the device, and its bounded queue.

Work is submitted from an event loop and awaited there. Cancelled work leaves the queue at once; work whose deadline
passes before its turn is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
import time
import traceback
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from bench.endpoint.limits import STOPPING, BusyError
from bench.endpoint.rates import Rate
from bench.errors import chain
from bench.wire.messages import RefusedError

T = TypeVar("T")

_TOO_LATE = "the requests ahead of this one take longer than the time limit"
#: Work is overdue if it runs for this many times its estimate and for at least this many seconds.
_OVERDUE_TIMES = 5.0
_OVERDUE_S = 10.0


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """The result of work, and the seconds for which it waited and ran."""

    value: T
    queue_s: float
    compute_s: float


@dataclass(frozen=True, slots=True)
class OverdueWork:
    """Work that takes too long: its kind, its seconds so far, and the expected seconds (0: unknown)."""

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
        """Seconds since the work began; 0 before that."""
        return 0.0 if self.begun is None else time.monotonic() - self.begun


class DeviceThread:
    """Runs jobs one after another, in the order of their arrival, on a thread of its own."""

    def __init__(self, places: int) -> None:
        """`places`: how many jobs may wait, in addition to the running one."""
        self._places = places
        self._waiting: deque[_Job] = deque()
        self._running: _Job | None = None
        self._closed = False
        self._rates: defaultdict[str, Rate] = defaultdict(Rate)
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._serve, name="device", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many jobs wait for their turn."""
        return len(self._waiting)

    @property
    def running_s(self) -> float:
        """Seconds since the running job began; 0 if none is running."""
        with self._changed:
            return self._running.elapsed_s() if self._running else 0.0

    def learn(self, kind: str, seconds: float, cost: float) -> None:
        """Record how long work of this kind and cost took."""
        with self._changed:
            self._rates[kind].learn(seconds, cost)

    def likely_s(self, kind: str, cost: float) -> float:
        """Seconds that work of this kind and cost will probably take; 0 if nothing is known."""
        with self._changed:
            return self._rates[kind].likely_s(cost)

    def least_s(self, kind: str, cost: float) -> float:
        """Seconds that work of this kind and cost takes at least (`Rate.least_s`)."""
        with self._changed:
            return self._rates[kind].least_s(cost)

    def overdue(self, limit_s: float) -> OverdueWork | None:
        """The running job if it takes longer than the limit, or many times its estimate; else None."""
        with self._changed:
            job = self._running
            if job is None:
                return None
            elapsed, likely = job.elapsed_s(), self.likely_s(job.kind, job.cost)
        is_late = likely > 0 and elapsed > max(_OVERDUE_S, _OVERDUE_TIMES * likely)
        return OverdueWork(job.kind, elapsed, likely) if is_late or elapsed > limit_s else None

    def estimated_wait_s(self) -> float:
        """Seconds until a job submitted now would have its turn, estimated from earlier jobs (0: unknown)."""
        with self._changed:
            wait = sum(self.likely_s(job.kind, job.cost) for job in self._waiting)
            if self._running is not None:
                wait += self._remaining_s(self._running)
        return wait

    def _remaining_s(self, job: _Job) -> float:
        """Seconds that the running job will probably still take.

        A job that has overrun its estimate by some time is expected to need as long again. That is capped by the
        estimate, until the job is so late that its estimate is worthless.
        """
        elapsed, likely = job.elapsed_s(), self.likely_s(job.kind, job.cost)
        overrun = elapsed - likely
        if not likely:
            return 0.0
        if overrun <= 0:
            return -overrun
        return min(likely, overrun) if elapsed <= _OVERDUE_TIMES * likely else overrun

    def retry_after_s(self) -> int:
        """Whole seconds, at least 1, until another try of a refused request may succeed."""
        return max(1, math.ceil(self.estimated_wait_s()))

    def check_room(self) -> None:
        """Raises BusyError if the queue is full."""
        if len(self._waiting) >= self._places:
            raise self._busy(f"its queue of {self._places} requests is full")

    async def submit(self, work: Callable[[], T], kind: str, deadline: float = math.inf, cost: float = 1.0) -> Done[T]:
        """Run `work` on the device's thread in its turn, and return its result or raise its error.

        `cost` is its number of floating-point operations, from which its time is estimated. Raises BusyError if the
        queue is full, if the work ahead leaves too little time until `deadline` (of `time.monotonic`), or if the work
        has not begun at that time. Cancelling frees the place in the queue; work that has begun runs to its end, and
        its result is dropped.
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
            if job.begun is None:  # once begun, the job is not in the queue, and the thread may hold the lock
                self._leave(job)
            del job  # else a cycle: an error's traceback holds this frame, and the job's future holds the error
        return done

    def _check_time(self, kind: str, deadline: float, cost: float) -> None:
        """Raises BusyError if the jobs ahead leave too little time. If there are none, the work is always tried."""
        wait = self.estimated_wait_s()
        late_s = wait + self.least_s(kind, cost) - (deadline - time.monotonic())
        if wait > 0 and late_s > 0:
            raise BusyError(
                f"The endpoint is busy: {_TOO_LATE}. Try again later.", max(1, math.ceil(min(late_s, wait)))
            )

    def _leave(self, job: _Job) -> bool:
        """Remove the job from the queue. Returns False if it is no longer there."""
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
        """Refuse all waiting jobs and end the thread. Returns False if the running job did not end in time."""
        with self._changed:
            self._closed = True
            unserved, self._waiting = list(self._waiting), deque()
            self._changed.notify()
        for job in unserved:
            _resolve(job, RefusedError(503, STOPPING, "stopping"))
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _busy(self, why: str) -> BusyError:
        return BusyError(f"The endpoint is busy: {why}. Try again later.", self.retry_after_s())

    def _serve(self) -> None:
        while (job := self._next()) is not None:
            self._run(job)
            with self._changed:
                self._running = None
            del job  # else its tensors would be kept until the next job

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
            _resolve(job, self._busy(_TOO_LATE))
            return
        try:
            value = job.work()
        except BaseException as error:  # noqa: BLE001 - raised again where the job is awaited; the thread continues
            _resolve(job, _freed(error))
            return
        seconds = time.monotonic() - begun
        self.learn(job.kind, seconds, job.cost)
        _resolve(job, Done(value, begun - job.submitted, seconds))


def _freed(error: BaseException) -> BaseException:
    """Return the error with its tracebacks cleared of local variables, so that it keeps no tensor alive.

    Frames and errors refer to each other, so the tensors would live until the next garbage collection.
    """
    for cause in chain(error):
        traceback.clear_frames(cause.__traceback__)
    own_frame = error.__traceback__
    return error.with_traceback(own_frame.tb_next if own_frame else None)


def _resolve(job: _Job, outcome: Done[Any] | BaseException) -> None:
    """Give an outcome to the event loop that awaits the job, unless the loop is closed or the job cancelled."""

    def resolve() -> None:
        if job.future.done():
            return
        if isinstance(outcome, BaseException):
            job.future.set_exception(outcome)
        else:
            job.future.set_result(outcome)

    with contextlib.suppress(RuntimeError):  # the loop is closed
        job.loop.call_soon_threadsafe(resolve)
