"""A function call that stops between its stages, so that each can be timed alone.

A pipeline's `__call__` runs all stages in one go. Here it runs in a thread of its own, which waits at each border of
two stages until the next stage is asked for. So what is measured is diffusers' own call, cut but not rewritten.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue

#: What a function calls whenever a stage begins or goes on, with the stage's name.
Border = Callable[[str], None]
_Request = Callable[[], None] | None


class _AbandonedError(Exception):
    """Ends a call that stopped at a border and will not be continued."""


class CallInStages:
    """Makes calls of a function whose stages run one by one, in the order of `stages`.

    All calls run in one thread, because each thread that computes has a pool of threads of its own. It ends when this
    object is dropped.
    """

    def __init__(self, stages: tuple[str, ...], function: Callable[[Border], object]) -> None:
        self._stages, self._function = stages, function
        self._call: Future[object] | None = None
        self._place = 0
        self._is_abandoned = False
        self._stopped, self._continued = threading.Semaphore(0), threading.Semaphore(0)
        self._requests: SimpleQueue[_Request] = SimpleQueue()
        weakref.finalize(self, self._requests.put, None)
        threading.Thread(target=_serve, args=(self._requests,), name="pipeline", daemon=True).start()

    def run(self, stage: str) -> object:
        """Run a stage to its end; the result of the last one is the call's.

        Raises what the function raised, and RuntimeError if its call ended in an earlier stage.
        """
        if stage == self._stages[0]:
            self.abandon()
            self._begin()
        elif self._call is None:
            raise RuntimeError(f"the pipeline's call ended before its stage {stage}")
        else:
            self._continued.release()
        self._stopped.acquire()
        return self._result_if_ended()

    def abandon(self) -> None:
        """End the call if it stopped at a border."""
        if self._call is not None:
            self._is_abandoned = True
            self._continued.release()
            self._stopped.acquire()
            self._call = None

    def _begin(self) -> None:
        call: Future[object] = Future()
        call.add_done_callback(lambda _: self._stopped.release())
        self._call, self._place, self._is_abandoned = call, 0, False
        self._requests.put(lambda: _finish(call, lambda: self._function(self._border)))

    def _border(self, stage: str) -> None:
        """In the thread of the call: wait here if the next stage begins."""
        if stage not in self._stages or self._stages.index(stage) != self._place + 1:
            return
        self._place += 1
        self._stopped.release()
        self._continued.acquire()
        if self._is_abandoned:
            raise _AbandonedError

    def _result_if_ended(self) -> object:
        """The call's result, if it has ended. Then nothing keeps the call, or the tensors in an error's frames."""
        call = self._call
        if call is None or not call.done():
            return None
        self._call = None
        return call.result()


def _serve(requests: SimpleQueue[_Request]) -> None:
    """Make one call after another."""
    while True:
        request = requests.get()
        if request is None:
            return
        request()
        del request


def _finish(call: Future[object], function: Callable[[], object]) -> None:
    """Give a call its result, or what the function raised."""
    try:
        result = function()
    except BaseException as error:  # noqa: BLE001 - it is raised in the thread that asked
        call.set_exception(error)
    else:
        call.set_result(result)
