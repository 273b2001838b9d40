"""Compare two sides machine by machine: two Sides and a Request in, a Comparison out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.analysis.compare import outcomes, stages, verdicts
from bench.analysis.compare.differences import Difference, card_differences, software_differences
from bench.analysis.compare.gates import Evidence, GateResult, check
from bench.analysis.compare.machines import Machine, machine_differences
from bench.analysis.compare.outcomes import Matched, OutcomeChange, Pair
from bench.analysis.compare.settings import Request
from bench.analysis.compare.sides import Run, Side, SideName, paired_machines
from bench.analysis.compare.verdicts import UNTESTED, MetricComparison
from bench.core.units import METRICS, format_count, format_percent
from bench.errors import BenchError
from bench.record import Case, Record
from bench.workloads.labels import label_of

#: What is compared by default, if there are figures of it.
DEFAULT_METRICS = ("time", "peak_allocated", "peak_reserved", "peak_rss", "weights", "energy")
#: Compared by default only if there is no peak in bytes, as in the docs' tables: otherwise it would repeat them.
_PEAKS = {"peak_allocated", "peak_reserved", "peak_rss"}
_INSTEAD_OF_PEAKS = "memory_percent"

CaseVerdict = Literal["worse", "better", "mixed", "unchanged", "changed", "undecided"]
CASE_VERDICTS: tuple[CaseVerdict, ...] = ("worse", "better", "mixed", "unchanged", "changed", "undecided")


@dataclass(frozen=True, slots=True)
class MachineComparison:
    """All cases of one machine, or of one machine a side with `across_machines`; `runs` counts each side's runs."""

    base: Machine
    head: Machine
    runs: Mapping[SideName, int]
    matched: Matched
    metrics: tuple[MetricComparison, ...]
    outcomes: tuple[OutcomeChange, ...]
    verdicts: Mapping[CaseVerdict, int]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The machines that both sides have, notes on the sides, and the results of the gates."""

    machines: tuple[MachineComparison, ...]
    notes: tuple[str, ...]
    gates: tuple[GateResult, ...]

    @property
    def verdicts(self) -> dict[CaseVerdict, int]:
        """How many cases got worse, better, both (mixed) or neither, or have too few samples to tell (undecided).

        `changed`: runs of both sides could not measure it, for different reasons.
        """
        return {name: sum(machine.verdicts[name] for machine in self.machines) for name in CASE_VERDICTS}

    @property
    def failures(self) -> tuple[str, ...]:
        """One line for each failure of a gate."""
        return tuple(line for result in self.gates for line in result.lines)


def compare(base: Side, head: Side, asked: Request) -> Comparison:
    """Compare two sides machine by machine.

    Raises ResultsError for unlike machines, BenchError if no case is on both sides or a gate has nothing to judge.
    """
    paired = paired_machines(base, head, across=asked.across_machines)
    parts = [_compare_machine(*machines, base, head, asked=asked) for machines in paired]
    compared = tuple(part for part in parts if part.matched.pairs)
    if not compared:
        raise BenchError(
            "The sides have no case in common. Compare runs of the same sweep: cases are matched by all their fields "
            "(model, operation, size, dtype, tiling, weights, ...)."
        )
    alone = _one_sided(base, head, paired)
    notes = (
        *base.notes,
        *head.notes,
        *_on_both(base, head),
        *(_left_out(side, machine) for side, machine in alone),
        *(f"{part.base.label}: the sides have no case in common on it." for part in parts if not part.matched.pairs),
        *_weak_gates(asked, [metric for part in compared for metric in part.metrics]),
    )
    evidence = [Evidence(part.base, part.matched, part.metrics, part.outcomes) for part in parts]
    evidence += [Evidence(machine, _unmatched(side, machine)) for side, machine in alone]
    return Comparison(compared, notes, tuple(check(gate, evidence) for gate in asked.gates))


def _one_sided(base: Side, head: Side, paired: Sequence[tuple[Machine, Machine]]) -> list[tuple[Side, Machine]]:
    """The machines that only one side has, each with that side."""
    paired_of_side = ({machine for machine, _ in paired}, {machine for _, machine in paired})
    return [
        (side, machine)
        for side, known in zip((base, head), paired_of_side, strict=True)
        for machine in side.machines
        if machine not in known
    ]


def _unmatched(side: Side, machine: Machine) -> Matched:
    """The cases of a machine that only one side has. No gate can judge them."""
    runs = side.on(machine)
    return outcomes.match(runs, ()) if side.name == "base" else outcomes.match((), runs)


def _left_out(side: Side, machine: Machine) -> str:
    runs = format_count(len(side.on(machine)), "run")
    return f"Only on the {side.name} side, and left out: {machine.label} ({runs})."


def _compare_machine(
    base_machine: Machine, head_machine: Machine, base: Side, head: Side, *, asked: Request
) -> MachineComparison:
    base_runs, head_runs = base.on(base_machine), head.on(head_machine)
    matched = outcomes.match(base_runs, head_runs)
    metrics, notes = _metrics(matched.pairs, asked)
    changes = outcomes.changes(matched.pairs)
    base_records, head_records = _records(base_runs), _records(head_runs)
    return MachineComparison(
        base=base_machine,
        head=head_machine,
        runs={"base": len(base_runs), "head": len(head_runs)},
        matched=matched,
        metrics=metrics,
        outcomes=changes,
        verdicts=_verdicts(matched.pairs, metrics, changes),
        differences=(
            *machine_differences(base_machine, head_machine),
            *card_differences(base_records, head_records),
            *software_differences(base_records, head_records),
        ),
        notes=(*notes, *stages.notes(matched.pairs), *_throttled(matched.pairs), *_other_client(matched.pairs)),
    )


def _records(runs: Sequence[Run]) -> list[Record]:
    return [record for run in runs for record in run.records.values()]


def _metrics(pairs: Sequence[Pair], asked: Request) -> tuple[tuple[MetricComparison, ...], tuple[str, ...]]:
    """The metrics that have rows, and a note for each metric that some case has on one side only."""
    chosen = dict.fromkeys([*(asked.metrics or DEFAULT_METRICS), *(gate.metric for gate in asked.gates)])
    metrics = [_metric(name, pairs, asked) for name in chosen]
    has_peaks = any(metric.rows and metric.metric in _PEAKS for metric in metrics)
    if not asked.metrics and _INSTEAD_OF_PEAKS not in chosen and not has_peaks:
        metrics.append(_metric(_INSTEAD_OF_PEAKS, pairs, asked))
    notes = []
    for metric in metrics:
        if metric.one_sided:
            count, has = format_count(metric.one_sided, "case"), "has" if metric.one_sided == 1 else "have"
            notes.append(f"{metric.about.title}: {count} {has} it on one side only and can't be compared.")
        elif not metric.rows and metric.metric in asked.metrics:
            notes.append(f"{metric.about.title}: no case has it on either side.")
    return tuple(metric for metric in metrics if metric.rows), tuple(notes)


def _metric(name: str, pairs: Sequence[Pair], asked: Request) -> MetricComparison:
    factor = asked.factors.get(name, METRICS[name].factor)
    return verdicts.compare_metric(name, tuple(stages.apart(pairs, name)), factor)


def _verdicts(
    pairs: Sequence[Pair], metrics: Sequence[MetricComparison], changes: Sequence[OutcomeChange]
) -> dict[CaseVerdict, int]:
    """How many cases have each verdict, by their outcome and all their figures."""
    by_case: dict[Case, set[str]] = {pair.case: set() for pair in pairs}
    for row in (row for metric in metrics for row in metric.rows):
        by_case[row.case].add(row.verdict)
    for change in changes:
        by_case[change.case].add(change.verdict)
    counts = Counter(map(_verdict, by_case.values()))
    return {name: counts[name] for name in CASE_VERDICTS}


def _verdict(verdicts: set[str]) -> CaseVerdict:
    if {"worse", "better"} <= verdicts:
        return "mixed"
    if "worse" in verdicts:
        return "worse"
    if "better" in verdicts:
        return "better"
    if "changed" in verdicts:
        return "changed"
    return "undecided" if verdicts & {"too few samples", "too few runs"} else "unchanged"


def _on_both(base: Side, head: Side) -> list[str]:
    """A note on each run that was given for both sides, except the docs' published rows, which have one id a page."""
    machines_of: dict[str, list[Machine]] = {}
    for run in head.runs:
        if all(record.kind != "published" for record in run.records.values()):
            machines_of.setdefault(run.id, []).append(run.machine)
    shared = [run.id for run in base.runs if any(not run.machine.unlike(m) for m in machines_of.get(run.id, ()))]
    return [f"Run {run_id} is on both sides: it is compared with itself." for run_id in dict.fromkeys(shared)]


