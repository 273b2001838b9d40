"""A push: compares what is here with a dataset repository, and sends what is new in one commit.

Two pushes at once lose nothing. A commit names its parent, so that the hub refuses it if somebody else was quicker;
then the repository is read again, and what is here is joined with what is there now.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bench.core.units import format_count
from bench.errors import GateError, HubError, HubRefusalError
from bench.report.export.dataset import parquet_of
from bench.sharing.hub import contents, dataset_card
from bench.sharing.hub.contents import Entry
from bench.sharing.hub.layout import CARD, CONTENTS, facts_device, run_device, table_path
from bench.sharing.hub.outgoing import Outgoing
from bench.sharing.hub.repository import Head, RacedError, Repository
from bench.sharing.hub.run_lines import Joined, RunLines, join, named, read_lines
from bench.sharing.hub.shared_facts import join_facts
from bench.sharing.merge.merge_planning import Tracked, untracked

#: How often a push begins again because somebody else was quicker, and the longest pause before, in seconds.
_TRIES, _MOST_PAUSE_S = 12, 8.0


@dataclass(frozen=True, slots=True)
class Change:
    """What one commit would add or replace.

    Attributes:
        files: contents by path.
        runs: the runs among them, as they would be in the repository.
        added: records that the repository does not have yet.
        unchanged: runs that it has already.
        is_new: there is no such repository yet.
    """

    files: dict[str, bytes]
    runs: dict[str, RunLines] = field(default_factory=dict)
    added: int = 0
    unchanged: int = 0
    is_new: bool = False

    @property
    def size(self) -> int:
        """Bytes that would be sent."""
        return sum(map(len, self.files.values()))


@dataclass(frozen=True, slots=True)
class Settings:
    """How a repository is made, what a card says of the licence (None: as it is), and how progress is shown."""

    private: bool = False
    license_id: str | None = None
    tracked: Tracked = untracked


def plan(repository: Repository, outgoing: Outgoing, settings: Settings) -> Change:
    """What a push would change, without changing anything. Raises as `push` does."""
    return _change(repository, repository.head(), outgoing, settings)


def push(
    repository: Repository,
    outgoing: Outgoing,
    settings: Settings,
    tell: Callable[[str], None] = lambda _: None,
    pause: Callable[[float], None] = time.sleep,
) -> tuple[Change, str]:
    """Send what is new, and return it with the address of the commit, which is empty if nothing was new.

    `tell` is given a line before each step that may take long. Raises HubError, and GateError for a run that the
    repository has with other content; then nothing was changed.
    """
    repository.require_token()
    for attempt in range(_TRIES):
        head = repository.head()
        if head is None:
            tell(f"Creating {repository.address}")
            repository.create(private=settings.private)
            head = _created(repository)
        change = _change(repository, head, outgoing, settings)
        if not change.files:
            return change, ""
        tell(f"Sending {len(change.files):,} files ({change.size:,} bytes) to {repository.address}")
        try:
            return change, repository.commit(change.files, _message(change), head.commit)
        except RacedError:
            tell("Somebody else pushed meanwhile: reading the repository again")
            pause(random.uniform(0, min(_MOST_PAUSE_S, 0.25 * 2**attempt)))  # noqa: S311 - two should not meet again
    raise HubError(
        f"{repository.name}: others pushed {_TRIES} times meanwhile, or this token may only propose changes. Nothing "
        "was sent: run the command again later."
    )


def _created(repository: Repository) -> Head:
    head = repository.head()
    if head is None:
        raise HubRefusalError(f"{repository.address} was created, but this token may not read it. Use one that may.")
    return head


def _message(change: Change) -> str:
    runs = len(change.runs)
    return f"Add {format_count(change.added, 'record')} of {format_count(runs, 'run')}" if runs else "Renew the card"


def _change(repository: Repository, head: Head | None, outgoing: Outgoing, settings: Settings) -> Change:
    if settings.private and head is not None and not head.private:
        raise HubRefusalError(
            f"{repository.name} exists and is public, and --private is for a new dataset. Omit --private, or make the "
            f"dataset private first: {repository.address}/settings."
        )
    there = {} if head is None else head.files
    differing = [path for path, run in outgoing.runs.items() if path in there and not there[path].holds(run.content)]
    theirs = {} if head is None else dict(repository.contents(head, differing))
    runs, added = _joined(outgoing.runs, theirs, there)
    files: dict[str, bytes] = {}
    for path, run in settings.tracked(list(runs.items()), "Making tables"):
        content = run.content
        if path not in there or not there[path].holds(content):
            files[path] = content
        if path in files or table_path(path) not in there:
            files[table_path(path)] = parquet_of(run.records)  # without the device's ceilings, which may change
    files |= _facts(repository, head, outgoing.facts)
    files |= _described(repository, head, {path: run for path, run in runs.items() if path in files}, settings)
    changed = {path: run for path, run in runs.items() if path in files}
    unchanged = outgoing.unchanged + len(runs) - len(changed)
    return Change(files, changed, added, unchanged, is_new=head is None)


def _joined(
    ours: Mapping[str, RunLines], theirs: Mapping[str, bytes], there: Mapping[str, object]
) -> tuple[dict[str, RunLines], int]:
    """Each run as it would be in the repository, and how many records it does not have yet.

    The repository's lines come first, so that two people who push in turn do not reorder each other's. Raises GateError
    for conflicts, and for a file of the repository whose lines can't be read, which would be lost.
    """
    joined: dict[str, RunLines] = {}
    problems: list[str] = []
    added = 0
    for path, run in ours.items():
        if path not in theirs:
            joined[path] = run
            added += 0 if path in there else len(run.lines)
            continue
        reading = read_lines(theirs[path], path)
        problems += [*reading.bad, *([reading.torn] if reading.torn else [])]
        known = RunLines(reading.lines)
        result = join(known, run, ("in the repository", "here")) if known.lines else Joined(run)
        problems += result.conflicts
        joined[path] = result.run
        added += len(result.run.lines) - len(reading.lines)
    if problems:
        raise GateError(
            "Nothing was pushed, because the repository has other content for these runs. Leave them out, or correct "
            "them there:",
            *named(problems),
        )
    return joined, added


def _facts(repository: Repository, head: Head | None, ours: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files with facts of devices that are new, or change."""
    there = {} if head is None else head.files
    if all(path in there and there[path].holds(content) for path, content in ours.items()):
        return {}
    devices = {facts_device(path) for path in ours}
    known = [path for path in there if facts_device(path) in devices]
    theirs = {} if head is None else dict(repository.contents(head, known))
    return join_facts(theirs, ours, (repository.name, "here")).changed


