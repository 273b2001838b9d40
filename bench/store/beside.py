"""A JSON file that lies in a device's results folder beside its runs: written whole, the newest of each kind read."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import ValidationError

from bench.errors import ResultsError
from bench.record import Ceilings, Workspaces
from bench.store.disk import reported, write_whole
from bench.store.stand_in import LEFT_OUT, refuse_stand_in, stand_in_of

#: What such a file may hold.
Held = TypeVar("Held", Ceilings, Workspaces)


@dataclass(frozen=True, slots=True)
class Beside(Generic[Held]):
    """One such file.

    Attributes:
        name: of the file.
        model: what it holds.
        version: the newest schema version that this program reads.
        what: in words, `a device's ceilings`.
        command: what measures it anew.
        kind: of what only the newest counts.
    """

    name: str
    model: type[Held]
    version: int
    what: str
    command: str
    kind: Callable[[Held], Hashable]

    def write(self, folder: Path, held: Held) -> Path:
        """Write it in a device's results folder, in the place of an older one. Raises ResultsError."""
        refuse_stand_in(folder, stand_in_of(held.environment))
        path = folder / self.name
        with reported(path):
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(path, held.model_dump_json(indent=2).encode() + b"\n")
        return path

    def read(self, paths: Sequence[Path]) -> tuple[list[Held], list[str]]:
        """Those that lie in these folders or beside these results files, the newest of each kind.

        A file that can't be read as such is left out with a warning; paths that do not exist hold none.
        """
        newest: dict[Hashable, Held] = {}
        warnings: list[str] = []
        for path in paths:
            for file in sorted(path.rglob(self.name)) if path.is_dir() else [path.parent / self.name]:
                if file.is_file():
                    try:
                        found = self._parsed(file)
                    except ResultsError as error:
                        warnings.append(str(error))
                        continue
                    if stand_in_of(found.environment) is not None:
                        warnings.append(f"{file}: {LEFT_OUT}")
                        continue
                    known = newest.get(self.kind(found))
                    if known is None or found.recorded_at >= known.recorded_at:
                        newest[self.kind(found)] = found
        return list(newest.values()), warnings

    def _parsed(self, path: Path) -> Held:
        again = f"Delete it, and measure again with `{self.command}`."
        try:
            data = json.loads(path.read_bytes())
        except OSError as error:
            raise ResultsError(f"{path}: can't be read: {error.strerror}.") from None
        except (ValueError, RecursionError):
            raise ResultsError(f"{path}: is not JSON. {again}") from None
        version = data.get("schema_version") if isinstance(data, dict) else None
        if isinstance(version, int) and version > self.version:
            raise ResultsError(
                f"{path}: is of schema version {version}, and this program reads up to {self.version}. "
                "Update Hybrid Bench to read it."
            )
        try:
            return self.model.model_validate(data)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise ResultsError(f"{path}: does not hold {self.what}: `{field}`: {first['msg']}. {again}") from None
