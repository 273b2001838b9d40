"""`bench doctor` on a real GPU: what it says of it, and ceilings within what any card can do.

`pytest -m gpu` runs these; without a GPU they are skipped with the reason.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available() or torch.version.hip is not None, reason="no CUDA GPU here"),
]
COMMAND = "import typer; from bench.commands.doctor import doctor; typer.run(doctor)"


def bench_doctor(*arguments: str, **variables: str) -> tuple[int, dict[str, Any]]:
    """The exit code and what is said in JSON."""
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "--device", "cuda", "--json", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
        env={**os.environ, **variables},
    )
    assert done.returncode in {0, 1}, done.stderr
    return done.returncode, json.loads(done.stdout)


def problems(said: dict[str, Any]) -> set[str]:
    return {finding["subject"] for finding in said["findings"] if finding["level"] == "problem"}


def test_the_gpu_is_told_and_sound_unless_a_neighbour_is_named(tmp_path: Path) -> None:
    code, said = bench_doctor("--out", str(tmp_path))
    assert problems(said) <= {"neighbours"}, said["findings"]
    assert code == int(bool(problems(said)))
    gpu = said["facts"]["found"]["gpu"]
    assert gpu["capability"] == "{}.{}".format(*torch.cuda.get_device_capability(0))
    assert 0 < gpu["free_bytes"] <= gpu["total_bytes"]
    assert said["facts"]["found"]["torch_cuda"] == torch.version.cuda


def test_what_nvml_tells_is_told_where_it_answers(tmp_path: Path) -> None:
    _, said = bench_doctor("--out", str(tmp_path))
    if said["facts"]["environment"]["nvml_reason"] is not None:
        pytest.skip(said["facts"]["environment"]["nvml_reason"])
    gpu = said["facts"]["found"]["gpu"]
    assert 10 < gpu["temperature_c"] < 110
    assert said["facts"]["found"]["driver_cuda"]
    assert gpu["reasons"] is not None


def test_kernels_that_are_waited_for_are_a_problem(tmp_path: Path) -> None:
    code, said = bench_doctor("--out", str(tmp_path), CUDA_LAUNCH_BLOCKING="1")
    assert code == 1
    assert "variables" in problems(said)


def test_ceilings_are_within_what_a_card_can_do(tmp_path: Path) -> None:
    code, said = bench_doctor("--ceilings", "--out", str(tmp_path))
    rates = {(found["what"], found["dtype"]): found["per_second"] for found in said["ceilings"]["ceilings"]}
    half, single = rates["matmul", "float16"], rates["matmul", "float32"]
    assert 10e12 < half < 10e15
    assert half >= single
    assert 50e9 < rates["copy", "float32"] < 10e12
    if ("matmul", "tf32") in rates:
        assert single * 0.9 < rates["matmul", "tf32"] < half
    # And they are kept exactly where a run would be sound
    assert (said["ceilings_path"] is not None) == (code == 0)