def _throttled(pairs: Sequence[Pair]) -> list[str]:
    """A note on each side that has throttled samples: they count, but may explain a change."""
    notes = []
    for name in ("base", "head"):
        slowed = [
            pair
            for pair in pairs
            if any(record.telemetry and record.telemetry.throttled_samples for record in getattr(pair, name))
        ]
        if slowed:
            notes.append(
                f"{name}: the GPU was throttled during samples of {format_count(len(slowed), 'case')}, which count "
                f"nevertheless. The first is {label_of(slowed[0].case)}."
            )
    return notes


def _other_client(pairs: Sequence[Pair]) -> list[str]:
    """A note if cases were measured through different clients: the change may be the client's."""
    unlike = [
        pair for pair in pairs if len({client for name in ("base", "head") for client in _clients(pair, name)}) > 1
    ]
    if not unlike:
        return []
    return [
        f"{format_count(len(unlike), 'case')} measured through different clients (diffusers' own, and this program's, "
        f"which sends tokens): a change of time may be the client's. The first is {label_of(unlike[0].case)}."
    ]


def _clients(pair: Pair, name: SideName) -> list[str]:
    """The client of each record of one side that an endpoint served."""
    records: Sequence[Record] = getattr(pair, name)
    return [record.remote.exchanges[0].client for record in records if record.remote and record.remote.exchanges]


def _weak_gates(asked: Request, metrics: Sequence[MetricComparison]) -> list[str]:
    """A note on each gate below the practical factor of a tested metric."""
    factors = {metric.metric: metric.factor for metric in metrics if any(r.test not in UNTESTED for r in metric.rows)}
    return [
        f"--fail-on {gate.text} is below the practical factor of {gate.metric}, "
        f"{format_percent(factors[gate.metric])}: smaller changes fail it only if all runs of head are that much worse "
        f"than all runs of base. Set another factor with --factor {gate.metric}=N%."
        for gate in asked.gates
        if gate.limit < factors.get(gate.metric, 0.0)
    ]
