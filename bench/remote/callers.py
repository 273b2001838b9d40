"""The clients whose requests are measured: diffusers' own functions, and this program's, which sends the same.

Loads torch and diffusers (through `payload`); knows nothing of how often a client is called.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from bench.record import Exchange, ServerTimes, Split, TimedOut, Timing
from bench.remote import trouble
from bench.remote.http import Client, Reply
from bench.remote.leash import CutOffError, Leash, OutOfTimeError, TooMuchError
from bench.remote.request_body import Payload
from bench.wire.address import Address, Discretion, Token
from bench.wire.messages import RECEIVED_HEADER, TILES_HEADER

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


class Caller(Protocol):
    """One client over one kind of connection."""

    client: Literal["diffusers", "bench"]
    connection: Literal["new", "kept"]

    def call(self, deadline: float | None = None) -> float:
        """Seconds of one request, end to end, that ends at a deadline of its own or, without one, at the call's.

        Raises TroubleError.
        """
        ...

    def forget(self) -> None:
        """Let go of what was noted of the first call."""
        ...

    def exchange(self, timing: Timing) -> Exchange:
        """The requests since then as their record."""
        ...


class Diffusers:
    """diffusers' own functions, which open a connection each time."""

    client: Literal["diffusers", "bench"] = "diffusers"
    connection: Literal["new", "kept"] = "new"

    def __init__(self, call: Call, leash: Leash, own: Own) -> None:
        self._call, self._leash, self._own = call, leash, own

    def call(self, deadline: float | None = None) -> float:
        """Seconds of one request. Where it fails, the own client is asked to say why, for it sees more."""
        try:
            return self._once(self._call.deadline if deadline is None else deadline)
        except trouble.TroubleError as error:
            if not isinstance(error.outcome, TimedOut):
                self._own.call(deadline)  # raises, unless it is diffusers' client alone that fails
            raise

    def forget(self) -> None:
        """Nothing is noted."""

    def exchange(self, timing: Timing) -> Exchange:
        """The requests as their record: diffusers' client tells of no parts."""
        return Exchange(client=self.client, connection=self.connection, timing=timing)

    def _once(self, deadline: float) -> float:
        """Bounded in time and memory from outside, since diffusers bounds neither."""
        call = self._call

        def once() -> tuple[float, object]:
            begin = time.perf_counter()
            result = call.payload.through_diffusers(call.address)
            return time.perf_counter() - begin, result

        growth = _MOST_GROWTH + 8 * call.payload.max_response_bytes
        try:
            seconds, result = self._leash.call(once, deadline, growth)
        except CutOffError:
            raise
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

    def call(self, deadline: float | None = None) -> float:
        """Seconds of one request; the checks of the answer are no part of them."""
        until = self._call.deadline if deadline is None else deadline
        try:
            return self._leash.call(lambda: self._once(until), until + 1)  # its own time-outs come first
        except (TimeoutError, OutOfTimeError):
            raise _timed_out(self._call) from None

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
            reopened=self._noted.reopened if self.connection == "kept" else 0,
            split=Split(**rows),
            server=_server_times(self._noted.server),
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know of a kept connection."""
        if self.connection == "new" or not self._noted.reopened:
            return ()
        return (
            f"the endpoint closed the kept connection before {self._noted.reopened} of {len(self._noted.server)} "
            "requests, which include opening another",
        )

    def _once(self, deadline: float) -> float:
        call, payload = self._call, self._call.payload
        begin = time.perf_counter()
        request = payload.post(call.address)
        prepared = time.perf_counter()
        reply = self._client.post(request, deadline, payload.max_response_bytes)
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


class Decoder:
    """A user's client for one thread, on a leash of its own: diffusers', or with a token this program's.

    What many threads do at once, and what must end when they are told to, goes through one of these each.
    """

    def __init__(self, call: Call, timeout_s: float) -> None:
        call = replace(call, timeout_s=timeout_s)
        self._timeout_s, self._leash = timeout_s, Leash()
        self._own = Own(call, self._leash, "new")
        self._caller: Caller = self._own if call.token else Diffusers(call, self._leash, self._own)
        self.client = self._caller.client

    def decode(self) -> None:
        """One request, of `timeout_s` seconds at the most. Raises TroubleError, CutOffError once it is cut off."""
        self._caller.call(time.monotonic() + self._timeout_s)
        self._own.forget()  # one case may ask for a million

    def cut_off(self) -> None:
        """End the request that is under way, and refuse every other; from any thread."""
        self._leash.cut_off()
        self._own.close()


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


def _server_times(rows: Sequence[Mapping[str, float]]) -> ServerTimes | None:
    """Those that the server said of every request."""
    whole = {f"{name}_s": tuple(row[name] for row in rows) for name in _SERVER if all(name in row for row in rows)}
    return ServerTimes(**whole) if rows and whole else None


def _timed_out(call: Call) -> trouble.TroubleError:
    return trouble.TroubleError(TimedOut(timeout_s=call.timeout_s))
