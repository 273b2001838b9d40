"""Calls that end: a deadline and a bound on memory for code that has neither, such as diffusers' client.

The call runs in a thread of its own. When its time is over, or the process grows too much meanwhile, the connections
that the thread has opened are shut, which ends whatever waits for them; a thread that still does not end (a name server
that is silent) is left behind. Free of torch.

No such thread may be inside torch when the interpreter ends: Python then ends the thread amid C++ code, and the process
dies of that ("terminate called without an active exception", exit code 134). So the thread holds nothing of a call that
is over, and `close` waits until it has ended.
"""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import psutil

Result = TypeVar("Result")
_LOOK_EVERY_S = 0.05
_AFTER_SHUT_S = 1.0
_ENDS_WITHIN_S = 10.0


class OutOfTimeError(Exception):
    """The call did not end within its time."""


class CutOffError(Exception):
    """Another thread has ended the leash's calls."""


class TooMuchError(Exception):
    """The process grew by more than a call may take."""


@dataclass(slots=True)
class _Call(Generic[Result]):
    """One call as both threads see it."""

    run: Callable[[], Result]
    ended: threading.Event = field(default_factory=threading.Event)
    result: Result | None = None
    error: BaseException | None = None


class Leash:
    """Runs one call at a time in a thread. Not for several threads at once, but for `cut_off`."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[_Call[Any] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._ended: threading.Event | None = None  # of the call that is under way
        self._is_cut_off = False

    def call(self, run: Callable[[], Result], deadline: float, growth_bytes: int | None = None) -> Result:
        """What `run` returns or raises.

        Raises OutOfTimeError at `deadline` (of time.monotonic), TooMuchError if the process's resident set has grown by
        more than `growth_bytes`, CutOffError once `cut_off` was called.
        """
        call = _Call(run)
        process = psutil.Process() if growth_bytes is not None else None
        before = process.memory_info().rss if process else 0
        self._hand(call)
        while not call.ended.wait(max(0.0, min(_LOOK_EVERY_S if process else 3600.0, deadline - time.monotonic()))):
            if time.monotonic() >= deadline:
                self._cut()
                raise OutOfTimeError
            if process and growth_bytes is not None and process.memory_info().rss - before > growth_bytes:
                self._cut()
                raise TooMuchError
        if self._is_cut_off:
            raise CutOffError
        if call.error is not None:
            raise call.error
        return call.result  # type: ignore[return-value]  # a call that raised nothing has a result

    def cut_off(self) -> None:
        """End the call that is under way, and its thread, and refuse every other. May be called from any thread."""
        with self._lock:
            self._is_cut_off = True
            ended = self._ended
        if ended is not None:
            ended.set()
        self._cut()

    def close(self) -> None:
        """Let the thread end, and wait until it has; one that is still in a call after ten seconds is left behind."""
        thread = self._thread
        self._dismiss()
        if thread is not None:
            thread.join(_ENDS_WITHIN_S)

    def _dismiss(self) -> None:
        """Tell the thread to end after the call that it is in."""
        if self._thread is not None:
            self._calls.put(None)
            self._thread = None

    def _hand(self, call: _Call[Any]) -> None:
        with self._lock:
            if self._is_cut_off:
                raise CutOffError
            if self._thread is None:
                self._calls = queue.SimpleQueue()
                self._thread = threading.Thread(target=_serve, args=(self._calls,), daemon=True)
                self._thread.start()
            self._ended = call.ended
            self._calls.put(call)

    def _cut(self) -> None:
        """Shut what the thread has opened and still opens, and take another one next time."""
        thread = self._thread
        if thread is None or thread.ident is None:
            return
        self._dismiss()
        give_up = time.monotonic() + _AFTER_SHUT_S
        while thread.is_alive() and time.monotonic() < give_up:
            _WATCH.shut(thread.ident)
            thread.join(_LOOK_EVERY_S)


class _Watch:
    """The connections that watched threads have opened. A second descriptor of each is held, since TLS takes the first.

    Python tells of `socket.connect` by its audit events (PEP 578), so that nothing of diffusers or requests is touched.
    """

    def __init__(self) -> None:
        self._opened: dict[int, list[int]] = {}
        self._installed = False

    def begin(self, thread: int) -> None:
        if not self._installed:
            sys.addaudithook(self._hear)
            self._installed = True
        self._opened[thread] = []

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect":
            opened = self._opened.get(threading.get_ident())
            if opened is not None:
                with contextlib.suppress(OSError):
                    opened.append(os.dup(arguments[0].fileno()))

    def forget(self, thread: int) -> None:
        """Let go of the second descriptors, so that a connection that its user closes is closed."""
        for descriptor in _taken(self._opened.get(thread, [])):
            os.close(descriptor)

    def end(self, thread: int) -> None:
        """The thread opens nothing any more."""
        self._opened.pop(thread, None)

    def shut(self, thread: int) -> None:
        for descriptor in _taken(self._opened.get(thread, [])):
            with contextlib.suppress(OSError), socket.socket(fileno=descriptor) as connection:
                connection.shutdown(socket.SHUT_RDWR)


_WATCH = _Watch()


def _taken(descriptors: list[int]) -> list[int]:
    """Take all out, so that no two threads close the same one."""
    taken = []
    with contextlib.suppress(IndexError):
        while True:
            taken.append(descriptors.pop())
    return taken


def _serve(calls: queue.SimpleQueue[_Call[Any] | None]) -> None:
    """Run one call after another; one that was cut off says its last words to nobody."""
    me = threading.get_ident()
    _WATCH.begin(me)
    try:
        while (call := calls.get()) is not None:
            try:
                call.result = call.run()
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that asked
                call.error = error
            finally:
                _WATCH.forget(me)
                ended = call.ended
                del call  # whoever asked frees what the call held, not this thread at the interpreter's end
                ended.set()
    finally:
        _WATCH.end(me)
