"""The two sides of a comparison: runs out of records, the machines they ran on, and what else differs.

Imports `errors`, `record` and `units`; reads no file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal, TypeVar

from bench.errors import ResultsError
from bench.record import Environment, GpuSettings, MeasureSettings, Record
from bench.units import GIB, format_bytes

_T = TypeVar("_T")
SideName = Literal["base", "head"]


@dataclass(frozen=True, slots=True)
class Machine:
    """What must be alike for figures to be compared. None is what a record does not say, and is unlike any value."""

    kind: str
    name: str
    total_bytes: int | None
    vram_limit_bytes: int | None
    host_cpu: str | None
    host_cores: int | None
    host_ram_gib: int | None

    @property
    def label(self) -> str:
        """One line for people: `NVIDIA H100 80GB HBM3, limited to 8.00 GiB`."""
        limit = f", limited to {format_bytes(self.vram_limit_bytes)}" if self.vram_limit_bytes is not None else ""
        return f"{self.name}{limit}"


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that the sides do not have in common: every value that each side has of it, as text."""

    name: str
    base: tuple[str, ...]
    head: tuple[str, ...]

    @property
    def inside(self) -> bool:
        """Whether it already differs inside a side."""
        return max(len(self.base), len(self.head)) > 1


@dataclass(frozen=True, slots=True)
class Run:
    """One run, or what of it is of one machine: the last record of each case, by case id in the order of the file."""

    file: str
    id: str
    machine: Machine
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

    An unfinished run counts, with a note; a copy of a run (same id, same records) is counted once, with a note.
    Raises ResultsError where there is no record at all.
    """
    found: list[Run] = []
    notes: list[str] = []
    whole: dict[str, list[list[Record]]] = {}
    for file, all_records in files:
        for run_id, records in _by_run(all_records).items():
            if records in whole.setdefault(run_id, []):
                notes.append(f"{name}: {file} is a copy of run {run_id}, which was given already; it is counted once.")
                continue
            whole[run_id].append(records)
            finished = len({record.key for record in records})
            if finished < records[0].run.cases:
                notes.append(f"{name}: run {run_id} is unfinished: {finished} of {records[0].run.cases} cases.")
            found += _by_machine(file, run_id, records)
    if not found:
        raise ResultsError(
            f"There is no record on the {name} side. Name results files or folders that hold some: "
            "`bench compare BASE HEAD`."
        )
    return Side(name, tuple(found), tuple(notes))


def _by_run(records: Sequence[Record]) -> dict[str, list[Record]]:
    runs: dict[str, list[Record]] = {}
    for record in records:
        runs.setdefault(record.run.id, []).append(record)
    return runs


def _by_machine(file: str, run_id: str, records: Sequence[Record]) -> list[Run]:
    """A run is of one machine; a docs page's published rows are of several."""
    machines: dict[Machine, dict[str, Record]] = {}
    for record in records:
        machines.setdefault(_machine(record), {})[record.case.id] = record
    return [Run(file, run_id, machine, cases) for machine, cases in machines.items()]


def _machine(record: Record) -> Machine:
    device, host = record.device, record.environment
    return Machine(
        kind=device.kind,
        name=device.name,
        total_bytes=device.total_bytes if device.kind == "cuda" else None,  # a CPU's is the RAM
        vram_limit_bytes=record.vram_limit_bytes,
        host_cpu=host.host_cpu if host else None,
        host_cores=host.host_cores if host else None,
        host_ram_gib=round(host.host_ram_bytes / GIB) if host else None,
    )


_MACHINE_WORDS = {
    "kind": "device kind",
    "name": "device",
    "total_bytes": "device memory",
    "vram_limit_bytes": "VRAM limit",
    "host_cpu": "host CPU",
    "host_cores": "host cores",
    "host_ram_gib": "host RAM",
}


def machine_differences(base: Machine, head: Machine) -> tuple[Difference, ...]:
    """In what two machines are unlike."""
    return tuple(
        Difference(_MACHINE_WORDS[field.name], (_machine_word(base, field.name),), (_machine_word(head, field.name),))
        for field in fields(Machine)
        if getattr(base, field.name) != getattr(head, field.name)
    )


def _machine_word(machine: Machine, field: str) -> str:
    value = getattr(machine, field)
    if value is None:
        return "none" if field == "vram_limit_bytes" else "not known"
    if field == "host_ram_gib":
        return f"{value} GiB"
    return f"{value / GIB:.2f} GiB ({value} bytes)" if field.endswith("_bytes") else str(value)


