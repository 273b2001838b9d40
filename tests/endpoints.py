"""Endpoints for tests: one with services that do as they are told, without a model, and the real one in a process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from processes import warm

from bench.endpoint import largest
from bench.endpoint import serving as serve
from bench.endpoint.auth import Bearer
from bench.endpoint.limits import Bounds
from bench.endpoint.state import Endpoint, LoadedModel, Machine, Offer
from bench.record import Device, Environment
from bench.wire.messages import Answer, Largest, Message, RefusedError, Size

ENVIRONMENT = Environment(python="3", packages={}, os="", host_cpu="", host_cores=1, host_ram_bytes=1)
#: Of a server that waits for nobody for long.
QUICK = Bounds(
    queue=2, header_timeout_s=0.3, body_timeout_s=0.4, send_timeout_s=0.4, linger_s=0.5, time_limit_s=5, keep_alive_s=1
)


def until(condition: Callable[[], bool], *, seconds: float = 10) -> None:
    """Wait until it holds; fails after so many seconds."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it did not come true")


class Tensor:
    """What takes memory."""


class FakeService:
    """Answers with the body it got, and takes those that begin with its name.

    The query says what else: nonsense, crash, oom, refuse, size, held, flops.
    """

    max_body_bytes = 1_000_000
    input_words = "something (of a test)"

    def __init__(self, name: str) -> None:
        self.name = name
        self.computing = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self.computed: list[bytes] = []
        #: What failed computes had in hand.
        self.tensors: list[weakref.ref[Tensor]] = []

    def read(self, message: Message) -> Message:
        if message.body == b"nonsense" or "nonsense" in dict(message.query):
            raise RefusedError(400, "it is nonsense")
        if message.body == b"too much":
            raise MemoryError
        return message

    def size(self, message: Message) -> Size:
        options = dict(message.query)
        return Size(int(options.get("flops", "1")), int(options.get("held", "0")))

    def takes(self, message: Message) -> bool:
        return message.body.startswith(self.name.encode())

    def rehearsals(self) -> Iterator[Sequence[Message]]:
        return iter(())

    def largest(self, message: Message, fits: Callable[[int], bool]) -> Largest:
        return largest.image(lambda side: fits(side * side * 1_000_000))

    def compute(self, message: Message) -> tuple[bytes, int]:
        options = dict(message.query)
        tensor = Tensor()
        self.tensors.append(weakref.ref(tensor))
        if "crash" in options:
            raise RuntimeError("a secret of the server's")
        if "refuse" in options:
            raise RefusedError(422, "it can't be computed", "not_finite")
        if "oom" in options:
            raise RefusedError(507, "out of memory", "out_of_memory")
        self.computing.set()
        assert self.gate.wait(20)
        self.computed.append(message.body)
        return message.body, int(options.get("size", "1"))

    def write(self, result: tuple[bytes, int]) -> Answer:
        body, times = result
        return Answer(body * times, "tensor/binary", {"shape": "[1]", "dtype": "uint8"})


@dataclass
class Live:
    """A running endpoint."""

    endpoint: Endpoint
    services: Mapping[str, FakeService]
    port: int
    server: serve.Server
    broken: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self, receive_buffer: int | None = None) -> socket.socket:
        """A raw connection."""
        client = socket.socket()
        if receive_buffer is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.settimeout(10)
        client.connect(("127.0.0.1", self.port))
        return client

    def say(self, *parts: bytes) -> bytes:
        """Send these bytes and read until the server closes."""
        with self.connect() as client:
            for part in parts:
                client.sendall(part)
            return read_all(client)


def read_all(client: socket.socket) -> bytes:
    """Everything until the other side closes."""
    received = b""
    while part := client.recv(65536):
        received += part
    return received


def read_head(client: socket.socket) -> bytes:
    """A response's head, and what came with it."""
    received = b""
    while b"\r\n\r\n" not in received and (part := client.recv(65536)):
        received += part
    return received


def error_of(response: bytes) -> tuple[int, dict[str, str]]:
    """Status and JSON of a raw response that ends with the connection."""
    head, _, body = response.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


@contextmanager
def live(
    bounds: Bounds = QUICK,
    token: str | None = None,
    operations: tuple[str, ...] = ("encode", "decode"),
    origins: tuple[str, ...] = (),
    model: str = "tiny",
    *,
    loaded: bool = True,
) -> Iterator[Live]:
    """Serve a model with fake services, on a thread of its own."""
    services = {name: FakeService(name) for name in operations}
    endpoint = Endpoint(Offer((model,), operations, "random"), bounds, Bearer.of(token, "TOKEN"), origins)
    listener = serve.listen("127.0.0.1", 0)
    server = serve.prepare(endpoint)
    running = Live(endpoint, services, listener.getsockname()[1], server)

    def check() -> None:
        if running.broken:
            raise RuntimeError(running.broken[0])

    endpoint.machine = Machine(Device(kind="cpu", name="fake"), ENVIRONMENT, check)
    if loaded:
        endpoint.models[model] = LoadedModel(model, "float32", 4, services)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    try:
        yield running
    finally:
        for service in services.values():
            service.gate.set()
        server.should_exit = True
        thread.join(20)
        endpoint.close(5)
        listener.close()
        assert not thread.is_alive()


@dataclass
class Child:
    """`bench serve` in a process of its own, ready."""

    process: subprocess.Popen[str]
    ready_message: dict[str, Any]
    stderr: Path

    @property
    def url(self) -> str:
        return str(self.ready_message["url"])

    def route(self, model: str, operation: str) -> str:
        """Where an operation is served."""
        return str(self.ready_message["models"][model][operation])

    def end(self, number: int = signal.SIGTERM, timeout_s: float = 30) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout_s)


@contextmanager
def serving(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Child]:
    """`bench serve --weights random --port 0 --json` with these arguments; killed at the end if it still runs."""
    command, environment = warm({**os.environ, **(env or {})})
    stderr = folder / "serve.err"
    with stderr.open("w") as errors:
        process = subprocess.Popen(
            [*command, "serve", "--weights", "random", "--port", "0", "--json", *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()  # ends if the process does
        assert line, stderr.read_text()
        yield Child(process, json.loads(line), stderr)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
