"""Reads results files. A bad line does not hide the good ones, and lines of older versions are migrated."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, TypeVar

from bench.core.garbage import uncollected
from bench.core.units import format_count
from bench.errors import ResultsError
from bench.record import Record
from bench.store.disk import is_named_pipe
from bench.store.line import TornLineError
from bench.store.migrations import NewerLineError
from bench.store.stand_in import LEFT_OUT, record_stand_in
from bench.store.unbuilt import UnbuiltRecord, built_record, unbuilt_record

#: How many bad lines of a file are reported one by one; the rest are only counted.
_MOST_REPORTED = 3
#: What is made of a good line.
AnyRecord = TypeVar("AnyRecord", bound=Record | UnbuiltRecord)
#: Makes it; the text is the line's file and number, for messages. Raises what `record_of` raises.
_Parse = Callable[[bytes, str], AnyRecord]


@dataclass(frozen=True, slots=True)
class ResultsFile(Generic[AnyRecord]):
    """The good records of a file, the number of bytes before a torn end, and warnings about lines set aside.

    `has_newer_lines`: lines have a newer schema version, so only a newer Hybrid Bench may continue the file.
    """

    path: Path
    records: tuple[AnyRecord, ...]
    good_bytes: int
    warnings: tuple[str, ...] = ()
    has_newer_lines: bool = False


@dataclass(slots=True)
class _Lines(Generic[AnyRecord]):
    """The content of a file so far.

    `torn` is a line that is not JSON: a torn end if it proves to be the last line, a bad line otherwise.
    """

    records: list[AnyRecord] = field(default_factory=list)
    bad: list[ResultsError] = field(default_factory=list)
    torn: TornLineError | None = None
    torn_bytes: int = 0
    good_bytes: int = 0


def read_file(path: Path, *, strict: bool = False) -> ResultsFile[Record]:
    """Read one results file. A torn last line is left out with a warning. So are bad lines, unless `strict`.

    A line is bad if it is not JSON, is not a record, has a newer schema version, or contradicts itself. Raises
    ResultsError if the file can't be read or has only bad lines; if `strict`, for the first bad line.
    """
    return _read_file(path, built_record, strict=strict)


def first_record(path: Path) -> Record | None:
    """The first good record of a results file, without reading on. None if there is none. Raises OSError."""
    if is_named_pipe(path):
        return None
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            with suppress(ResultsError):
                return built_record(line.removesuffix(b"\n"), f"{path}, line {number}")
    return None


def _read_file(path: Path, parse: _Parse[AnyRecord], *, strict: bool) -> ResultsFile[AnyRecord]:
    """As `read_file`, with what `parse` makes of each line."""
    try:
        if is_named_pipe(path):
            raise ResultsError(f"{path} is a named pipe, which may never end. Write the results to a file.")
        lines = _read_lines(path, parse, strict=strict)
    except OSError as error:
        raise ResultsError(f"Can't read {path}: {error.strerror}.") from None
    bad = lines.bad
    if bad and not lines.records:
        more = f" {format_count(len(bad) - 1, 'other line')} can't be used either." if len(bad) > 1 else ""
        raise _NoGoodLineError(f"{bad[0]}{more}")
    incomplete = f"{path}: the last line is incomplete ({lines.torn_bytes} bytes) and is ignored"
    torn = [] if lines.torn is None else [incomplete]
    newer = any(isinstance(error, NewerLineError) for error in bad)
    return ResultsFile(path, tuple(lines.records), lines.good_bytes, (*_set_aside(path, bad), *torn), newer)


def _read_lines(path: Path, parse: _Parse[AnyRecord], *, strict: bool) -> _Lines[AnyRecord]:
    """Read a file line by line. Raises OSError, and ResultsError for the first bad line if `strict`."""
    lines, end, prefix = _Lines[AnyRecord](), 0, f"{path}, line "
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            begin, end = end, end + len(line)
            if line.isspace():
                continue
            if lines.torn is not None:  # not the last line, so it was not cut off
                lines.bad.append(lines.torn)
                lines.torn, lines.good_bytes = None, begin
            if lines.bad and strict:
                raise lines.bad[0]
            text = line.removesuffix(b"\n")
            try:
                lines.records.append(parse(text, f"{prefix}{number}"))
            except TornLineError as error:
                lines.torn, lines.torn_bytes = error, len(text)
            except ResultsError as error:
                lines.bad.append(error)
            if lines.torn is None:
                lines.good_bytes = end
    if lines.bad and strict:
        raise lines.bad[0]
    return lines


class _NoGoodLineError(ResultsError):
    """A file whose lines are all bad."""


def _set_aside(path: Path, bad: Sequence[ResultsError]) -> list[str]:
    """A warning for each of the first bad lines, and one with the number of the others."""
    warnings = [f"{error} The line is ignored." for error in bad[:_MOST_REPORTED]]
    unlisted = len(bad) - _MOST_REPORTED
    return warnings + ([f"{path}: {unlisted} more of its lines are bad and are ignored."] if unlisted > 0 else [])


def _without_stand_ins(file: ResultsFile[AnyRecord]) -> ResultsFile[AnyRecord]:
    """The file without records made with a stand-in, and with a warning that counts them."""
    kept = tuple(record for record in file.records if _stand_in(record) is None)
    count = len(file.records) - len(kept)
    if not count:
        return file
    return replace(file, records=kept, warnings=(*file.warnings, f"{file.path}: {count} of its records: {LEFT_OUT}"))


def _stand_in(record: Record | UnbuiltRecord) -> str | None:
    return record.stand_in if isinstance(record, UnbuiltRecord) else record_stand_in(record)


def read(paths: Sequence[Path], *, strict: bool = False) -> tuple[list[ResultsFile[Record]], list[str]]:
    """Read results files and folders (searched for *.jsonl, in order of path), and the warnings of all.

    A file that is reached twice is read once. Records made with a stand-in are left out with a warning.
    A file with only bad lines is set aside with a warning if another file has records, unless `strict`.
    Raises ResultsError if a path does not exist, and as `read_file` does.
    """
    warnings: list[str] = []
    with uncollected():  # records are many, live on, and hold no cycles
        files = list(_each(paths, built_record, warnings, strict=strict))
    return files, warnings


def each_unbuilt(
    paths: Sequence[Path], warnings: list[str], *, strict: bool = False
) -> Iterator[ResultsFile[Record | UnbuiltRecord]]:
    """As `read`, file by file and in a third of the time: the records are checked, but mostly not built yet.

    When the last file was read, `warnings` has those of all.
    """
    return _each(paths, unbuilt_record, warnings, strict=strict)


def each_file(paths: Sequence[Path], warnings: list[str]) -> Iterator[ResultsFile[Record]]:
    """As `read`, file by file. When the last file was read, `warnings` has those of all too."""
    return _each(paths, built_record, warnings, strict=False)


def _each(
    paths: Sequence[Path], parse: _Parse[AnyRecord], warnings: list[str], *, strict: bool
) -> Iterator[ResultsFile[AnyRecord]]:
    bad: list[_NoGoodLineError] = []
    has_records = False
    for path in results_files(paths):
        try:
            file = _without_stand_ins(_read_file(path, parse, strict=strict))
        except _NoGoodLineError as error:
            bad.append(error)
            continue
        has_records |= bool(file.records)
        warnings += file.warnings
        yield file
    if bad and not has_records:
        raise bad[0]
    warnings[:0] = [f"{error} The file is ignored." for error in bad]


def results_files(paths: Sequence[Path]) -> list[Path]:
    """The given files, and the files in the given folders, without duplicates.

    Raises ResultsError if a path does not exist.
    """
    known: dict[str, Path] = {}
    for path in paths:
        if not path.exists():
            raise ResultsError(f"There is no file or folder {path}. `bench run` writes results.")
        inside = [file for file in sorted(path.rglob("*.jsonl")) if file.is_file()]  # no folders, no broken links
        for file in inside if path.is_dir() else [path]:
            known.setdefault(os.path.realpath(file), file)
    return list(known.values())
