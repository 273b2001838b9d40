"""Results files read: no bad line hides the good ones, and lines of older versions are migrated."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.errors import ResultsError, listed, printable
from bench.record import SCHEMA_VERSION, Case, Record, contradictions
from bench.store.disk import is_named_pipe
from bench.store.stand_in import LEFT_OUT, record_stand_in
from bench.workloads import models


def _migrate_1(line: dict[str, Any]) -> dict[str, Any]:
    """Version 1 knew no noise target and no slow calls: all were timed a given number of times."""
    measure = line.get("measure")
    if isinstance(measure, dict):
        line = {**line, "measure": {**measure, "max_noise": None, "slow_call": None}}
    return line


def _as_it_is(line: dict[str, Any]) -> dict[str, Any]:
    """All fields mean what they did, and some were added."""
    return line


#: Fields that version 6 keeps by axis and by stage.
_AXES = ("width", "height", "frames", "batch")
_OF_A_STAGE = ("timing", "memory", "tiles", "flops")


def _migrate_5(line: dict[str, Any]) -> dict[str, Any]:
    """Version 5 knew cases of images alone, and one time and one peak a record. What has axes or stages keeps them."""
    line, case = dict(line), line.get("case")
    if isinstance(case, dict) and "axes" not in case:
        axes = {name: case[name] for name in _AXES if name in case}
        if set(axes) >= {"width", "height"}:
            axes = {"frames": 1, "batch": 1, **axes}
        others = {name: value for name, value in case.items() if name not in _AXES}
        line["case"] = {**others, "axes": {name: axes[name] for name in _AXES if name in axes}}
    stage = {name: line.pop(name) for name in _OF_A_STAGE if name in line}
    if "stages" not in line and any(value is not None for value in stage.values()):
        operation = case.get("operation") if isinstance(case, dict) else None
        line["stages"] = [{"name": operation, **stage}]
    return line


#: How a line of an older schema version becomes one of the next: version -> function of the parsed line. Version 2 knew
#: no endpoints, version 3 no requests that overlap with generation, version 4 no predictions.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: _migrate_1,
    2: _as_it_is,
    3: _as_it_is,
    4: _as_it_is,
    5: _migrate_5,
}


#: The bad lines of a file that are named; the others are counted.
_NAMED = 3
#: The most characters of a line's own words that an error repeats.
_REPEATED = 160


@dataclass(frozen=True, slots=True)
class ResultsFile:
    """What a file held: its good records, the bytes before a torn end, and what had to be set aside.

    `has_newer_lines`: it has lines of a newer schema version, so only a newer Hybrid Bench may continue it.
    """

    path: Path
    records: tuple[Record, ...]
    good_bytes: int
    warnings: tuple[str, ...] = ()
    has_newer_lines: bool = False


def read_file(path: Path, *, strict: bool = False) -> ResultsFile:
    """Read one results file. A torn last line is left out with a warning, and so is a bad one unless `strict`.

    A line is bad if it is not JSON, not a record, of a newer schema, or of a record that contradicts itself. Raises
    ResultsError for a file that can't be read, or of bad lines alone, and for the first bad line if `strict`.
    """
    try:
        if is_named_pipe(path):
            raise ResultsError(f"{path}: is a named pipe, and may never end. Write the results to a file.")
        data = path.read_bytes()
    except OSError as error:
        raise ResultsError(f"{path}: can't be read: {error.strerror}.") from None
    records: list[Record] = []
    bad: list[ResultsError] = []
    torn: list[str] = []
    good = 0
    lines = data.split(b"\n")
    last = max((number for number, line in enumerate(lines, start=1) if line.strip()), default=0)
    for number, line in enumerate(lines[:last], start=1):
        try:
            records += [_parse(line, f"{path}, line {number}")] if line.strip() else []
        except _TornLineError as error:
            if number == last:
                torn = [f"{path}: its last line is torn ({len(line)} bytes) and was set aside"]
                break
            bad.append(error)
        except ResultsError as error:
            bad.append(error)
        if bad and strict:
            raise bad[0]
        good += len(line) + 1
    if bad and not records:
        raise _no_good_line(bad)
    newer = any(isinstance(error, _NewerLineError) for error in bad)
    return ResultsFile(path, tuple(records), min(good, len(data)), (*_set_aside(path, bad), *torn), newer)


class _NoGoodLineError(ResultsError):
    """A file of bad lines alone."""


def _no_good_line(bad: Sequence[ResultsError]) -> _NoGoodLineError:
    """The error of a file without a good line: that of its first line, and how many more are bad."""
    more = f" {len(bad) - 1} more lines are bad, and none is good." if len(bad) > 1 else ""
    return _NoGoodLineError(f"{bad[0]}{more}")


def _set_aside(path: Path, bad: Sequence[ResultsError]) -> list[str]:
    """A warning for each of the first bad lines, and one that counts the others."""
    warnings = [f"{error} The line was set aside." for error in bad[:_NAMED]]
    more = len(bad) - _NAMED
    return warnings + ([f"{path}: {more} more of its lines are bad and were set aside."] if more > 0 else [])


class _TornLineError(ResultsError):
    """A line that is not JSON: at a file's end it stopped before its JSON did."""


