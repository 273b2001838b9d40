"""Requests one after another: diffusers' client and this program's own take turns over one payload.

Loads torch and diffusers (through `payload`); must not know of load or of runs.
"""

from __future__ import annotations

import math
import socket
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol
from urllib.request import getproxies, proxy_bypass

from bench import stats
from bench.measure.loop import Samples, take_turns
from bench.record import Exchange, MeasureSettings, ServerTimes, Split, TimedOut, Timing
from bench.remote.address import Address, Discretion, Token
from bench.remote.client import trouble
from bench.remote.client.http import CONNECT_TIMEOUT_S, Client, Reply
from bench.remote.client.leash import Leash, OutOfTimeError, TooMuchError
from bench.remote.client.load import Target
from bench.remote.client.payload import Payload
from bench.remote.messages import RECEIVED_HEADER, TILES_HEADER

#: How much this process may grow while diffusers' client, which reads whatever comes, has the word.
_MOST_GROWTH = 512 * 2**20
_SPLIT = ("prepare_s", "connect_s", "tls_s", "upload_s", "server_s", "download_s", "decode_s")
_SERVER = ("receive", "queue", "deserialize", "compute", "serialize")


@dataclass(frozen=True, slots=True)
class Call:
    """Where a case's requests go, with what, and until when (of time.monotonic)."""

    address: Address
    payload: Payload
    token: Token | None
    discretion: Discretion
    timeout_s: float
    deadline: float


@dataclass(frozen=True, slots=True)
class Sequential:
    """What requests one after another gave."""

    exchanges: tuple[Exchange, ...]
    request_bytes: int
    response_bytes: int
    checked: int
    tiles: int | None
    warnings: tuple[str, ...] = ()


class Caller(Protocol):
    """One client over one kind of connection."""

    client: Literal["diffusers", "bench"]
    connection: Literal["new", "kept"]

    def call(self) -> float:
        """Seconds of one request, end to end. Raises TroubleError."""
        ...


class Diffusers:
    """diffusers' own functions, which open a connection each time."""

    client: Literal["diffusers", "bench"] = "diffusers"
    connection: Literal["new", "kept"] = "new"

    def __init__(self, call: Call, leash: Leash) -> None:
        self._call, self._leash = call, leash

    def call(self) -> float:
        """Seconds of one request; bounded in time and memory from outside, since diffusers bounds neither."""
        call = self._call

        def once() -> tuple[float, object]:
            begin = time.perf_counter()
            result = call.payload.through_diffusers(call.address)
            return time.perf_counter() - begin, result

        growth = _MOST_GROWTH + 8 * call.payload.max_response_bytes
        try:
            seconds, result = self._leash.call(once, call.deadline, growth)
        except OutOfTimeError:
            raise _timed_out(call) from None
        except TooMuchError:
            raise trouble.failed("ResponseTooLarge", "The answer does not end. Check the address.") from None
        except Exception as error:  # noqa: BLE001 - requests, JSON, Pillow, torch: whatever diffusers lets through
            raise trouble.of_exception(error, call.address, call.discretion) from None
        call.payload.check_result(result)
        return seconds


@dataclass(slots=True)
class _Noted:
    """What this program's own client saw of each of its requests."""

    split: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in _SPLIT})
    server: list[Mapping[str, float]] = field(default_factory=list)
    reopened: int = 0


