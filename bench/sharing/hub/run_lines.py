"""The lines of runs as they were written: read from files, split by device and run, and joined again.

A line's bytes stay as they are: what is pushed and pulled is what the tool wrote.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.errors import ResultsError
from bench.record import Record, grouped
from bench.sharing.hub import layout
from bench.sharing.merge.merging import merge_lines
from bench.store.line import TornLineError, record_of

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
        return layout.run_path(first.device.slug, first.run.stem)

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
    """Two versions of one run joined; if they contradict each other, the first one, and a message for each conflict."""

    run: RunLines
    conflicts: tuple[str, ...] = ()


def join(first: RunLines, second: RunLines, names: tuple[str, str] = ("here", "there")) -> Joined:
    """All lines of two versions of a run, as `merge_lines` joins them. `names` are what messages call the versions."""
    runs = [run.lines[0].record.run for run in (first, second)]
    if runs[0] != runs[1]:
        moments = " and ".join(run.started_at for run in runs)
        return Joined(first, (f"{first.path}: two different runs have this id, begun {moments}",))
    places = (f"{first.path} {names[0]}", f"{second.path} {names[1]}")
    content, conflicts = merge_lines(first.content, second.content, places)
    if conflicts:
        return Joined(first, tuple(map(str, conflicts)))
    versions = {run.content: run for run in (first, second)}
    return Joined(versions.get(content) or RunLines(read_lines(content, first.path).lines))


def named(messages: Iterable[str]) -> tuple[str, ...]:
    """The first of these messages, and how many more there are, for an error of several lines."""
    everything = list(messages)
    more = len(everything) - _MOST_NAMED
    return (*everything[:_MOST_NAMED], *([f"and {more:,} more like these"] if more > 0 else []))
