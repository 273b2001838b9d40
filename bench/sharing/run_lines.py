"""The lines of runs as they were written: read from files, split by device and run, and joined again.

A line's bytes stay as they are: what is pushed and pulled is what the tool wrote.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.errors import ResultsError
from bench.record import Record, grouped
from bench.sharing import hub_layout
from bench.store.line import TornLineError, record_of
from bench.workloads import labels

#: How many bad lines or conflicts are named; the rest are counted.
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a results file without its newline, and its record."""

    text: bytes
    record: Record


@dataclass(frozen=True, slots=True)
class RunLines:
    """The lines of one run on devices of one name, in their order. There is at least one."""

    lines: tuple[Line, ...]

    @property
    def path(self) -> str:
        """Its path in a dataset repository."""
        first = self.lines[0].record
        return hub_layout.run_path(first.device.slug, first.run.stem)

    @property
    def content(self) -> bytes:
        """The content of its file."""
        return b"".join(line.text + b"\n" for line in self.lines)

    @property
    def records(self) -> list[Record]:
        """The records of its lines."""
        return [line.record for line in self.lines]


@dataclass(frozen=True, slots=True)
class ReadLines:
    """The good lines of a content, and a message for each bad one. `torn` is a last line that was cut off."""

    lines: tuple[Line, ...]
    bad: tuple[str, ...] = ()
    torn: str | None = None


def read_lines(content: bytes, where: str) -> ReadLines:
    """Read lines of any schema version, as `store.read_file` does. `where` is the file's name, for messages."""
    good: list[Line] = []
    bad: list[str] = []
    torn: str | None = None
    for number, text in enumerate(content.split(b"\n"), start=1):
        if not text.strip():
            continue
        if torn is not None:
            bad.append(torn)
            torn = None
        place = f"{where}, line {number}"
        try:
            good.append(Line(text, record_of(text, place)))
        except TornLineError as error:
            torn = str(error)
        except ResultsError as error:
            bad.append(str(error))
    if torn is not None and content.endswith(b"\n"):  # whole, so it was not cut off
        bad.append(torn)
        torn = None
    return ReadLines(tuple(good), tuple(bad), torn)


def by_run(lines: Iterable[Line]) -> list[RunLines]:
    """The lines of each device's name and run, in the order in which they first came."""
    groups = grouped(lines, lambda line: (line.record.device.slug, line.record.run.stem))
    return [RunLines(tuple(group)) for group in groups]


@dataclass(frozen=True, slots=True)
class Joined:
    """Two versions of one run joined, and what contradicts: such lines are as in the first version."""

    run: RunLines
    conflicts: tuple[str, ...] = ()


def join(ours: RunLines, theirs: RunLines) -> Joined:
    """All lines of both versions of a run: our lines in their order, then those that only the other has.

    A version that begins with all of the other is the result, byte for byte. Lines with one key and different
    content contradict each other.
    """
    for longer, shorter in ((ours, theirs), (theirs, ours)):
        if [line.text for line in longer.lines[: len(shorter.lines)]] == [line.text for line in shorter.lines]:
            return Joined(longer)
    if ours.lines[0].record.run != theirs.lines[0].record.run:
        began = [run.lines[0].record.run.started_at for run in (ours, theirs)]
        return Joined(ours, (f"{ours.path}: two different runs have this id, begun {began[0]} and {began[1]}",))
    known = {line.record.key: line for line in ours.lines}
    texts = {line.text for line in ours.lines}
    added = [line for line in theirs.lines if line.record.key not in known]
    other = [line for line in theirs.lines if line.record.key in known and line.text not in texts]
    conflicts = tuple(
        f"{ours.path}: {labels.label_of(line.record.case)} has two contents, recorded "
        f"{known[line.record.key].record.recorded_at} and {line.record.recorded_at}"
        for line in other
    )
    return Joined(RunLines((*ours.lines, *added)), conflicts)


def named(messages: Iterable[str]) -> tuple[str, ...]:
    """The first of these messages, and how many more there are, for an error of several lines."""
    everything = list(messages)
    more = len(everything) - _MOST_NAMED
    return (*everything[:_MOST_NAMED], *([f"and {more:,} more like these"] if more > 0 else []))
