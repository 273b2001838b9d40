"""Gates: `time>5%` fails a comparison if a case is worse by more than that, and counts what it could not judge."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis.compare.machines import Machine
from bench.analysis.compare.outcomes import Matched, OutcomeChange, Pair, any_measured
from bench.analysis.compare.settings import Gate
from bench.analysis.compare.stages import unlike
from bench.analysis.compare.verdicts import UNTESTED, MetricComparison, Row, figures
from bench.core import significance
from bench.core.units import METRICS, format_change, format_count, format_metric, format_percent
from bench.errors import BenchError
from bench.record import Case
from bench.record.metrics import OF_A_STAGE
from bench.workloads.labels import label_of


@dataclass(frozen=True, slots=True)
class Evidence:
    """The results that a gate judges on one machine. If only one side has the machine, only `matched` is set."""

    machine: Machine
    matched: Matched
    metrics: tuple[MetricComparison, ...] = ()
    outcomes: tuple[OutcomeChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """A case, or a stage of it, that fails a gate; `why` is one line that names neither."""

    machine: Machine
    case: Case
    why: str
    stage: str | None = None

    @property
    def label(self) -> str:
        return label_of(self.case, self.stage)


@dataclass(frozen=True, slots=True)
class Count:
    """How many cases (or figures) share a reason."""

    why: str
    cases: int


@dataclass(frozen=True, slots=True)
class GateResult:
    """Whether a gate holds.

    Attributes:
        compared: how many figures it judged.
        failures: the cases and stages that fail it.
        untested: how many of those figures are too few for a test, and were judged by whether the sides overlap.
        unjudged: how many cases of each machine it could not judge, by the reason.
        machines: how many machines were compared; lines name them if there are several.
    """

    gate: Gate
    compared: int
    failures: tuple[Failure, ...]
    untested: tuple[Count, ...] = ()
    unjudged: tuple[Count, ...] = ()
    machines: int = 1

    @property
    def holds(self) -> bool:
        return not self.failures

    @property
    def failed_cases(self) -> int:
        """How many cases fail it; a case counts once for each machine."""
        return len({(failure.machine, failure.case) for failure in self.failures})

    @property
    def lines(self) -> tuple[str, ...]:
        """One line for each failure, with gate, case and change, and the machine if there are several."""
        return tuple(
            f"{self.gate.text}: {f'{failure.machine.label}: ' if self.machines > 1 else ''}"
            f"{failure.label}: {failure.why}"
            for failure in self.failures
        )


def check(gate: Gate, evidence: Sequence[Evidence]) -> GateResult:
    """Judge all figures of a gate's metric. A case whose outcome got worse fails every gate.

    Raises BenchError if there is nothing to judge: silence would look like a pass.
    """
    failures: list[Failure] = []
    untested: Counter[str] = Counter()
    unjudged: Counter[str] = Counter()
    compared = 0
    for part in evidence:
        rows = [row for metric in part.metrics if metric.metric == gate.metric for row in metric.rows]
        lost = {c.case: f"its outcome got worse: {c.base} -> {c.head}" for c in part.outcomes if c.verdict == "worse"}
        failures += [Failure(part.machine, case, why) for case, why in lost.items()]
        beyond = [Failure(part.machine, row.case, why, row.stage) for row in rows if (why := _why(row, gate))]
        failures += beyond
        compared += len(rows)
        failed = {*lost, *(failure.case for failure in beyond)}
        untested.update(row.verdict for row in rows if row.test is None and row.case not in failed)
        unjudged.update(_absent(gate.metric, part.matched, {*lost, *(row.case for row in rows if row.stage is None)}))
    if not compared and not failures:
        raise BenchError(_nothing(gate, evidence))
    machines = sum(bool(part.matched.pairs) for part in evidence)
    return GateResult(gate, compared, tuple(failures), _counts(untested), _counts(unjudged), machines)


def _counts(counter: Counter[str]) -> tuple[Count, ...]:
    return tuple(Count(why, cases) for why, cases in counter.items())


def _absent(metric: str, matched: Matched, judged: set[Case]) -> list[str]:
    """For each case that does not have a figure on both sides, why."""
    reasons = [_without(metric, pair) for pair in matched.pairs if pair.case not in judged]
    for here, there, cases in (("base", "head", matched.only_base), ("head", "base", matched.only_head)):
        reasons += [
            f"skipped on the {there} side" if case.id in matched.skipped else f"only on the {here} side"
            for case in cases
        ]
    return reasons


def _without(metric: str, pair: Pair) -> str:
    """Why a case that both sides tried can't be compared as a whole."""
    if metric in OF_A_STAGE and any(unlike(pair)):
        return "with other stages on one side"
    missing = [name for name in ("base", "head") if figures(metric, getattr(pair, name)) is None]
    where = f"on the {missing[0]} side" if len(missing) == 1 else "on either side"
    measured = all(any_measured(getattr(pair, name)) for name in missing)
    return f"without {metric} {where}" if measured else f"not measured {where}"


