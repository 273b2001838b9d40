"""Results on disk: one JSONL file a run, one durable line a case. Read, append, choose what to go on with.

Imports `errors` and `record`; never torch. A torn last line (power cut, full disk) never hides the good ones.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.errors import ResultsError
from bench.record import SCHEMA_VERSION, Ceilings, Record


def _migrate_1(line: dict[str, Any]) -> dict[str, Any]:
    """Version 1 knew no noise target and no slow calls: all were timed a given number of times."""
    measure = line.get("measure")
    if isinstance(measure, dict):
        line = {**line, "measure": {**measure, "max_noise": None, "slow_call": None}}
    return {**line, "schema_version": 2}


#: How a line of an older schema version becomes one of the next: version -> function of the parsed line.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _migrate_1}


@dataclass(frozen=True, slots=True)
class ResultsFile:
    """What a file held: its good records, how many bytes of it they cover, and what had to be set aside."""

    path: Path
    records: tuple[Record, ...]
    good_bytes: int
    warnings: tuple[str, ...] = ()


def read_file(path: Path) -> ResultsFile:
    """Read one results file. A torn last line is left out with a warning.

    Raises ResultsError for a file that can't be read, a broken line that is not the last, or a newer schema.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ResultsError(f"{path}: can't be read: {error.strerror}.") from None
    records: list[Record] = []
    good = 0
    lines = data.split(b"\n")
    last = max((number for number, line in enumerate(lines, start=1) if line.strip()), default=0)
    for number, line in enumerate(lines[:last], start=1):
        if line.strip():
            try:
                records.append(_parse(line, f"{path}, line {number}"))
            except _TornLineError:
                if number < last:
                    raise ResultsError(
                        f"{path}, line {number}: is not JSON, and lines follow it, so it is not a torn end. "
                        "Was the file edited? Restore it, or delete that line."
                    ) from None
                torn = f"{path}: its last line is torn ({len(line)} bytes) and was set aside; all before it are good"
                return ResultsFile(path, tuple(records), good, (torn,))
        good += len(line) + 1
    return ResultsFile(path, tuple(records), min(good, len(data)))


class _TornLineError(Exception):
    """A line that stops before its JSON does."""


def _parse(line: bytes, where: str) -> Record:
    def whole_number(digits: str) -> int:
        if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
            raise ResultsError(f"{where}: {digits[:24]}... is beyond 2**63 - 1, and no quantity of a record is.")
        return int(digits)

    try:
        data = json.loads(line, parse_int=whole_number)
    except (ValueError, RecursionError):  # also UnicodeDecodeError
        raise _TornLineError from None
    try:
        return Record.model_validate(_migrate(data, where))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ResultsError(f"{where}: is not a record of this program: `{field}`: {first['msg']}.") from None


def _migrate(data: Any, where: str) -> Any:
    version = data.get("schema_version") if isinstance(data, dict) else None
    if not isinstance(version, int):
        raise ResultsError(f"{where}: has no schema_version, so it is not a record of this program.")
    if version > SCHEMA_VERSION:
        raise ResultsError(
            f"{where}: is of schema version {version}, and this program reads up to {SCHEMA_VERSION}. "
            "Update Hybrid Bench to read it; nothing was changed."
        )
    while version < SCHEMA_VERSION:
        if version not in MIGRATIONS:
            raise ResultsError(f"{where}: is of schema version {version}, which this program can't migrate.")
        data = MIGRATIONS[version](data)
        version += 1
    return data


def read(paths: Sequence[Path]) -> tuple[list[ResultsFile], list[str]]:
    """Read results files and folders (searched for *.jsonl, in order of path), and the warnings of all.

    A file that is reached twice is read once. Raises ResultsError if a path does not exist.
    """
    found: dict[str, Path] = {}
    for path in paths:
        if not path.exists():
            raise ResultsError(f"{path}: there is no such file or folder. `bench run` writes results.")
        inside = [file for file in sorted(path.rglob("*.jsonl")) if file.is_file()]  # no folders, no broken links
        for file in inside if path.is_dir() else [path]:
            found.setdefault(os.path.realpath(file), file)
    files = [read_file(file) for file in found.values()]
    return files, [warning for file in files for warning in file.warnings]


