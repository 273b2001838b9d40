"""Load tests: requests at scheduled times (open loop), or a constant number at once (closed loop). Needs httpx2.

The latency of an open loop counts from the time at which a request was due, even if the generator or the server was
late. Otherwise a server that stalls would get fewer requests, and its stall would appear as one slow answer
(coordinated omission). Answers are read to their end but not decoded.
"""

from __future__ import annotations

import asyncio
import gc
import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.config import MOST_REQUESTS, LoadSettings
from bench.core import stats
from bench.record import Load, Percentile
from bench.remote import failures
from bench.remote.http import Post, client_options, library
from bench.remote.reachability import CONNECT_TIMEOUT_S
from bench.wire.address import Token

if TYPE_CHECKING:
    import httpx2

#: Requests in flight at most. Further ones wait, and their latency includes the wait.
_MOST_AT_ONCE = 256
#: Shorter than any server's keep-alive, so that no request is sent on a connection that the server is closing.
_IDLE_S = 2.0
#: Requests that wait at most. Further ones are errors of the kind `not sent`.
_MOST_WAITING = 10_000
#: asyncio wakes up to this late, so the last part of each wait is a busy wait.
_AWAKE_S = 0.002
#: A capacity needs this many answers, unless they take more than this many times the requested seconds.
_LEAST_ANSWERS, _MOST_STRETCH = 20, 4
_QUANTILES = (0.5, 0.9, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class RepeatedRequest:
    """A request that is sent again and again, and its limits."""

    post: Post
    token: Token | None
    timeout_s: float
    max_bytes: int


@dataclass(slots=True)
class _Tally:
    """The results so far; times are of time.monotonic."""

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
        """How many requests have succeeded or failed."""
        return len(self.good) + sum(self.errors.values())

    async def trace(self, event: str, _: object) -> None:
        """Count opened connections (for httpx2's `trace` extension)."""
        self.connections += event == "connection.connect_tcp.complete"


class _BadAnswerError(Exception):
    """An answer without a result. `kind` is its key in the count of errors."""

    def __init__(self, kind: str, *, retry_after: bool = False) -> None:
        super().__init__(kind)
        self.kind, self.retry_after = kind, retry_after


def measure(target: RepeatedRequest, settings: LoadSettings) -> tuple[tuple[Load, ...], tuple[str, ...]]:
    """Measure the loads of a sweep. Returns them and warnings.

    If rates are shares of the capacity, a closed loop measures the capacity first.
    """
    loads = []
    rates: list[tuple[float, float | None]] = [(rate, None) for rate in settings.rates or ()]
    warnings = []
    if settings.shares:
        closed = closed_loop(target, settings.concurrency, settings.seconds)
        loads.append(closed)
        if closed.throughput_per_s:
            rates += [(share * closed.throughput_per_s, share) for share in settings.shares]
        else:
            warnings.append("no request of the closed loop succeeded, so shares of the capacity were not measured")
    for rate, share in rates:
        if rate * settings.seconds > MOST_REQUESTS:
            warnings.append(
                f"the load of {rate:.3g} /s was not measured: {settings.seconds:g} s of it are over {MOST_REQUESTS} "
                "requests"
            )
            continue
        loads.append(open_loop(target, rate, settings.seconds, settings.seed, share))
    return tuple(loads), (*warnings, *(warning for load in loads for warning in _warnings(load)))


def _warnings(load: Load) -> list[str]:
    """Return the warnings about one load."""
    if not load.sent:
        return [f"{load.title}: no request was due in {load.duration_s:g} s"]
    warnings = []
    if load.errors:
        kinds = ", ".join(f"{count} x {kind}" for kind, count in load.errors.items())
        warnings.append(f"{load.title}: {load.sent - load.succeeded} of {load.sent} requests failed: {kinds}")
    if load.is_late and load.lag_p99_s is not None:
        warnings.append(
            f"{load.title}: the load generator was {load.lag_p99_s:.3f} s late (p99), at least a tenth of the median "
            f"latency: this machine is too busy for that rate, or {_MOST_AT_ONCE} requests were already in flight"
        )
    return warnings


def open_loop(
    target: RepeatedRequest, rate_per_s: float, seconds: float, seed: int, share: float | None = None
) -> Load:
    """Send at Poisson times for `seconds`, then wait for the requests in flight: at most one request's time-out."""
    tally = _Tally()
    times = poisson(rate_per_s, seconds, seed)
    _settle()
    asyncio.run(_send_at(target, times, tally))
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


def closed_loop(target: RepeatedRequest, concurrency: int, seconds: float) -> Load:
    """Keep `concurrency` requests in flight for `seconds`: the next request follows each answer.

    If that gives too few answers for a capacity, it continues for up to four times as long.
    """
    tally = _Tally()
    _settle()
    took = asyncio.run(_send_always(target, concurrency, seconds, tally))
    return Load(
        kind="closed", concurrency=concurrency, duration_s=took, timeout_s=target.timeout_s, **_figures(tally, took)
    )


def poisson(rate_per_s: float, seconds: float, seed: int) -> tuple[float, ...]:
    """Return times in [0, seconds) of a Poisson process: independent of one another and of the answers.

    The gaps are exponential with mean 1 / rate. The same seed gives the same times.
    """
    draw = np.random.default_rng(seed)
    mean = rate_per_s * seconds
    size = int(mean + 6 * math.sqrt(mean) + 20)
    moments = np.cumsum(draw.exponential(1 / rate_per_s, size))
    while moments[-1] < seconds:
        moments = np.concatenate([moments, moments[-1] + np.cumsum(draw.exponential(1 / rate_per_s, size))])
    return tuple(float(moment) for moment in moments[moments < seconds])


def _settle() -> None:
    """Collect garbage now, and exclude all objects from later collections, which would be part of some latency."""
    gc.collect()
    gc.freeze()


async def _send_at(target: RepeatedRequest, times: Sequence[float], tally: _Tally) -> None:
    places = asyncio.Semaphore(_MOST_AT_ONCE)
    async with _client(target, _MOST_AT_ONCE) as client, asyncio.TaskGroup() as tasks:
        tally.begun = time.monotonic()
        for time_s in times:
            due = tally.begun + time_s
            await _until(due)
            if tally.waiting >= _MOST_WAITING:
                tally.sent += 1
                tally.errors["not sent"] += 1
            else:
                tasks.create_task(_send(client, target, due, tally, places))


async def _until(due: float) -> None:
    """Wait until a time of time.monotonic. Runs other tasks at least once, even if that time has passed."""
    wait = due - time.monotonic() - _AWAKE_S
    await asyncio.sleep(max(0.0, wait))
    while time.monotonic() < due:
        await asyncio.sleep(0)


async def _send_always(target: RepeatedRequest, concurrency: int, seconds: float, tally: _Tally) -> float:
    """Send requests as `closed_loop` says. Returns the seconds for which requests were sent."""
    places = asyncio.Semaphore(concurrency)

    def is_unfinished() -> bool:
        took = time.monotonic() - tally.begun
        return took < seconds or (tally.answers < _LEAST_ANSWERS and took < _MOST_STRETCH * seconds)

    async def repeat(client: httpx2.AsyncClient) -> float:
        while is_unfinished():
            if not await _send(client, target, time.monotonic(), tally, places):
                await asyncio.sleep(0.05)  # else a server that refuses at once would get thousands of requests
        return time.monotonic() - tally.begun

    async with _client(target, concurrency) as client, asyncio.TaskGroup() as tasks:
        tally.begun = time.monotonic()
        ends = [tasks.create_task(repeat(client)) for _ in range(concurrency)]
    return min(end.result() for end in ends)


async def _send(
    client: httpx2.AsyncClient, target: RepeatedRequest, due: float, tally: _Tally, places: asyncio.Semaphore
) -> bool:
    """Send one request, whose latency counts from `due`. Returns whether it succeeded; raises no network error."""
    httpx = library()
    tally.sent += 1
    tally.waiting += 1
    has_place = False
    remaining_s = due + target.timeout_s - time.monotonic()
    try:
        async with asyncio.timeout(remaining_s), places:
            has_place = True
            _record_lag(tally, due)
            await _exchange(client, target, tally)
    except _BadAnswerError as error:
        tally.errors[error.kind] += 1
        tally.retry_after += error.retry_after
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
            _record_lag(tally, due)
    return False


def _record_lag(tally: _Tally, due: float) -> None:
    """Record the time since a request was due, when it is sent or given up."""
    tally.waiting -= 1
    tally.lags.append(max(0.0, time.monotonic() - due))


async def _exchange(client: httpx2.AsyncClient, target: RepeatedRequest, tally: _Tally) -> None:
    """Send a request and read the answer to its end. Raises _BadAnswerError for an answer without a result."""
    request = target.post
    async with client.stream(
        "POST", request.url, content=request.data, headers=dict(request.headers), extensions={"trace": tally.trace}
    ) as response:
        ok = response.status_code == 200
        kept, size = bytearray(), 0
        async for chunk in response.aiter_raw():
            size += len(chunk)
            if not ok:
                kept += chunk[: failures.READ_OF_AN_ERROR - len(kept)]
                if size >= failures.READ_OF_AN_ERROR:
                    break
            elif size > target.max_bytes:
                raise _BadAnswerError("too large")
        if not ok:
            reason = failures.reason_of(bytes(kept))
            kind = f"{response.status_code} {reason}" if reason else str(response.status_code)
            raise _BadAnswerError(kind, retry_after="retry-after" in response.headers)
        if not size:
            raise _BadAnswerError("empty")


def _client(target: RepeatedRequest, connections: int) -> httpx2.AsyncClient:
    httpx = library()
    client: httpx2.AsyncClient = httpx.AsyncClient(
        limits=httpx.Limits(
            max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=_IDLE_S
        ),
        timeout=httpx.Timeout(None, connect=min(CONNECT_TIMEOUT_S, target.timeout_s)),
        **client_options(target.post.address, target.token),
    )
    return client


def _figures(tally: _Tally, seconds: float) -> dict[str, Any]:
    """Return the fields of a Load that open and closed loops share. Requests were sent for `seconds`."""
    good = sorted(tally.good)
    latencies = tuple(latency for _, _, latency in good)
    span = max(seconds, max((answered for _, answered, _ in good), default=tally.begun) - tally.begun)
    return {
        "sent": tally.sent,
        "succeeded": len(good),
        "throughput_per_s": len(good) / span,
        "latency_s": latencies,
        "percentiles": tuple(
            Percentile(q=q, seconds=stats.percentile(latencies, q), interval_s=stats.percentile_interval(latencies, q))
            for q in _QUANTILES
            if latencies
        ),
        "errors": dict(sorted(tally.errors.items())),
        "retry_after": tally.retry_after,
        "connections": tally.connections,
    }
