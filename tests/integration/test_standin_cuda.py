"""The CUDA path end to end, kernels aside, on the stand-in of torch.cuda: each command in a process of its own."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from processes import bench, records

from bench import store
from bench.record import Measured, OutOfMemory

ROOT = Path(__file__).parents[2]
STANDIN = ROOT / "tests" / "standins" / "torch_cuda"
SMALL = ("--resolution", "64", "--resolution", "192", "--operation", "decode", "--set", "repeats=3")


def on_standin(**variables: str) -> dict[str, str]:
    """What the environment of a process on the stand-in has besides."""
    paths = [str(STANDIN), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), **variables}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of the small sweep under a limit of which the context leaves 8 MiB."""
    folder = tmp_path_factory.mktemp("standin")
    limit = ("--vram-limit", "520MiB")
    done = bench("run", "smoke", "--device", "cuda", "--out", str(folder), *SMALL, *limit, env=on_standin())
    assert done.returncode == 0, done.stderr
    return folder


def test_a_run_on_cuda_under_a_limit_has_measured_cases_and_out_of_memory_and_goes_on(measured: Path) -> None:
    outcomes = {(r.case.width, r.case.tile is not None): r for r in records(measured)}
    fits, refused = outcomes[64, False], outcomes[192, False]
    assert isinstance(fits.outcome, Measured)
    assert fits.device.kind == "cuda"
    assert fits.timing is not None
    assert fits.timing.clock == "cuda_event"
    assert fits.memory is not None
    assert 0 < fits.memory.weights_bytes < fits.memory.peak_allocated_bytes <= fits.memory.peak_reserved_bytes
    assert fits.memory.peak_reserved_bytes <= 8 * 2**20
    assert isinstance(refused.outcome, OutOfMemory)
    assert refused.outcome.where == "device"
    assert refused.outcome.requested_bytes


def test_its_records_are_marked_and_no_report_takes_them(measured: Path) -> None:
    found = records(measured)
    assert all(r.environment and r.environment.stand_in for r in found)
    files, warnings = store.read([measured])
    assert [file.records for file in files] == [()]
    assert len(warnings) == 1


def test_a_run_that_lost_its_last_cases_goes_on_with_the_others(measured: Path, tmp_path: Path) -> None:
    # Given the file of a run that was killed after its first case, within a line
    (path,) = measured.rglob("*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    torn = tmp_path / path.relative_to(measured)
    torn.parent.mkdir()
    torn.write_bytes(lines[0] + lines[1][:50])
    # When the same command is given again
    limit = ("--vram-limit", "520MiB")
    done = bench("run", "smoke", "--device", "cuda", "--out", str(tmp_path), *SMALL, *limit, env=on_standin())
    # Then the first case is as it was, and the others have been measured
    assert done.returncode == 0, done.stderr
    assert torn.read_bytes().startswith(lines[0])
    assert [r.case.id for r in records(tmp_path)] == [r.case.id for r in records(measured)]


def test_results_refuse_a_stand_in(tmp_path: Path) -> None:
    done = bench("run", "smoke", "--device", "cuda", *SMALL, env=on_standin(), cwd=tmp_path)
    assert done.returncode == 2
    assert "--out" in done.stderr
    assert not list(tmp_path.rglob("*.jsonl"))


def test_doctor_sees_the_device(tmp_path: Path) -> None:
    done = bench("doctor", "--device", "cuda", "--json", "--out", str(tmp_path), env=on_standin())
    facts = json.loads(done.stdout)["facts"]
    assert facts["device"]["kind"] == "cuda"
    assert facts["found"]["gpu"]["capability"] == "9.0"
    assert facts["environment"]["stand_in"]


def test_a_device_that_fails_late_is_refused_with_its_reason_and_auto_takes_the_cpu(tmp_path: Path) -> None:
    env = on_standin(STANDIN_CUDA="fails-late")
    arguments = ("run", "smoke", "--resolution", "64", "--operation", "decode", "--set", "repeats=3")
    refused = bench(*arguments, "--device", "cuda", "--out", str(tmp_path), env=env)
    assert refused.returncode == 2
    assert "device kernel image is invalid" in refused.stderr
    assert "Traceback" not in refused.stderr
    taken = bench(*arguments, "--device", "auto", "--out", str(tmp_path), env=env)
    assert taken.returncode == 0, taken.stderr
    assert {r.device.kind for r in records(tmp_path)} == {"cpu"}


def test_serve_on_a_device_that_fails_late_ends_with_its_reason() -> None:
    env = on_standin(STANDIN_CUDA="fails-late")
    done = bench("serve", "--model", "tiny", "--weights", "random", "--device", "cuda", "--port", "0", env=env)
    assert done.returncode == 2
    assert "device kernel image is invalid" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("persona", "folder"), [("no-device", "out"), ("", "results")])
def test_the_tour_runs_nothing_without_a_gpu_or_for_results_on_a_stand_in(
    tmp_path: Path, persona: str, folder: str
) -> None:
    import subprocess
    import sys

    command = [sys.executable, str(ROOT / "benchmarks" / "gpu_tour.py"), "--out", str(tmp_path / folder)]
    env = {**os.environ, **on_standin(STANDIN_CUDA=persona)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 2
    assert not list(tmp_path.iterdir())
