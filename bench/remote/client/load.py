"""Requests under load: at their own times (open loop), or always as many at once (closed loop). Needs httpx2.

An open loop's latency counts from the moment at which a request was due, whether or not the generator or the server
was late: else a server that stalls would be asked less, and its stall be one slow answer among quick ones (coordinated
omission). Free of torch; what is sent is given as bytes, and answers are read to their end but not decoded.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench import stats
from bench.config import LoadSettings
from bench.record import Load, Percentile
from bench.remote.address import Token
from bench.remote.client import trouble
from bench.remote.client.arrivals import poisson
from bench.remote.client.http import CONNECT_TIMEOUT_S, Post, authorization, library

if TYPE_CHECKING:
    import httpx2

#: More requests than this are never on their way at once: those beyond wait, and their latency counts all the same.
_MOST_AT_ONCE = 256
#: Shorter than any server's own, so that no request goes out on a connection which the server is just closing.
_IDLE_S = 2.0
_READ_OF_AN_ERROR = 4096
#: A generator that is later than this is part of what it measures.
_LATE_S = 0.02
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
    first_due: float = math.inf


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
    loads += [open_loop(target, rate, settings.seconds, settings.seed, share) for rate, share in rates]
    late = [one for one in loads if (one.lag_p99_s or 0) > _LATE_S]
    if late:
        notes.append(
            f"the load generator was up to {max(one.lag_p99_s or 0 for one in late):.3f} s late (p99): this machine is "
            "too busy for that rate, and latencies are partly its own"
        )
    return tuple(loads), tuple(notes)


def open_loop(target: Target, rate_per_s: float, seconds: float, seed: int, share: float | None = None) -> Load:
    """Send at Poisson moments for `seconds`, then wait for what is on its way: at most the time of one request."""
    tally = _Tally()
    moments = poisson(rate_per_s, seconds, seed)
    asyncio.run(_send_at(target, moments, tally))
    return Load(
        kind="open",
        rate_per_s=rate_per_s,
        share=share,
        seed=seed,
        duration_s=seconds,
        timeout_s=target.timeout_s,
        lag_p99_s=stats.percentile(tally.lags, 0.99) if tally.lags else None,
        **_figures(tally),
    )


def closed_loop(target: Target, concurrency: int, seconds: float) -> Load:
    """Keep `concurrency` requests on their way for `seconds`: each answer is followed by the next request."""
    tally = _Tally()
    asyncio.run(_send_always(target, concurrency, seconds, tally))
    return Load(
        kind="closed", concurrency=concurrency, duration_s=seconds, timeout_s=target.timeout_s, **_figures(tally)
    )


async def _send_at(target: Target, moments: Sequence[float], tally: _Tally) -> None:
    places = asyncio.Semaphore(_MOST_AT_ONCE)
    async with _client(target, _MOST_AT_ONCE) as client, asyncio.TaskGroup() as tasks:
        begin = time.monotonic()
        for moment in moments:
            due = begin + moment
            wait = due - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            tally.lags.append(max(0.0, time.monotonic() - due))
            tasks.create_task(_one(client, target, due, tally, places))
            if wait <= 0:
                await asyncio.sleep(0)  # a generator that is late must not starve the answers too


async def _send_always(target: Target, concurrency: int, seconds: float, tally: _Tally) -> None:
    end = time.monotonic() + seconds
    places = asyncio.Semaphore(concurrency)

    async def again(client: httpx2.AsyncClient) -> None:
        while time.monotonic() < end:
            if not await _one(client, target, time.monotonic(), tally, places):
                await asyncio.sleep(0.05)  # a server that refuses at once is not to be asked thousands of times

    async with _client(target, concurrency) as client, asyncio.TaskGroup() as tasks:
        for _ in range(concurrency):
            tasks.create_task(again(client))


async def _one(
    client: httpx2.AsyncClient, target: Target, due: float, tally: _Tally, places: asyncio.Semaphore
) -> bool:
    """One request, its time counted from `due`; whether it was answered well. Nothing that it raises goes further."""
    httpx = library()
    tally.sent += 1
    tally.first_due = min(tally.first_due, due)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout_at(loop.time() + due + target.timeout_s - time.monotonic()), places:
            await _whole(client, target)
    except _RefusedError as refused:
        tally.errors[refused.kind] += 1
        tally.retry_after += refused.retry_after
    except (TimeoutError, httpx.TimeoutException):
        tally.errors["timed out"] += 1
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        tally.errors["truncated" if "complete message body" in str(error) else type(error).__name__] += 1
    else:
        answered = time.monotonic()
        tally.good.append((due, answered, answered - due))
        return True
    return False


async def _whole(client: httpx2.AsyncClient, target: Target) -> None:
    """Send, and read the answer to its end. Raises _RefusedError for one that is no result."""
    request = target.post
    async with client.stream("POST", request.url, content=request.data, headers=dict(request.headers)) as response:
        good = response.status_code == 200
        kept, size = bytearray(), 0
        async for chunk in response.aiter_raw():
            size += len(chunk)
            if not good:
                kept += chunk[: _READ_OF_AN_ERROR - len(kept)]
                if size >= _READ_OF_AN_ERROR:
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
        trust_env=not target.post.address.is_loopback,
    )
    return client


def _figures(tally: _Tally) -> dict[str, Any]:
    """The fields of a Load that open and closed loops share."""
    good = sorted(tally.good)
    latencies = tuple(latency for _, _, latency in good)
    span = max((answered for _, answered, _ in good), default=tally.first_due) - tally.first_due
    return {
        "sent": tally.sent,
        "succeeded": len(good),
        "throughput_per_s": len(good) / span if span > 0 else 0.0,
        "latency_s": latencies,
        "percentiles": tuple(_percentile(latencies, q) for q in _QUANTILES if latencies),
        "errors": dict(sorted(tally.errors.items())),
        "retry_after": tally.retry_after,
    }


def _percentile(latencies: Sequence[float], q: float) -> Percentile:
    return Percentile(q=q, seconds=stats.percentile(latencies, q), interval_s=stats.percentile_interval(latencies, q))
