"""A pull: brings the results of a dataset repository into a folder, joined with what is there already.

Anybody may have written the repository, so nothing in it is trusted: only files whose names this program would have
given are read, their size and digest are checked, and each line as any line of results is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import store
from bench.core.units import format_count
from bench.errors import ConfigError, HubRefusalError, listed, printable
from bench.sharing.hub.layout import RESULTS, facts_device, run_device
from bench.sharing.hub.repository import Head, Repository
from bench.sharing.hub.run_lines import Joined, Line, RunLines, by_run, join, read_lines
from bench.sharing.hub.shared_facts import join_facts
from bench.store.disk import reported
from bench.store.stand_in import LEFT_OUT, record_stand_in


@dataclass(slots=True)
class Pulled:
    """What a pull brought.

    Attributes:
        commit: the commit of the repository that was read.
        written: files that are new or have changed, in the folder.
        unchanged: files that were there already with the same content.
        added: records that were not there before.
        devices: the folders of the devices whose files were taken.
        warnings: what was left out, and why.
        conflicts: records that are different here and there; those here stay.
    """

    commit: str
    written: list[Path] = field(default_factory=list)
    unchanged: int = 0
    added: int = 0
    devices: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)


def pull(
    repository: Repository,
    folder: Path,
    *,
    devices: Sequence[str] = (),
    revision: str | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Pulled:
    """Bring the results of some devices, or of all, into a results folder.

    Each file is written as a whole as soon as it is there, so that an interrupted pull keeps what it had. Raises
    HubError, ResultsError for a folder that can't be written, and ConfigError for a device that the repository lacks.
    """
    head = repository.head(revision)
    if head is None:
        raise HubRefusalError(
            f"There is no dataset {repository.name} on {repository.endpoint}, or you may not read it. Check the name, "
            "or log in: `hf auth login`, or HF_TOKEN."
        )
    paths = _chosen(head, devices, repository.name)
    pulled = Pulled(head.commit, devices=sorted({_device_of(path) for path in paths}))
    store.prepare_folder(folder)
    missing = [path for path in paths if not _is_here(head, path, folder)]
    pulled.unchanged = len(paths) - len(missing)
    if missing:
        size = sum(head.files[path].size for path in missing)
        tell(f"Reading {len(missing):,} files ({size:,} bytes) from {repository.address}")
    facts: dict[str, bytes] = {}
    for path, content in repository.contents(head, missing):
        if run_device(path) is None:
            facts[path] = content
        else:
            _bring_run(pulled, folder, path, content)
    _bring_facts(pulled, folder, facts, repository.name)
    return pulled


def _chosen(head: Head, devices: Sequence[str], name: str) -> list[str]:
    """The paths of results of the chosen devices. Raises ConfigError if there are none of one of them."""
    paths = [path for path in head.files if run_device(path) or facts_device(path)]
    known = sorted({_device_of(path) for path in paths})
    chosen: set[str] = set()
    for device in devices:
        slug = re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")
        matching = {other for other in known if slug and f"-{slug}-" in f"-{other}-"}
        if not matching:
            raise ConfigError(
                f"--device: {name} has no results of {printable(device, 80)!r}. It has: {listed(known) or 'none'}."
            )
        chosen |= matching
    return sorted(path for path in paths if not devices or _device_of(path) in chosen)


def _device_of(path: str) -> str:
    return run_device(path) or facts_device(path) or ""


def _here(folder: Path, path: str) -> Path:
    """Where a file of the repository is in a results folder."""
    return folder / Path(path).relative_to(RESULTS)


def _is_here(head: Head, path: str, folder: Path) -> bool:
    """Whether the file is in the folder, with this content."""
    place = _here(folder, path)
    try:
        return (
            place.is_file()
            and place.stat().st_size == head.files[path].size
            and head.files[path].holds(place.read_bytes())
        )
    except OSError:
        return False


def _bring_run(pulled: Pulled, folder: Path, path: str, content: bytes) -> None:
    """Write the good lines of a run, joined with those that are there."""
    lines = _trusted(pulled, path, content)
    if not lines:
        return
    theirs, place = RunLines(tuple(lines)), _here(folder, path)
    with reported(place):
        place.parent.mkdir(parents=True, exist_ok=True)
    with store.claimed(place) as is_free:
        if not is_free:
            pulled.warnings.append(f"{place}: a run is writing this file, so nothing was added. Pull again later.")
            return
        here, problem = _lines_here(place)
        if problem is not None:
            pulled.conflicts.append(problem)
            return
        result, before = (join(here, theirs), len(here.lines)) if here else (Joined(theirs), 0)
        pulled.conflicts += result.conflicts
        if len(result.run.lines) > before:
            with reported(place):
                store.write_whole(place, result.run.content)
            pulled.written.append(place)
            pulled.added += len(result.run.lines) - before


def _lines_here(place: Path) -> tuple[RunLines | None, str | None]:
    """The lines of the file that is there, if there is one, or why nothing can be added: bad lines would be lost."""
    if not place.exists():
        return None, None
    with reported(place):
        reading = read_lines(place.read_bytes(), str(place))
    problem = next(iter((*reading.bad, *([reading.torn] if reading.torn else []))), None)
    if problem is not None or not reading.lines:
        return None, f"{place}: nothing was added, because it would lose a line. {problem or 'It has no record.'}"
    return RunLines(reading.lines), None


def _trusted(pulled: Pulled, path: str, content: bytes) -> list[Line]:
    """The lines of a repository's file that are as this program would have written them there."""
    reading = read_lines(content, path)
    pulled.warnings += [f"{message} The line is left out." for message in reading.bad]
    pulled.warnings += [f"{message} The line is left out." for message in [reading.torn] if message]
    real = [line for line in reading.lines if record_stand_in(line.record) is None]
    if len(real) < len(reading.lines):
        pulled.warnings.append(f"{path}: {format_count(len(reading.lines) - len(real), 'record')} {LEFT_OUT}")
    own: Iterable[Line] = next((run.lines for run in by_run(real) if run.path == path), ())
    kept = list(own)
    if len(kept) < len(real):
        count = format_count(len(real) - len(kept), "record")
        pulled.warnings.append(f"{path}: {count} of another device or run than the file's name says, left out")
    return kept


def _bring_facts(pulled: Pulled, folder: Path, theirs: dict[str, bytes], name: str) -> None:
    """Write facts of devices, joined with those that are there."""
    here: dict[str, bytes] = {}
    for device in {facts_device(path) for path in theirs}:
        for place in sorted((folder / str(device)).rglob("*.json")):
            path = f"{RESULTS}/{place.relative_to(folder).as_posix()}"
            if facts_device(path) and place.is_file():
                with reported(place):
                    here[path] = place.read_bytes()
    joined = join_facts(here, theirs, (str(folder), name))
    pulled.warnings += joined.notes
    for path, content in joined.changed.items():
        place = _here(folder, path)
        with reported(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            store.write_whole(place, content)
        pulled.written.append(place)
