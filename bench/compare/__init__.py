"""The verdict between two runs, or two sides of several: records in, a Comparison out.

Pure: imports `errors`, `units`, `stats`, `significance`, `record` and `metrics`; reads no file, prints nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bench.compare import outcomes, sides, verdicts
from bench.compare.gates import Gate, GateResult, check, format_percent, known_metric, parse_factor, parse_gate
from bench.compare.outcomes import OutcomeChange, Pair
from bench.compare.sides import Difference, Machine, Run, Side
from bench.compare.verdicts import UNTESTED, Table
from bench.errors import BenchError
from bench.record import Case
from bench.units import METRICS

#: What is compared unless something else is asked for, each where there are figures of it.
DEFAULT_METRICS = ("time", "peak_allocated", "peak_reserved", "peak_rss", "energy")

CaseVerdict = Literal["worse", "better", "mixed", "unchanged", "undecided"]
CASE_VERDICTS: tuple[CaseVerdict, ...] = ("worse", "better", "mixed", "unchanged", "undecided")


@dataclass(frozen=True, slots=True)
class Request:
    """What to compare and how. `metrics` empty: the default ones. `factors` override those of METRICS."""

    metrics: tuple[str, ...] = ()
    factors: Mapping[str, float] = field(default_factory=dict)
    gates: tuple[Gate, ...] = ()
    across_machines: bool = False


@dataclass(frozen=True, slots=True)
class MachineComparison:
    """All cases of one machine, or with `across_machines` of one machine a side."""

    base: Machine
    head: Machine
    runs: tuple[int, int]
    tables: tuple[Table, ...]
    outcomes: tuple[OutcomeChange, ...]
    only_base: tuple[Case, ...]
    only_head: tuple[Case, ...]
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
        """How many cases got worse, better, both (mixed), neither, or have too few samples to say."""
        return {name: sum(machine.verdicts[name] for machine in self.machines) for name in CASE_VERDICTS}

    @property
    def failures(self) -> tuple[str, ...]:
        """A line for each case that fails a gate."""
        return tuple(line for result in self.gates for line in result.lines)


def request(
    metrics: Sequence[str] = (), factors: Sequence[str] = (), fail_on: Sequence[str] = (), *, across: bool = False
) -> Request:
    """A Request out of what the command line says. Raises BenchError for what can't be understood."""
    return Request(
        tuple(dict.fromkeys(known_metric(name, "--metric") for name in metrics)),
        dict(parse_factor(text) for text in factors),
        tuple(dict.fromkeys(parse_gate(text) for text in fail_on)),
        across,
    )


def compare(base: Side, head: Side, asked: Request) -> Comparison:
    """Compare two sides machine by machine.

    Raises ResultsError for unlike machines, BenchError where no case is on both sides or a gate has nothing to judge.
    """
    paired = sides.paired_machines(base, head, across=asked.across_machines)
    parts = [_compare_machine(mine, theirs, base.on(mine), head.on(theirs), asked=asked) for mine, theirs in paired]
    machines = tuple(part for part in parts if any(part.verdicts.values()))
    if not machines:
        raise BenchError(
            "The sides have no case in common: nothing can be compared. Cases are matched by all of their fields "
            "(model, operation, size, dtype, tiling, weights, ...): compare runs of the same sweep."
        )
    tables = [table for part in machines for table in part.tables]
    changes = [change for part in machines for change in part.outcomes]
    notes = (
        *base.notes,
        *head.notes,
        *_on_both(base, head),
        *_left_out(base, head, paired),
        *(f"{part.base.label}: the sides have no case in common on it." for part in parts if part not in machines),
        *_weak_gates(asked, tables),
    )
    return Comparison(machines, notes, tuple(check(gate, tables, changes) for gate in asked.gates))


def _compare_machine(
    base: Machine, head: Machine, mine: Sequence[Run], theirs: Sequence[Run], *, asked: Request
) -> MachineComparison:
    """Compare one machine's cases."""
    matched = outcomes.match(mine, theirs)
    tables, notes = _tables(matched.pairs, asked)
    changes = outcomes.changes(matched.pairs)
    return MachineComparison(
        base=base,
        head=head,
        runs=(len(mine), len(theirs)),
        tables=tables,
        outcomes=changes,
        only_base=matched.only_base,
        only_head=matched.only_head,
        verdicts=_verdicts(matched.pairs, tables, changes),
        differences=(*sides.machine_differences(base, head), *sides.software_differences(mine, theirs)),
        notes=(*notes, *_throttled(matched.pairs)),
    )


def _tables(pairs: Sequence[Pair], asked: Request) -> tuple[tuple[Table, ...], tuple[str, ...]]:
    """The tables that have rows, and a note for each metric that some case has on one side only."""
    chosen = dict.fromkeys([*(asked.metrics or DEFAULT_METRICS), *(gate.metric for gate in asked.gates)])
    tables = [verdicts.table(name, pairs, asked.factors.get(name, METRICS[name].factor)) for name in chosen]
    notes = []
    for table in tables:
        if table.one_sided:
            many = "1 case has" if table.one_sided == 1 else f"{table.one_sided} cases have"
            notes.append(f"{METRICS[table.metric].title}: {many} it on one side only and can't be compared.")
        elif not table.rows and table.metric in asked.metrics:
            notes.append(f"{METRICS[table.metric].title}: no case has it on either side.")
    return tuple(table for table in tables if table.rows), tuple(notes)


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
    return "undecided" if words & {"too few samples", "too few runs"} else "unchanged"


def _on_both(base: Side, head: Side) -> list[str]:
    theirs = {(run.id, run.machine) for run in head.runs if "published" not in {r.kind for r in run.records.values()}}
    shared = dict.fromkeys(run.id for run in base.runs if (run.id, run.machine) in theirs)
    return [f"Run {one} is on both sides: it is compared with itself." for one in shared]


def _left_out(base: Side, head: Side, paired: Sequence[tuple[Machine, Machine]]) -> list[str]:
    """Machines of one side that the other does not have."""
    used = ({mine for mine, _ in paired}, {theirs for _, theirs in paired})
    return [
        f"Only on the {side.name} side, and left out: {machine.label} ({len(side.on(machine))} "
        f"run{'s' if len(side.on(machine)) != 1 else ''})."
        for side, there in zip((base, head), used, strict=True)
        for machine in side.machines
        if machine not in there
    ]


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
            many = "1 case" if len(slowed) == 1 else f"{len(slowed)} cases"
            notes.append(f"{name}: the GPU was throttled during samples of {many}; they count: {slowed[0].case.label}.")
    return notes


def _weak_gates(asked: Request, tables: Sequence[Table]) -> list[str]:
    """A gate below the practical factor of a tested metric can't fail on what is not shown."""
    factors = {t.metric: t.factor for t in tables if any(row.test not in UNTESTED for row in t.rows)}
    return [
        f"--fail-on {gate.text}: the practical factor of {gate.metric} is {format_percent(factors[gate.metric])}; "
        f"smaller changes are not shown and do not fail the gate. --factor {gate.metric}=N% sets another."
        for gate in asked.gates
        if gate.limit < factors.get(gate.metric, 0.0)
    ]
