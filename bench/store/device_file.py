"""JSON files in a device's results folder, each replaced as a whole. Of several files of a kind the newest is read."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import ValidationError

from bench.errors import ResultsError, in_plain_words
from bench.record import (
    CEILINGS_VERSION,
    PICTURES_VERSION,
    WORKSPACES_VERSION,
    Ceilings,
    PictureComparison,
    PictureComparisons,
    Workspaces,
)
from bench.store.disk import reported, write_whole
from bench.store.stand_in import LEFT_OUT, refuse_stand_in, stand_in_of

_Content = TypeVar("_Content", Ceilings, Workspaces, PictureComparisons)


@dataclass(frozen=True, slots=True)
class DeviceFile(Generic[_Content]):
    """A kind of file with facts of a device.

    Attributes:
        name: the file's name, or a pattern for the names of several.
        model: the model of its content.
        version: the newest schema version that this program reads.
        what: its content in words, `a device's ceilings`.
        command: the command that measures it again.
        key: a key of its content; of all files with one key only the newest counts.
    """

    name: str
    model: type[_Content]
    version: int
    what: str
    command: str
    key: Callable[[_Content], Hashable]

    def write(self, folder: Path, content: _Content, name: str | None = None) -> Path:
        """Write the file in a device's results folder, in place of an older one. Raises ResultsError."""
        refuse_stand_in(folder, stand_in_of(content.environment))
        path = folder / (name or self.name)
        with reported(path):
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(path, content.model_dump_json(indent=2).encode() + b"\n")
        return path

    def read(self, paths: Sequence[Path]) -> tuple[list[_Content], list[str]]:
        """The newest of each key in these folders and beside these results files, and warnings.

        A file that can't be parsed is left out with a warning. A path that does not exist has no files.
        """
        newest: dict[Hashable, _Content] = {}
        warnings: list[str] = []
        for file in self._files(paths):
            try:
                content = self.parsed(file)
            except ResultsError as error:
                warnings.append(str(error))
                continue
            if stand_in_of(content.environment) is not None:
                warnings.append(f"{file}: {LEFT_OUT}")
                continue
            known = newest.get(self.key(content))
            if known is None or content.recorded_at >= known.recorded_at:
                newest[self.key(content)] = content
        return list(newest.values()), warnings

    def _files(self, paths: Sequence[Path]) -> Iterator[Path]:
        for path in paths:
            files = sorted(path.rglob(self.name) if path.is_dir() else path.parent.glob(self.name))
            yield from (file for file in files if file.is_file())

    def parsed(self, path: Path, content: bytes | None = None) -> _Content:
        """The content of a file, or of these bytes in its place. Raises ResultsError, which says what to do."""
        again = f"Delete it, and measure again with `{self.command}`."
        try:
            data = json.loads(_bytes_of(path) if content is None else content)
        except (ValueError, RecursionError):
            raise ResultsError(f"{path} is not valid JSON. {again}") from None
        version = data.get("schema_version") if isinstance(data, dict) else None
        if isinstance(version, int) and version > self.version:
            raise ResultsError(
                f"{path} has schema version {version}, and this program reads up to {self.version}. "
                "Update Hybrid Bench to read it."
            )
        try:
            return self.model.model_validate(data)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"]))
            subject = f"`{field}`" if field else "it"
            raise ResultsError(
                f"{path} does not hold {self.what}: {subject} {in_plain_words(first)}. {again}"
            ) from None


CEILINGS_FILE = DeviceFile(
    name="ceilings.json",
    model=Ceilings,
    version=CEILINGS_VERSION,
    what="a device's ceilings",
    command="bench doctor --ceilings",
    key=lambda ceilings: ceilings.device.name,
)
WORKSPACES_FILE = DeviceFile(
    name="workspaces.json",
    model=Workspaces,
    version=WORKSPACES_VERSION,
    what="a device's workspaces",
    command="bench calibrate",
    key=lambda workspaces: (workspaces.device.name, workspaces.cudnn),
)
PICTURES_FILE = DeviceFile(
    name="quality-*.json",
    model=PictureComparisons,
    version=PICTURES_VERSION,
    what="comparisons of pictures",
    command="bench quality",
    key=lambda pictures: (pictures.device.name, pictures.recorded_at),  # all of them
)
WORKSPACES = WORKSPACES_FILE.name
write_ceilings, read_ceilings = CEILINGS_FILE.write, CEILINGS_FILE.read
write_workspaces, read_workspaces = WORKSPACES_FILE.write, WORKSPACES_FILE.read
write_pictures = PICTURES_FILE.write


def facts_of(path: Path, content: bytes | None = None) -> Ceilings | Workspaces | PictureComparisons:
    """The facts of a device in the file, which is of the kind that its name says, or in these bytes in its place.

    Raises ResultsError, also for a file of another name.
    """
    if fnmatch(path.name, CEILINGS_FILE.name):
        return CEILINGS_FILE.parsed(path, content)
    if fnmatch(path.name, WORKSPACES_FILE.name):
        return WORKSPACES_FILE.parsed(path, content)
    if fnmatch(path.name, PICTURES_FILE.name):
        return PICTURES_FILE.parsed(path, content)
    raise ResultsError(f"{path} has no name of a file with facts of a device.")


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ResultsError(f"Can't read {path}: {error.strerror}.") from None


def read_pictures(paths: Sequence[Path]) -> tuple[list[tuple[str, PictureComparison]], list[str]]:
    """The newest comparison of each pair of cases and image, with the device's name, and warnings.

    `paths` are folders and results files, beside which files of comparisons are looked for.
    """
    files, warnings = PICTURES_FILE.read(paths)
    newest = {
        (content.device.name, *comparison.key): (content.device.name, comparison)
        for content in sorted(files, key=lambda content: content.recorded_at)
        for comparison in content.comparisons
    }
    return list(newest.values()), warnings
