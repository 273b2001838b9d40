"""Requests one after another: diffusers' client and this program's own take turns over one payload.

Loads torch and diffusers (through `callers`); must not know of load or of runs.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.core import stats
from bench.record import Exchange, MeasureSettings
from bench.remote.callers import Call, Caller, Diffusers, Own
from bench.remote.leash import Leash
from bench.remote.load import Target
from bench.run.stopping import take_turns

__all__ = ["Call", "Sequential", "load_target", "measure"]

#: The time of so many of the slowest first request is left for the kept connection, which needs at least that of so
#: many requests.
_FOR_KEPT, _LEAST_FOR_KEPT = 6, 4


@dataclass(frozen=True, slots=True)
class Sequential:
    """What requests one after another gave. The first exchange is what a user has."""

    exchanges: tuple[Exchange, ...]
    request_bytes: int | None
    response_bytes: int | None
    checked: int
    tiles: int | None
    warnings: tuple[str, ...] = ()


def measure(call: Call, settings: MeasureSettings, leash: Leash, begun: Callable[[], None]) -> Sequential:
    """Each client's first request, then (`begun` is told) those over new connections in turn until the rule is met for
    all; last the kept connection, in a block of its own, since it would be closed while the others take their turns.

    diffusers comes first: its first request is the first that the endpoint gets of this case. Where there is a token,
    which diffusers does not send, this program's own client is alone. Of clients for which no time is left there is no
    exchange, and a warning. Raises TroubleError.
    """
    new, kept = Own(call, leash, "new"), Own(call, leash, "kept")
    callers: tuple[Caller, ...] = (new,) if call.token else (Diffusers(call, leash, new), new)
    try:
        exchanges = _block(call, callers, settings, begun, kept_for_others=_FOR_KEPT)
        exchanges += _block(call, (kept,), settings) if _left_s(call) > _LEAST_FOR_KEPT * _slowest(exchanges) else ()
    finally:
        new.close()
        kept.close()
    sizes = [*new.response_bytes, *kept.response_bytes]
    missing = len(callers) + 1 - len(exchanges)
    spent = f"{missing} of {len(callers) + 1} ways to send were left out: the time-out of {call.timeout_s:g} s was near"
    return Sequential(
        exchanges=exchanges,
        request_bytes=new.request_bytes or None,
        response_bytes=round(statistics.median(sizes)) if sizes else None,
        checked=new.checked + kept.checked,
        tiles=new.tiles,
        warnings=(
            *kept.warnings,
            *((spent,) if missing else ()),
            *stats.warnings(exchanges[0].timing.samples_s),
        ),
    )


def load_target(call: Call, timeout_s: float) -> Target:
    """What a load sends of this case: the same request, again and again."""
    return Target(call.payload.post(call.address), call.token, timeout_s, call.payload.max_response_bytes)


def _block(
    call: Call,
    callers: Sequence[Caller],
    settings: MeasureSettings,
    begun: Callable[[], None] = lambda: None,
    kept_for_others: float = 0,
) -> tuple[Exchange, ...]:
    """Exchanges of clients that take turns; of the first at least, while others end where time does."""
    firsts: list[float] = []
    for caller in callers:
        if not firsts or _left_s(call) > 3 * max(firsts):
            firsts.append(caller.call())
    for caller in callers:
        caller.forget()
    begun()
    others_s = kept_for_others * max(firsts)
    rows = take_turns(
        [caller.call for caller in callers[: len(firsts)]], settings, lambda: _left_s(call) - others_s, sum(firsts)
    )
    return tuple(
        caller.exchange(samples.timing("perf_counter", first_s))
        for caller, samples, first_s in zip(callers, rows, firsts, strict=False)
        if samples.seconds
    )


def _left_s(call: Call) -> float:
    return call.deadline - time.monotonic()


def _slowest(exchanges: Sequence[Exchange]) -> float:
    return max(exchange.timing.median_s for exchange in exchanges)