def paired_machines(base: Side, head: Side, *, across: bool) -> tuple[tuple[Machine, Machine], ...]:
    """The machines to compare: those of both sides; where there is none and `across` is set, the one of each side.

    Raises ResultsError that says in what the machines are unlike, or which there are.
    """
    common = [machine for machine in base.machines if machine in head.machines]
    if common:
        return tuple((machine, machine) for machine in common)
    if len(base.machines) == len(head.machines) == 1:
        if across:
            return ((base.machines[0], head.machines[0]),)
        differences = "; ".join(told(one) for one in machine_differences(base.machines[0], head.machines[0]))
        raise ResultsError(
            f"The sides were measured on unlike machines: {differences}. Times and memory then differ for that alone. "
            "Compare runs of one machine, or give --across-machines to compare them all the same."
        )
    there = "; ".join(f"{one.name}: {', '.join(machine.label for machine in one.machines)}" for one in (base, head))
    raise ResultsError(
        f"The sides were measured on unlike machines and have none in common ({there}). Name the files of one machine "
        f"a side{'' if across else ', and give --across-machines'} to compare them."
    )


def told(difference: Difference) -> str:
    """A difference in words: `torch: base 2.12.0, head 2.13.0`."""
    return f"{difference.name}: base {' and '.join(difference.base)}, head {' and '.join(difference.head)}"


def software_differences(base: Sequence[Run], head: Sequence[Run]) -> tuple[Difference, ...]:
    """What differs between or inside the sides, machine apart: kinds of record, software, settings."""
    mine, theirs = ([record for run in runs for record in run.records.values()] for runs in (base, head))
    found: list[Difference] = []
    for group, facets in _FACETS.items():
        of_base, of_head = _values(facets(mine)), _values(facets(theirs))
        if bool(of_base) != bool(of_head):
            told_of = (("known",) if one else ("not known",) for one in (of_base, of_head))
            found.append(Difference(group, *told_of))
            continue
        names = dict.fromkeys([*of_base, *of_head])
        both = [Difference(name, *(tuple(one.get(name, ("none",))) for one in (of_base, of_head))) for name in names]
        found += [one for one in both if one.base != one.head or one.inside]
    return tuple(found)


def _values(facets: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """All values of each facet, sorted; `none` among them where one of them does not have it."""
    names = dict.fromkeys(name for one in facets for name in one)
    return {name: sorted({one.get(name, "none") for one in facets}) for name in names}


def _kinds(records: Sequence[Record]) -> list[dict[str, str]]:
    return [{"kind of record": kind} for kind in {record.kind for record in records}]


def _environments(records: Sequence[Record]) -> list[dict[str, str]]:
    return [_environment(one) for one in _distinct(record.environment for record in records)]


def _settings(records: Sequence[Record]) -> list[dict[str, str]]:
    return [
        {f"measure.{name}": _word(getattr(one, name)) for name in MeasureSettings.model_fields}
        for one in _distinct(record.measure for record in records)
    ]


#: What may differ, by what it is told of where only one side has it at all.
_FACETS: dict[str, Callable[[Sequence[Record]], Sequence[Mapping[str, str]]]] = {
    "kind of record": _kinds,
    "software": _environments,
    "measure settings": _settings,
}


def _distinct(values: Iterable[_T | None]) -> list[_T]:
    """Those that are there, each once; they need not be hashable, and most are one and the same object."""
    found: list[_T] = []
    for value in values:
        if value is not None and not any(value is one or value == one for one in found):
            found.append(value)
    return found


def _environment(environment: Environment) -> dict[str, str]:
    names = ("project_commit", "python", "os", "driver", "cuda", "cudnn", "threads")
    facets = {name.replace("_", " "): _word(getattr(environment, name)) for name in names}
    for name, package in environment.packages.items():
        facets[name] = f"{package.version} ({package.commit})" if package.commit else package.version
    facets |= {f"${name}": value for name, value in environment.variables.items()}
    if environment.gpu is not None:
        settings = [name for name in GpuSettings.model_fields if name != "neighbours"]
        facets |= {f"gpu {name.replace('_', ' ')}": _word(getattr(environment.gpu, name)) for name in settings}
    return facets


def _word(value: object) -> str:
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
