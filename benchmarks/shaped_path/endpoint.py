"""An endpoint that computes nothing: it reads the whole body, waits, and answers with as many bytes as the query asks.

    python -m shaped_path.endpoint HOST [CERTIFICATE KEY]

HTTP/1.1 with Content-Length, over TLS where a certificate is given. The query has `wait` (seconds) and `size` (bytes).
Prints its port. `Server-Timing` has the seconds from the body's last byte to the answer's first (`compute`) and those
that the second half of the body took (`half`); `Received` is the moment of the last byte (time.monotonic, one clock for
all processes of a machine). Ends when its standard input closes.
"""

from __future__ import annotations

import socket
import socketserver
import ssl
import sys
import time
from typing import BinaryIO
from urllib.parse import parse_qs, urlsplit

from bench.process import lifeline

_PIECE = 65536


class Connection(socketserver.StreamRequestHandler):
    """Answers request after request. Head and body are written at once, without Nagle's delay."""

    disable_nagle_algorithm = True

    def handle(self) -> None:
        """Until the client closes."""
        while line := self.rfile.readline():
            asked = parse_qs(urlsplit(line.split()[1].decode()).query)
            half_s = read_body(self.rfile, _content_length(self.rfile))
            received = time.monotonic()
            time.sleep(float(asked["wait"][0]))
            body = bytes(int(asked["size"][0]))
            compute_s = time.monotonic() - received
            head = (
                "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
                f"Content-Length: {len(body)}\r\nReceived: {received!r}\r\n"
                f"Server-Timing: compute;dur={compute_s * 1e3!r}, half;dur={half_s * 1e3!r}\r\n\r\n"
            )
            self.wfile.write(head.encode() + body)


class Server(socketserver.ThreadingTCPServer):
    """A thread for each connection; the handshake of TLS happens there."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, host: str, tls: ssl.SSLContext | None) -> None:
        super().__init__((host, 0), Connection)
        self._tls = tls

    def get_request(self) -> tuple[socket.socket, object]:
        """A connection."""
        plain, peer = super().get_request()
        if self._tls is None:
            return plain, peer
        return self._tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), peer

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that is gone is no news."""


def read_body(source: BinaryIO, count: int) -> float:
    """Seconds that the second half took."""
    _read(source, count - count // 2)
    begun = time.monotonic()
    _read(source, count // 2)
    return time.monotonic() - begun


def _read(source: BinaryIO, count: int) -> None:
    while count > 0:
        count -= len(source.read(min(count, _PIECE))) or count


def _content_length(source: BinaryIO) -> int:
    """What the rest of the head says."""
    length = 0
    while (line := source.readline()).strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return length


def main() -> None:
    """Serve at the host of the command line."""
    lifeline.die_with()
    host, *certificate = sys.argv[1:]
    tls = None
    if certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*certificate)
    lifeline.requests()
    with Server(host, tls) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
