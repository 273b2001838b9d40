"""The clients that are measured: diffusers' own functions, and this program's client, which sends the same requests.

How often a client is called is decided elsewhere.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from bench.record import Exchange, ServerTimes, Split, TimedOut, Timing
from bench.remote import failures
from bench.remote.http import Client, Reply
from bench.remote.leash import CutOffError, Leash, MemoryGrowthError, OutOfTimeError
from bench.remote.request_body import CasePayload
from bench.wire.address import Address, Redactor, Token
from bench.wire.messages import RECEIVED_HEADER, TILES_HEADER

#: Bytes by which this process may grow during a call of diffusers' client, which reads answers of any length.
_MOST_GROWTH = 512 * 2**20
_SPLIT = ("prepare_s", "connect_s", "tls_s", "upload_s", "server_s", "download_s", "decode_s")
_SERVER = ("receive", "queue", "deserialize", "compute", "serialize")


@dataclass(frozen=True, slots=True)
class CaseRequest:
    """The requests of one case: address, payload, token, time-out, and the deadline (of time.monotonic) for all."""

    address: Address
    payload: CasePayload
    token: Token | None
    redact: Redactor
    timeout_s: float
    deadline: float


class Caller(Protocol):
    """A client that is measured, over one kind of connection."""

    client: Literal["diffusers", "bench"]
    connection: Literal["new", "kept"]

    def call(self, deadline: float | None = None) -> float:
        """Return the seconds of one request, end to end. Without a deadline it ends at the case's.

        Raises RequestError.
        """

    def forget(self) -> None:
        """Forget the figures of all requests so far."""

    def exchange(self, timing: Timing) -> Exchange:
        """Return the record of the requests since the last `forget`."""


class DiffusersClient:
    """diffusers' own functions, which open a connection for each request."""

    client: Literal["diffusers", "bench"] = "diffusers"
    connection: Literal["new", "kept"] = "new"

    def __init__(self, request: CaseRequest, leash: Leash, timed_client: TimedClient) -> None:
        self._request, self._leash, self._timed_client = request, leash, timed_client

    def call(self, deadline: float | None = None) -> float:
        """Return the seconds of one request. If it fails, this program's client repeats it for a better error."""
        try:
            return self._send(self._request.deadline if deadline is None else deadline)
        except failures.RequestError as error:
            if not isinstance(error.outcome, TimedOut):
                self._timed_client.call(deadline)  # raises, unless only diffusers' client fails
            raise

    def forget(self) -> None:
        """Do nothing: this client keeps no figures."""

    def exchange(self, timing: Timing) -> Exchange:
        """Return the requests' record. diffusers' client does not report the parts of a request."""
        return Exchange(client=self.client, connection=self.connection, timing=timing)

    def _send(self, deadline: float) -> float:
        """Send one request, with limits on time and memory from outside, because diffusers has none."""
        request = self._request

        def timed() -> tuple[float, object]:
            begin = time.perf_counter()
            result = request.payload.through_diffusers(request.address, request.token)
            return time.perf_counter() - begin, result

        growth = _MOST_GROWTH + 8 * request.payload.max_response_bytes
        try:
            seconds, result = self._leash.call(timed, deadline, growth)
        except CutOffError:
            raise
        except OutOfTimeError:
            raise _timed_out(request) from None
        except MemoryGrowthError:
            raise failures.failed("ResponseTooLarge", "The answer does not end. Check the address.") from None
        except Exception as error:  # noqa: BLE001 - diffusers passes on errors of requests, JSON, Pillow and torch
            raise failures.of_exception(error, request.address, request.redact) from None
        request.payload.check_result(result)
        return seconds