def _described(
    repository: Repository, head: Head | None, changed: Mapping[str, RunLines], settings: Settings
) -> dict[str, bytes]:
    """The table of contents and the card, if they change with these runs."""
    there = {} if head is None else head.files
    known = [path for path in (CONTENTS, CARD) if path in there]
    earlier = {} if head is None else dict(repository.contents(head, known))
    entries = contents.read(earlier.get(CONTENTS, b""), there)
    entries |= {path: contents.entry_of(run.content, run.records) for path, run in changed.items()}
    if head is not None:
        unknown = [path for path in there if run_device(path) and path not in entries]
        entries |= _counted(repository, head, unknown)
    card = earlier.get(CARD, b"").decode("utf-8", errors="replace")
    files = {
        CONTENTS: contents.written(entries),
        CARD: dataset_card.written(card, repository.name, dict(sorted(entries.items())), settings.license_id).encode(),
    }
    return {path: content for path, content in files.items() if content != earlier.get(path)}


def _counted(repository: Repository, head: Head, paths: list[str]) -> dict[str, Entry]:
    """The entries of files that somebody changed without this program."""
    entries: dict[str, Entry] = {}
    for path, content in repository.contents(head, paths):
        records = [line.record for line in read_lines(content, path).lines]
        if records:
            entries[path] = contents.entry_of(content, records)
    return entries