def unjudged_text(result: GateResult) -> str:
    """`3 judged without a test (too few samples); 2 not judged (2 cases only on the base side)`; empty for none."""
    untested = sum(count.cases for count in result.untested)
    unjudged = sum(count.cases for count in result.unjudged)
    reasons = ", ".join(f"{format_count(count.cases, 'case')} {count.why}" for count in result.unjudged)
    parts = [f"{untested} judged without a test ({', '.join(count.why for count in result.untested)})"] * bool(untested)
    return "; ".join([*parts, *([f"{unjudged} not judged ({reasons})"] if unjudged else [])])


def _nothing(gate: Gate, evidence: Sequence[Evidence]) -> str:
    """The message for a gate that has nothing to judge."""
    start = f"--fail-on {gate.text}: there is nothing to gate on"
    pairs = [pair for part in evidence for pair in part.matched.pairs]
    if not any(any_measured((*pair.base, *pair.head)) for pair in pairs):
        return f"{start}, because neither side measured a case that both have. Find out why, or leave the gate out."
    return f"{start}, because no case has {gate.metric} on both sides. Measure it on both, or leave the gate out."


def _why(row: Row, gate: Gate) -> str | None:
    """Why a row fails a gate, or None.

    A change that is shown fails by its size. A figure without a test fails if the values of the sides do not overlap.
    Several runs, and samples that are too few for a test, also fail if even the best of head is worse than the worst
    of base by more than the limit, so that more runs never turn a failure into a pass.
    """
    beyond = significance.exceeds(_worsening(gate.metric, row.base.median, row.head.median), gate.limit)
    if not beyond or abs(row.head.median - row.base.median) < METRICS[gate.metric].least:
        return None
    change = change_text(row, gate.metric)
    if row.verdict == "worse":
        return change
    if row.test in UNTESTED and significance.separated(row.base.spread, row.head.spread):
        return change
    worst, best = (max, min) if METRICS[gate.metric].better == "lower" else (min, max)
    if not significance.exceeds(_worsening(gate.metric, worst(row.base.spread), best(row.head.spread)), gate.limit):
        return None
    everywhere = f"all of head is worse than all of base by more than {format_percent(gate.limit)}"
    if row.test is None:
        return f"{change}, judged without a test ({row.verdict}): {everywhere}"
    return f"{change}, although no change is shown: in its runs {everywhere}" if row.of_runs else None


def _worsening(metric: str, base: float, head: float) -> float:
    """The relative change in the worse direction; infinite if the base is zero."""
    change = significance.change(base, head)
    if change is None:
        change = math.inf if head > base else -math.inf
    return change if METRICS[metric].better == "lower" else -change


def change_text(row: Row, metric: str) -> str:
    """`+8.1% (50.1 ms -> 54.2 ms)`, or `from 0 (0 B -> 8 MiB)`."""
    medians = (format_metric(metric, median) for median in (row.base.median, row.head.median))
    return f"{format_change(metric, row.base.median, row.change)} ({' -> '.join(medians)})"
