"""Requests of this project's own client to an endpoint over a path, and the path without either. Needs httpx2."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path as File

from bench.remote import http
from bench.wire.address import Address, Endpoints, Redactor, parse
from shaped_path.joined import Joined, process

_TIMEOUT_S = 60.0
_MOST_BYTES = 2**28
#: Of the bodies that measure a rate: slow start is over by their second half.
_BULK_S = 1.5
_TINY_EXCHANGES = 20


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files of a certificate that signed itself, and of its key."""

    certificate: File
    key: File


@dataclass(frozen=True, slots=True)
class Sample:
    """One request: seconds of all of it, until its last byte was at the server (not a number where the server does not
    say), and what the server computed or waited; bytes of the answer's body."""

    wall_s: float
    sent_s: float
    waited_s: float
    received_bytes: int


@dataclass(frozen=True, slots=True)
class Bare:
    """The path alone: seconds there and back for a packet, and payload bits per second both ways."""

    rtt_s: float
    up_bit_s: float
    down_bit_s: float


def certify(folder: File, *hosts: str) -> Certificate:
    """A certificate for these addresses, good for a day. Raises OSError or CalledProcessError without openssl."""
    made = Certificate(folder / "cert.pem", folder / "key.pem")
    names = ",".join(f"IP:{host}" for host in hosts)
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=path", "-addext"]
    files = ["-keyout", str(made.key), "-out", str(made.certificate)]
    subprocess.run([*command, f"subjectAltName={names}", *files], check=True, capture_output=True)  # noqa: S603
    return made


def trust(certificate: Certificate) -> None:
    """Let this process's client believe it, and let no proxy stand before an address of this machine."""
    os.environ.update(SSL_CERT_FILE=str(certificate.certificate), NO_PROXY="*", no_proxy="*")
    http.tls_context.cache_clear()


@dataclass(frozen=True, slots=True)
class Place:
    """One endpoint as the client's side finds it over the path, and as the server's own side finds it, over nothing."""

    over_path: Address
    beside: Address


@contextmanager
def endpoint(joined: Joined, certificate: Certificate | None = None) -> Iterator[Place]:
    """The endpoint that computes nothing, on the server's side; over TLS where there is a certificate."""
    files = (certificate.certificate, certificate.key) if certificate else ()
    with ExitStack() as stack:
        with joined.server_side():
            child = stack.enter_context(process("endpoint", (joined.server_host, *files)))
        assert child.stdout is not None  # noqa: S101 - Popen with PIPE sets it
        yield place(joined, "https" if certificate else "http", int(child.stdout.readline()))


def place(joined: Joined, scheme: str, port: int) -> Place:
    """Both ways to a port of the server's side."""
    host, reached = joined.reach(port)
    return Place(parse(f"{scheme}://{host}:{reached}/"), parse(f"{scheme}://{joined.server_host}:{port}/"))


class Caller:
    """Our client over one kind of connection, with one request."""

    def __init__(self, post: http.Post, *, kept: bool) -> None:
        redact = Redactor(Endpoints(base=post.address), None)
        self._client = http.Client(post.address, None, redact, kept=kept)
        self._post = post
        self.last = 0.0

    def call(self) -> Sample:
        """One request; this thread is on the side that it comes from."""
        begin = time.monotonic()
        reply = self._client.post(self._post, begin + _TIMEOUT_S, _MOST_BYTES)
        self.last = time.monotonic()
        return Sample(
            wall_s=self.last - begin,
            sent_s=float(reply.headers.get("received", "nan")) - begin,
            waited_s=timing(reply.headers["server-timing"])["compute"],
            received_bytes=len(reply.content),
        )

    def close(self) -> None:
        """Close its connection."""
        self._client.close()


def asked(address: Address, up_bytes: int, down_bytes: int, wait_s: float) -> http.Post:
    """A request to the endpoint that computes nothing, with bodies of these sizes."""
    return http.Post(address, {"size": down_bytes, "wait": wait_s}, {}, os.urandom(up_bytes))


def timing(header: str) -> dict[str, float]:
    """Seconds by name, of a Server-Timing header."""
    parts = (part.strip().partition(";dur=") for part in header.split(","))
    return {name: float(milliseconds) / 1e3 for name, _, milliseconds in parts}


def bare(joined: Joined, address: Address) -> Bare:
    """What the path is, by one plain connection to the endpoint: no client of ours, no model."""
    with joined.client_side(), socket.create_connection((address.host, address.port), _TIMEOUT_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tiny = [_exchange(connection, 1, 1).wall_s for _ in range(_TINY_EXCHANGES)]
        down = int(joined.path.down_bit_s / 8 * _BULK_S)
        up = int(joined.path.up_bit_s / 8 * _BULK_S)
        download = _exchange(connection, 1, down)
        upload = _exchange(connection, up, 1)
    return Bare(min(tiny), up // 2 * 8 / upload.up_half_s, down // 2 * 8 / download.down_half_s)


@dataclass(frozen=True, slots=True)
class _Exchange:
    wall_s: float
    up_half_s: float
    down_half_s: float


def _exchange(connection: socket.socket, up: int, down: int) -> _Exchange:
    """One request by hand; the second half of what comes is timed."""
    begin = time.monotonic()
    head = f"POST /?size={down}&wait=0 HTTP/1.1\r\nContent-Length: {up}\r\n\r\n"
    connection.sendall(head.encode() + bytes(up))
    with connection.makefile("rb") as answer:
        fields = dict(line.decode().strip().split(": ", 1) for line in iter(answer.readline, b"\r\n") if b": " in line)
        answer.read(down - down // 2)
        middle = time.monotonic()
        answer.read(down // 2)
        end = time.monotonic()
    return _Exchange(end - begin, timing(fields["Server-Timing"])["half"], end - middle)
