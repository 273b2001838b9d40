"""Requests of every wrong kind against `bench serve`: does it ever fail, hang or grow?

    python benchmarks/endpoint_fuzz.py [--requests 10000] [--warm-up 1000] [--seed 0] [--url http://127.0.0.1:8000]

Starts an endpoint with the tiny model on loopback (or takes the one at --url) and sends it seeded requests from four
threads, each over a connection of its own: valid ones, valid ones with their query, headers or body broken, bombs,
wrong lengths, half requests whose client goes away, what a browser asks, and bytes that are no HTTP. Counts the answers
by status. The resident set of the endpoint is read after the warm-up and at the end. Exits with 1 if there was a 5xx
other than 503 and 507, an answer without JSON, a request that got no answer in time or lost its connection, a valid one
that was not served, or if memory grew by more than 5%.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import random
import re
import socket
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

import psutil

from bench.remote import loopback

THREADS = 4
#: Longer than any limit of the endpoint that is started here.
HANG_S = 30.0
MOST_GROWTH = 0.05
LIMITS = ("--max-pixels", "256x256", "--body-timeout", "1", "--time-limit", "20", "--cors", "https://page.example")
NASTY = (
    *("", "0", "-1", "1e999", "nan", "inf", "-inf", "99999999999999999999", "1.5", "true", "True", "None", "[]", "{}"),
    *("\x00", "é", "%", "float64", "float16", "uint8", "pil", "pt", "mp4", "gif", "a" * 3000, "1,4,8,8", "2147483648"),
)
NAMES = (
    *("shape", "dtype", "output_type", "image_format", "partial_postprocess", "scaling_factor", "shift_factor"),
    *("do_scaling", "height", "width", "input_tensor_type", "unknown"),
)
TYPES = ("tensor/binary", "tensor/base64", "application/json", "image/png", "image/jpeg", "text/plain", "*/*", "", "x")
ORIGINS = (
    *("https://page.example", "https://other.example", "https://page.example\u00e9", "null"),
    *("", "*", "x" * 3000, "\x01"),
)
HEADERS = (
    *(("Content-Encoding", "gzip"), ("Authorization", "Bearer \u00e9")),
    *(("Expect", "100-continue"), ("Expect", "200-ok")),
    *(("Upgrade", "h2c"), ("Upgrade", "websocket"), ("Connection", "upgrade, close"), ("Range", "bytes=0-1")),
    *(("Transfer-Encoding", "gzip, chunked"), ("Content-Type", "tensor/binary; " * 500), ("Accept", "," * 3000)),
    *(("Host", "y"), ("X-Forwarded-For", "1, " * 1000), ("Content-Length", "0"), ("X-Odd", "\u00e9" * 9000)),
)
#: `100 Continue`, which an answer follows.
INTERIM = re.compile(rb"\AHTTP/1\.1 1\d\d .*?\r\n\r\n", re.DOTALL)
Query = list[tuple[str, str]]


@dataclass(slots=True)
class Request:
    """What is sent.

    Attributes:
        stop: after how many bytes the client stops.
        gone: and closes the connection.
        chunks: bytes of a chunk, where the body goes in chunks.
        kept: it is sent twice, over the same connection.
        valid: it must be answered with 200.
        loose: the connection may be closed without an answer: it is no HTTP, or not all of it.
    """

    path: str
    query: Query
    body: bytes
    headers: list[tuple[str, str]] = field(default_factory=list)
    method: str = "POST"
    length: int | None = None
    raw: bytes | None = None
    stop: int | None = None
    gone: bool = False
    chunks: int | None = None
    kept: bool = False
    valid: bool = False
    loose: bool = False

    def wire(self) -> bytes:
        """The bytes on the wire."""
        if self.raw is not None:
            return self.raw
        query = "&".join(f"{quote(name)}={quote(value)}" for name, value in self.query)
        length = len(self.body) if self.length is None else self.length
        framing = ("Transfer-Encoding", "chunked") if self.chunks else ("Content-Length", str(length))
        headers = [("Host", "x"), ("Connection", "keep-alive" if self.kept else "close"), framing, *self.headers]
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        wire = f"{self.method} {self.path}?{query} HTTP/1.1\r\n{lines}\r\n".encode("latin-1", "replace")
        wire += _chunked(self.body, self.chunks) if self.chunks else self.body
        return wire if self.stop is None else wire[: self.stop]


def _chunked(body: bytes, size: int) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (*parts, b""))


def png(width: int, height: int, rows: bytes, *extra: bytes) -> bytes:
    """A PNG in RGB whose header says this size, whatever the rows hold."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    middle = b"".join(chunk(b"zTXt", text) for text in extra)
    return b"\x89PNG\r\n\x1a\n" + header + middle + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


