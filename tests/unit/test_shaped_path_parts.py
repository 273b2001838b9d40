"""The paths of benchmarks/shaped_path: the link's arithmetic, netem's commands, and the relay that anyone may start."""

from __future__ import annotations

import socket
import time

import pytest
from shaped_path import UnavailableError, joined, netem, relay
from shaped_path.link import Link

from bench.core.network import Path


def test_what_is_put_on_a_free_link_arrives_after_its_bits_and_the_delay() -> None:
    # 1,000 bytes at 1,000,000 bytes a second take 1 ms
    assert Link(8e6, 0.020).arrival(5.0, 1000) == pytest.approx(5.0 + 0.001 + 0.020)


def test_what_comes_while_the_link_is_taken_waits_for_its_turn() -> None:
    # Given a link that is taken until 5.002
    link = Link(8e6, 0.020)
    link.arrival(5.0, 2000)
    # Then 1,000 bytes more are out 1 ms after that, and later ones find it free
    assert link.arrival(5.001, 1000) == pytest.approx(5.003 + 0.020)
    assert link.arrival(6.0, 1000) == pytest.approx(6.001 + 0.020)


def test_netem_is_asked_for_half_the_round_trip_and_the_rate_of_its_frames() -> None:
    # 14,480,000 bit/s of payload are 1,250 segments of 1448 bytes a second, in frames of 1514: 15,140,000 bit/s
    command = "tc qdisc add dev client root netem delay 42500us rate 15140000bit limit 100000"
    assert netem.shape("client", 14_480_000, 0.0425) == command.split()


def test_the_cable_ends_in_the_namespace_of_a_descriptor() -> None:
    assert netem.pair(7)[-2:] == ["netns", "/proc/self/fd/7"]
    assert netem.pair(7).count("gso_max_segs") == 2
    assert netem.up("client", "198.18.0.1")[0] == ["ip", "address", "add", "198.18.0.1/15", "dev", "client"]


def test_without_any_way_the_reasons_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netem.shutil, "which", lambda _: None)
    with pytest.raises(UnavailableError, match="netem: no `ip` or no `tc`"), joined(Path(0.01, 1e6, 1e6), ("netem",)):
        pass


def test_the_relay_delays_and_paces_bytes_both_ways() -> None:
    # Given a relayed path of 40 ms and 8 Mbit/s to a listener
    with socket.create_server(("127.0.0.1", 0)) as listener, relay.joined(Path(0.040, 8e6, 8e6)) as sides:
        assert not sides.path.slow_start
        begin, took = echo(listener, sides.reach(listener.getsockname()[1]))
    # Then 20,000 bytes come back after a handshake's round trip, their own, and 20 ms of sending each way
    assert begin == bytes(20_000)
    assert 0.115 < took < 0.25


def echo(listener: socket.socket, address: tuple[str, int]) -> tuple[bytes, float]:
    """What 20,000 bytes become that are sent, sent back and read until the end; and how many seconds that took."""
    begin = time.monotonic()
    with socket.create_connection(address, 10) as client:
        client.sendall(bytes(20_000))
        client.shutdown(socket.SHUT_WR)
        far, _ = listener.accept()
        with far, far.makefile("rb") as there:
            far.sendall(there.read())
            far.shutdown(socket.SHUT_WR)
            with client.makefile("rb") as here:
                return here.read(), time.monotonic() - begin
