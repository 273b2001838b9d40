"""What a push would send: results files read strictly, and checked before anything becomes public."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import store
from bench.core.units import format_count
from bench.errors import ResultsError
from bench.record import Kind
from bench.sharing.hub.layout import RESULTS, RemoteFile, facts_device, run_path, table_path
from bench.sharing.hub.private_texts import Search, names_here
from bench.sharing.hub.run_lines import Joined, Line, ReadLines, RunLines, by_run, join, named, read_lines
from bench.sharing.hub.shared_facts import problem_of
from bench.sharing.merge.merge_planning import Tracked, untracked
from bench.store.disk import is_named_pipe
from bench.store.stand_in import record_stand_in

_FACTS = ("ceilings.json", "workspaces.json", "cudnn-*/workspaces.json", "quality-*.json")


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a user lets out besides plain measurements: kinds of records, endpoints' addresses, names and paths."""

    kinds: frozenset[Kind] = frozenset({"measured"})
    endpoints: bool = False
    names: bool = False


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What would be sent.

    Attributes:
        runs: the runs, by their paths in a repository.
        facts: the files with facts of their devices, by path.
        unchanged: results files that the repository has as they are.
        notes: what stays here, and why.
    """

    runs: dict[str, RunLines]
    facts: dict[str, bytes]
    unchanged: int = 0
    notes: tuple[str, ...] = ()


def read(
    paths: Sequence[Path], allowed: Allowed, there: Mapping[str, RemoteFile] | None = None, tracked: Tracked = untracked
) -> Outgoing:
    """Read results files and folders, as `store.read` does, but those that are `there` already.

    Raises ResultsError for bad lines, records of a stand-in, two contents of one run and leaks that are not allowed,
    and if there are no results.
    """
    files = store.results_files(paths)
    unchanged = {path for path in files if _is_there(path, there or {})}
    new = [path for path in files if path not in unchanged]
    readings = {path: _reading_of(path) for path in tracked(new, "Checking results")}
    bad = [message for reading in readings.values() for message in reading.bad]
    if bad:
        raise ResultsError(
            "Nothing was pushed, because lines can't be used. Correct them, or leave their files out:", *named(bad)
        )
    chosen = {
        path: [line for line in reading.lines if line.record.kind in allowed.kinds]
        for path, reading in readings.items()
    }
    if not unchanged and not any(chosen.values()):
        places = ", ".join(map(str, paths))
        raise ResultsError(f"{places}: no {' or '.join(sorted(allowed.kinds))} records there. `bench run` writes them.")
    runs = _runs(chosen.values())
    devices = {line.record.device.slug for lines in chosen.values() for line in lines}
    facts = dict(_facts(files, devices | {path.parent.name for path in unchanged}))
    unusable = {path: problem for path, content in facts.items() if (problem := problem_of(path, content))}
    facts = {path: content for path, content in facts.items() if path not in unusable}
    _refuse_leaks(chosen, facts, allowed)
    return Outgoing(runs, facts, len(unchanged), (*unusable.values(), *_notes(readings, allowed.kinds)))


def _is_there(path: Path, there: Mapping[str, RemoteFile]) -> bool:
    """Whether a repository has the file as it is, and its table: it was checked when it was pushed."""
    place = run_path(path.parent.name, path.stem)
    if place not in there or table_path(place) not in there:
        return False
    try:
        return path.stat().st_size == there[place].size and there[place].holds(path.read_bytes())
    except OSError:  # reported when it is read
        return False


def _reading_of(path: Path) -> ReadLines:
    """The lines of a file. Raises ResultsError if it can't be read, or for records of a stand-in."""
    try:
        if is_named_pipe(path):
            raise ResultsError(f"{path} is a named pipe, which may never end. Write the results to a file.")
        content = path.read_bytes()
    except OSError as error:
        raise ResultsError(f"Can't read {path}: {error.strerror}.") from None
    reading = read_lines(content, str(path))
    stand_ins = sum(record_stand_in(line.record) is not None for line in reading.lines)
    if stand_ins:
        raise ResultsError(
            f"{path} has {format_count(stand_ins, 'record')} of a stand-in for a device, so nothing was pushed. Leave "
            "the file out: such figures describe no real device."
        )
    return reading


def _notes(readings: Mapping[Path, ReadLines], kinds: Collection[Kind]) -> Iterator[str]:
    """What stays here: torn ends, and records of other kinds."""
    yield from (f"{path}: the last line is incomplete and stays here" for path, r in readings.items() if r.torn)
    others = Counter(line.record.kind for reading in readings.values() for line in reading.lines)
    for kind, count in others.items():
        if kind not in kinds:
            yield f"{format_count(count, f'{kind} record')} stay here; --kind {kind} sends them"


def _runs(files: Iterable[Sequence[Line]]) -> dict[str, RunLines]:
    """The runs by path; one that is in several files is joined. Raises ResultsError if they contradict each other."""
    runs: dict[str, RunLines] = {}
    conflicts: list[str] = []
    for lines in files:
        for run in by_run(lines):
            known = runs.get(run.path)
            joined = join(known, run, ("in one file", "in another")) if known else Joined(run)
            runs[run.path] = joined.run
            conflicts += joined.conflicts
    if conflicts:
        raise ResultsError("Nothing was pushed, because two of these files contradict each other:", *named(conflicts))
    return runs


def _facts(files: Iterable[Path], devices: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """The files with facts of these devices that lie beside results, by their paths in a repository."""
    folders = dict.fromkeys(path.parent for path in files)
    for folder in folders:
        if folder.name not in devices:
            continue
        for pattern in _FACTS:
            for path in sorted(folder.glob(pattern)):
                place = f"{RESULTS}/{folder.name}/{path.relative_to(folder).as_posix()}"
                if facts_device(place) and path.is_file():
                    yield place, path.read_bytes()


def _refuse_leaks(chosen: Mapping[Path, Sequence[Line]], facts: Mapping[str, bytes], allowed: Allowed) -> None:
    """Raise ResultsError if anything says more than is allowed."""
    search = Search(names_here(line.record for lines in chosen.values() for line in lines))
    leaking = [
        leak for path, lines in chosen.items() for line in lines for leak in search.of_record(line.record, str(path))
    ]
    leaking += [leak for place, content in facts.items() for leak in search.of_json(content, place)]
    advice = {
        "token": (False, "A file contains a secret. Leave the file out:"),
        "endpoint": (
            allowed.endpoints,
            "Files name endpoints on other machines. Leave these files out, or add --with-endpoints:",
        ),
        "name": (
            allowed.names,
            "Files name a person, a machine or a folder. Leave these files out, or add --with-names:",
        ),
    }
    for kind, (is_allowed, text) in advice.items():
        texts = dict.fromkeys(str(leak) for leak in leaking if leak.kind == kind)
        if texts and not is_allowed:
            raise ResultsError(f"Nothing was pushed. {text}", *named(texts))
