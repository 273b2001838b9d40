"""Gates: `time>5%` fails a comparison in which a case is worse by more than that, and says what it did not judge.

Imports `errors`, `record`, `significance`, `units` and the labels of `workloads`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis.compare.machines import Machine
from bench.analysis.compare.metric_values import figures
from bench.analysis.compare.outcomes import Matched, OutcomeChange, Pair, any_measured
from bench.analysis.compare.settings import Gate
from bench.analysis.compare.stages import unlike
from bench.analysis.compare.verdicts import UNTESTED, Row, Table
from bench.core import significance
from bench.core.units import METRICS, format_change, format_count, format_metric, format_percent
from bench.errors import BenchError
from bench.record import Case
from bench.record.metrics import OF_A_STAGE
from bench.workloads.labels import label_of


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a gate is held against on one machine; one of one side only has cases of that side and nothing else."""

    machine: Machine
    matched: Matched
    tables: tuple[Table, ...] = ()
    outcomes: tuple[OutcomeChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """A case, or a stage of one, that fails a gate, and why in one line that names neither."""

    machine: Machine
    case: Case
    why: str
    stage: str | None = None


@dataclass(frozen=True, slots=True)
class GateResult:
    """How a gate ended.

    `compared` counts the figures that it was held against, `untested` those of them that are too few for a test and
    were judged by whether the sides lie apart, by what is too few. `unjudged` counts the cases of each machine that it
    could not be held against, by the reason. `machines` counts those compared: where there are several, lines
    name them.
    """

    gate: Gate
    compared: int
    failures: tuple[Failure, ...]
    untested: tuple[tuple[str, int], ...] = ()
    unjudged: tuple[tuple[str, int], ...] = ()
    machines: int = 1

    @property
    def failed_cases(self) -> int:
        """How many cases fail it, on each machine anew."""
        return len({(failure.machine, failure.case) for failure in self.failures})

    @property
    def lines(self) -> tuple[str, ...]:
        """A line a failure that names gate, case and change, and the machine where there are several."""
        return tuple(
            f"{self.gate.text}: {f'{one.machine.label}: ' if self.machines > 1 else ''}"
            f"{label_of(one.case, one.stage)}: {one.why}"
            for one in self.failures
        )


def check(gate: Gate, evidence: Sequence[Evidence]) -> GateResult:
    """Hold a gate against all tables of its metric. A case whose outcome got worse fails every gate.

    Raises BenchError where it could not be held against anything: silence would look like a pass.
    """
    failures: list[Failure] = []
    untested: Counter[str] = Counter()
    unjudged: Counter[str] = Counter()
    compared = 0
    for one in evidence:
        rows = [row for table in one.tables if table.metric == gate.metric for row in table.rows]
        lost = {c.case: f"its outcome got worse: {c.base} -> {c.head}" for c in one.outcomes if c.verdict == "worse"}
        failures += [Failure(one.machine, case, why) for case, why in lost.items()]
        beyond = [Failure(one.machine, row.case, why, row.stage) for row in rows if (why := _why(row, gate))]
        failures += beyond
        compared += len(rows)
        failed = {*lost, *(failure.case for failure in beyond)}
        untested.update(row.verdict for row in rows if row.test is None and row.case not in failed)
        unjudged.update(_absent(gate.metric, one.matched, {*lost, *(row.case for row in rows if row.stage is None)}))
    if not compared and not failures:
        raise BenchError(_nothing(gate, evidence))
    machines = sum(bool(one.matched.pairs) for one in evidence)
    return GateResult(gate, compared, tuple(failures), tuple(untested.items()), tuple(unjudged.items()), machines)


def _absent(metric: str, matched: Matched, judged: set[Case]) -> list[str]:
    """Of each case that there are no two figures of, why."""
    reasons = [_without(metric, pair) for pair in matched.pairs if pair.case not in judged]
    for here, there, cases in (("base", "head", matched.only_base), ("head", "base", matched.only_head)):
        reasons += [
            f"skipped on the {there} side" if case.id in matched.skipped else f"only on the {here} side"
            for case in cases
        ]
    return reasons


def _without(metric: str, pair: Pair) -> str:
    """Why a case that both sides tried has no figures to compare as a whole."""
    if metric in OF_A_STAGE and any(unlike(pair)):
        return "with other stages on one side"
    missing = [name for name in ("base", "head") if figures(metric, getattr(pair, name)) is None]
    where = f"on the {missing[0]} side" if len(missing) == 1 else "on either side"
    measured = all(any_measured(getattr(pair, name)) for name in missing)
    return f"without {metric} {where}" if measured else f"not measured {where}"


def tell_unjudged(result: GateResult) -> str:
    """`3 judged without a test (too few samples); 2 not judged (2 cases only on the base side)`; else empty."""
    few = sum(count for _, count in result.untested)
    none = sum(count for _, count in result.unjudged)
    reasons = ", ".join(f"{format_count(count, 'case')} {why}" for why, count in result.unjudged)
    said = [f"{few} judged without a test ({', '.join(why for why, _ in result.untested)})"] if few else []
    return "; ".join([*said, f"{none} not judged ({reasons})"] if none else said)


def _nothing(gate: Gate, evidence: Sequence[Evidence]) -> str:
    """What to say where a gate could not be held against anything."""
    said = f"--fail-on {gate.text}: there is nothing to gate on: "
    pairs = [pair for one in evidence for pair in one.matched.pairs]
    if not any(any_measured((*pair.base, *pair.head)) for pair in pairs):
        return f"{said}no case that both sides have was measured on either. Find out why, or leave the gate out."
    return f"{said}no case has {gate.metric} on both sides. Measure it on both, or leave the gate out."


def _why(row: Row, gate: Gate) -> str | None:
    """Why a case fails a gate, or None.

    What is shown fails by its change; a figure without a test does where all values of the sides lie apart. Of runs,
    and of samples that are too few to be tested, more is known than a test says: they fail where even the best of head
    is worse than the worst of base by more than the limit, so that more runs never turn a failure into a pass.
    """
    beyond = significance.exceeds(_worsening(row, gate.metric), gate.limit)
    if not beyond or abs(row.head.median - row.base.median) < METRICS[gate.metric].least:
        return None
    told = tell_change(row, gate.metric)
    if row.verdict == "worse":
        return told
    if row.test in UNTESTED and significance.separated(row.base.spread, row.head.spread):
        return told
    if not significance.exceeds(_nearest_worsening(row, gate.metric), gate.limit):
        return None
    everywhere = f"all of head is worse than all of base by more than {format_percent(gate.limit)}"
    if row.test is None:
        return f"{told}, judged without a test ({row.verdict}): {everywhere}"
    return f"{told}, although no change is shown: in its runs {everywhere}" if row.of_runs else None


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
    if change is None:
        change = math.inf if best > worst else -math.inf
    return change if lower else -change


def tell_change(row: Row, metric: str) -> str:
    """`+8.1% (50.1 ms -> 54.2 ms)`, or `from 0 (0 B -> 8 MiB)`."""
    medians = (format_metric(metric, median) for median in (row.base.median, row.head.median))
    return f"{format_change(metric, row.base.median, row.change)} ({' -> '.join(medians)})"
