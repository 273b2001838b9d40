"""Merges the files with facts of a device: ceilings, workspaces and compared pictures, with the pictures themselves.

The newest of a kind stays, as everywhere in this program. It is a conflict only if an older one knows what it does not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Generic, TypeVar

from bench.errors import ResultsError
from bench.record import Ceilings, PictureComparisons, Workspaces, digest, grouped
from bench.sharing.merge.merging import Conflict, Difference, Prefer
from bench.sharing.merge.provenance import Origin
from bench.store.device_file import CEILINGS_FILE, PICTURES_FILE, WORKSPACES_FILE, DeviceFile
from bench.store.stand_in import stand_in_of

_Content = TypeVar("_Content", Ceilings, Workspaces, PictureComparisons)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder whose files are merged: its path, what messages call it, and whether it is the merged folder itself."""

    path: Path
    name: str
    is_target: bool = False


@dataclass(slots=True)
class DeviceFiles:
    """What becomes of the files with facts of devices.

    Attributes:
        contents: of files that are new or change, by path below the merged folder.
        origins: of these and of unchanged ones.
        conflicts: what would be lost.
        settled: what is lost, because the other one was preferred.
        left_out: a message for each file that can't be used.
        stand_in: what stood in for a device; None if all were real.
        count: how many files were read.
    """

    contents: dict[str, bytes] = field(default_factory=dict)
    origins: dict[str, set[Origin]] = field(default_factory=dict)
    conflicts: list[Conflict] = field(default_factory=list)
    settled: list[Conflict] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    stand_in: str | None = None
    count: int = 0


@dataclass(frozen=True, slots=True)
class _File(Generic[_Content]):
    """A file of one kind. `place` is its path below its folder."""

    folder: Folder
    place: str
    data: bytes
    content: _Content

    @property
    def name(self) -> str:
        return f"{self.folder.name}/{self.place}" if self.folder.name else self.place

    @property
    def age(self) -> tuple[str, bytes]:
        """Sorts the newest last, whatever the order of folders."""
        return self.content.recorded_at, self.data

    @property
    def origin(self) -> Origin:
        return Origin(source=self.name, sha256=hashlib.sha256(self.data).hexdigest())


def merge_device_files(folders: Sequence[Folder], prefer: Prefer | None = None) -> DeviceFiles:
    """What becomes of the files of these folders, the merged folder first. Nothing is written. Raises ResultsError."""
    merged = DeviceFiles()
    for files in grouped(_files(CEILINGS_FILE, folders, merged), lambda file: file.content.device.slug):
        _Newest(merged, prefer, CEILINGS_FILE.what).settle(files, CEILINGS_FILE.name, _rates, None)
    for calibrations in grouped(_files(WORKSPACES_FILE, folders, merged), lambda file: file.content.device.slug):
        newest = max(calibrations, key=lambda file: (file.folder.is_target, file.age)).content.cudnn
        for same in grouped(calibrations, lambda file: file.content.cudnn):
            name = _workspaces_name(same[0].content, is_newest=same[0].content.cudnn == newest)
            _Newest(merged, prefer, WORKSPACES_FILE.what).settle(same, name, _convolutions, _joined)
    _merge_pictures(list(_files(PICTURES_FILE, folders, merged)), merged)
    return merged


def _files(kind: DeviceFile[_Content], folders: Sequence[Folder], merged: DeviceFiles) -> Iterator[_File[_Content]]:
    """The files of a kind that can be used, each once: the merged folder may be inside another."""
    known: set[Path] = set()
    for folder in folders:
        for path in sorted(folder.path.rglob(kind.name)):
            if not path.is_file() or path.resolve() in known:
                continue
            known.add(path.resolve())
            merged.count += 1
            try:
                content, data = kind.parsed(path), path.read_bytes()
            except ResultsError as error:
                merged.left_out.append(str(error))
                continue
            except OSError as error:
                raise ResultsError(f"Can't read {path}: {error.strerror}.") from None
            merged.stand_in = merged.stand_in or stand_in_of(content.environment)
            yield _File(folder, path.relative_to(folder.path).as_posix(), data, content)


def _workspaces_name(content: Workspaces, *, is_newest: bool) -> str:
    """The file's name. Those of another cuDNN are kept too, a folder further down, where readers also look."""
    cudnn = content.cudnn or "unknown"
    folder = f"cudnn-{cudnn if cudnn.isalnum() and cudnn.isascii() else digest(cudnn)}"
    return WORKSPACES_FILE.name if is_newest else f"{folder}/{WORKSPACES_FILE.name}"


def _rates(content: Ceilings) -> dict[str, str]:
    return {f"{ceiling.what} {ceiling.dtype}": f"{ceiling.per_second:.4g}/s" for ceiling in content.ceilings}


