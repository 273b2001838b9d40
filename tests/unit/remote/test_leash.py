"""Calls that neither end nor stop growing are ended."""

from __future__ import annotations

import socket
import threading
import time
import weakref

import pytest

from bench.remote.leash import Leash, MemoryGrowthError, OutOfTimeError


def test_a_call_returns_or_raises_as_it_does_without() -> None:
    leash = Leash()
    assert leash.call(lambda: 5, time.monotonic() + 10) == 5
    with pytest.raises(ZeroDivisionError):
        leash.call(lambda: 1 // 0, time.monotonic() + 10)


def test_a_call_that_waits_for_a_connection_is_ended_at_its_deadline() -> None:
    # given a server that accepts and says nothing
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = threading.Event()

        def wait_for_an_answer() -> None:
            with socket.create_connection(server.getsockname()) as connection:
                connection.recv(1)
            ended.set()

        # when the deadline comes, then the call is over, and its thread goes on too: it was not left behind
        with pytest.raises(OutOfTimeError):
            Leash().call(wait_for_an_answer, time.monotonic() + 0.1)
        assert ended.wait(5)


def test_a_call_that_takes_too_much_memory_is_ended() -> None:
    release = threading.Event()

    def grow() -> None:
        held = bytearray(b"x") * (96 * 2**20)
        release.wait(20)
        held.clear()

    try:
        with pytest.raises(MemoryGrowthError):
            Leash().call(grow, time.monotonic() + 20, growth_bytes=32 * 2**20)
    finally:
        release.set()


def test_the_next_call_has_a_thread_of_its_own_after_one_was_left_behind() -> None:
    leash, release = Leash(), threading.Event()
    with pytest.raises(OutOfTimeError):
        leash.call(lambda: release.wait(20), time.monotonic() + 0.05)
    assert leash.call(lambda: "next", time.monotonic() + 10) == "next"
    release.set()
    leash.close()


class _Payload:
    """Something that a call returns, or holds while it runs."""


def test_the_thread_holds_nothing_of_a_call_that_is_over() -> None:
    # given a call that used one object and returned another
    leash, used = Leash(), _Payload()
    returned = leash.call(lambda held=used: (held, _Payload())[1], time.monotonic() + 10)  # type: ignore[misc]
    alive = [weakref.ref(used), weakref.ref(returned)]

    # when whoever asked lets go of them, then nobody else holds them: no thread frees a tensor later
    del used, returned
    assert [reference() for reference in alive] == [None, None]
    leash.close()


def test_closing_waits_for_the_thread_to_end() -> None:
    # given a leash whose thread has made a call
    leash = Leash()
    thread = leash.call(threading.current_thread, time.monotonic() + 10)
    assert thread.is_alive()

    # when it is closed, then no thread is left that could be inside torch when the interpreter ends
    leash.close()
    assert not thread.is_alive()
