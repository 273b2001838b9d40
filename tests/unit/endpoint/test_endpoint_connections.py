"""Clients that are slow, rude or gone, over raw sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace

import httpx2
import pytest
from endpoints import QUICK, Live, error_of, live, read_all, read_head, until

from bench.endpoint.limits import Bounds

POST = b"POST /tiny/encode HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Live]:
    with live() as running:
        yield running


@pytest.fixture(autouse=True)
def the_next_request_works(server: Live) -> Iterator[None]:
    yield
    assert httpx2.post(f"{server.url}/tiny/encode", content=b"fine").content == b"fine"


@pytest.mark.parametrize("garbage", [b"garbage\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"GET\r\n\r\n"])
def test_invalid_http_gets_400_in_json(server: Live, garbage: bytes) -> None:
    status, error = error_of(server.say(garbage))
    assert (status, error["reason"]) == (400, "bad_request")


def test_endless_headers_are_cut_off(server: Live) -> None:
    status, _ = error_of(server.say(b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000))
    assert status == 400


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_slow_headers_end_the_connection(server: Live, begun: bytes) -> None:
    status, error = error_of(server.say(begun))
    assert (status, error["reason"]) == (408, "slow_headers")


def test_slow_headers_of_a_second_request_end_the_connection(server: Live) -> None:
    with server.connect() as client:
        client.sendall(b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while not answer.endswith(b'{"ready": true}'):
            answer += client.recv(1000)
        client.sendall(b"GET /re")
        assert error_of(read_all(client))[1]["reason"] == "slow_headers"


def test_a_slow_body_gets_408_and_is_cut_off(server: Live) -> None:
    status, error = error_of(server.say(POST + b"Content-Length: 10\r\n\r\nabc"))
    assert (status, error["reason"]) == (408, "slow_body")
    assert server.endpoint.admission.requests == 0


def test_a_chunked_body_that_turns_out_broken_gets_400(server: Live) -> None:
    status, _ = error_of(server.say(POST + b"Transfer-Encoding: chunked\r\n\r\n", b"2\r\nab\r\nzz\r\n"))
    assert status == 400


def test_lengths_that_contradict_each_other_get_400(server: Live) -> None:
    status, _ = error_of(server.say(POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"))
    assert status == 400


def test_a_length_beside_chunks_ends_the_connection(server: Live) -> None:
    both = POST + b"Content-Length: 9000000\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    response = server.say(both + b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n")
    # The chunks count; what follows may be part of the body to a proxy, and is not answered
    assert response.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in response.lower()
    assert response.endswith(b"abc")


def test_the_beginning_of_http_2_gets_one_answer(server: Live) -> None:
    response = server.say(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000"))
    assert response.count(b"HTTP/1.1 400") == 1
    status, error = error_of(response)
    assert (status, error["reason"]) == (400, "bad_request")
    assert "HTTP/1.1" in error["error"]


@pytest.mark.parametrize("target", [b"/tiny/encode", b"/nowhere", b"/health"])
def test_an_endless_body_is_answered_and_cut_off(server: Live, target: bytes) -> None:
    with server.connect() as client:
        client.sendall(b"POST " + target + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
        stop, sent = threading.Event(), 0

        def send() -> None:
            nonlocal sent
            try:
                while not stop.is_set():
                    client.sendall(chunk)
                    sent += 1
            except OSError:
                pass

        sender = threading.Thread(target=send)
        sender.start()
        head = read_head(client)
        assert int(head.split()[1]) in {404, 405, 413}
        assert b"connection: close" in head.lower()
        sender.join(10)  # the server closes, so that sending fails
        stop.set()
        assert not sender.is_alive()
        assert sent > 10


def test_a_refusal_does_not_wait_for_a_body_behind_expect(server: Live) -> None:
    response = server.say(POST + b"Content-Length: 9000000\r\nExpect: 100-continue\r\n\r\n")
    assert error_of(response)[0] == 413


def test_a_client_that_waits_for_100_continue_gets_it(server: Live) -> None:
    with server.connect() as client:
        client.sendall(POST + b"Content-Length: 3\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
        assert b"100 Continue" in client.recv(1000)
        client.sendall(b"abc")
        assert read_all(client).endswith(b"abc")


def test_a_client_that_goes_away_while_it_sends_is_forgotten(server: Live) -> None:
    with server.connect() as client:
        client.sendall(POST + b"Content-Length: 10\r\n\r\nabc")
    until(lambda: server.endpoint.admission.requests == 0)


def test_a_client_that_goes_away_before_its_turn_is_not_computed(server: Live) -> None:
    service = server.services["encode"]
    service.gate.clear()
    service.computing.clear()
    with server.connect() as first:
        first.sendall(POST + b"Content-Length: 5\r\nConnection: close\r\n\r\nfirst")
        assert service.computing.wait(10)
        with server.connect() as second:
            second.sendall(POST + b"Content-Length: 4\r\n\r\ngone")
            until(lambda: server.endpoint.device.waiting == 1)
        until(lambda: server.endpoint.device.waiting == 0)
        service.gate.set()
        assert read_all(first).endswith(b"first")
    assert b"gone" not in service.computed


def test_a_client_that_never_reads_is_dropped(server: Live) -> None:
    with server.connect(receive_buffer=4096) as client:
        client.sendall(
            b"POST /tiny/encode?size=30 HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n" + bytes(900_000)
        )
        until(lambda: server.endpoint.admission.requests == 1)
        until(lambda: server.endpoint.admission.requests == 0)
        with pytest.raises((ConnectionError, AssertionError)):
            assert len(read_all(client)) > 27_000_000


def test_a_client_that_never_reads_a_small_response_does_not_keep_its_connection() -> None:
    bounds = Bounds(queue=2, keep_alive_s=1, send_timeout_s=0.2)
    with live(bounds) as running, running.connect(receive_buffer=4096) as client:
        # Given a response that fits in the buffers between, but for the client's
        client.sendall(
            b"POST /tiny/encode?size=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + bytes(300_000)
        )
        until(lambda: running.server.server_state.total_requests == 1)
        until(lambda: not running.server.server_state.connections)


def test_an_idle_connection_is_closed(server: Live) -> None:
    with server.connect() as client:
        client.sendall(b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n")
        # Then the response is followed by the end, although nobody asked for it
        assert read_all(client).endswith(b'{"ready": true}')


def test_connections_are_bounded_and_further_ones_get_503() -> None:
    with live(Bounds(max_connections=2)) as running:
        held: list[socket.socket] = [running.connect() for _ in range(2)]
        until(lambda: len(running.server.server_state.connections) == 2)
        status, error = error_of(running.say(b""))
        assert (status, error["reason"]) == (503, "busy")
        for client in held:
            client.close()
        until(lambda: not running.server.server_state.connections)
        assert httpx2.get(f"{running.url}/ready").status_code == 200


def test_connections_that_only_announce_a_body_do_not_block_others() -> None:
    with live(replace(QUICK, body_timeout_s=20, held_bytes=1_500_000)) as running:
        # Given more of them than may be in flight, with more bytes announced than may be held
        silent = [running.connect() for _ in range(running.endpoint.bounds.in_flight + 14)]
        for client in silent:
            client.sendall(POST + b"Content-Length: 900000\r\n\r\nx")
        until(lambda: running.endpoint.admission.held_bytes == len(silent))
        # Then the next request is served
        assert httpx2.post(f"{running.url}/tiny/encode", content=b"fine").content == b"fine"
        for client in silent:
            client.close()
        until(lambda: running.endpoint.admission.held_bytes == 0)


def test_a_body_that_comes_at_more_than_the_slowest_rate_has_its_time() -> None:
    with live(replace(QUICK, body_timeout_s=0.1, slowest_rate=1.0)) as running, running.connect() as client:
        # Given a byte, which stands for a second more than the tenth of one
        client.sendall(POST + b"Content-Length: 3\r\nConnection: close\r\n\r\na")
        until(lambda: running.endpoint.admission.held_bytes == 1)
        threading.Event().wait(0.2)
        client.sendall(b"bc")
        assert read_all(client).endswith(b"abc")


def test_a_body_in_tiny_chunks_gets_400(server: Live) -> None:
    status, error = error_of(server.say(POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 5000))
    assert (status, error["reason"]) == (400, "bad_request")


def test_what_is_refused_before_its_headers_is_counted(server: Live) -> None:
    server.say(b"garbage\r\n\r\n")
    metrics = httpx2.get(f"{server.url}/metrics").text
    assert 'bench_endpoint_refused_total{reason="bad_request"}' in metrics


def test_a_client_that_sends_no_more_gets_its_answer(server: Live) -> None:
    service = server.services["encode"]
    service.gate.clear()
    service.computing.clear()
    with server.connect() as client:
        client.sendall(POST + b"Content-Length: 3\r\n\r\nabc")
        client.shutdown(socket.SHUT_WR)
        assert service.computing.wait(10)
        service.gate.set()
        assert read_all(client).endswith(b"abc")


def test_a_refused_body_that_comes_although_it_was_not_asked_for_does_not_lose_the_answer(server: Live) -> None:
    with server.connect() as client:
        client.sendall(POST + b"Content-Length: 9000000\r\nExpect: 100-continue\r\n\r\n" + bytes(9_000_000))
        answer = read_all(client)
    assert b" 413 " in answer


def test_a_dropped_client_is_counted_as_499(server: Live) -> None:
    def dropped() -> bool:
        return 'operation="encode",status="499"' in httpx2.get(f"{server.url}/metrics").text

    with server.connect(receive_buffer=4096) as client:
        client.sendall(
            b"POST /tiny/encode?size=30 HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n" + bytes(900_000)
        )
        client.recv(100)
    until(dropped)


def test_pipelined_requests_are_all_answered(server: Live) -> None:
    request = POST + b"Content-Length: 3\r\n\r\nabc"
    last = POST + b"Content-Length: 3\r\nConnection: close\r\n\r\nxyz"
    response = server.say(request + request + last)
    assert response.count(b"200 OK") == 3
    assert response.endswith(b"xyz")


def test_stopping_finishes_what_was_accepted() -> None:
    with live(QUICK) as running:
        service = running.services["encode"]
        service.gate.clear()
        with running.connect() as client:
            client.sendall(POST + b"Content-Length: 3\r\n\r\nabc")
            assert service.computing.wait(10)
            running.server.should_exit = True
            until(lambda: not running.server.servers[0].is_serving())
            service.gate.set()
            assert read_all(client).endswith(b"abc")
