"""The verdict between two runs, or two sides of several: two Sides and a Request in, a Comparison out.

Pure: imports `errors`, `record`, `units`, the labels of `workloads`, and the modules beside it; reads no file.
"""

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
from bench.analysis.compare.verdicts import UNTESTED, Table
from bench.core.units import METRICS, format_count, format_percent
from bench.errors import BenchError
from bench.record import Case, Record
from bench.workloads.labels import label_of

#: What is compared unless something else is asked for, each where there are figures of it.
DEFAULT_METRICS = ("time", "peak_allocated", "peak_reserved", "peak_rss", "weights", "energy")
#: Compared by default only where there is no peak in bytes, as in the docs' tables: else it says the same again.
_PEAKS = {"peak_allocated", "peak_reserved", "peak_rss"}
_INSTEAD_OF_PEAKS = "memory_percent"

CaseVerdict = Literal["worse", "better", "mixed", "unchanged", "changed", "undecided"]
CASE_VERDICTS: tuple[CaseVerdict, ...] = ("worse", "better", "mixed", "unchanged", "changed", "undecided")


@dataclass(frozen=True, slots=True)
class MachineComparison:
    """All cases of one machine, or with `across_machines` of one machine a side."""

    base: Machine
    head: Machine
    runs: tuple[int, int]
    matched: Matched
    tables: tuple[Table, ...]
    outcomes: tuple[OutcomeChange, ...]
    verdicts: Mapping[CaseVerdict, int]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The whole: a part a machine, notes on the sides to read first, and the gates that were asked for."""

    machines: tuple[MachineComparison, ...]
    notes: tuple[str, ...]
    gates: tuple[GateResult, ...]

    @property
    def verdicts(self) -> dict[CaseVerdict, int]:
        """How many cases got worse, better, both (mixed), neither, or have too few samples to say (undecided).

        `changed` are those that runs of both sides could not measure, but not for the same reasons.
        """
        return {name: sum(machine.verdicts[name] for machine in self.machines) for name in CASE_VERDICTS}

    @property
    def failures(self) -> tuple[str, ...]:
        """A line for each case that fails a gate."""
        return tuple(line for result in self.gates for line in result.lines)


def compare(base: Side, head: Side, asked: Request) -> Comparison:
    """Compare two sides machine by machine.

    Raises ResultsError for unlike machines, BenchError where no case is on both sides or a gate has nothing to judge.
    """
    paired = paired_machines(base, head, across=asked.across_machines)
    parts = [_compare_machine(one, other, base.on(one), head.on(other), asked=asked) for one, other in paired]
    machines = tuple(part for part in parts if part.matched.pairs)
    if not machines:
        raise BenchError(
            "The sides have no case in common: nothing can be compared. Cases are matched by all of their fields "
            "(model, operation, size, dtype, tiling, weights, ...): compare runs of the same sweep."
        )
    alone = _one_sided(base, head, paired)
    notes = (
        *base.notes,
        *head.notes,
        *_on_both(base, head),
        *(_left_out(side, machine) for side, machine in alone),
        *(f"{part.base.label}: the sides have no case in common on it." for part in parts if not part.matched.pairs),
        *_weak_gates(asked, [table for part in machines for table in part.tables]),
    )
    evidence = [Evidence(part.base, part.matched, part.tables, part.outcomes) for part in parts]
    evidence += [Evidence(machine, _unmatched(side, machine)) for side, machine in alone]
    return Comparison(machines, notes, tuple(check(gate, evidence) for gate in asked.gates))


def _one_sided(base: Side, head: Side, paired: Sequence[tuple[Machine, Machine]]) -> list[tuple[Side, Machine]]:
    """The machines of one side that the other does not have."""
    used = ({one for one, _ in paired}, {other for _, other in paired})
    return [
        (side, machine)
        for side, there in zip((base, head), used, strict=True)
        for machine in side.machines
        if machine not in there
    ]


def _unmatched(side: Side, machine: Machine) -> Matched:
    """The cases of a machine that only one side has: no gate can judge them."""
    runs = side.on(machine)
    return outcomes.match(runs, ()) if side.name == "base" else outcomes.match((), runs)


def _left_out(side: Side, machine: Machine) -> str:
    runs = format_count(len(side.on(machine)), "run")
    return f"Only on the {side.name} side, and left out: {machine.label} ({runs})."


def _compare_machine(
    base: Machine, head: Machine, base_runs: Sequence[Run], head_runs: Sequence[Run], *, asked: Request
) -> MachineComparison:
    """Compare one machine's cases."""
    matched = outcomes.match(base_runs, head_runs)
    tables, notes = _tables(matched.pairs, asked)
    changes = outcomes.changes(matched.pairs)
    of_base, of_head = ([record for run in runs for record in run.records.values()] for runs in (base_runs, head_runs))
    return MachineComparison(
        base=base,
        head=head,
        runs=(len(base_runs), len(head_runs)),
        matched=matched,
        tables=tables,
        outcomes=changes,
        verdicts=_verdicts(matched.pairs, tables, changes),
        differences=(
            *machine_differences(base, head),
            *card_differences(of_base, of_head),
            *software_differences(of_base, of_head),
        ),
        notes=(*notes, *stages.notes(matched.pairs), *_throttled(matched.pairs), *_other_client(matched.pairs)),
    )


