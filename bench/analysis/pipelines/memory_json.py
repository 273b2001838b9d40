"""The memory of pipelines on cards as JSON: one line for each card and each way, so that a diff shows what changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from bench.analysis.pipelines.memory_map import MemoryMap
from bench.errors import BenchError, printable

VERSION = 1


class _File(msgspec.Struct, frozen=True):
    version: int
    map: MemoryMap


def to_json(memory: MemoryMap) -> str:
    """The content of the file."""
    data: dict[str, Any] = msgspec.to_builtins(memory)
    pipelines = ",\n".join(map(_pipeline, data["pipelines"]))
    return (
        f'{{"version":{VERSION},\n"map":{{"cards":[\n{_lines(data["cards"])}\n],\n"pipelines":[\n{pipelines}\n]}}}}\n'
    )


def from_json(text: str | bytes, name: str) -> MemoryMap:
    """The content of a file of this name. Raises BenchError if it is damaged or of another version."""
    try:
        version = msgspec.json.decode(text, type=dict)["version"]
        if version != VERSION:
            raise BenchError(f"{name} has version {version!r}, and this program reads {VERSION}. Install it again.")
        return msgspec.json.decode(text, type=_File).map
    except (msgspec.MsgspecError, KeyError, ValueError) as error:
        reason = printable(f"{type(error).__name__}: {error}", 100)
        raise BenchError(f"Can't read {name}, which came with the program ({reason}). Install it again.") from None


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _lines(values: Sequence[object]) -> str:
    return ",\n".join(map(_dump, values))


def _without_empty(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "")}


def _pipeline(pipeline: dict[str, Any]) -> str:
    ways = pipeline.pop("ways")
    for way in ways:
        way["cards"] = {name: _without_empty(on_card) for name, on_card in way["cards"].items()}
    return f'{_dump(pipeline)[:-1]},"ways":[\n{_lines(ways)}\n]}}'
