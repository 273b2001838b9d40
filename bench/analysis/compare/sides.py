"""The two sides of a comparison: runs out of records, and which machines of one are held against which of the other.

Imports `errors`, `record` and `units`; reads no file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.analysis.compare.machines import Machine, machine_differences, machine_of
from bench.core.units import one_line
from bench.errors import ResultsError
from bench.record import Record

SideName = Literal["base", "head"]


@dataclass(frozen=True, slots=True)
class Run:
    """One run, or what of it is of one machine: the last record of each case, by case id in the order of the file.

    `planned` is how many cases the whole run has.
    """

    file: str
    id: str
    machine: Machine
    planned: int
    records: Mapping[str, Record]


@dataclass(frozen=True, slots=True)
class Side:
    """All runs given for one side, and notes on those that are not whole or were given twice."""

    name: SideName
    runs: tuple[Run, ...]
    notes: tuple[str, ...] = ()

    @property
    def machines(self) -> tuple[Machine, ...]:
        """The machines, each once, in the order of the runs."""
        return tuple(dict.fromkeys(run.machine for run in self.runs))

    def on(self, machine: Machine) -> tuple[Run, ...]:
        """The runs of one machine."""
        return tuple(run for run in self.runs if run.machine == machine)


def side(name: SideName, files: Iterable[tuple[str, Sequence[Record]]]) -> Side:
    """A side out of results files: every (file, run id) is one run, whose last record of a case counts.

    An unfinished run counts, with a note. Of a run and a copy of it, whole or in part (same id and machine, equal
    records of the cases that both have), the fuller one is counted, with a note.
    Raises ResultsError where there is no record at all.
    """
    given = [run for file, records in files for run in _runs(file, records)]
    kept, notes = _without_copies(name, given)
    runs = _by_machine(kept)
    if not runs:
        raise ResultsError(
            f"There is no record on the {name} side. Name results files or folders that hold some: "
            "`bench compare BASE HEAD`."
        )
    return Side(name, runs, tuple(one_line(note) for note in (*notes, *_unfinished(name, runs))))


def _without_copies(name: SideName, given: Sequence[Run]) -> tuple[list[Run], list[str]]:
    """The runs that are not held by a fuller one (of equals, by the first), and a note on each of the others."""
    fullest: dict[tuple[str, Machine], list[Run]] = {}
    notes = []
    for run in sorted(given, key=lambda one: len(one.records), reverse=True):
        known = fullest.setdefault((run.id, run.machine), [])
        holder = next((one for one in known if run.records.items() <= one.records.items()), None)
        if holder is None:
            known.append(run)
        else:
            part = "" if len(run.records) == len(holder.records) else "part of "
            notes.append(f"{name}: {run.file} is a copy of {part}run {run.id} in {holder.file}; it is counted once.")
    return [run for run in given if any(run is one for one in fullest[run.id, run.machine])], notes


def _runs(file: str, records: Sequence[Record]) -> list[Run]:
    """The runs of a file. A run is of one machine; a docs page's published rows are of several."""
    found: dict[tuple[str, Machine], dict[str, Record]] = {}
    planned: dict[str, int] = {}
    for record in records:
        found.setdefault((record.run.id, machine_of(record)), {})[record.case.id] = record
        planned.setdefault(record.run.id, record.run.cases)
    return [Run(file, run_id, machine, planned[run_id], cases) for (run_id, machine), cases in found.items()]


def _by_machine(runs: Sequence[Run]) -> tuple[Run, ...]:
    """The runs, those of machines that are alike by the first one's: totals of memory vary a little."""
    machines: list[Machine] = []
    found = []
    for run in runs:
        machine = next((one for one in machines if not one.unlike(run.machine)), None)
        if machine is None:
            machines.append(run.machine)
        found.append(Run(run.file, run.id, machine or run.machine, run.planned, run.records))
    return tuple(found)


def _unfinished(name: SideName, runs: Sequence[Run]) -> list[str]:
    finished: Counter[tuple[str, str, int]] = Counter()
    for run in runs:
        finished[run.file, run.id, run.planned] += len(run.records)
    return [
        f"{name}: run {run_id} is unfinished: {count} of {planned} cases."
        for (_, run_id, planned), count in finished.items()
        if count < planned
    ]


def paired_machines(base: Side, head: Side, *, across: bool) -> tuple[tuple[Machine, Machine], ...]:
    """The machines to compare: those of both sides; where there is none and `across` is set, the one of each side.

    Raises ResultsError that says in what the machines are unlike, or which there are.
    """
    pairs = _alike(base.machines, head.machines)
    if pairs:
        return pairs
    if len(base.machines) == len(head.machines) == 1:
        if across:
            return ((base.machines[0], head.machines[0]),)
        differences = "; ".join(one.told for one in machine_differences(base.machines[0], head.machines[0]))
        raise ResultsError(
            f"The sides were measured on unlike machines: {differences}. Times and memory then differ for that alone. "
            "Compare runs of one machine, or give --across-machines to compare them all the same."
        )
    there = "; ".join(f"{one.name}: {', '.join(machine.label for machine in one.machines)}" for one in (base, head))
    raise ResultsError(
        f"The sides were measured on unlike machines and have none in common ({there}). Name the files of one machine "
        f"a side{'' if across else ', and give --across-machines'} to compare them."
    )


def _alike(base: Sequence[Machine], head: Sequence[Machine]) -> tuple[tuple[Machine, Machine], ...]:
    """Each machine of the base with the first one of the head that is like it and not taken yet."""
    free, pairs = list(head), []
    for one in base:
        other = next((other for other in free if not one.unlike(other)), None)
        if other is not None:
            free.remove(other)
            pairs.append((one, other))
    return tuple(pairs)
