"""docs/record.schema.json is the schema of what is written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from factories import failed, measured, out_of_memory, published

from bench.record import Record, json_schema

jsonschema = pytest.importorskip("jsonschema")  # not on every machine with a GPU
SCHEMA = Path(__file__).parents[3] / "docs" / "record.schema.json"


def test_the_schema_in_docs_is_that_of_the_code() -> None:
    text = json.dumps(json_schema(), indent=2) + "\n"
    if os.environ.get("BENCH_GOLDEN") == "write":
        SCHEMA.write_text(text)
    assert SCHEMA.read_text() == text, "run `make golden`; a change that old readers can't read raises SCHEMA_VERSION"


@pytest.mark.parametrize("record", [measured(), published(), out_of_memory(), failed()], ids=lambda r: r.outcome.status)
def test_records_of_every_kind_fit_the_schema(record: Record) -> None:
    jsonschema.validate(json.loads(record.to_json()), json.loads(SCHEMA.read_text()))


def test_a_line_that_is_no_record_does_not_fit() -> None:
    broken = {**json.loads(measured().to_json()), "outcome": {"status": "lost"}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, json.loads(SCHEMA.read_text()))
