"""The settings of a comparison (metrics, factors, gates), and how the command line spells them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.core.units import METRICS, format_percent
from bench.errors import BenchError, known

#: Metrics that follow from the time by constants: they change as it does, and have no samples of their own to test.
FROM_TIME = tuple(name for name, metric in METRICS.items() if metric.unit in {"flops/s", "pixels/s", "ratio"})
_PERCENT = re.compile(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*%\s*")


@dataclass(frozen=True, slots=True)
class Gate:
    """Fails if `metric` is worse by more than `limit` (0.05 is 5%), in whichever direction is worse for it."""

    metric: str
    limit: float

    @property
    def text(self) -> str:
        """As the command line spells it: `time>5%`."""
        return f"{self.metric}>{format_percent(self.limit)}"


@dataclass(frozen=True, slots=True)
class Request:
    """The metrics to compare (the default ones if none are given), factors that override METRICS, and gates."""

    metrics: tuple[str, ...] = ()
    factors: Mapping[str, float] = field(default_factory=dict)
    gates: tuple[Gate, ...] = ()
    across_machines: bool = False


def request(
    metrics: Sequence[str] = (), factors: Sequence[str] = (), fail_on: Sequence[str] = (), *, across: bool = False
) -> Request:
    """Parse the command line's options. Raises BenchError for one that can't be parsed."""
    return Request(
        tuple(dict.fromkeys(_known_metric(name, "--metric") for name in metrics)),
        dict(parse_factor(text) for text in factors),
        tuple(dict.fromkeys(parse_gate(text) for text in fail_on)),
        across,
    )


def parse_gate(text: str) -> Gate:
    """Parse `METRIC>N%`. Raises BenchError."""
    metric, sign, percent = text.partition(">")
    form = f"--fail-on {text[:80]!r}: write METRIC>N%, like 'time>5%' (in quotes: a shell takes > for a redirection)"
    if not sign:
        raise BenchError(f"{form}.")
    return Gate(_known_metric(metric.strip(), "--fail-on"), _parse_percent(percent, form))


def parse_factor(text: str) -> tuple[str, float]:
    """Parse `METRIC=N%` into a metric and its practical factor. Raises BenchError."""
    metric, _, percent = text.partition("=")
    form = f"--factor {text[:80]!r}: write METRIC=N%, like time=5%"
    return _known_metric(metric.strip(), "--factor"), _parse_percent(percent, form)


def _known_metric(name: str, option: str) -> str:
    """Return the name of a metric that can be compared. Raises BenchError, which says what to use instead."""
    if name in FROM_TIME:
        raise BenchError(f"{option}: {name} follows from time. Use time, which is tested on its samples.")
    return known("metric", name, [metric for metric in METRICS if metric not in FROM_TIME], option)


def _parse_percent(text: str, form: str) -> float:
    """Parse `5%` into 0.05. Raises BenchError, which says the form."""
    match = _PERCENT.fullmatch(text)
    if match is None:
        raise BenchError(f"{form}; N is a number of 0 or more.")
    return float(match.group(1)) / 100