ZEROS = bytes(3 * 4_000_000)
BOMBS = (
    png(100_000, 1, bytes(300_001)),
    png(60_000, 60_000, ZEROS),
    png(2, 2**31 - 1, ZEROS),
    png(64, 64, ZEROS),
    png(64, 64, bytes(64 * 193), b"text\x00\x00" + zlib.compress(ZEROS, 1)),
    png(0, 0, b""),
    b"\xff\xd8\xff\xe0" + bytes(1000),
    b"GIF89a" + bytes(100),
)


#: Of few bytes, and of gigabytes if all of it were parsed.
JSON_BOMBS = (
    b'{"inputs": "AAAA", "x": [' + b"[]," * 100_000 + b"0]}",
    b'{"x": [' + b"{}," * 100_000 + b'0], "inputs": "AAAA"}',
    b'{"inputs": "' + b"A" * 300_000,
    b"[" * 300_000,
    b'{"inputs": "AAAA", "parameters": {"shape": [' + b"1," * 15_000 + b"1]}}",
)


class Fuzzer:
    """Requests from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - seeded on purpose
        self._kinds: tuple[tuple[Callable[[], Request], int], ...] = (
            (self._valid_one, 20),
            (self._chunked, 5),
            (self._kept, 5),
            (self._broken_query, 30),
            (self._broken_body, 15),
            (self._broken_headers, 10),
            (self._bomb, 4),
            (self._wrong_length, 2),
            (self._half, 5),
            (self._garbage, 6),
            (self._elsewhere, 4),
            (self._browser, 3),
            (self._two_lengths, 2),
            (self._hostile_header, 4),
        )

    def next(self) -> Request:
        """One more request."""
        kinds, weights = zip(*self._kinds, strict=True)
        return self._random.choices(kinds, weights)[0]()

    def _valid_one(self) -> Request:
        request = self._valid()
        request.valid = not self._asks_for_a_file_of_many(request)
        return request

    def _asks_for_a_file_of_many(self, request: Request) -> bool:
        """Whether it wants several pictures in an image file."""
        accept = dict(request.headers).get("Accept", "")
        a_file = accept.startswith("image/") or (accept == "*/*" and ("output_type", "pil") in request.query)
        return ("shape", "2") in request.query[2:3] and a_file

    def _chunked(self) -> Request:
        request = self._valid_one()
        request.chunks = self._random.choice((64, 100, 1000, 1_000_000))
        return request

    def _kept(self) -> Request:
        request = self._valid_one()
        request.kept = True
        return request

    def _valid(self) -> Request:
        """A good request, at the operation's address or the model's, with or without a slash at its end."""
        kinds = (self._decode, self._decode, self._encode_tensor, self._encode_image, self._legacy)
        request = self._random.choice(kinds)()
        request.path = self._random.choice((request.path, f"{request.path}/", "/tiny", "/tiny/"))
        return request

    def _decode(self) -> Request:
        pick = self._random.choice
        rows, columns, batch = pick((4, 8, 16)), pick((4, 8, 16)), pick((1, 1, 2))
        kind, width = pick((("float16", 2), ("bfloat16", 2), ("float32", 4)))
        packed = pick((False, False, True))
        shape = (batch, rows * columns // 4, 16) if packed else (batch, 4, rows, columns)
        size = [("height", str(rows * 2)), ("width", str(columns * 2))] if packed else []
        query = [("image_format", pick(("jpg", "png"))), ("output_type", pick(("pil", "pt"))), *shaped(shape), *size]
        query += [("partial_postprocess", pick(("True", "False"))), ("dtype", kind)]
        accept = pick(("tensor/binary", "image/jpeg", "image/png", "*/*"))
        count = batch * rows * columns * 4 * width
        return Request("/tiny/decode", query, bytes(count), [("Content-Type", "tensor/binary"), ("Accept", accept)])

    def _encode_tensor(self) -> Request:
        side = self._random.choice((16, 16, 32))
        query = [*shaped((1, 3, side, side)), ("dtype", "float32"), ("scaling_factor", "0.5")]
        return Request("/tiny/encode", query, bytes(12 * side * side))

    def _encode_image(self) -> Request:
        width, height = self._random.choice(((16, 16), (32, 16), (33, 17), (96, 64)))
        return Request("/tiny/encode", [], png(width, height, bytes(height * (1 + 3 * width))))

    def _legacy(self) -> Request:
        body = json.dumps(
            {
                "inputs": base64.b64encode(bytes(4 * 4 * 64)).decode(),
                "parameters": {"shape": [1, 4, 8, 8], "dtype": "float32"},
            }
        )
        accept = self._random.choice(("tensor/base64", "tensor/binary"))
        return Request("/tiny/decode", [], body.encode(), [("Content-Type", "tensor/base64"), ("Accept", accept)])

    def _broken_query(self) -> Request:
        request, pick = self._valid(), self._random.choice
        for _ in range(pick((1, 1, 2, 5))):
            place = self._random.randrange(len(request.query) + 1)
            change = pick(("drop", "double", "value", "add", "swap"))
            if change == "add" or place == len(request.query):
                request.query.insert(place, (pick(NAMES), pick(NASTY)))
            elif change == "drop":
                del request.query[place]
            elif change == "double":
                request.query.insert(place, request.query[place])
            elif change == "value":
                request.query[place] = (request.query[place][0], pick(NASTY))
            else:
                request.query[place] = (pick(NAMES), request.query[place][1])
        return request

    def _broken_body(self) -> Request:
        request = self._valid()
        body = bytearray(request.body)
        change = self._random.choice(("cut", "longer", "flip", "noise", "nan", "empty", "other"))
        if change == "cut":
            del body[self._random.randrange(len(body)) :]
        elif change == "longer":
            body += self._random.randbytes(self._random.randrange(1, 5000))
        elif change == "flip":
            for _ in range(10):
                body[self._random.randrange(len(body))] ^= self._random.randrange(1, 256)
        elif change == "noise":
            body[:] = self._random.randbytes(len(body))
        elif change == "nan":
            body[:] = b"\xff" * len(body)
        else:
            body[:] = b"" if change == "empty" else self._valid().body
        request.body = bytes(body)
        return request

    def _broken_headers(self) -> Request:
        request, pick = self._valid(), self._random.choice
        request.headers = [("Content-Type", pick(TYPES)), ("Accept", pick(TYPES))]
        if pick((True, False)):
            names = ("Content-Encoding", "Authorization", "Expect", "Upgrade", "Range", "X-Odd", "Cookie")
            request.headers.append(
                (pick(names), pick(("gzip", "100-continue", "identity", "websocket", "é", "x" * 9000)))
            )
        return request

    def _bomb(self) -> Request:
        if self._random.random() < 0.3:
            kind = self._random.choice(("tensor/base64", "application/json"))
            return Request("/tiny/decode", [], self._random.choice(JSON_BOMBS), [("Content-Type", kind)])
        return Request("/tiny/encode", [], self._random.choice(BOMBS))

    def _wrong_length(self) -> Request:
        request = self._valid()
        request.loose = True
        request.length = self._random.choice((0, 1, len(request.body) - 1, len(request.body) + 5, 10**12, -1))
        return request

    def _half(self) -> Request:
        request = self._valid()
        request.loose = True
        request.stop = self._random.randrange(len(request.wire()))
        request.gone = self._random.random() < 0.9
        return request

    def _garbage(self) -> Request:
        pick = self._random.choice
        raw = pick(
            (
                self._random.randbytes(self._random.randrange(1, 3000)),
                b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000,
                b"POST /tiny/decode HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: x\r\n\r\nzz\r\n",
                b"POST /tiny/decode HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
                b"\r\n" * 100,
                b"POST /tiny/decode HTTP/1.1\nHost: x\n\n",
                b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
                b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n" * 20,
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
                b"GET /ready HTTP/3.0\r\nHost: x\r\n\r\n",
                b"OPTIONS * HTTP/1.1\r\nHost: x\r\nOrigin: https://page.example\r\n\r\n",
            )
        )
        return Request("", [], b"", raw=raw, gone=True, loose=True)

    def _browser(self) -> Request:
        request, pick = self._valid(), self._random.choice
        request.headers.append(("Origin", pick(ORIGINS)))
        if pick((True, False)):
            request.method, request.body = "OPTIONS", b""
            asked = ("POST", "GET", "", "x" * 500)
            request.headers.append(("Access-Control-Request-Method", pick(asked)))
            request.headers.append(("Access-Control-Request-Headers", pick(("content-type", "*", "x," * 1000))))
        return request

    def _two_lengths(self) -> Request:
        request = self._valid()
        request.loose = True
        request.chunks = 1000
        request.headers.append(("Content-Length", str(self._random.choice((0, 1, len(request.body), 10**12)))))
        return request

    def _hostile_header(self) -> Request:
        request = self._valid()
        request.loose = True
        request.headers += self._random.sample(HEADERS, 2)
        return request

    def _elsewhere(self) -> Request:
        request, pick = self._valid(), self._random.choice
        request.path = pick(
            (
                *("/", "/health", "/ready", "/metrics", "/tiny", "/tiny/decode/", "/../etc", "/%00", "/é"),
                *("/health/", "//", "//tiny", "/tiny//decode", "/tiny/encode", "/tiny/decode", "/flux/", "/" * 3000),
            )
        )
        request.method = pick(("GET", "PUT", "DELETE", "HEAD", "OPTIONS", "POST", "TRACE", "get"))
        return request


def shaped(shape: tuple[int, ...]) -> Query:
    """The repeated key."""
    return [("shape", str(size)) for size in shape]


def send(address: tuple[str, int], request: Request) -> str:
    """The status of the answer, or what came instead: `hang`, `closed`, `no json`, `lost` or `unserved`.

    A connection may be `closed` where the request was no whole one; else its answer is `lost`. `unserved` is a valid
    request that was not answered with 200.
    """
    begun = time.monotonic()
    try:
        with socket.create_connection(address, timeout=HANG_S) as client:
            told = _exchange(client, request)
    except TimeoutError:
        return "hang"
    except OSError:
        told = "reset"
    if time.monotonic() - begun > HANG_S:
        return "hang"
    if told in {"closed", "reset"}:
        return "closed" if request.loose else f"lost ({told})"
    return f"unserved ({told})" if request.valid and told != "200" else told


def _exchange(client: socket.socket, request: Request) -> str:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may be answered before all of it is read
        client.sendall(request.wire())
    if request.gone and request.raw is None:
        return "left"
    if request.gone:
        client.shutdown(socket.SHUT_WR)
    if request.kept:
        first = _answer(client, request)
        if first != "200":
            return first
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(request.wire())
    return _answer(client, request)


def _answer(client: socket.socket, request: Request) -> str:
    received = b""
    while not _whole(received, request.method) and (part := client.recv(65536)):
        received = INTERIM.sub(b"", received + part)
    if not received.startswith(b"HTTP/1.1 "):
        return "closed"
    status = received[9:12].decode()
    head, _, body = received.partition(b"\r\n\r\n")
    if status.startswith(("4", "5")) and request.method != "HEAD" and not _is_error(body):
        return f"no json ({head[:100]!r})"
    return status


def _whole(received: bytes, method: str) -> bool:
    """Whether this is all of a response; further ones of the same connection are not waited for."""
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return False
    length = re.search(rb"\r\ncontent-length: (\d+)", head.lower())
    return method == "HEAD" or (length is not None and len(body) >= int(length[1]))


def _is_error(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body)["error"], str)
    except (ValueError, KeyError, TypeError):
        return False


def works(address: tuple[str, int]) -> bool:
    """Whether a good request is served as it should be."""
    query = [*shaped((1, 4, 8, 8)), ("dtype", "float32"), ("output_type", "pt")]
    return send(address, Request("/tiny/decode", query, bytes(1024), [("Accept", "tensor/binary")])) == "200"


@contextmanager
def endpoint(url: str | None) -> Iterator[tuple[tuple[str, int], psutil.Process | None]]:
    """The address of the endpoint, and its process if it was started here."""
    if url is not None:
        parts = urlsplit(url)
        yield (parts.hostname or "127.0.0.1", parts.port or 80), None
        return
    # one thread: it is not about computing
    with loopback.serving(["tiny"], arguments=LIMITS, env={"OMP_NUM_THREADS": "1"}) as server:
        yield (server.address.host, server.address.port), psutil.Process(server.pid)


def run(address: tuple[str, int], requests: list[Request]) -> Counter[str]:
    """Send them all; how many got what."""
    with ThreadPoolExecutor(THREADS) as pool:
        return Counter(pool.map(lambda request: send(address, request), requests))


def wrong(counts: Counter[str]) -> list[str]:
    """The outcomes that must not be."""
    allowed_5xx = {"503", "507"}
    return [
        told
        for told in counts
        if told.startswith(("hang", "no json", "lost", "unserved"))
        or (told.startswith("5") and told not in allowed_5xx)
    ]


def main() -> int:
    """Print the counts and the growth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--warm-up", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--url")
    arguments = parser.parse_args()
    fuzzer = Fuzzer(arguments.seed)
    counts: Counter[str] = Counter()
    resident: list[int] = []
    begun = time.monotonic()
    with endpoint(arguments.url) as (address, process):
        parts = (arguments.warm_up, arguments.requests - arguments.warm_up)
        for count in parts if process else (arguments.requests,):
            counts += run(address, [fuzzer.next() for _ in range(count)])
            if process:
                resident.append(process.memory_info().rss)
        good = works(address)
    seconds = time.monotonic() - begun
    print(f"{arguments.requests} requests of seed {arguments.seed} in {seconds:.0f} s")
    for told, count in sorted(counts.items()):
        print(f"  {told:<8} {count:>6}")
    failures = wrong(counts) + ([] if good else ["a good request does not work afterwards"])
    if resident:
        growth = resident[1] / resident[0] - 1
        mib = [f"{size / 2**20:.0f}" for size in resident]
        print(f"resident after {arguments.warm_up}: {mib[0]} MiB, at the end: {mib[1]} MiB, growth {growth:+.1%}")
        failures += [f"memory grew by {growth:.1%}"] if growth > MOST_GROWTH else []
    print("failed: " + "; ".join(failures) if failures else "no failure, and a good request works afterwards")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
