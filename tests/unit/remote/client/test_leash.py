"""Calls that neither end nor stop growing are ended."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from bench.remote.client.leash import Leash, OutOfTimeError, TooMuchError


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
        with pytest.raises(TooMuchError):
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