def latest(files: Iterable[ResultsFile]) -> tuple[list[Record], list[str]]:
    """The records that tables show, in the files' order, and notes on what is not whole.

    Of each (case, device, vram limit, kind) the one of the latest run; finished runs come before unfinished ones,
    whose records are used, with a note, only where no finished run has the case.
    """
    runs: dict[tuple[Path, str], list[Record]] = {}
    for file in files:
        for record in file.records:
            runs.setdefault((file.path, record.run.id), []).append(record)
    chosen: dict[tuple[str, str, int | None, str], tuple[tuple[bool, str], Record]] = {}
    unfinished: dict[str, str] = {}
    for (_, run_id), records in runs.items():
        planned = records[0].run.cases
        whole = len({record.key for record in records}) >= planned
        if not whole:
            unfinished[run_id] = f"run {run_id} is unfinished: {len(records)} of {planned} cases"
        for record in records:
            key = (record.case.id, record.device.name, record.vram_limit_bytes, record.kind)
            rank = (whole, record.run.started_at)
            if key not in chosen or rank >= chosen[key][0]:
                chosen[key] = (rank, record)  # an update keeps the place of the first
    used = [record for _, record in chosen.values()]
    return used, [note for run_id, note in unfinished.items() if any(r.run.id == run_id for r in used)]


class RunFile:
    """The file that one run appends to. What is appended is on disk before `append` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def repair(self) -> None:
        """Set a torn tail aside as `NAME.torn`, so that the next line starts on its own."""
        if not self.path.exists():
            return
        good = read_file(self.path).good_bytes
        with _reported(self.path), self.path.open("r+b") as file:
            file.seek(good)
            tail = file.read()
            if tail.strip():
                with self.path.with_name(f"{self.path.name}.torn").open("ab") as aside:
                    aside.write(tail + b"\n")
            file.truncate(good)
            if good:
                file.seek(good - 1)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.flush()
            os.fsync(file.fileno())

    def append(self, *records: Record) -> None:
        """Write a line for each, all at once, and flush them to the disk. On failure the file is left as it was.

        Raises ResultsError (disk full, read-only folder, ...).
        """
        lines = b"".join(record.to_json().encode() + b"\n" for record in records)
        with _reported(self.path):
            if self.path.exists():
                _append(self.path, lines)
            else:  # the first line makes the file, so that no run is left without a record
                write_whole(self.path, lines)


def replace_published(path: Path, records: Iterable[Record]) -> None:
    """Write published records as one file, in place of what an earlier import left there.

    Raises ResultsError rather than write over a file that holds anything else.
    """
    if path.exists():
        held = read_file(path)
        if held.warnings or any(record.kind != "published" for record in held.records):
            raise ResultsError(f"{path}: holds lines that are not published records. Choose another file with --out.")
    with _reported(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, b"".join(record.to_json().encode() + b"\n" for record in records))


CEILINGS = "ceilings.json"


def write_ceilings(folder: Path, ceilings: Ceilings) -> Path:
    """Write a device's ceilings as `ceilings.json` in its results folder, in the place of older ones.

    Raises ResultsError.
    """
    path = folder / CEILINGS
    with _reported(path):
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, ceilings.model_dump_json(indent=2).encode() + b"\n")
    return path


def read_ceilings(paths: Sequence[Path]) -> tuple[list[Ceilings], list[str]]:
    """The ceilings that lie in these folders or beside these results files, the newest of each device (by its name).

    A file that can't be read as such is left out with a warning; paths that do not exist hold none.
    """
    newest: dict[str, Ceilings] = {}
    warnings: list[str] = []
    for path in paths:
        beside = path.parent / CEILINGS
        for file in sorted(path.rglob(CEILINGS)) if path.is_dir() else [beside]:
            if file.is_file():
                try:
                    found = _ceilings(file)
                except ResultsError as error:
                    warnings.append(str(error))
                    continue
                known = newest.get(found.device.name)
                if known is None or found.recorded_at >= known.recorded_at:
                    newest[found.device.name] = found
    return list(newest.values()), warnings


def _ceilings(path: Path) -> Ceilings:
    again = "Delete it, and measure again with `bench doctor --ceilings`."
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise ResultsError(f"{path}: can't be read: {error.strerror}.") from None
    except (ValueError, RecursionError):
        raise ResultsError(f"{path}: is not JSON. {again}") from None
    version = data.get("schema_version") if isinstance(data, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise ResultsError(
            f"{path}: is of schema version {version}, and this program reads up to {SCHEMA_VERSION}. "
            "Update Hybrid Bench to read it."
        )
    try:
        return Ceilings.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ResultsError(f"{path}: does not hold a device's ceilings: `{field}`: {first['msg']}. {again}") from None


def write_whole(path: Path, data: bytes) -> None:
    """Put a whole file on the disk, in the place of another if there is one, or fail and leave things as they were.

    Raises OSError.
    """
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    try:
        _append(fresh, data)
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _append(path: Path, data: bytes) -> None:
    """Append and flush to the disk; on failure cut the file back to what it was."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        before = os.fstat(fd).st_size
        try:
            _write_all(fd, data)
            os.fsync(fd)
        except OSError:
            os.ftruncate(fd, before)
            raise
    finally:
        os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _sync_folder(folder: Path) -> None:
    """Make a new file's name durable; Windows can't open folders and needs no such thing."""
    if os.name == "posix":
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Turn an operating system's refusal into one paragraph that says what to do."""
    try:
        yield
    except OSError as error:
        raise ResultsError(
            f"{path}: can't be written: {error.strerror}. Nothing that was finished is lost. Make room or choose "
            "another folder with --out, then run the same command again to go on."
        ) from None


