"""Ceilings on disk: written whole, the newest of a device read, a broken file an error that says what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from factories import NOON, a_device, an_environment, measured, refusal, write_lines

from bench import store
from bench.errors import ResultsError
from bench.record import CEILINGS_VERSION, Ceiling, Ceilings


def ceilings(name: str = "NVIDIA Test", flops: float = 1e14, at: str = NOON) -> Ceilings:
    """One matrix product's ceiling on a device."""
    product = Ceiling(
        what="matmul", dtype="float16", size=8192, median_s=0.01, samples_s=(0.01, 0.01), per_second=flops
    )
    return Ceilings(device=a_device(name=name), ceilings=(product,), environment=an_environment(), recorded_at=at)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "nvidia-test"
    path = store.write_ceilings(folder, ceilings())
    assert path == folder / "ceilings.json"
    assert store.read_ceilings([tmp_path / "results"]) == ([ceilings()], [])
    assert [file.name for file in folder.iterdir()] == ["ceilings.json"]


def test_new_ceilings_take_the_place_of_old_ones(tmp_path: Path) -> None:
    store.write_ceilings(tmp_path, ceilings(flops=1e14))
    store.write_ceilings(tmp_path, ceilings(flops=2e14))
    assert store.read_ceilings([tmp_path])[0][0].flops_per_second("float16") == 2e14


def test_of_each_device_the_newest_wins_wherever_it_lies(tmp_path: Path) -> None:
    # Given two folders with ceilings of one device, the older one in the folder that is named last, and another device
    store.write_ceilings(tmp_path / "a", ceilings(flops=2e14, at="2026-02-01T00:00:00.000000Z"))
    store.write_ceilings(tmp_path / "b", ceilings(flops=1e14, at="2026-01-01T00:00:00.000000Z"))
    store.write_ceilings(tmp_path / "c", ceilings("Another", flops=3e14))
    # When they are read, then there is one a device
    found = {each.device.name: each.flops_per_second("float16") for each in store.read_ceilings([tmp_path])[0]}
    assert found == {"NVIDIA Test": 2e14, "Another": 3e14}


def test_the_ceilings_beside_a_results_file_belong_to_it(tmp_path: Path) -> None:
    store.write_ceilings(tmp_path, ceilings())
    file = write_lines(tmp_path / "run.jsonl", [measured()])
    assert store.read_ceilings([file]) == ([ceilings()], [])


def test_no_ceilings_are_none(tmp_path: Path) -> None:
    assert store.read_ceilings([tmp_path, tmp_path / "nowhere"]) == ([], [])


def test_results_files_are_read_as_before_where_ceilings_lie_beside_them(tmp_path: Path) -> None:
    store.write_ceilings(tmp_path, ceilings())
    write_lines(tmp_path / "run.jsonl", [measured()])
    files, warnings = store.read([tmp_path])
    assert [len(file.records) for file in files] == [1]
    assert warnings == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("{", "is not valid JSON. Delete it"),
        ("[1]", "does not hold a device's ceilings"),
        ({"ceilings": "none"}, "`ceilings`"),
        ({"colour": "red"}, "`colour`"),
        ({"schema_version": CEILINGS_VERSION + 1}, "Update Hybrid Bench"),
    ],
)
def test_a_broken_file_is_an_error_that_says_which_and_what_to_do(
    tmp_path: Path, change: str | dict[str, Any], said: str
) -> None:
    whole = json.loads(ceilings().model_dump_json())
    text = change if isinstance(change, str) else json.dumps(whole | change)
    (tmp_path / "ceilings.json").write_text(text)
    found, (message,) = store.read_ceilings([tmp_path])
    assert found == []
    assert str(tmp_path / "ceilings.json") in message
    assert said in message


def test_a_folder_that_can_t_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "--out" in refusal(ResultsError, store.write_ceilings, tmp_path / "file", ceilings())
