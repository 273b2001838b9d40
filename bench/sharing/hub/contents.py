"""What is in each file of results of a dataset repository (`contents.json`), so that a push need not read them all.

Anybody may have written the file, and others may have changed results without it: an entry counts only if its digests
are those of the file that the hub lists. It decides nothing but what the dataset card says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pydantic import Field, ValidationError

from bench.record import Record
from bench.record.stored import Frozen
from bench.sharing.hub.layout import RemoteFile, git_oid, sha256

_VERSION = 1


class Entry(Frozen):
    """What is in one file of lines. `oid` is git's name for the content, `sha256` that of large files."""

    bytes: int = Field(ge=0)
    oid: str = Field(max_length=64)
    sha256: str = Field(max_length=64)
    device: str = Field(max_length=300, description="the device's name")
    records: int = Field(ge=0)
    models: tuple[str, ...] = Field(default=(), max_length=1000)
    last: str = Field(max_length=40, description="when the last record was made")

    def is_of(self, file: RemoteFile) -> bool:
        """Whether the entry says what is in this file."""
        return self.bytes == file.size and (self.sha256 == file.sha256 if file.sha256 else self.oid == file.oid)


class Contents(Frozen):
    """The entries of a repository, by path."""

    version: int = _VERSION
    files: dict[str, Entry] = Field(default={})


def entry_of(content: bytes, records: Sequence[Record]) -> Entry:
    """The entry of a file with this content, of which there is at least one record."""
    return Entry(
        bytes=len(content),
        oid=git_oid(content),
        sha256=sha256(content),
        device=records[0].device.name[:300],
        records=len(records),
        models=tuple(sorted({record.case.model for record in records}))[:1000],
        last=max(record.recorded_at for record in records)[:40],
    )


def read(content: bytes, files: Mapping[str, RemoteFile]) -> dict[str, Entry]:
    """The entries that are true of these files. None of a file that is not as this program writes it."""
    try:
        parsed = Contents.model_validate_json(content)
    except ValidationError:
        return {}
    if parsed.version != _VERSION:
        return {}
    return {path: entry for path, entry in parsed.files.items() if path in files and entry.is_of(files[path])}


def written(entries: Mapping[str, Entry]) -> bytes:
    """The file: a line for each path, so that a push changes the lines of its own files alone."""
    lines = [f"{json.dumps(path)}:{entry.model_dump_json()}" for path, entry in sorted(entries.items())]
    files = ",\n".join(lines)
    return f'{{"version":{_VERSION},"files":{{\n{files}\n}}}}\n'.encode()