class _NewerLineError(ResultsError):
    """A line that a newer version of this program wrote."""


def _parse(line: bytes, where: str) -> Record:
    def whole_number(digits: str) -> int:
        if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
            raise ResultsError(f"{where}: {digits[:24]}... is beyond 2**63 - 1, and no quantity of a record is.")
        return int(digits)

    try:
        data = json.loads(line, parse_int=whole_number)
    except (ValueError, RecursionError):  # also UnicodeDecodeError
        raise _TornLineError(f"{where}: is not JSON. Was the file edited? Restore it, or delete that line.") from None
    try:
        record = Record.model_validate(_migrate(data, where))
    except ValidationError as error:
        first = error.errors()[0]
        field = printable(".".join(str(part) for part in first["loc"]), _REPEATED)
        problem = printable(first["msg"], _REPEATED)
        raise ResultsError(f"{where}: is not a record of this program: `{field}`: {problem}.") from None
    wrong = next(chain(contradictions(record), _misfits(record.case)), None)
    if wrong is not None:
        raise ResultsError(f"{where}: contradicts itself: {wrong}. Was the line edited?")
    return record


def _misfits(case: Case) -> Iterator[str]:
    """Axes of a case that are not those of its model, where the model is known here."""
    known = models.axes(case.model).keys() if case.model in models.zoo() else case.axes.keys()
    if case.axes.keys() != known:
        yield f"{case.model} has the axes {listed(known)}, and the case has {listed(case.axes)}"


def _migrate(data: Any, where: str) -> Any:
    version = data.get("schema_version") if isinstance(data, dict) else None
    if not isinstance(version, int):
        raise ResultsError(f"{where}: has no schema_version, so it is not a record of this program.")
    if version > SCHEMA_VERSION:
        raise _NewerLineError(
            f"{where}: is of schema version {version}, and this program reads up to {SCHEMA_VERSION}. "
            "Update Hybrid Bench to read it; nothing was changed."
        )
    while version < SCHEMA_VERSION:
        if version not in MIGRATIONS:
            raise ResultsError(f"{where}: is of schema version {version}, which this program can't migrate.")
        data = {**MIGRATIONS[version](data), "schema_version": version + 1}
        version += 1
    return data


def _of_devices(file: ResultsFile) -> ResultsFile:
    """The file without records of a stand-in, and with a warning of how many were left out."""
    kept = tuple(record for record in file.records if record_stand_in(record) is None)
    count = len(file.records) - len(kept)
    if not count:
        return file
    return replace(file, records=kept, warnings=(*file.warnings, f"{file.path}: {count} of its records: {LEFT_OUT}"))


def read(paths: Sequence[Path], *, strict: bool = False) -> tuple[list[ResultsFile], list[str]]:
    """Read results files and folders (searched for *.jsonl, in order of path), and the warnings of all.

    A file that is reached twice is read once. Records of a stand-in for a device are left out with a warning.
    A file of bad lines alone is set aside with a warning where another has records, unless `strict`.
    Raises ResultsError if a path does not exist, and as `read_file` does.
    """
    found: dict[str, Path] = {}
    for path in paths:
        if not path.exists():
            raise ResultsError(f"{path}: there is no such file or folder. `bench run` writes results.")
        inside = [file for file in sorted(path.rglob("*.jsonl")) if file.is_file()]  # no folders, no broken links
        for file in inside if path.is_dir() else [path]:
            found.setdefault(os.path.realpath(file), file)
    files: list[ResultsFile] = []
    bad: list[_NoGoodLineError] = []
    for file in found.values():
        try:
            files.append(_of_devices(read_file(file, strict=strict)))
        except _NoGoodLineError as error:
            bad.append(error)
    if bad and not any(file.records for file in files):
        raise bad[0]
    set_aside = [f"{error} The file was set aside." for error in bad]
    return files, [*set_aside, *(warning for file in files for warning in file.warnings)]
