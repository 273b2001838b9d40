"""Whatever a record holds, the checks answer: people edit results, and a bundle is somebody else's."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
import sent_bundles
import volunteer_records

from bench.analysis.plausibility.examine import examine
from bench.config import load_gpus
from bench.errors import BenchError
from bench.record import Record
from bench.sharing.accept import supported_versions
from bench.sharing.accept.plausibility_facts import facts
from bench.store.line import record_of

ODD: list[Any] = [0, 1, -1, 1e-300, 1e300, 2**62, None, "", "x", [], {}, True, 0.5, "2026-01-01", "9.0", "float16"]
FACTS = facts((), volunteer_records.NOWHERE, load_gpus())


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths to all values inside a value."""
    if path:
        yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inside:
        yield from places(each, (*path, name))


def with_odd_values(record: Record, chance: random.Random) -> Record | None:
    """The record with one or two values replaced; None if it is no record then."""
    line = json.loads(record.to_json())
    del line["case"]["id"]
    for _ in range(chance.choice([1, 1, 2])):
        *above, last = chance.choice(list(places(line)))
        inner = line
        for name in above:
            inner = inner[name]
        inner[last] = chance.choice(ODD)
    try:
        return record_of(json.dumps(line).encode(), "line 1")
    except BenchError:
        return None


@pytest.mark.parametrize("seed", range(8))
def test_no_value_of_a_record_stops_the_checks(seed: int) -> None:
    chance, judged = random.Random(seed), 0
    for _ in range(60):
        drawn = chance.sample([*sent_bundles.records_of()[:6], *sent_bundles.on_cpu()[:6]], 3)
        records = [record for each in drawn if (record := with_odd_values(each, chance)) is not None]
        examine(records, FACTS)
        list(supported_versions.check(records))
        judged += len(records)
    assert judged > 20