class Own:
    """This program's own client: the same bytes as diffusers', each part timed, and checked by the server's digest."""

    client: Literal["diffusers", "bench"] = "bench"

    def __init__(self, call: Call, leash: Leash, connection: Literal["new", "kept"]) -> None:
        self.connection = connection
        self._call, self._leash = call, leash
        self._client = Client(call.address, call.token, call.discretion, kept=connection == "kept")
        self._noted = _Noted()
        self.checked = 0
        self.request_bytes = 0
        self.response_bytes: list[int] = []
        self.tiles: int | None = None

    def call(self) -> float:
        """Seconds of one request; the checks of the answer are no part of them."""
        call = self._call
        try:
            return self._leash.call(self._once, call.deadline + 1)  # its own time-outs come first
        except (TimeoutError, OutOfTimeError):
            raise _timed_out(call) from None

    def forget(self) -> None:
        """Let go of what was noted of the first call."""
        self._noted = _Noted()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def exchange(self, timing: Timing) -> Exchange:
        """The requests as their record."""
        count = len(timing.samples_s)
        rows = {name: tuple(row) for name, row in self._noted.split.items() if len(row) == count}
        if self.connection == "kept":
            rows = {name: row for name, row in rows.items() if name not in {"connect_s", "tls_s"}}
        return Exchange(
            client="bench",
            connection=self.connection,
            timing=timing,
            split=Split(**rows),
            server=_server_times(self._noted.server),
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know of a kept connection."""
        if self.connection == "new" or not self._noted.reopened:
            return ()
        return (
            f"the endpoint closed the kept connection {self._noted.reopened} times between requests; those that came "
            "then include opening another",
        )

    def _once(self) -> float:
        call, payload = self._call, self._call.payload
        begin = time.perf_counter()
        request = payload.post(call.address)
        prepared = time.perf_counter()
        reply = self._client.post(request, call.deadline, payload.max_response_bytes)
        received = time.perf_counter()
        self._check_digest(payload.sent_digest(request), reply)
        payload.check_answer(reply.content, reply.headers)
        decoding = time.perf_counter()
        try:
            result = payload.result(reply.content, reply.headers)
        except Exception as error:  # noqa: BLE001 - Pillow and torch raise many kinds for bytes that are no result
            raise trouble.failed(
                "UndecodableAnswer", f"{type(error).__name__}: {call.discretion(str(error))}"
            ) from None
        decoded = time.perf_counter()
        payload.check_result(result)
        self._note(reply, prepared - begin, decoded - decoding)
        self.request_bytes = len(request.data)
        return (received - begin) + (decoded - decoding)

    def _check_digest(self, sent: str, reply: Reply) -> None:
        received = reply.headers.get(RECEIVED_HEADER)
        if received is None:
            return
        if received.strip().lower() != sent:
            raise trouble.failed(
                "PayloadCorrupted",
                "What the server received is not what the tensor holds: their SHA-256 differ. Something on the way "
                "changes bodies, or the client sends another memory (`bench doctor --client`).",
            )
        self.checked += 1

    def _note(self, reply: Reply, prepare_s: float, decode_s: float) -> None:
        row = {
            "prepare_s": prepare_s,
            "connect_s": reply.connect_s,
            "tls_s": reply.tls_s,
            "upload_s": reply.upload_s,
            "server_s": reply.server_s,
            "download_s": reply.download_s,
            "decode_s": decode_s,
        }
        for name, seconds in row.items():
            if seconds is not None:
                self._noted.split[name].append(seconds)
        self._noted.reopened += reply.connect_s is not None
        self._noted.server.append(server_timing(reply.headers.get("server-timing", "")))
        self.response_bytes.append(reply.wire_bytes)
        tiles = reply.headers.get(TILES_HEADER, "")
        self.tiles = int(tiles) if tiles.isascii() and tiles.isdigit() and 0 < len(tiles) < 7 else None


def measure(call: Call, settings: MeasureSettings, leash: Leash, begun: Callable[[], None]) -> Sequential:
    """Each client's first request, then (`begun` is told) all of them in turn until the rule is met for all.

    diffusers comes first: its first request is the first that the endpoint gets of this case. Where there is a token,
    which diffusers does not send, this program's own client is alone. Raises TroubleError.
    """
    own = (Own(call, leash, "new"), Own(call, leash, "kept"))
    callers: tuple[Caller, ...] = own if call.token else (Diffusers(call, leash), *own)
    try:
        _reach(call, leash)
        firsts = [_first(caller, own[0]) for caller in callers]
        for mine in own:
            mine.forget()
        begun()
        rows = take_turns([caller.call for caller in callers], settings)
        timings = [_timing(samples, first_s) for samples, first_s in zip(rows, firsts, strict=True)]
        exchanges = [
            caller.exchange(timing) if isinstance(caller, Own) else _plain(caller, timing)
            for caller, timing in zip(callers, timings, strict=True)
        ]
    finally:
        for mine in own:
            mine.close()
    return Sequential(
        exchanges=tuple(exchanges),
        request_bytes=own[0].request_bytes,
        response_bytes=round(statistics.median(size for mine in own for size in mine.response_bytes)),
        checked=sum(mine.checked for mine in own),
        tiles=own[0].tiles,
        warnings=(*own[1].warnings, *stats.warnings(timings[0].samples_s)),
    )


def load_target(call: Call, timeout_s: float) -> Target:
    """What a load sends of this case: the same request, again and again."""
    return Target(call.payload.post(call.address), call.token, timeout_s, call.payload.max_response_bytes)


def server_timing(header: str) -> dict[str, float]:
    """Seconds by name out of a Server-Timing header (W3C); what makes no sense is left out."""
    found: dict[str, float] = {}
    for metric in header[:2000].split(","):
        name, *parameters = (part.strip() for part in metric.split(";"))
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            try:
                seconds = float(value.strip().strip('"')) / 1000
            except ValueError:
                continue
            if key.strip() == "dur" and name in _SERVER and math.isfinite(seconds) and seconds >= 0:
                found[name] = seconds
    return found


def _first(caller: Caller, own: Own) -> float:
    """Seconds of a client's first request. Where diffusers' client fails, the own one says why, for it sees more."""
    try:
        return caller.call()
    except trouble.TroubleError as error:
        if caller.client == "diffusers" and not isinstance(error.outcome, TimedOut):
            own.call()  # raises, unless it is diffusers' client alone that fails
        raise


def _reach(call: Call, leash: Leash) -> None:
    """Raises TroubleError if nothing answers at the address: diffusers' client would wait for it without end."""
    address = call.address
    scheme = "https" if address.tls else "http"
    if getproxies().get(scheme) and not proxy_bypass(address.host):
        return

    def knock() -> None:
        socket.create_connection((address.host, address.port), CONNECT_TIMEOUT_S).close()

    try:
        leash.call(knock, min(call.deadline, time.monotonic() + 2 * CONNECT_TIMEOUT_S))
    except (OSError, OutOfTimeError, UnicodeError) as error:
        text = call.discretion(str(error)) or "no answer"
        raise trouble.failed(
            "ConnectError",
            f"{address.shown}: can't be reached ({text}). Check the address, and that the endpoint runs.",
        ) from None


def _timing(samples: Samples, first_call_s: float) -> Timing:
    seconds: Sequence[float] = samples.seconds
    return Timing(
        clock="perf_counter",
        median_s=stats.median(seconds),
        samples_s=tuple(seconds),
        interval_s=stats.interval(seconds),
        noise=stats.noise(seconds),
        outliers=stats.outliers(seconds),
        first_call_s=first_call_s,
        stopped_by=samples.stopped_by,
    )


def _plain(caller: Caller, timing: Timing) -> Exchange:
    return Exchange(client=caller.client, connection=caller.connection, timing=timing)


def _server_times(rows: Sequence[Mapping[str, float]]) -> ServerTimes | None:
    """Those that the server said of every request."""
    whole = {f"{name}_s": tuple(row[name] for row in rows) for name in _SERVER if all(name in row for row in rows)}
    return ServerTimes(**whole) if rows and whole else None


def _timed_out(call: Call) -> trouble.TroubleError:
    return trouble.TroubleError(TimedOut(timeout_s=call.timeout_s))
