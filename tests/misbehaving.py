"""An endpoint on loopback that does on demand what endpoints should not: its behaviour is the last part of the path."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from PIL import Image

#: Nothing waits longer than this, whatever a client does.
_PATIENCE_S = 20.0


def jpeg(width: int = 64, height: int = 64) -> bytes:
    """A grey picture."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "grey").save(buffer, "JPEG")
    return buffer.getvalue()


class Misbehaving(socketserver.ThreadingTCPServer):
    """Counts what it is asked, by path; `stop` ends every wait."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.authorizations: list[str | None] = []
        #: Of each request the target, what it says of its body and of the answer, and the body's digest.
        self.requests: list[tuple[str, str | None, str | None, str]] = []
        self.stop = threading.Event()
        self.one_at_a_time = threading.Lock()
        self.stalled = False
        #: What `given` answers, by a test.
        self.given = b""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: object) -> None:
        """A client that goes away is what these tests are about."""


class _Handler(socketserver.StreamRequestHandler):
    server: Misbehaving
    timeout = _PATIENCE_S

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            # the first byte of TLS ends it: what follows is random, and could look like a request that goes on
            while (line := self.rfile.readline(65536)).strip() and not line.startswith(b"\x16"):
                path = line.split()[1].decode().partition("?")[0]
                headers = dict(_headers(iter(self.rfile.readline, b"\r\n")))
                body = self.rfile.read(int(headers.get("content-length", 0)))
                self.server.asked.append(path)
                self.server.authorizations.append(headers.get("authorization"))
                details = (headers.get("content-type"), headers.get("accept"), hashlib.sha256(body).hexdigest())
                self.server.requests.append((line.split()[1].decode(), *details))
                if not _BEHAVIOURS.get(path.rpartition("/")[2], _good)(self, body, headers):
                    return

    def answer(self, status: int, body: bytes, length: int | None = None, **headers: str) -> bool:
        """Send a response; `length` is what Content-Length says, if it lies."""
        fields = {"Content-Length": str(len(body) if length is None else length), **headers}
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
        self.wfile.write(f"HTTP/1.1 {status} Said\r\n{lines}\r\n".encode() + body)
        return True


def _headers(lines: Iterator[bytes]) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, _, value = line.decode().partition(":")
        yield name.lower(), value.strip()


def _good(handler: _Handler, body: bytes, _: dict[str, str]) -> bool:
    timing = "receive;dur=0.1, queue;dur=0.2, deserialize;dur=0.3, compute;dur=4, serialize;dur=0.5"
    digest = hashlib.sha256(body).hexdigest()
    return handler.answer(200, jpeg(), x_received_sha256=digest, Server_Timing=timing)


def _tensor(handler: _Handler, body: bytes, _: dict[str, str]) -> bool:
    return handler.answer(200, bytes(64 * 64 * 3 * 4), shape="[1, 3, 64, 64]", dtype="float32")


def _drip(handler: _Handler, begin: bytes, piece: bytes, pause_s: float) -> bool:
    """A beginning, then a piece now and then until the test is over."""
    handler.wfile.write(begin)
    for _turn in range(1000):
        handler.wfile.write(piece)
        if handler.server.stop.wait(pause_s):
            break
    return False


def _endless(handler: _Handler, *_: object) -> bool:
    chunk = b"10000\r\n" + bytes(65536) + b"\r\n"
    return _drip(handler, b"HTTP/1.1 200 Said\r\nTransfer-Encoding: chunked\r\n\r\n", chunk, 0.01)


def _slow(handler: _Handler, *_: object) -> bool:
    handler.server.stop.wait(_PATIENCE_S)
    return False


def _dripping_headers(handler: _Handler, *_: object) -> bool:
    return _drip(handler, b"HTTP/1.1 200 Said\r\nX-Drip: ", b"x", 0.02)


def _dripping_body(handler: _Handler, *_: object) -> bool:
    return _drip(handler, b"HTTP/1.1 200 Said\r\nContent-Length: 5000\r\n\r\n", b"x", 0.02)


def _delayed(handler: _Handler, body: bytes, headers: dict[str, str]) -> bool:
    handler.server.stop.wait(0.05)
    return _good(handler, body, headers)


def _good_once(handler: _Handler, body: bytes, headers: dict[str, str]) -> bool:
    """A good answer to the first three requests, which are first calls; then refusals."""
    again = handler.server.asked.count("/good-once") > 2
    return handler.answer(404, b'{"error": "gone since"}') if again else _good(handler, body, headers)


def _good_ten_times(handler: _Handler, body: bytes, headers: dict[str, str]) -> bool:
    """A good answer to the first ten requests; then refusals."""
    again = handler.server.asked.count("/good-ten-times") > 10
    return handler.answer(404, b'{"error": "gone since"}') if again else _good(handler, body, headers)


def _closing(handler: _Handler, body: bytes, headers: dict[str, str]) -> bool:
    """A good answer, after which the connection ends without a word."""
    return _good(handler, body, headers) and False


def _stall(handler: _Handler, body: bytes, headers: dict[str, str]) -> bool:
    """One request at a time, and the first takes half a second."""
    with handler.server.one_at_a_time:
        if not handler.server.stalled:
            handler.server.stalled = True
            handler.server.stop.wait(0.5)
        return _good(handler, body, headers)


def _echo_secret(handler: _Handler, _: bytes, headers: dict[str, str]) -> bool:
    return handler.answer(401, json.dumps({"error": f"not {headers.get('authorization')}\x1b[2J"}).encode())


def _reset(handler: _Handler, *_: object) -> bool:
    linger = b"\x01\0\0\0\0\0\0\0"  # a reset instead of an end
    handler.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    return False


def _says(status: int, body: bytes, **headers: str) -> Callable[..., bool]:
    return lambda handler, *_: handler.answer(status, body, **headers)


_BEHAVIOURS: dict[str, Callable[..., bool]] = {
    "given": lambda handler, *_: handler.answer(200, handler.server.given),
    "tensor": _tensor,
    "truncated": lambda handler, *_: handler.answer(200, jpeg()[:100], length=5000) and False,
    "cut-image": _says(200, jpeg()[:-20]),
    "endless": _endless,
    "slow": _slow,
    "dripping": _dripping_headers,
    "stall": _stall,
    "dripping-body": _dripping_body,
    "good-once": _good_once,
    "good-ten-times": _good_ten_times,
    "delayed": _delayed,
    "closing": _closing,
    "three-tiles": lambda handler, *_: handler.answer(200, jpeg(), x_tiles="3"),
    "no-headers": _says(200, bytes(64 * 64 * 3 * 4)),
    "bad-headers": _says(200, bytes(100), shape="[[[", dtype="float7"),
    "short-tensor": _says(200, bytes(100), shape="[1, 3, 64, 64]", dtype="float32"),
    "other-shape": _says(200, bytes(12), shape="[1, 3, 1, 1]", dtype="float32"),
    "not-image": _says(200, b"<html>hello</html>"),
    "small-image": _says(200, jpeg(32, 32)),
    "empty": _says(200, b""),
    "text-503": _says(503, b"<html><h1>Service Unavailable</h1></html>", Retry_After="7"),
    "busy": _says(503, b'{"error": "The endpoint is busy.", "reason": "busy"}', Retry_After="1"),
    "out-of-memory": _says(507, b'{"error": "The device is full.", "reason": "out_of_memory"}'),
    "missing": _says(404, b'{"error": "no such model"}'),
    "redirect": _says(307, b"", Location="/good"),
    "wrong-digest": _says(200, jpeg(), x_received_sha256="0" * 64),
    "secret": _echo_secret,
    "reset": _reset,
}


@contextmanager
def misbehaving() -> Iterator[Misbehaving]:
    """The server, until the end of the block."""
    with Misbehaving() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.stop.set()
            server.shutdown()
            thread.join(5)
