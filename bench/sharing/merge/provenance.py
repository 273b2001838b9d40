"""`provenance.json` of a merged folder: which files the content of each of its files came from.

Names are those that were given, without what names a user: no home folder, and of an absolute path only its end.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import Field, ValidationError

from bench.errors import ResultsError, in_plain_words
from bench.record.stored import Frozen

NAME = "provenance.json"
VERSION = 1
#: Folders whose own folders are named after users.
_HOMES = {"home", "Users"}
#: How many parts of an absolute path are kept.
_KEPT_PARTS = 2


class Origin(Frozen):
    """A file that content came from."""

    source: str = Field(description="its name as it was given, and its path below that")
    records: int | None = Field(default=None, ge=0, description="how many of its records are in this file; null: none")
    sha256: str = Field(description="of the whole file as it was then")


class Provenance(Frozen):
    """The content of `provenance.json`: the origins of each file, by its path in the folder."""

    schema_version: int = VERSION
    files: dict[str, tuple[Origin, ...]] = Field(default={}, description="by path")

    def extended(self, origins: Mapping[str, Iterable[Origin]]) -> Provenance:
        """With further origins, each once and in an order that does not depend on who came first."""
        files = {name: set(known) for name, known in self.files.items()}
        for name, more in origins.items():
            files.setdefault(name, set()).update(more)
        ordered = {
            name: tuple(sorted(files[name], key=lambda origin: (origin.source, origin.sha256, origin.records or 0)))
            for name in sorted(files)
        }
        return Provenance(files=ordered)

    def to_json(self) -> bytes:
        """As indented JSON."""
        return self.model_dump_json(indent=2, exclude_none=True).encode() + b"\n"


def read(folder: Path) -> Provenance:
    """The provenance in a folder; empty if there is none. Raises ResultsError if it can't be used."""
    path = folder / NAME
    try:
        data = json.loads(path.read_bytes()) if path.is_file() else {}
        version = data.get("schema_version", VERSION) if isinstance(data, dict) else None
        if isinstance(version, int) and version > VERSION:
            raise ResultsError(f"{path} has schema version {version}. Update Hybrid Bench to extend it.")
        return Provenance.model_validate(data)
    except OSError as error:
        raise ResultsError(f"Can't read {path}: {error.strerror}.") from None
    except ValidationError as error:
        problem = in_plain_words(error.errors()[0])
        raise ResultsError(
            f"{path} was not written by `bench merge`: {problem}. Move it away, then merge again."
        ) from None
    except (ValueError, RecursionError):
        raise ResultsError(f"{path} is not valid JSON. Move it away, then merge again.") from None


def shared_name(path: Path) -> str:
    """A path as it was given, but without what names a user; empty for the current folder.

    Of an absolute path, and of one with `..`, only the last two parts are kept.
    """
    parts = [part for part in path.parts if part not in {path.anchor, "."}]
    if path.is_absolute() or ".." in parts:
        parts = _without_users(path.resolve().parts[1:])[-_KEPT_PARTS:]
    user = Path.home().name
    return "/".join("~" if part == user else part for part in parts)


def _without_users(parts: Sequence[str]) -> list[str]:
    return ["~" if number and parts[number - 1] in _HOMES else part for number, part in enumerate(parts)]
