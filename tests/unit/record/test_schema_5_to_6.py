"""docs/schema-5-to-6.json says all that changed: records of before, moved by it, are those of now to the byte."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from factories import failed, measured, of_version_5, out_of_memory, published

from bench import store
from bench.record import Record

ROOT = Path(__file__).parents[3]
FIELDS = json.loads((ROOT / "docs" / "schema-5-to-6.json").read_text())
#: All predictions of the docs' sweep as version 5 wrote them.
BEFORE = ROOT / "tests" / "golden" / "predicted_docs_schema_5.jsonl.gz"
#: Of these each field has a place of its own in the map.
_PARTS = ("case", "device", "outcome")


def _before() -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(BEFORE.read_bytes()).splitlines()]


def _moved(line: dict[str, Any]) -> dict[str, Any]:
    """A line of version 5 with its fields where the map has them."""
    new: dict[str, Any] = {}
    for path, value in _fields(line):
        target = FIELDS["moved"].get(path, path)
        if not target.startswith("stages"):
            _put(new, target.split("."), value)
            continue
        stages = new.setdefault("stages", [])
        if any(line[name] is not None for name in FIELDS["moved"] if "." not in name):
            if not stages:
                stages.append({"name": line["case"]["operation"]})
            stages[0][target.rpartition(".")[2]] = value
    new["schema_version"] = FIELDS["new"]["schema_version"]
    new["device"]["identity"] = FIELDS["new"]["device.identity"]
    if new["prediction"]:
        new["prediction"] |= {"kernels": None, "allocator": "native"}  # optional fields of version 6, which came later
    if new["outcome"]["status"] in {"out_of_memory", "failed"}:
        new["outcome"]["stage"] = None
    return new


def _fields(line: dict[str, Any]) -> list[tuple[str, Any]]:
    fields: list[tuple[str, Any]] = []
    for name, value in line.items():
        fields += [(f"{name}.{inside}", held) for inside, held in value.items()] if name in _PARTS else [(name, value)]
    return fields


def _put(where: dict[str, Any], names: list[str], value: Any) -> None:
    *outer, last = names
    for name in outer:
        where = where.setdefault(name, {})
    where[last] = value


def test_what_is_read_of_before_is_what_the_map_says(tmp_path: Path) -> None:
    path = tmp_path / "before.jsonl"
    path.write_bytes(gzip.decompress(BEFORE.read_bytes()))
    read = store.read_file(path, strict=True).records
    assert [json.loads(record.to_json()) for record in read] == [_moved(line) for line in _before()]


@pytest.mark.parametrize("record", [measured(), published(), out_of_memory(), failed()], ids=lambda r: r.outcome.status)
def test_a_record_of_any_outcome_is_read_from_a_line_of_version_5(record: Record, tmp_path: Path) -> None:
    path = tmp_path / "before.jsonl"
    path.write_text(json.dumps(of_version_5(record)) + "\n")
    assert store.read_file(path, strict=True).records == (record,)


def test_no_field_of_the_map_is_one_that_records_do_not_have() -> None:
    line = json.loads(measured().to_json())
    for target in [*FIELDS["moved"].values(), *FIELDS["copied"].values(), "device.identity"]:
        place: Any = line
        for name in target.replace("[0]", ".0").split("."):
            place = place[int(name) if name.isdigit() else name]
