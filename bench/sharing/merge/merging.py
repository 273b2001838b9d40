"""Merges the lines of results files by the keys of their records: which line of each key stays, and in which order.

Pure: it knows texts only through the files that it is given.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench.errors import GateError, printable
from bench.record import Record, grouped
from bench.sharing.merge.result_lines import Key, Line, LinesFile, read_lines, record_in
from bench.workloads.labels import label_of

#: Which of two records of one key stays: that of the file named first, or the one that was recorded last.
Prefer = Literal["first", "newest"]
#: How many differing fields of two records a conflict names.
_MOST_FIELDS = 3
#: The most characters of a value in a conflict.
_MOST_VALUE = 60


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that differs, and its values as JSON; None where it is missing."""

    field: str
    first: str | None
    second: str | None

    def __str__(self) -> str:
        return f"{self.field} {self.first or 'missing'} / {self.second or 'missing'}"


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two contents of one key.

    Attributes:
        first, second: the places of both, as `FILE, line N`.
        what: of what both are, in words.
        differences: the first fields that differ.
        more: how many further fields differ.
    """

    first: str
    second: str
    what: str
    differences: tuple[Difference, ...] = ()
    more: int = 0

    def __str__(self) -> str:
        fields = "; ".join(map(str, self.differences)) + (f"; {self.more} more fields" if self.more else "")
        return f"{self.first} and {self.second}: {self.what}: {fields}"


class MergeConflictError(GateError):
    """Results contradict each other, so nothing was merged."""

    #: The most conflicts that the error prints.
    MOST = 10

    def __init__(self, conflicts: Sequence[Conflict]) -> None:
        more = len(conflicts) - self.MOST
        count = "1 conflict" if len(conflicts) == 1 else f"{len(conflicts):,} conflicts"
        super().__init__(
            f"{count}: two versions of one record differ, so nothing was written. Leave out one of the files, or "
            "choose with --prefer first or --prefer newest.",
            *map(str, conflicts[: self.MOST]),
            *([f"{more:,} more conflicts"] if more > 0 else []),
        )
        self.conflicts = tuple(conflicts)


@dataclass(slots=True)
class Chosen:
    """The line of each key, and what became of the others.

    Attributes:
        lines: in the order in which the keys first came.
        identical: how many lines had the content of another.
        dropped: how many had another content than the one that was preferred.
        conflicts: contents of which none was preferred.
    """

    lines: dict[Key, Line] = field(default_factory=dict)
    identical: int = 0
    dropped: int = 0
    conflicts: list[Conflict] = field(default_factory=list)


def choose(files: Sequence[LinesFile], prefer: Prefer | None = None, kept: int = 0) -> Chosen:
    """Choose the line of each key among those of all files.

    Of lines with the same record the one in the first `kept` files stays, else that of the newest schema version: which
    one does not depend on the order of the other files.
    """
    chosen = Chosen()
    others: dict[Key, list[Line]] = {}
    for file in files:
        for line in file.lines:
            first = chosen.lines.setdefault(line.key, line)
            if first is line:
                continue
            if first.digest == line.digest:
                chosen.identical += 1
            else:
                others.setdefault(line.key, [first]).append(line)
    for key, variants in others.items():
        _Variants(files, variants, kept).choose(chosen, key, prefer)
    return chosen


class _Variants:
    """The lines of one key that are not equal byte for byte, in the order of their files."""

    def __init__(self, files: Sequence[LinesFile], lines: Sequence[Line], kept: int) -> None:
        self._files, self._lines, self._kept = files, lines, kept

    def choose(self, chosen: Chosen, key: Key, prefer: Prefer | None) -> None:
        """Keep one of the lines, or note the conflicts."""
        contents: list[tuple[Record, list[Line]]] = []
        for line in self._lines:
            record = record_in(self._files, line)
            equal = next((lines for known, lines in contents if known == record), None)
            if equal is None:
                contents.append((record, [line]))
            else:
                equal.append(line)
                chosen.identical += 1
        records, lines = [record for record, _ in contents], [self._same(equal) for _, equal in contents]
        best = lines[0] if len(lines) == 1 else _preferred(lines, prefer)
        if best is None:
            others = zip(lines[1:], records[1:], strict=True)
            chosen.conflicts += [self._conflict((lines[0], records[0]), other) for other in others]
        else:
            chosen.lines[key] = best
            chosen.dropped += len(lines) - 1

    def _same(self, equal: Sequence[Line]) -> Line:
        """One of the lines that have the same record."""
        stays = next((line for line in equal if line.file < self._kept), None)
        return stays or max(equal, key=self._rank)

    def _rank(self, line: Line) -> tuple[int, bytes]:
        (text,) = self._files[line.file].texts([line])
        return json.loads(text)["schema_version"], text

    def _conflict(self, *contents: tuple[Line, Record]) -> Conflict:
        (first, second), (before, after) = zip(*contents, strict=True)
        differences = list(_differences(before.model_dump(mode="json"), after.model_dump(mode="json")))
        what = f"{label_of(first.case)} on {printable(first.device.name, 80)}, run {printable(first.run.id, 80)}"
        shown, more = differences[:_MOST_FIELDS], max(0, len(differences) - _MOST_FIELDS)
        return Conflict(self._place(first), self._place(second), what, tuple(shown), more)

    def _place(self, line: Line) -> str:
        return f"{printable(self._files[line.file].name, 300)}, line {line.number}"


def _preferred(lines: Sequence[Line], prefer: Prefer | None) -> Line | None:
    """The preferred of lines with different records, in the order of their files; None if there is none."""
    if prefer == "first":
        return lines[0]
    newest = max(line.recorded_at for line in lines)
    latest = [line for line in lines if line.recorded_at == newest]
    return latest[0] if prefer == "newest" and len(latest) == 1 else None


def _differences(first: Any, second: Any, place: str = "") -> Iterator[Difference]:
    """The fields in which two JSON values differ, by their paths: `stages.0.timing.median_s`."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for name in dict.fromkeys((*first, *second)):
            yield from _differences(first.get(name), second.get(name), f"{place}.{name}" if place else str(name))
    elif isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        for number, items in enumerate(zip(first, second, strict=True)):
            yield from _differences(*items, f"{place}.{number}")
    elif first != second:
        yield Difference(place, *(None if value is None else _shown(value) for value in (first, second)))


