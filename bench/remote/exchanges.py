"""Sequential requests: diffusers' client and this program's client take turns with the same payload."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.core import stats
from bench.record import Exchange, MeasureSettings
from bench.remote.callers import Caller, CaseRequest, DiffusersClient, TimedClient
from bench.remote.leash import Leash
from bench.run.stopping import sample_interleaved

#: The time that the other clients leave for the kept connection, and the least that it is tried in: how many of the
#: slowest requests fit in it.
_REQUESTS_RESERVED, _LEAST_REQUESTS = 6, 4


@dataclass(frozen=True, slots=True)
class Sequential:
    """The results of sequential requests. The first exchange is that of a user's client."""

    exchanges: tuple[Exchange, ...]
    request_bytes: int | None
    response_bytes: int | None
    checked: int
    tiles: int | None
    warnings: tuple[str, ...] = ()


def measure(request: CaseRequest, settings: MeasureSettings, leash: Leash, begun: Callable[[], None]) -> Sequential:
    """Measure the clients over new connections, in turns until the stopping rule is met; then a kept connection.

    The kept connection has a block of its own, because the endpoint would close it while other clients take turns.
    `begun` is called after each client's first request. diffusers' client is first, so that its first request is the
    first of this case that the endpoint gets, unless an answer has to be checked before diffusers may read one. Where
    diffusers has no client, as for images with a token, only this program's is measured. A client without time left has
    no exchange, and a warning says so. Raises RequestError.
    """
    new, kept = TimedClient(request, leash, "new"), TimedClient(request, leash, "kept")
    has_diffusers = request.payload.has_diffusers_client(request.token)
    callers: tuple[Caller, ...] = (DiffusersClient(request, leash, new), new) if has_diffusers else (new,)
    try:
        if has_diffusers and request.payload.is_tried_first:
            new.call()
        exchanges = _block(request, callers, settings, begun, requests_reserved=_REQUESTS_RESERVED)
        slowest_s = max(exchange.timing.median_s for exchange in exchanges)
        if _left_s(request) > _LEAST_REQUESTS * slowest_s:
            exchanges += _block(request, (kept,), settings)
    finally:
        new.close()
        kept.close()
    sizes = [*new.response_bytes, *kept.response_bytes]
    warnings = [*kept.warnings]
    if missing := len(callers) + 1 - len(exchanges):
        warnings.append(
            f"{missing} of {len(callers) + 1} clients were not measured: the time-out of {request.timeout_s:g} s was "
            "near"
        )
    return Sequential(
        exchanges=exchanges,
        request_bytes=new.request_bytes or None,
        response_bytes=round(statistics.median(sizes)) if sizes else None,
        checked=new.checked + kept.checked,
        tiles=new.tiles,
        warnings=(*warnings, *stats.warnings(exchanges[0].timing.samples_s)),
    )


def _block(
    request: CaseRequest,
    callers: Sequence[Caller],
    settings: MeasureSettings,
    begun: Callable[[], None] = lambda: None,
    requests_reserved: int = 0,
) -> tuple[Exchange, ...]:
    """Measure clients in turns. At least the first has an exchange; the others only if there is time.

    The time of `requests_reserved` of the slowest requests is left over.
    """
    first_calls_s: list[float] = []
    for caller in callers:
        if not first_calls_s or _left_s(request) > 3 * max(first_calls_s):
            first_calls_s.append(caller.call())
    for caller in callers:
        caller.forget()
    begun()
    reserved_s = requests_reserved * max(first_calls_s)
    called = callers[: len(first_calls_s)]
    rows = sample_interleaved(
        [caller.call for caller in called], settings, lambda: _left_s(request) - reserved_s, sum(first_calls_s)
    )
    return tuple(
        caller.exchange(samples.timing("perf_counter", first_s))
        for caller, samples, first_s in zip(called, rows, first_calls_s, strict=True)
        if samples.seconds
    )


def _left_s(request: CaseRequest) -> float:
    return request.deadline - time.monotonic()
