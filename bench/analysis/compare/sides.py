"""The two sides of a comparison: the runs of their records, and which machines are compared with each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from bench.analysis.compare.machines import Machine, machine_differences, machine_of
from bench.core.units import one_line
from bench.errors import ResultsError
from bench.record import Record
from bench.record import Run as RecordRun

SideName = Literal["base", "head"]


@dataclass(frozen=True, slots=True)
class Run:
    """A run, or the part of it on one machine: the last record of each case, by case id in the order of the file.

    `planned` is how many cases the whole run has.
    """

    file: str
    id: str
    plan: str
    machine: Machine
    planned: int
    records: Mapping[str, Record]


@dataclass(frozen=True)
class Side:
    """All runs given for one side, and notes on those that are unfinished or were given twice."""

    name: SideName
    runs: tuple[Run, ...]
    notes: tuple[str, ...] = ()

    @cached_property
    def by_machine(self) -> Mapping[Machine, Sequence[Run]]:
        """The runs of each machine, machines and runs in the order of the runs."""
        by_machine: dict[Machine, list[Run]] = {}
        for run in self.runs:
            by_machine.setdefault(run.machine, []).append(run)
        return by_machine

    @property
    def machines(self) -> tuple[Machine, ...]:
        """The machines in the order of the runs, each once."""
        return tuple(self.by_machine)

    def on(self, machine: Machine) -> Sequence[Run]:
        """The runs of one machine."""
        return self.by_machine.get(machine, ())


def side(name: SideName, files: Iterable[tuple[str, Sequence[Record]]]) -> Side:
    """Make a side of results files: every (file, run id) is a run, and the last record of each case counts.

    An unfinished run counts, with a note. If a run has a copy, whole or in part (same id and machine, equal records of
    the cases that both have), only the one with more records counts, with a note.
    Raises ResultsError if there are no records.
    """
    given = [run for file, records in files for run in _runs(file, records)]
    kept, notes = _without_copies(name, given)
    runs = _by_machine(kept)
    if not runs:
        raise ResultsError(
            f"The {name} side has no records. Name results files or folders that have some: `bench compare BASE HEAD`."
        )
    return Side(name, runs, tuple(one_line(note) for note in (*notes, *_unfinished(name, runs))))


def _without_copies(name: SideName, given: Sequence[Run]) -> tuple[list[Run], list[str]]:
    """The runs that are not copies of a fuller run (or of an earlier equal one), and a note on each copy."""
    fullest: dict[tuple[str, Machine], list[Run]] = {}
    notes = []
    for run in sorted(given, key=lambda run: len(run.records), reverse=True):
        known = fullest.setdefault((run.id, run.machine), [])
        original = next((fuller for fuller in known if run.records.items() <= fuller.records.items()), None)
        if original is None:
            known.append(run)
        else:
            part = "" if len(run.records) == len(original.records) else "part of "
            notes.append(f"{name}: {run.file} is a copy of {part}run {run.id} in {original.file}; it is counted once.")
    return [run for run in given if any(run is kept for kept in fullest[run.id, run.machine])], notes


def _runs(file: str, records: Sequence[Record]) -> list[Run]:
    """The runs of a file, each of one machine: a docs page's published rows are of several."""
    by_run: dict[tuple[str, Machine], dict[str, Record]] = {}
    runs: dict[str, RecordRun] = {}
    for record in records:
        by_run.setdefault((record.run.id, machine_of(record)), {})[record.case.id] = record
        runs.setdefault(record.run.id, record.run)
    return [
        Run(file, run_id, runs[run_id].plan, machine, runs[run_id].cases, cases)
        for (run_id, machine), cases in by_run.items()
    ]


def _by_machine(runs: Sequence[Run]) -> tuple[Run, ...]:
    """The runs, each with the first machine that is like its own: memory totals of one machine vary a little."""
    known: defaultdict[tuple[object, ...], list[Machine]] = defaultdict(list)
    same_machine = []
    for run in runs:
        candidates = known[run.machine.exact]
        machine = next((candidate for candidate in candidates if not candidate.unlike(run.machine)), run.machine)
        if machine is run.machine:
            candidates.append(machine)
        same_machine.append(replace(run, machine=machine))
    return tuple(same_machine)


def _unfinished(name: SideName, runs: Sequence[Run]) -> list[str]:
    """A note on each run that lacks cases, also together with others of its plan in its file (`bench merge`)."""
    cases: defaultdict[tuple[str, str, str, int], set[tuple[Machine, str]]] = defaultdict(set)
    for run in runs:
        cases[run.file, run.plan, run.id, run.planned] |= {(run.machine, case) for case in run.records}
    lacking = {part: known for part, known in cases.items() if len(known) < part[-1]}
    together: defaultdict[tuple[object, ...], set[tuple[Machine, str]]] = defaultdict(set)
    for part, known in lacking.items():
        together[_parts(part, known)] |= known
    return [
        f"{name}: run {part[2]} is unfinished: {len(known)} of {part[-1]} cases."
        for part, known in lacking.items()
        if len(together[_parts(part, known)]) < part[-1]
    ]


def _parts(part: tuple[str, str, str, int], cases: Iterable[tuple[Machine, str]]) -> tuple[object, ...]:
    """What is equal of unfinished runs that continue each other: file, plan and machines."""
    return part[0], part[1], frozenset(machine for machine, _ in cases)


def paired_machines(base: Side, head: Side, *, across: bool) -> tuple[tuple[Machine, Machine], ...]:
    """The machines to compare: those that both sides have; if there are none, and with `across`, the only one a side.

    Raises ResultsError, which says how the machines differ or which there are.
    """
    pairs = _alike(base.machines, head.machines)
    if pairs:
        return pairs
    if len(base.machines) == len(head.machines) == 1:
        if across:
            return ((base.machines[0], head.machines[0]),)
        differences = "; ".join(
            difference.text for difference in machine_differences(base.machines[0], head.machines[0])
        )
        raise ResultsError(
            f"The sides can't be compared: {differences}. "
            "Compare runs of one machine and one limit, or add --across-machines to compare them anyway."
        )
    there = "; ".join(f"{side.name}: {', '.join(machine.label for machine in side.machines)}" for side in (base, head))
    raise ResultsError(
        f"The sides have no machine in common ({there}). Name the files of one machine for each side"
        f"{'' if across else ', and add --across-machines'}."
    )


def _alike(base: Sequence[Machine], head: Sequence[Machine]) -> tuple[tuple[Machine, Machine], ...]:
    """Each machine of the base with the first one of the head that is like it and has no pair yet."""
    free: defaultdict[tuple[object, ...], list[Machine]] = defaultdict(list)
    for machine in head:
        free[machine.exact].append(machine)
    pairs = []
    for base_machine in base:
        candidates = free[base_machine.exact]
        head_machine = next((machine for machine in candidates if not base_machine.unlike(machine)), None)
        if head_machine is not None:
            candidates.remove(head_machine)
            pairs.append((base_machine, head_machine))
    return tuple(pairs)
