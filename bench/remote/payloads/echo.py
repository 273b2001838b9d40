"""An endpoint on loopback whose every answer contains the SHA-256 of the received body."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer
from types import MappingProxyType

from bench.wire.messages import RECEIVED_HEADER

_MOST_BYTES = 64 * 2**20
_PIECE_BYTES = 2**20
_TIMEOUT_S = 30.0


class _Handler(BaseHTTPRequestHandler):
    timeout = _TIMEOUT_S

    def do_POST(self) -> None:
        """Answer with one byte, which diffusers' functions accept as a latent and as an image."""
        try:
            left = int(self.headers.get("Content-Length", ""))
        except ValueError:
            left = -1
        if not 0 <= left <= _MOST_BYTES:
            self._answer(413, json.dumps({"error": f"The body must have 0 to {_MOST_BYTES} bytes."}).encode())
            return
        digest = hashlib.sha256()
        while left and (piece := self.rfile.read(min(left, _PIECE_BYTES))):
            digest.update(piece)
            left -= len(piece)
        self._answer(200, bytes(1), {RECEIVED_HEADER: digest.hexdigest(), "shape": "[1]", "dtype": "uint8"})

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Log nothing."""


@contextmanager
def serving() -> Iterator[str]:
    """Run the endpoint on a free port of 127.0.0.1 until the end of the block. Yields its URL.

    It serves one request at a time.
    """
    with TCPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()
