"""Facts of a device in two places: the newest count, and none that only an older file has is lost."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bench.sharing.hub.shared_facts import join_facts, problem_of

PATH = "results/cpu-intel-xeon-processor/ceilings.json"
NAMES = ("here", "there")


@cache
def _text() -> str:
    return (Path(__file__).parents[3] / PATH).read_text()


def _facts(recorded_at: str, *, without: int = 0, **fields: object) -> bytes:
    data: dict[str, Any] = json.loads(_text()) | {"recorded_at": recorded_at, **fields}
    data["ceilings"] = data["ceilings"][: len(data["ceilings"]) - without]
    return json.dumps(data).encode()


OLDER, NEWER = _facts("2026-01-01T00:00:00.000000Z"), _facts("2026-02-01T00:00:00.000000Z")


def test_the_newest_counts_wherever_it_is() -> None:
    assert join_facts({PATH: OLDER}, {PATH: NEWER}, NAMES).changed == {PATH: NEWER}
    assert join_facts({PATH: NEWER}, {PATH: OLDER}, NAMES).changed == {}
    assert join_facts({}, {PATH: OLDER}, NAMES).changed == {PATH: OLDER}
    assert join_facts({PATH: OLDER}, {}, NAMES).changed == {}


def test_an_older_file_that_knows_more_stays_and_is_named() -> None:
    joined = join_facts({PATH: OLDER}, {PATH: _facts("2026-02-01T00:00:00.000000Z", without=1)}, NAMES)

    assert joined.changed == {}
    assert len(joined.notes) == 1


@pytest.mark.parametrize("content", [b"{", b"[]", _facts("2026-02-01T00:00:00.000000Z", schema_version=99)])
def test_a_file_that_can_t_be_used_changes_nothing(content: bytes) -> None:
    assert problem_of(PATH, content) is not None
    assert join_facts({PATH: OLDER}, {PATH: content}, NAMES).changed == {}
    assert join_facts({PATH: content}, {PATH: NEWER}, NAMES).changed == {PATH: NEWER}


def test_facts_in_the_folder_of_another_device_are_not_used() -> None:
    other = "results/nvidia-h100/ceilings.json"

    assert problem_of(PATH, OLDER) is None
    assert problem_of(other, OLDER) is not None
    assert join_facts({}, {other: OLDER}, NAMES).changed == {}
