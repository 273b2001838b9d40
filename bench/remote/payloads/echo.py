"""An endpoint on loopback that says with every answer the SHA-256 of the body that it was sent. Never loads torch."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer
from types import MappingProxyType, TracebackType

from bench.wire.messages import RECEIVED_HEADER

_MOST_BYTES = 64 * 2**20
_PIECE_BYTES = 2**20
_TIMEOUT_S = 30.0


class _Handler(BaseHTTPRequestHandler):
    timeout = _TIMEOUT_S

    def do_POST(self) -> None:
        """Answer what passes for latents and for an image in diffusers' functions: one byte."""
        try:
            left = int(self.headers.get("Content-Length", ""))
        except ValueError:
            left = -1
        if not 0 <= left <= _MOST_BYTES:
            self._answer(413, json.dumps({"error": f"The body must have 0 to {_MOST_BYTES} bytes."}).encode())
            return
        found = hashlib.sha256()
        while left and (piece := self.rfile.read(min(left, _PIECE_BYTES))):
            found.update(piece)
            left -= len(piece)
        self._answer(200, bytes(1), {RECEIVED_HEADER: found.hexdigest(), "shape": "[1]", "dtype": "uint8"})

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the base class gives it
        """Say nothing on standard error."""


class Echo:
    """The endpoint, while the `with` block lasts: on 127.0.0.1 at a port that is free, one request at a time."""

    def __init__(self) -> None:
        self._server = TCPServer(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """Where requests go."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def __enter__(self) -> Echo:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
