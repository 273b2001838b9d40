"""Figures of a stand-in for a device: refused where results lie, and left out of what is read."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from factories import measured

from bench import store
from bench.errors import ResultsError
from bench.record import Ceilings, Device, EndpointFacts, Environment, Record, Remote

ROOT = Path(__file__).parents[3]
REAL = Environment(python="3", packages={}, os="", host_cpu="", host_cores=1, host_ram_bytes=1)
STANDIN = REAL.model_copy(update={"stand_in": "a test"})
#: A client on a real machine that measured an endpoint whose device was a stand-in.
REMOTE = measured(environment=REAL, remote=Remote(endpoint=EndpointFacts(url="http://host", stand_in="a test")))
both_kinds = pytest.mark.parametrize("marked", [measured(environment=STANDIN), REMOTE], ids=["here", "endpoint"])


@both_kinds
def test_a_record_of_a_stand_in_is_refused_below_results_and_nothing_is_written(tmp_path: Path, marked: Record) -> None:
    file = store.RunFile(tmp_path / "results" / "gpu" / "run.jsonl")
    with pytest.raises(ResultsError):
        file.append(marked)
    assert not file.path.exists()


def test_ceilings_of_a_stand_in_are_refused_below_results_and_not_read_elsewhere(tmp_path: Path) -> None:
    held = Ceilings(device=Device(kind="cuda", name="a card"), ceilings=(), environment=STANDIN, recorded_at="")
    with pytest.raises(ResultsError):
        store.write_ceilings(tmp_path / "results" / "gpu", held)
    store.write_ceilings(tmp_path / "gpu", held)
    found, warnings = store.read_ceilings([tmp_path])
    assert found == []
    assert len(warnings) == 1


@both_kinds
def test_what_is_read_leaves_a_stand_in_s_records_out_and_says_how_many(tmp_path: Path, marked: Record) -> None:
    file = store.RunFile(tmp_path / "run.jsonl")
    real = measured(environment=REAL)
    file.append(real, marked)
    files, warnings = store.read([tmp_path])
    assert [record for read in files for record in read.records] == [real]
    assert len(warnings) == 1


def test_no_tracked_result_is_of_a_stand_in() -> None:
    listed = subprocess.run(["git", "ls-files", "results"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = listed.stdout.split() or [str(path.relative_to(ROOT)) for path in (ROOT / "results").rglob("*.json*")]
    held = [ROOT / name for name in names if name.endswith((".jsonl", ".json"))]
    assert held
    for path in held:
        texts = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        for line in texts:
            data = json.loads(line)
            assert not (data.get("environment") or {}).get("stand_in"), path
            assert not ((data.get("remote") or {}).get("endpoint") or {}).get("stand_in"), path