def _tables(pairs: Sequence[Pair], asked: Request) -> tuple[tuple[Table, ...], tuple[str, ...]]:
    """The tables that have rows, and a note for each metric that some case has on one side only."""
    chosen = dict.fromkeys([*(asked.metrics or DEFAULT_METRICS), *(gate.metric for gate in asked.gates)])
    tables = [_table(name, pairs, asked) for name in chosen]
    if not asked.metrics and _INSTEAD_OF_PEAKS not in chosen:
        tables += (
            [] if any(t.rows and t.metric in _PEAKS for t in tables) else [_table(_INSTEAD_OF_PEAKS, pairs, asked)]
        )
    notes = []
    for table in tables:
        if table.one_sided:
            many, has = format_count(table.one_sided, "case"), "has" if table.one_sided == 1 else "have"
            notes.append(f"{METRICS[table.metric].title}: {many} {has} it on one side only and can't be compared.")
        elif not table.rows and table.metric in asked.metrics:
            notes.append(f"{METRICS[table.metric].title}: no case has it on either side.")
    return tuple(table for table in tables if table.rows), tuple(notes)


def _table(metric: str, pairs: Sequence[Pair], asked: Request) -> Table:
    return verdicts.table(metric, tuple(stages.apart(pairs, metric)), asked.factors.get(metric, METRICS[metric].factor))


def _verdicts(
    pairs: Sequence[Pair], tables: Sequence[Table], changes: Sequence[OutcomeChange]
) -> dict[CaseVerdict, int]:
    """Each case once, by its outcome and all its figures."""
    said: dict[Case, set[str]] = {pair.case: set() for pair in pairs}
    for table in tables:
        for row in table.rows:
            said[row.case].add(row.verdict)
    for change in changes:
        said[change.case].add(change.verdict)
    counts = Counter(_verdict(words) for words in said.values())
    return {name: counts[name] for name in CASE_VERDICTS}


def _verdict(words: set[str]) -> CaseVerdict:
    if {"worse", "better"} <= words:
        return "mixed"
    if "worse" in words:
        return "worse"
    if "better" in words:
        return "better"
    if "changed" in words:
        return "changed"
    return "undecided" if words & {"too few samples", "too few runs"} else "unchanged"


def _on_both(base: Side, head: Side) -> list[str]:
    """Runs that were given for both sides, the docs' published rows apart, which have one id a page."""
    of_head: dict[str, list[Machine]] = {}
    for run in head.runs:
        if all(record.kind != "published" for record in run.records.values()):
            of_head.setdefault(run.id, []).append(run.machine)
    shared = [run.id for run in base.runs if any(not run.machine.unlike(one) for one in of_head.get(run.id, ()))]
    return [f"Run {one} is on both sides: it is compared with itself." for one in dict.fromkeys(shared)]


def _throttled(pairs: Sequence[Pair]) -> list[str]:
    """Slowed samples count, but whoever reads a change should know of them."""
    notes = []
    for name in ("base", "head"):
        slowed = [
            pair
            for pair in pairs
            if any(one.telemetry and one.telemetry.throttled_samples for one in getattr(pair, name))
        ]
        if slowed:
            many = format_count(len(slowed), "case")
            notes.append(
                f"{name}: the GPU was throttled during samples of {many}; they count: {label_of(slowed[0].case)}."
            )
    return notes


def _other_client(pairs: Sequence[Pair]) -> list[str]:
    """An endpoint's time through one client is not that through another: a change may be the client's."""
    unlike = [
        pair for pair in pairs if len({client for name in ("base", "head") for client in _clients(pair, name)}) > 1
    ]
    if not unlike:
        return []
    many = format_count(len(unlike), "case")
    return [
        "Measured through different clients (diffusers', and this program's, which is used where there is a token), so "
        f"that a change of time may be the client's: {many}: {label_of(unlike[0].case)}."
    ]


def _clients(pair: Pair, name: SideName) -> list[str]:
    """Through whose client each record of one side was measured, of an endpoint's records."""
    records: Sequence[Record] = getattr(pair, name)
    return [one.remote.exchanges[0].client for one in records if one.remote and one.remote.exchanges]


def _weak_gates(asked: Request, tables: Sequence[Table]) -> list[str]:
    """A gate below the practical factor of a tested metric can hardly fail on what is not shown."""
    factors = {t.metric: t.factor for t in tables if any(row.test not in UNTESTED for row in t.rows)}
    return [
        f"--fail-on {gate.text}: the practical factor of {gate.metric} is {format_percent(factors[gate.metric])}; "
        "smaller changes are not shown, and fail the gate only where all runs of head are that much worse than all "
        f"runs of base. --factor {gate.metric}=N% sets another."
        for gate in asked.gates
        if gate.limit < factors.get(gate.metric, 0.0)
    ]
