"""Counting in the checking process: what it compares, and the echo that it sends to."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from bench.doctor import PayloadKind
from bench.remote.payloads import bytes_of, check, echo
from bench.remote.payloads.layouts import LAYOUTS
from bench.remote.payloads.lines import Ask
from bench.wire.messages import RECEIVED_HEADER

torch = pytest.importorskip("torch")


def a_kind(**fields: Any) -> PayloadKind:
    return PayloadKind(**{"layout": "permuted", "operation": "decode", "dtype": "float16", "remedied": False} | fields)


def asked(tries: int) -> Ask:
    return Ask(layouts=(), tries=tries, side=16)


def as_it_lies(operation: str, tensor: torch.Tensor) -> str:
    """A client that sends the memory as it lies, as diffusers' decode does."""
    memory = torch.as_strided(tensor, (tensor.numel(),), (1,))
    return hashlib.sha256(bytes_of(memory)).hexdigest()


def test_payloads_in_another_order_are_counted_and_the_remedy_mends_them() -> None:
    counts = [
        check.count(a_kind(remedied=remedied), LAYOUTS["permuted"], asked(3), as_it_lies) for remedied in (False, True)
    ]
    assert [(count.sent, count.differing) for count in counts] == [(3, 3), (3, 0)]


def test_each_payload_has_other_values_so_that_stale_memory_shows() -> None:
    seen: list[str] = []

    def deliver(operation: str, tensor: torch.Tensor) -> str:
        seen.append(hashlib.sha256(bytes_of(tensor)).hexdigest())
        return seen[-1]

    assert check.count(a_kind(), LAYOUTS["contiguous"], asked(4), deliver).differing == 0
    assert len(set(seen)) == 4


def test_a_client_s_error_is_reported_with_the_payloads_sent_before() -> None:
    sent: list[torch.Tensor] = []

    def deliver(operation: str, tensor: torch.Tensor) -> str:
        if len(sent) == 2:
            raise RuntimeError("no\nroute")
        sent.append(tensor)
        return as_it_lies(operation, tensor)

    count = check.count(a_kind(), LAYOUTS["contiguous"], asked(4), deliver)
    assert (count.sent, count.differing, count.error) == (2, 0, "RuntimeError: no route")


def test_what_may_end_the_process_comes_last() -> None:
    order = list(check.kinds("sliced"))
    assert [kind.remedied for kind in order] == [True] * 6 + [False] * 6
    assert {kind.dtype for kind in order} == {"float16", "bfloat16", "float32"}


# --- the echo


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with echo.serving() as url:
        yield url


def post(url: str, body: bytes, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request("POST", "/", body, headers)
    answer = connection.getresponse()
    answered = (answer.status, dict(answer.getheaders()), answer.read())
    connection.close()
    return answered


@pytest.mark.parametrize("body", [b"", b"abc", bytes(3 * 2**20)])
def test_the_echo_says_the_digest_of_the_body(url: str, body: bytes) -> None:
    status, headers, _ = post(url, body)
    assert status == 200
    assert headers[RECEIVED_HEADER] == hashlib.sha256(body).hexdigest()
    assert json.loads(headers["shape"]) == [1]


@pytest.mark.parametrize("length", ["-1", "many", str(2**40)])
def test_the_echo_refuses_a_body_without_bounds_and_goes_on(url: str, length: str) -> None:
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(f"POST / HTTP/1.0\r\nContent-Length: {length}\r\n\r\n".encode())
        assert b"413" in connection.recv(64)
    assert post(url, b"next")[0] == 200


# --- through a client


def stub_client(post: Callable[..., Any]) -> SimpleNamespace:
    """A `remote_utils` whose functions post through its `requests`, and fail on what is no 200."""
    utils = SimpleNamespace(requests=SimpleNamespace(post=post))

    def send(url: str, tensor: torch.Tensor, **_: object) -> None:
        if utils.requests.post(url, data=b"").status != 200:
            raise RuntimeError("refused")

    utils.remote_encode = utils.remote_decode = send
    return utils


@pytest.mark.parametrize("status", [200, 400])
def test_the_received_digest_is_reported_even_if_the_payload_was_refused(status: int) -> None:
    utils = stub_client(lambda *_, **__: SimpleNamespace(status=status, headers={RECEIVED_HEADER: "ab12"}))
    deliver = check._deliver(utils, {"encode": "http://e", "decode": "http://d"})
    assert deliver("encode", torch.zeros(1)) == "ab12"


def test_an_endpoint_without_a_checksum_is_an_error() -> None:
    deliver = check._deliver(
        stub_client(lambda *_, **__: SimpleNamespace(status=200, headers={})), {"decode": "http://d"}
    )
    with pytest.raises(RuntimeError, match=RECEIVED_HEADER):
        deliver("decode", torch.zeros(1))