class TimedClient:
    """This program's client. It sends the same bytes as diffusers, times each part, and checks the server's digest."""

    client: Literal["diffusers", "bench"] = "bench"

    def __init__(self, request: CaseRequest, leash: Leash, connection: Literal["new", "kept"]) -> None:
        self.connection = connection
        self._request, self._leash = request, leash
        self._client = Client(request.address, request.token, request.redact, kept=connection == "kept")
        self.forget()
        self.checked = 0
        self.request_bytes = 0
        self.response_bytes: list[int] = []
        self.tiles: int | None = None

    def call(self, deadline: float | None = None) -> float:
        """Return the seconds of one request, without those of checking the answer."""
        until = self._request.deadline if deadline is None else deadline
        try:
            return self._leash.call(lambda: self._send(until), until + 1)  # the client's own time-outs come first
        except (TimeoutError, OutOfTimeError):
            raise _timed_out(self._request) from None

    def forget(self) -> None:
        """Forget the figures of all requests so far."""
        self._split: dict[str, list[float]] = {name: [] for name in _SPLIT}
        self._server: list[Mapping[str, float]] = []
        self._reopened = 0

    def close(self) -> None:
        """Close the connection, if it is kept."""
        self._client.close()

    def exchange(self, timing: Timing) -> Exchange:
        """Return the requests' record."""
        count = len(timing.samples_s)
        rows = {name: tuple(row) for name, row in self._split.items() if len(row) == count}
        if self.connection == "kept":
            rows = {name: row for name, row in rows.items() if name not in {"connect_s", "tls_s"}}
        return Exchange(
            client="bench",
            connection=self.connection,
            timing=timing,
            reopened=self._reopened if self.connection == "kept" else 0,
            split=Split(**rows),
            server=_server_times(self._server),
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about a kept connection."""
        if self.connection == "new" or not self._reopened:
            return ()
        return (
            f"the endpoint closed the kept connection before {self._reopened} of {len(self._server)} "
            "requests, whose times include opening another",
        )

    def _send(self, deadline: float) -> float:
        payload = self._request.payload
        begin = time.perf_counter()
        post = payload.post(self._request.address)
        prepared = time.perf_counter()
        reply = self._client.post(post, deadline, payload.max_response_bytes)
        received = time.perf_counter()
        self._check_digest(payload.sent_digest(post), reply)
        payload.check_answer(reply.content, reply.headers)
        decoding = time.perf_counter()
        try:
            result = payload.result(reply.content, reply.headers)
        except Exception as error:  # noqa: BLE001 - Pillow and torch raise many kinds of errors for invalid bytes
            message = f"{type(error).__name__}: {self._request.redact(str(error))}"
            raise failures.failed("UndecodableAnswer", message) from None
        decoded = time.perf_counter()
        payload.check_result(result)
        self._note(reply, prepared - begin, decoded - decoding)
        self.request_bytes = len(post.data)
        return (received - begin) + (decoded - decoding)

    def _check_digest(self, sent: str, reply: Reply) -> None:
        received = reply.headers.get(RECEIVED_HEADER)
        if received is None:
            return
        if received.strip().lower() != sent:
            raise failures.failed(
                "PayloadCorrupted",
                "The server received other bytes than the tensor's: their SHA-256 differ. Check whether a proxy "
                "changes bodies, and the client with `bench doctor --client`.",
            )
        self.checked += 1

    def _note(self, reply: Reply, prepare_s: float, decode_s: float) -> None:
        row = {"prepare_s": prepare_s, **{name: getattr(reply, name) for name in _SPLIT[1:-1]}, "decode_s": decode_s}
        for name, seconds in row.items():
            if seconds is not None:
                self._split[name].append(seconds)
        self._reopened += reply.connect_s is not None
        self._server.append(server_timing(reply.headers.get("server-timing", "")))
        self.response_bytes.append(reply.wire_bytes)
        tiles = reply.headers.get(TILES_HEADER, "")
        self.tiles = int(tiles) if tiles.isascii() and tiles.isdigit() and 0 < len(tiles) < 7 else None


class Decoder:
    """A client for one thread, which another thread can stop: diffusers' client, or with a token this program's."""

    def __init__(self, request: CaseRequest, timeout_s: float) -> None:
        request = replace(request, timeout_s=timeout_s)
        self._timeout_s, self._leash = timeout_s, Leash()
        self._timed_client = TimedClient(request, self._leash, "new")
        self._caller: Caller = (
            DiffusersClient(request, self._leash, self._timed_client)
            if request.payload.has_diffusers_client(request.token)
            else self._timed_client
        )
        self.client = self._caller.client

    def decode(self) -> None:
        """Send one request of at most `timeout_s` seconds. Raises RequestError, or CutOffError after `cut_off`."""
        self._caller.call(time.monotonic() + self._timeout_s)
        self._timed_client.forget()  # a case may send a million requests

    def cut_off(self) -> None:
        """End the running request, and refuse all further ones. May be called from any thread."""
        self._leash.cut_off()
        self._timed_client.close()


def server_timing(header: str) -> dict[str, float]:
    """Return the seconds by name from a Server-Timing header (W3C), without invalid entries."""
    timings: dict[str, float] = {}
    for metric in header[:2000].split(","):
        name, *parameters = (part.strip() for part in metric.split(";"))
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            try:
                seconds = float(value.strip().strip('"')) / 1000
            except ValueError:
                continue
            if key.strip() == "dur" and name in _SERVER and math.isfinite(seconds) and seconds >= 0:
                timings[name] = seconds
    return timings


def _server_times(rows: Sequence[Mapping[str, float]]) -> ServerTimes | None:
    """Return the server's times, by name, that are known for every request."""
    complete = {f"{name}_s": tuple(row[name] for row in rows) for name in _SERVER if all(name in row for row in rows)}
    return ServerTimes(**complete) if rows and complete else None


def _timed_out(request: CaseRequest) -> failures.RequestError:
    return failures.RequestError(TimedOut(timeout_s=request.timeout_s))