def _convolutions(content: Workspaces) -> dict[str, str]:
    return {
        f"{entry.dtype} input {entry.input} filter {entry.filter} output {entry.output} {entry.channels_last}": (
            f"{entry.workspace_bytes} bytes"
        )
        for entry in content.entries
    }


def _joined(older: Workspaces, newer: Workspaces) -> Workspaces | None:
    """Both together, if they were measured with one torch and cuDNN, as `bench calibrate` adds to its own file."""
    if older.torch != newer.torch or older.device.name != newer.device.name:
        return None
    return newer.model_copy(update={"entries": older.joined(newer.entries)})


@dataclass(frozen=True, slots=True)
class _Newest:
    """Settles which of several files of one device stays."""

    merged: DeviceFiles
    prefer: Prefer | None
    what: str

    def settle(
        self,
        files: Sequence[_File[_Content]],
        name: str,
        parts: Callable[[_Content], dict[str, str]],
        join: Callable[[_Content, _Content], _Content | None] | None,
    ) -> None:
        """Note what is written, or the conflict. `parts` are what a content knows; `join` makes one of two."""
        own = next((file for file in files if file.folder.is_target), None)
        place = own.place if own else str(PurePosixPath(files[0].content.device.slug, name))
        self.merged.origins.setdefault(place, set()).update(file.origin for file in files if not file.folder.is_target)
        newest = max(files, key=lambda file: file.age)
        content = newest.content
        for older in sorted(files, key=lambda file: file.age):
            joined = join(older.content, content) if join else None
            content = content if joined is None else joined
        lost = [file for file in files if parts(file.content).keys() - parts(content).keys()]
        conflicts = [self._conflict(newest, file, parts) for file in lost]
        if conflicts and self.prefer is None:
            self.merged.conflicts += conflicts
            return
        self.merged.settled += conflicts
        if lost and self.prefer == "first":
            content = files[0].content
        same = [file for file in files if file.content == content]
        data = min(same, key=lambda file: (not file.folder.is_target, file.data)).data if same else _json(content)
        if own is None or own.data != data:
            self.merged.contents[place] = data

    def _conflict(
        self, newest: _File[_Content], older: _File[_Content], parts: Callable[[_Content], dict[str, str]]
    ) -> Conflict:
        known, lost = parts(newest.content), parts(older.content)
        missing = [Difference(part, None, figure) for part, figure in lost.items() if part not in known]
        what = f"{self.what} ({older.content.device.name}): the newer file lacks what the older one has"
        return Conflict(newest.name, older.name, what, tuple(missing[:3]), max(0, len(missing) - 3))


def _json(content: Ceilings | Workspaces | PictureComparisons) -> bytes:
    return content.model_dump_json(indent=2).encode() + b"\n"


def _merge_pictures(files: Sequence[_File[PictureComparisons]], merged: DeviceFiles) -> None:
    """Keep all files of comparisons, and of two pictures of one name that of the newer comparison."""
    places = {file.place for file in files if file.folder.is_target}
    pictures: dict[str, tuple[Path, _File[PictureComparisons]]] = {}
    for same in grouped(sorted(files, key=lambda file: file.age), lambda file: file.data):
        own = next((file for file in same if file.folder.is_target), None)
        place = own.place if own else _free_place(same[0], places)
        places.add(place)
        if own is None:
            merged.contents[place] = same[0].data
        merged.origins.setdefault(place, set()).update(file.origin for file in same if not file.folder.is_target)
        for file in same:
            for name in _pictures(file.content):
                beside = file.folder.path.joinpath(*PurePosixPath(file.place).parent.parts, name)
                if beside.is_file():
                    pictures[str(PurePosixPath(place).with_name(name))] = (beside, file)
    _copy_pictures(pictures, merged)


def _copy_pictures(pictures: dict[str, tuple[Path, _File[PictureComparisons]]], merged: DeviceFiles) -> None:
    for place, (path, file) in pictures.items():
        if file.folder.is_target:
            continue
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ResultsError(f"Can't read {path}: {error.strerror}.") from None
        merged.contents[place] = data
        source = str(PurePosixPath(file.name).with_name(path.name))
        origin = Origin(source=source, sha256=hashlib.sha256(data).hexdigest())
        merged.origins.setdefault(place, set()).add(origin)


def _free_place(file: _File[PictureComparisons], taken: set[str]) -> str:
    name = PurePosixPath(file.content.device.slug, PurePosixPath(file.place).name)
    place, number = name, 1
    while str(place) in taken:
        number += 1
        place = name.with_stem(f"{name.stem}-{number}")
    return str(place)


def _pictures(content: PictureComparisons) -> Iterator[str]:
    """The names of the pictures beside the file; a path is none."""
    for comparison in content.comparisons:
        name = comparison.figures.difference if comparison.figures else None
        if name and PurePosixPath(name).name == name and name.endswith(".png"):
            yield name
