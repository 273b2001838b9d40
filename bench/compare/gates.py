"""Gates: `time>5%` fails a comparison in which a case is worse by more than that.

Imports `errors`, `record`, `significance` and `units`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from bench import significance
from bench.compare.outcomes import OutcomeChange
from bench.compare.verdicts import UNTESTED, Row, Table
from bench.errors import BenchError, nearest
from bench.record import Case
from bench.units import METRICS, format_metric

_PERCENT = re.compile(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*%\s*")


@dataclass(frozen=True, slots=True)
class Gate:
    """Fails where `metric` is worse by more than `limit` (0.05 is 5%), whichever way is worse for it."""

    metric: str
    limit: float

    @property
    def text(self) -> str:
        """As it is written: `time>5%`."""
        return f"{self.metric}>{format_percent(self.limit)}"


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that fails a gate, and why in one line that names neither."""

    case: Case
    why: str


@dataclass(frozen=True, slots=True)
class GateResult:
    """How a gate ended: how many figures it was held against, and what failed it."""

    gate: Gate
    compared: int
    failures: tuple[Failure, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """A line a failure that names gate, case and change."""
        return tuple(f"{self.gate.text}: {one.case.label}: {one.why}" for one in self.failures)


def parse_gate(text: str) -> Gate:
    """A gate out of `METRIC>N%`. Raises BenchError."""
    metric, sign, percent = text.partition(">")
    form = f"--fail-on {text[:80]!r}: write METRIC>N%, like 'time>5%' (in quotes: a shell takes > for a redirection)"
    if not sign:
        raise BenchError(f"{form}.")
    return Gate(known_metric(metric.strip(), "--fail-on"), parse_percent(percent, form))


def parse_factor(text: str) -> tuple[str, float]:
    """A metric and its practical factor out of `METRIC=N%`. Raises BenchError."""
    metric, _, percent = text.partition("=")
    form = f"--factor {text[:80]!r}: write METRIC=N%, like time=5%"
    return known_metric(metric.strip(), "--factor"), parse_percent(percent, form)


def known_metric(name: str, option: str) -> str:
    """The name, if METRICS has it. Raises BenchError with the nearest one."""
    if name not in METRICS:
        raise BenchError(f"{option}: there is no metric {name[:80]!r}. {nearest(name[:80], METRICS)}")
    return name


def parse_percent(text: str, form: str) -> float:
    """0.05 out of `5%`. Raises BenchError that says the form."""
    match = _PERCENT.fullmatch(text)
    if match is None:
        raise BenchError(f"{form}; N is a number of 0 or more.")
    return float(match.group(1)) / 100


def check(gate: Gate, tables: Sequence[Table], outcomes: Sequence[OutcomeChange]) -> GateResult:
    """Hold a gate against all tables of its metric. A case whose outcome got worse fails every gate.

    Raises BenchError where there is nothing to hold it against: silence would look like a pass.
    """
    rows = [row for one in tables if one.metric == gate.metric for row in one.rows]
    lost = [
        Failure(one.case, f"its outcome got worse: {one.base} -> {one.head}")
        for one in outcomes
        if one.verdict == "worse"
    ]
    if not rows and not lost:
        raise BenchError(
            f"--fail-on {gate.text}: there is nothing to gate on: no case has {gate.metric} on both sides. Measure it "
            "on both, or leave the gate out."
        )
    judged = ((row, _why(row, gate)) for row in rows)
    return GateResult(gate, len(rows), (*lost, *(Failure(row.case, why) for row, why in judged if why)))


def _why(row: Row, gate: Gate) -> str | None:
    """Why a case fails a gate, or None."""
    if _worsening(row, gate.metric) <= gate.limit:
        return None
    told = tell_change(row, gate.metric)
    enough = abs(row.head.median - row.base.median) >= METRICS[gate.metric].least
    if row.verdict == "worse" or (row.test in UNTESTED and enough):
        return told
    if row.test is None and _nearest_worsening(row, gate.metric) > gate.limit:
        everywhere = f"all of head is worse than all of base by more than {format_percent(gate.limit)}"
        return f"{told}, judged without a test ({row.verdict}): {everywhere}"
    return None


def _worsening(row: Row, metric: str) -> float:
    """The relative change in the worse direction; infinite where it is away from zero."""
    sign = 1 if METRICS[metric].better == "lower" else -1
    return sign * (row.change if row.change is not None else math.inf if row.rises else -math.inf)


def _nearest_worsening(row: Row, metric: str) -> float:
    """The relative change in the worse direction from the worst value of base to the best one of head."""
    lower = METRICS[metric].better == "lower"
    worst = (max if lower else min)(row.base.spread)
    best = (min if lower else max)(row.head.spread)
    change = significance.change(worst, best)
    return (1 if lower else -1) * (math.inf if change is None else change)


def tell_change(row: Row, metric: str) -> str:
    """`+8.1% (50.1 ms -> 54.2 ms)`, or `from 0 (0 B -> 8 MiB)`."""
    medians = (format_metric(metric, median) for median in (row.base.median, row.head.median))
    return f"{format_change(row, metric)} ({' -> '.join(medians)})"


def format_change(row: Row, metric: str) -> str:
    """`+8.1%`, or where a ratio means nothing `from 0`."""
    if row.change is None:
        return f"from {format_metric(metric, row.base.median) if row.base.median else '0'}"
    return format_relative(row.change)


def format_relative(change: float) -> str:
    """`+8.1%`, `-0.03%` where one decimal would hide it, `x 250` from a hundredfold, `0%` for no change at all."""
    if not change:
        return "0%"
    if change >= 99:
        return f"x {change + 1:.3g}"
    return f"{change:+.1%}" if abs(change) >= 0.0005 else f"{Decimal(f'{change * 100:.1g}'):+f}%"


def format_percent(share: float) -> str:
    """`5%` of 0.05, `0.25%` of 0.0025."""
    return f"{Decimal(f'{share * 100:.12g}'):f}%"
