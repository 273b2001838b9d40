"""Requests under load: at their own times (open loop), or always as many at once (closed loop). Needs httpx2.

An open loop's latency counts from the moment at which a request was due, whether or not the generator or the server
was late: else a server that stalls would be asked less, and its stall be one slow answer among quick ones (coordinated
omission). Free of torch; what is sent is given as bytes, and answers are read to their end but not decoded.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.config import MOST_REQUESTS, LoadSettings
from bench.core import stats
from bench.record import Load, Percentile
from bench.remote import trouble
from bench.remote.arrivals import poisson
from bench.remote.http import Post, authorization, library, tls_context
from bench.remote.reachability import CONNECT_TIMEOUT_S
from bench.wire.address import Token

if TYPE_CHECKING:
    import httpx2

#: More requests than this are never on their way at once: those beyond wait, and their latency counts all the same.
_MOST_AT_ONCE = 256
#: Shorter than any server's own, so that no request goes out on a connection which the server is just closing.
_IDLE_S = 2.0
#: Beyond so many that wait for a place no more are begun: they are errors of the kind `not sent`.
_MOST_WAITING = 10_000
#: asyncio wakes up to so much late: the rest of the way to a due moment is waited for awake.
_AWAKE_S = 0.002
#: A capacity is of at least so many answers, unless they take more than so many times the seconds asked for.
_LEAST_ANSWERS, _MOST_STRETCH = 20, 4
_QUANTILES = (0.5, 0.9, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Target:
    """What is sent again and again, and what bounds one request."""

    post: Post
    token: Token | None
    timeout_s: float
    max_bytes: int


@dataclass(slots=True)
class _Tally:
    """What has come of the requests so far; moments are of time.monotonic."""

    good: list[tuple[float, float, float]] = field(default_factory=list)  # due, answered, latency
    errors: Counter[str] = field(default_factory=Counter)
    lags: list[float] = field(default_factory=list)
    retry_after: int = 0
    sent: int = 0
    waiting: int = 0
    connections: int = 0
    begun: float = 0.0

    @property
    def answers(self) -> int:
        """How many have ended, well or not."""
        return len(self.good) + sum(self.errors.values())

    async def trace(self, event: str, _: object) -> None:
        """Count the connections that are opened (httpx2's `trace` extension)."""
        self.connections += event == "connection.connect_tcp.complete"


class _RefusedError(Exception):
    """An answer that is no result; `kind` is for the count of errors."""

    def __init__(self, kind: str, *, retry_after: bool = False) -> None:
        super().__init__(kind)
        self.kind, self.retry_after = kind, retry_after


def measure(target: Target, settings: LoadSettings) -> tuple[tuple[Load, ...], tuple[str, ...]]:
    """The loads of a sweep, and what a reader should know of them.

    A closed loop finds the capacity first where rates are shares of it.
    """
    loads = []
    rates: list[tuple[float, float | None]] = [(rate, None) for rate in settings.rates or ()]
    notes = []
    if settings.shares:
        closed = closed_loop(target, settings.concurrency, settings.seconds)
        loads.append(closed)
        if closed.throughput_per_s:
            rates += [(share * closed.throughput_per_s, share) for share in settings.shares]
        else:
            notes.append("no request of the closed loop succeeded, so there is no capacity to take shares of")
    for rate, share in rates:
        if rate * settings.seconds > MOST_REQUESTS:
            notes.append(f"no load at {rate:.3g} /s: in {settings.seconds:g} s that is over {MOST_REQUESTS} requests")
            continue
        loads.append(open_loop(target, rate, settings.seconds, settings.seed, share))
    return tuple(loads), (*notes, *(note for one in loads for note in _notes(one)))


def _notes(load: Load) -> list[str]:
    """What a reader should know of one load."""
    if not load.sent:
        return [f"{load.title}: no request fell due in {load.duration_s:g} s"]
    notes = []
    if load.errors:
        kinds = ", ".join(f"{count} x {kind}" for kind, count in load.errors.items())
        notes.append(f"{load.title}: {load.sent - load.succeeded} of {load.sent} requests failed: {kinds}")
    if load.is_late and load.lag_p99_s is not None:
        notes.append(
            f"{load.title}: the load generator was {load.lag_p99_s:.3f} s late (p99), a tenth of the median latency "
            f"or more: this machine is too busy for that rate, or all of its {_MOST_AT_ONCE} places were taken"
        )
    return notes


def open_loop(target: Target, rate_per_s: float, seconds: float, seed: int, share: float | None = None) -> Load:
    """Send at Poisson moments for `seconds`, then wait for what is on its way: at most the time of one request."""
    tally = _Tally()
    moments = poisson(rate_per_s, seconds, seed)
    _settle()
    asyncio.run(_send_at(target, moments, tally))
    return Load(
        kind="open",
        rate_per_s=rate_per_s,
        share=share,
        seed=seed,
        duration_s=seconds,
        timeout_s=target.timeout_s,
        lag_p99_s=stats.percentile(tally.lags, 0.99) if tally.lags else None,
        **_figures(tally, seconds),
    )


def closed_loop(target: Target, concurrency: int, seconds: float) -> Load:
    """Keep `concurrency` requests on their way for `seconds`: each answer is followed by the next request.

    Where these are too few answers to be called a capacity, it goes on for up to four times as long.
    """
    tally = _Tally()
    _settle()
    took = asyncio.run(_send_always(target, concurrency, seconds, tally))
    return Load(
        kind="closed",
        concurrency=concurrency,
        duration_s=took,
        timeout_s=target.timeout_s,
        **_figures(tally, took),
    )


def _settle() -> None:
    """Collect garbage now and look at nothing of before again: a collection would be part of some latency."""
    gc.collect()
    gc.freeze()


async def _send_at(target: Target, moments: Sequence[float], tally: _Tally) -> None:
    places = asyncio.Semaphore(_MOST_AT_ONCE)
    async with _client(target, _MOST_AT_ONCE) as client, asyncio.TaskGroup() as tasks:
        tally.begun = time.monotonic()
        for moment in moments:
            due = tally.begun + moment
            await _until(due)
            if tally.waiting >= _MOST_WAITING:
                tally.sent += 1
                tally.errors["not sent"] += 1
            else:
                tasks.create_task(_one(client, target, due, tally, places))


async def _until(due: float) -> None:
    """Wait until a moment of time.monotonic; lets the answers have a turn even where it is over already."""
    wait = due - time.monotonic() - _AWAKE_S
    await asyncio.sleep(max(0.0, wait))
    while time.monotonic() < due:
        await asyncio.sleep(0)


async def _send_always(target: Target, concurrency: int, seconds: float, tally: _Tally) -> float:
    """Seconds over which requests were sent."""
    places = asyncio.Semaphore(concurrency)

    def goes_on() -> bool:
        took = time.monotonic() - tally.begun
        return took < seconds or (tally.answers < _LEAST_ANSWERS and took < _MOST_STRETCH * seconds)

    async def again(client: httpx2.AsyncClient) -> float:
        while goes_on():
            if not await _one(client, target, time.monotonic(), tally, places):
                await asyncio.sleep(0.05)  # a server that refuses at once is not to be asked thousands of times
        return time.monotonic() - tally.begun

    async with _client(target, concurrency) as client, asyncio.TaskGroup() as tasks:
        tally.begun = time.monotonic()
        ends = [tasks.create_task(again(client)) for _ in range(concurrency)]
    return min(end.result() for end in ends)


async def _one(
    client: httpx2.AsyncClient, target: Target, due: float, tally: _Tally, places: asyncio.Semaphore
) -> bool:
    """One request, its time counted from `due`; whether it was answered well. Nothing that it raises goes further."""
    httpx = library()
    tally.sent += 1
    tally.waiting += 1
    has_place = False
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout_at(loop.time() + due + target.timeout_s - time.monotonic()), places:
            has_place = True
            _has_place(tally, due)
            await _whole(client, target, tally)
    except _RefusedError as refused:
        tally.errors[refused.kind] += 1
        tally.retry_after += refused.retry_after
    except (TimeoutError, httpx.TimeoutException):
        tally.errors["timed out" if has_place else "not sent"] += 1
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        tally.errors["truncated" if "complete message body" in str(error) else type(error).__name__] += 1
    else:
        answered = time.monotonic()
        tally.good.append((due, answered, answered - due))
        return True
    finally:
        if not has_place:
            _has_place(tally, due)
    return False


def _has_place(tally: _Tally, due: float) -> None:
    """The request is about to be sent, or given up: what passed since it was due is the generator's own."""
    tally.waiting -= 1
    tally.lags.append(max(0.0, time.monotonic() - due))


async def _whole(client: httpx2.AsyncClient, target: Target, tally: _Tally) -> None:
    """Send, and read the answer to its end. Raises _RefusedError for one that is no result."""
    request = target.post
    async with client.stream(
        "POST", request.url, content=request.data, headers=dict(request.headers), extensions={"trace": tally.trace}
    ) as response:
        good = response.status_code == 200
        kept, size = bytearray(), 0
        async for chunk in response.aiter_raw():
            size += len(chunk)
            if not good:
                kept += chunk[: trouble.READ_OF_AN_ERROR - len(kept)]
                if size >= trouble.READ_OF_AN_ERROR:
                    break
            elif size > target.max_bytes:
                raise _RefusedError("too large")
        if not good:
            reason = trouble.reason_of(bytes(kept))
            kind = f"{response.status_code} {reason}" if reason else str(response.status_code)
            raise _RefusedError(kind, retry_after="retry-after" in response.headers)
        if not size:
            raise _RefusedError("empty")


def _client(target: Target, connections: int) -> httpx2.AsyncClient:
    httpx = library()
    client: httpx2.AsyncClient = httpx.AsyncClient(
        limits=httpx.Limits(
            max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=_IDLE_S
        ),
        timeout=httpx.Timeout(None, connect=min(CONNECT_TIMEOUT_S, target.timeout_s)),
        headers=authorization(target.token),
        verify=tls_context(),
        trust_env=not target.post.address.is_loopback,
    )
    return client


def _figures(tally: _Tally, seconds: float) -> dict[str, Any]:
    """The fields of a Load that open and closed loops share; requests were sent for `seconds`."""
    good = sorted(tally.good)
    latencies = tuple(latency for _, _, latency in good)
    span = max(seconds, max((answered for _, answered, _ in good), default=tally.begun) - tally.begun)
    return {
        "sent": tally.sent,
        "succeeded": len(good),
        "throughput_per_s": len(good) / span,
        "latency_s": latencies,
        "percentiles": tuple(_percentile(latencies, q) for q in _QUANTILES if latencies),
        "errors": dict(sorted(tally.errors.items())),
        "retry_after": tally.retry_after,
        "connections": tally.connections,
    }


def _percentile(latencies: Sequence[float], q: float) -> Percentile:
    return Percentile(q=q, seconds=stats.percentile(latencies, q), interval_s=stats.percentile_interval(latencies, q))
