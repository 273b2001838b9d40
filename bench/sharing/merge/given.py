"""What is merged: files and folders as they were given, the results files in them, and what both are called."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bench.sharing.merge import provenance


@dataclass(frozen=True, slots=True)
class Given:
    """Results to merge: a file or a folder, and what provenance calls it."""

    path: Path
    name: str

    @classmethod
    def of(cls, path: Path) -> Self:
        """The path, by a name without what names a user."""
        return cls(path, provenance.shared_name(path))


@dataclass(frozen=True, slots=True)
class Place:
    """A results file: its path, what it was given in, and its path below that (empty if it was given itself)."""

    path: Path
    given: Given
    below: str

    @property
    def name(self) -> str:
        """What provenance calls it."""
        return "/".join(part for part in (self.given.name, self.below) if part)

    @property
    def shown(self) -> str:
        """What messages call it: its path, unless it was given by a name."""
        is_own_name = self.given.name == provenance.shared_name(self.given.path)
        return str(self.path) if is_own_name or not self.given.name else self.name


def places_in(given: Sequence[Given]) -> list[Place]:
    """The results files, each once, in the order in which they were given and then of their paths."""
    known: dict[str, Place] = {}
    for item in given:
        is_folder = item.path.is_dir()
        for path in sorted(item.path.rglob("*.jsonl")) if is_folder else [item.path]:
            if not is_folder:
                known.setdefault(os.path.realpath(path), Place(path, item, ""))
            elif path.is_file():  # no folders, no broken links
                known.setdefault(os.path.realpath(path), Place(path, item, path.relative_to(item.path).as_posix()))
    return list(known.values())