def _shown(value: Any) -> str:
    return printable(json.dumps(value), _MOST_VALUE)


def in_order(lines: Mapping[Key, Line], sequences: Sequence[Sequence[Key]], kept: int = 0) -> list[Line]:
    """These lines in the order of a sequence that has all of them, else by the moments at which they were recorded.

    `sequences` are the keys of each file, as far as they are of these lines; those of the first `kept` come before
    others. The order of the others does not matter.
    """
    places: dict[Key, int] = {}
    whole: list[tuple[bool, list[bytes], list[Key]]] = []
    for number, sequence in enumerate(sequences):
        keys = list(dict.fromkeys(sequence))
        for place, key in enumerate(keys):
            places[key] = min(place, places.get(key, place))
        if len(keys) == len(lines):
            whole.append((number >= kept, [lines[key].digest for key in keys], keys))
    if whole:
        return [lines[key] for key in min(whole)[2]]
    return sorted(lines.values(), key=lambda line: (line.recorded_at, places[line.key], line.digest))


def merge_lines(
    ours: bytes, theirs: bytes, names: tuple[str, str] = ("ours", "theirs"), prefer: Prefer | None = None
) -> tuple[bytes, tuple[Conflict, ...]]:
    """The content of one run's file that has the lines of two, and the conflicts.

    If one has all records of the other, and all of its lines are good, it stays as it is, byte for byte. Otherwise bad
    lines are left out. If there are conflicts, the content is `ours`.
    """
    contents = (ours, theirs)
    pairs = enumerate(zip(names, contents, strict=True))
    files = [read_lines(number, Path(name), name, data) for number, (name, data) in pairs]
    chosen = choose(files, prefer)
    if chosen.conflicts:
        return ours, tuple(chosen.conflicts)
    stay = {key: line.digest for key, line in chosen.lines.items()}
    for file, data in zip(files, contents, strict=True):
        has_all = len(file.lines) == len(stay) and {line.key: line.digest for line in file.lines} == stay
        if has_all and not file.bad and data.endswith(b"\n"):
            return data, ()
    ordered = in_order(chosen.lines, [[line.key for line in file.lines] for file in files])
    return joined(files, ordered), ()


def joined(files: Sequence[LinesFile], lines: Sequence[Line]) -> bytes:
    """The content of a file with these lines. Raises ResultsError if a file has changed since it was read."""
    texts: dict[tuple[int, int], bytes] = {}
    for own in grouped(lines, lambda line: line.file):
        file = own[0].file
        texts |= {(file, line.begin): text for line, text in zip(own, files[file].texts(own), strict=True)}
    return b"".join(texts[line.file, line.begin] + b"\n" for line in lines)
