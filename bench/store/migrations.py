"""Migrates lines of older schema versions to the current one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.errors import ResultsError
from bench.record import SCHEMA_VERSION

#: Fields that are axes since version 6.
_AXES = ("width", "height", "frames", "batch")
#: Fields of a record that are in a stage since version 6.
_OF_A_STAGE = ("timing", "memory", "tiles", "flops")


class NewerLineError(ResultsError):
    """A line of a newer schema version."""


def _migrate_1(line: dict[str, Any]) -> dict[str, Any]:
    """Version 1 had no noise target and no slow calls: each case was timed a given number of times."""
    measure = line.get("measure")
    if isinstance(measure, dict):
        line = {**line, "measure": {**measure, "max_noise": None, "slow_call": None}}
    return line


def _unchanged(line: dict[str, Any]) -> dict[str, Any]:
    """The next version only added fields."""
    return line


def _migrate_5(line: dict[str, Any]) -> dict[str, Any]:
    """Version 5 had only cases of images, and one time and peak per record. A line with axes or stages keeps them."""
    line, case = dict(line), line.get("case")
    if isinstance(case, dict) and "axes" not in case:
        axes = {name: case[name] for name in _AXES if name in case}
        if set(axes) >= {"width", "height"}:
            axes = {"frames": 1, "batch": 1, **axes}
        other_fields = {name: value for name, value in case.items() if name not in _AXES}
        line["case"] = {**other_fields, "axes": {name: axes[name] for name in _AXES if name in axes}}
    stage = {name: line.pop(name) for name in _OF_A_STAGE if name in line}
    if "stages" not in line and any(value is not None for value in stage.values()):
        operation = case.get("operation") if isinstance(case, dict) else None
        line["stages"] = [{"name": operation, **stage}]
    return line


#: The function that makes a parsed line of each version one of the next version. Version 2 had no endpoints, version 3
#: no requests that overlap with generation, version 4 no predictions.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: _migrate_1,
    2: _unchanged,
    3: _unchanged,
    4: _unchanged,
    5: _migrate_5,
}


def migrate(data: Any, where: str) -> Any:
    """A parsed line in the current schema version. `where` is its file and line number, for messages.

    Raises ResultsError for a missing version or one that can't be migrated, NewerLineError for a newer one.
    """
    version = data.get("schema_version") if isinstance(data, dict) else None
    if not isinstance(version, int):
        raise ResultsError(f"{where} has no schema_version, so it is not a record of this program.")
    if version > SCHEMA_VERSION:
        raise NewerLineError(
            f"{where} has schema version {version}, and this program reads up to {SCHEMA_VERSION}. "
            "Update Hybrid Bench to read it; nothing was changed."
        )
    while version < SCHEMA_VERSION:
        if version not in MIGRATIONS:
            raise ResultsError(f"{where} has schema version {version}, which this program can't migrate.")
        data = {**MIGRATIONS[version](data), "schema_version": version + 1}
        version += 1
    return data
