"""A device's `ceilings.json`, beside its runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from bench.errors import ResultsError
from bench.record import CEILINGS_VERSION, Ceilings
from bench.store.disk import reported, write_whole

CEILINGS = "ceilings.json"


def write_ceilings(folder: Path, ceilings: Ceilings) -> Path:
    """Write a device's ceilings as `ceilings.json` in its results folder, in the place of older ones.

    Raises ResultsError.
    """
    path = folder / CEILINGS
    with reported(path):
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, ceilings.model_dump_json(indent=2).encode() + b"\n")
    return path


def read_ceilings(paths: Sequence[Path]) -> tuple[list[Ceilings], list[str]]:
    """The ceilings that lie in these folders or beside these results files, the newest of each device (by its name).

    A file that can't be read as such is left out with a warning; paths that do not exist hold none.
    """
    newest: dict[str, Ceilings] = {}
    warnings: list[str] = []
    for path in paths:
        beside = path.parent / CEILINGS
        for file in sorted(path.rglob(CEILINGS)) if path.is_dir() else [beside]:
            if file.is_file():
                try:
                    found = _ceilings(file)
                except ResultsError as error:
                    warnings.append(str(error))
                    continue
                known = newest.get(found.device.name)
                if known is None or found.recorded_at >= known.recorded_at:
                    newest[found.device.name] = found
    return list(newest.values()), warnings


def _ceilings(path: Path) -> Ceilings:
    again = "Delete it, and measure again with `bench doctor --ceilings`."
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise ResultsError(f"{path}: can't be read: {error.strerror}.") from None
    except (ValueError, RecursionError):
        raise ResultsError(f"{path}: is not JSON. {again}") from None
    version = data.get("schema_version") if isinstance(data, dict) else None
    if isinstance(version, int) and version > CEILINGS_VERSION:
        raise ResultsError(
            f"{path}: is of schema version {version}, and this program reads up to {CEILINGS_VERSION}. "
            "Update Hybrid Bench to read it."
        )
    try:
        return Ceilings.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ResultsError(f"{path}: does not hold a device's ceilings: `{field}`: {first['msg']}. {again}") from None
