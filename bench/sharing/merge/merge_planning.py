"""What a merge writes into a results folder: found by reading everything, while nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol, TypeVar

from bench import store
from bench.errors import ResultsError, listed
from bench.run.messages import Ready
from bench.run.scheduler import is_alike
from bench.sharing.merge import provenance
from bench.sharing.merge.device_files import DeviceFiles, Folder, merge_device_files
from bench.sharing.merge.given import Given, Place, places_in
from bench.sharing.merge.merging import Chosen, Conflict, MergeConflictError, Prefer, choose, in_order
from bench.sharing.merge.placement import parts_of, targets, together
from bench.sharing.merge.provenance import Origin, Provenance
from bench.sharing.merge.result_lines import Key, Line, LinesFile, read_lines, record_in

_Item = TypeVar("_Item")


class Tracked(Protocol):
    """Shows progress while items are iterated over."""

    def __call__(self, items: Sequence[_Item], text: str, /) -> Iterable[_Item]:
        """The items; the text says what is done with them."""


def untracked(items: Sequence[_Item], _text: str) -> Iterable[_Item]:
    """The items, without showing anything."""
    return items


@dataclass(frozen=True, slots=True)
class Content:
    """A results file that is new or changes.

    Attributes:
        path: below the folder.
        lines: that it will have, in their order.
        added: how many of them it does not have yet.
        before: what it is; None if it is new.
    """

    path: str
    lines: Sequence[Line]
    added: int
    before: LinesFile | None


@dataclass(frozen=True, slots=True)
class MergePlan:
    """What there is to write.

    Attributes:
        files: all results files that are merged, those of the folder first.
        own: the paths of those of the folder, below it.
        chosen: the line of each key.
        contents: the results files that are new or change.
        facts: the same of files with facts of devices, by their paths below the folder.
        settled: conflicts of these of which one file is preferred.
        provenance: what there is to write of it; None if it stays as it is.
        left_out: a message for each given line and file that can't be used.
    """

    files: Sequence[LinesFile]
    own: Sequence[str]
    chosen: Chosen
    contents: Sequence[Content]
    facts: Mapping[str, bytes]
    settled: Sequence[Conflict]
    provenance: Provenance | None
    left_out: Sequence[str]

    @property
    def has_news(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.contents or self.facts or self.provenance)


def plan_merge(
    given: Sequence[Given], out: Path, prefer: Prefer | None, tracked: Tracked, prefer_facts: Prefer | None = None
) -> MergePlan:
    """Read everything, and find what there is to write. Raises MergeConflictError and ResultsError."""
    target = [Given(out, "")] if out.is_dir() else []
    places = places_in([*target, *given])
    files = [
        read_lines(number, place.path, place.shown) for number, place in enumerate(tracked(places, "Reading results"))
    ]
    own = [place.below for place in places if place.given in target]
    chosen = choose(files, prefer, kept=len(own))
    folders = [Folder(item.path, item.name, item in target) for item in (*target, *given) if item.path.is_dir()]
    facts = merge_device_files(folders, prefer or prefer_facts)
    if conflicts := [*chosen.conflicts, *facts.conflicts]:
        raise MergeConflictError(conflicts)
    _refuse_nothing(given, files, facts)
    for stand_in in (*(file.stand_in for file in files), facts.stand_in):
        store.refuse_stand_in(out, stand_in)
    placed = _placed(files, chosen, own)
    contents = _contents(files, chosen, own, placed)
    changed = {place: data for place, data in facts.contents.items() if not _has(out / place, data)}
    before = provenance.read(out)
    after = before.extended(_origins(places[len(own) :], files[len(own) :], placed)).extended(facts.origins)
    after = after.extended(_origins_in_place(contents, before))
    left_out = [message for file in files[len(own) :] for message in file.bad] + facts.left_out
    after_all = None if after == before else after
    return MergePlan(files, own, chosen, contents, changed, facts.settled, after_all, left_out)


def _refuse_nothing(given: Sequence[Given], files: Sequence[LinesFile], facts: DeviceFiles) -> None:
    if not facts.count and not any(file.lines for file in files):
        first = next((message for file in files for message in file.bad), "`bench run` writes results.")
        raise ResultsError(f"{listed(str(item.path) for item in given)}: no results there. {first}")


def _placed(files: Sequence[LinesFile], chosen: Chosen, own: Sequence[str]) -> dict[Key, str]:
    """The file of each record, as a path below the folder, whose files are the first ones."""

    def alike(first: Line, second: Line) -> bool:
        before, after = record_in(files, first), record_in(files, second)
        if before.environment is None:
            return False
        return is_alike(Ready(device=before.device, environment=before.environment), after)

    held = {name: {line.key for line in file.lines} for name, file in zip(own, files, strict=False)}
    return targets(together(parts_of(files, chosen.lines), alike), held, own)


def _contents(
    files: Sequence[LinesFile], chosen: Chosen, own: Sequence[str], placed: Mapping[Key, str]
) -> list[Content]:
    """The results files that are new or change. Raises ResultsError for one of the folder that has bad lines."""
    before = dict(zip(own, files, strict=False))
    wanted = {name: {line.key: chosen.lines[line.key] for line in file.lines} for name, file in before.items()}
    sources: dict[str, set[int]] = {}
    for key, name in placed.items():
        wanted.setdefault(name, {})[key] = chosen.lines[key]
    for file in files:
        for line in file.lines:
            sources.setdefault(placed[line.key], set()).add(line.file)
    contents = []
    for name, lines in wanted.items():
        held = before.get(name)
        known = {line.key: line.digest for line in held.lines} if held else {}
        if known == {key: line.digest for key, line in lines.items()}:
            continue
        if held and held.bad:
            raise ResultsError(
                f"{held.bad[0]} The merge would add to this file: correct the line first, or merge into another folder."
            )
        numbers = sorted(sources.get(name, ()))
        sequences = [[line.key for line in files[number].lines if line.key in lines] for number in numbers]
        ordered = in_order(lines, sequences, kept=sum(number < len(own) for number in numbers))
        contents.append(Content(name, ordered, len(lines.keys() - known.keys()), held))
    return contents


def _origins(places: Sequence[Place], files: Sequence[LinesFile], placed: Mapping[Key, str]) -> dict[str, set[Origin]]:
    """Where the lines of each file come from: the files that were given, and where those came from."""
    read = cache(provenance.read)
    origins: dict[str, set[Origin]] = {}
    for place, file in zip(places, files, strict=True):
        earlier = read(place.given.path).files.get(place.below, ()) if place.below else ()
        for name, count in Counter(placed[line.key] for line in file.lines).items():
            origin = Origin(source=place.name, records=count, sha256=file.sha256)
            origins.setdefault(name, set()).update((origin, *earlier))
    return origins


def _origins_in_place(contents: Sequence[Content], before: Provenance) -> dict[str, set[Origin]]:
    """The same of files that were in the folder before anything was merged into it."""
    return {
        content.path: {Origin(source=content.path, records=len(content.before.lines), sha256=content.before.sha256)}
        for content in contents
        if content.before is not None and content.path not in before.files
    }


def _has(path: Path, data: bytes) -> bool:
    try:
        return path.is_file() and path.read_bytes() == data
    except OSError as error:
        raise ResultsError(f"Can't read {path}: {error.strerror}.") from None
