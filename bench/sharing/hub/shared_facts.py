"""Files with facts of a device (ceilings, workspaces, compared pictures) in two places, joined as by `bench merge`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from bench import store
from bench.errors import ResultsError
from bench.sharing.hub.layout import RESULTS, facts_device
from bench.sharing.merge.device_files import Folder, merge_device_files


@dataclass(frozen=True, slots=True)
class JoinedFacts:
    """The files that are new or change in the first place, by path, and what stays as it is there, and why."""

    changed: dict[str, bytes]
    notes: tuple[str, ...] = ()


def join_facts(first: Mapping[str, bytes], second: Mapping[str, bytes], names: tuple[str, str]) -> JoinedFacts:
    """Add the files of the second place to those of the first; paths are those of a repository.

    The newest of a kind counts, but an older one that knows what it does not stays. `names` are what messages call
    the places. Files that can't be used change nothing.
    """
    notes = [problem for path, content in second.items() if (problem := problem_of(path, content)) is not None]
    with TemporaryDirectory() as folder:
        places = [Path(folder, "first"), Path(folder, "second")]
        for place, files in zip(places, (first, second), strict=True):
            place.mkdir()
            for path, content in files.items():
                if problem_of(path, content) is None:
                    file = place / PurePosixPath(path).relative_to(RESULTS)
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(content)
        merged = merge_device_files([Folder(places[0], names[0], is_target=True), Folder(places[1], names[1])])
    changed = {f"{RESULTS}/{place}": content for place, content in merged.contents.items()}
    return JoinedFacts(changed, (*notes, *(f"{conflict}; the first stays" for conflict in merged.conflicts)))


def problem_of(path: str, content: bytes) -> str | None:
    """Why a file with facts of a device can't be used; None if it can."""
    try:
        facts = store.facts_of(Path(PurePosixPath(path).name), content)
    except ResultsError as error:
        return f"{path}: {error}"
    if store.stand_in_of(facts.environment) is not None:
        return f"{path}: made with a stand-in for the device"
    if facts.device.slug != facts_device(path):
        return f"{path}: the facts are of another device than its folder's"
    return None