def prepare_folder(folder: Path) -> None:
    """Create a results folder and check that a file can be written in it. Raises ResultsError."""
    probe = folder / f".write-check-{os.getpid()}"
    with _reported(folder):
        if folder.exists() and not folder.is_dir():
            raise ResultsError(f"{folder}: is a file, and results need a folder. Choose another one with --out.")
        folder.mkdir(parents=True, exist_ok=True)
        _sync_folder(folder.parent)
        try:
            probe.write_bytes(b"x")
        finally:
            probe.unlink(missing_ok=True)


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold a device's results folder for one run; two at once would also spoil each other's figures.

    The lock dies with the process, however it ends. Raises ResultsError if another run holds it.
    """
    try:
        import fcntl  # noqa: PLC0415 - POSIX only
    except ImportError:  # Windows: no lock, and no promise about two runs at once
        yield
        return
    with _reported(folder):
        lock = (folder / ".lock").open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ResultsError(
                f"{folder}: another `bench run` is measuring on this device; two at once would spoil both. "
                "Wait for it, or stop it."
            ) from None
        except OSError:  # some network file systems have no locks
            pass
        yield


def unfinished(
    folder: Path, plan: str, vram_limit_bytes: int | None, same_setting: Callable[[Record], bool]
) -> ResultsFile | None:
    """The latest run of `plan` in a device's folder, if it is unfinished and was made in the same setting.

    Files that can't be read are passed over: they are for `report` to complain of.
    """
    runs: list[ResultsFile] = []
    for path in folder.glob("*.jsonl"):
        try:
            file = read_file(path)
        except ResultsError:
            continue
        first = file.records[0] if file.records else None
        if first and first.run.plan == plan and first.vram_limit_bytes == vram_limit_bytes and same_setting(first):
            runs.append(file)
    if not runs:
        return None
    last = max(runs, key=lambda file: file.records[0].run.started_at)
    done = {record.case.id for record in last.records}
    return last if len(done) < last.records[0].run.cases else None
