"""A deadline and a memory limit for calls that have neither, such as diffusers' client.

The call runs in a thread of its own. At the deadline, or when the process has grown too much, the sockets that the
thread has opened are shut down, which ends whatever waits for them. A thread that still does not end (hung DNS) is
abandoned.

A child process could be killed instead, but would cost more than it mends. It has to import torch and diffusers itself
(8 s of CPU time and 311 MiB with torch 2.13), and an overlap needs one for each worker. A process that is killed loses
its warm-up, so the next request would be measured cold. And results and errors would have to be sent between processes
beside the calls that are being timed.

No such thread may be inside torch when the interpreter exits: Python then ends the thread amid C++ code, and the
process dies ("terminate called without an active exception", exit code 134). So the thread keeps nothing of a finished
call, and `close` waits until the thread has ended.
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
_POLL_S = 0.05
_AFTER_SHUTDOWN_S = 1.0
_CLOSE_TIMEOUT_S = 10.0


class OutOfTimeError(Exception):
    """The call did not end by its deadline."""


class CutOffError(Exception):
    """Another thread has called `cut_off`."""


class MemoryGrowthError(Exception):
    """The process grew by more than the call may allocate."""


@dataclass(slots=True)
class _Call(Generic[Result]):
    """One call, shared by both threads."""

    run: Callable[[], Result]
    ended: threading.Event = field(default_factory=threading.Event)
    result: Result | None = None
    error: BaseException | None = None


class Leash:
    """Runs one call at a time in a thread. Only `cut_off` may be called from other threads."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[_Call[Any] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._ended: threading.Event | None = None  # that of the running call
        self._is_cut_off = False

    def call(self, run: Callable[[], Result], deadline: float, growth_bytes: int | None = None) -> Result:
        """Return or raise what `run` returns or raises.

        Raises OutOfTimeError at `deadline` (of time.monotonic), MemoryGrowthError if the process's resident set has
        grown by more than `growth_bytes`, CutOffError once `cut_off` was called.
        """
        call = _Call(run)
        process = psutil.Process() if growth_bytes is not None else None
        before = process.memory_info().rss if process else 0
        self._hand(call)
        while not call.ended.wait(max(0.0, min(_POLL_S if process else 3600.0, deadline - time.monotonic()))):
            if time.monotonic() >= deadline:
                self._cut()
                raise OutOfTimeError
            if process and growth_bytes is not None and process.memory_info().rss - before > growth_bytes:
                self._cut()
                raise MemoryGrowthError
        if self._is_cut_off:
            raise CutOffError
        if call.error is not None:
            raise call.error
        return call.result  # type: ignore[return-value]  # a call that raised nothing has a result

    def cut_off(self) -> None:
        """End the running call and its thread, and refuse all further calls. May be called from any thread."""
        with self._lock:
            self._is_cut_off = True
            ended = self._ended
        if ended is not None:
            ended.set()
        self._cut()

    def close(self) -> None:
        """End the thread and wait for it. A thread that is still in a call after ten seconds is abandoned."""
        thread = self._thread
        self._dismiss()
        if thread is not None:
            thread.join(_CLOSE_TIMEOUT_S)

    def _dismiss(self) -> None:
        """Tell the thread to end after its current call."""
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
        """Shut down all sockets that the thread has opened or still opens. The next call gets a new thread."""
        thread = self._thread
        if thread is None or thread.ident is None:
            return
        self._dismiss()
        give_up = time.monotonic() + _AFTER_SHUTDOWN_S
        while thread.is_alive() and time.monotonic() < give_up:
            _SOCKETS.shut(thread.ident)
            thread.join(_POLL_S)


class _OpenSockets:
    """The sockets that watched threads have connected, as duplicate descriptors, because TLS takes over the original.

    Python's audit events (PEP 578) report each `socket.connect`, so nothing in diffusers or requests is patched.
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
        """Close the duplicate descriptors, so that a connection ends when its user closes it."""
        for descriptor in _taken(self._opened.get(thread, [])):
            os.close(descriptor)

    def end(self, thread: int) -> None:
        """Stop watching the thread."""
        self._opened.pop(thread, None)

    def shut(self, thread: int) -> None:
        for descriptor in _taken(self._opened.get(thread, [])):
            with contextlib.suppress(OSError), socket.socket(fileno=descriptor) as connection:
                connection.shutdown(socket.SHUT_RDWR)


_SOCKETS = _OpenSockets()


def _taken(descriptors: list[int]) -> list[int]:
    """Empty the list and return its descriptors, so that no two threads close the same one."""
    taken = []
    with contextlib.suppress(IndexError):
        while True:
            taken.append(descriptors.pop())
    return taken


def _serve(calls: queue.SimpleQueue[_Call[Any] | None]) -> None:
    """Run calls until None arrives. Nobody reads the result of a call that was cut off."""
    thread = threading.get_ident()
    _SOCKETS.begin(thread)
    try:
        while (call := calls.get()) is not None:
            try:
                call.result = call.run()
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that asked
                call.error = error
            finally:
                _SOCKETS.forget(thread)
                ended = call.ended
                del call  # the caller frees the call's tensors, not this thread when the interpreter exits
                ended.set()
    finally:
        _SOCKETS.end(thread)
