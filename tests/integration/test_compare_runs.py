"""`bench compare` on real runs of this machine: the same code twice, and once with encode made slower."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import bench
from rich.console import Console

from bench import config, plan
from bench.run import progress, scheduler
from bench.run.executor import WORKER, SubprocessExecutor

pytest.importorskip("torch")
SLOWED = (sys.executable, "-P", str(Path(__file__).with_name("slow_worker.py")))
#: Calls of 50 ms and more, with one thread so that a second core's other work does not matter as much.
SWEEP = """
models: tiny
resolutions: 128
tiling: ["off"]
repeats: 10
measure: {min_time: 0, max_time: 60, max_noise: null}
"""
Measure = Callable[[str, tuple[str, ...]], Path]


@pytest.fixture(scope="module")
def measure(tmp_path_factory: pytest.TempPathFactory) -> Measure:
    """Run the sweep with a worker into a folder of that name."""
    root = tmp_path_factory.mktemp("runs")
    (root / "mine.yaml").write_text(SWEEP)
    made = plan.make(config.load(root / "mine.yaml", ()))

    def run(name: str, worker: tuple[str, ...]) -> Path:
        folder = root / name
        executor = SubprocessExecutor("cpu", command=worker)
        reporter = progress.Reporter(made, Console(file=io.StringIO()), quiet=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(os.environ, "OMP_NUM_THREADS", "1")
            try:
                scheduler.run(made, executor, scheduler.RunOptions(results=folder), reporter)
            finally:
                executor.close()
        return folder

    return run


def test_two_runs_of_one_code_pass_a_gate_that_a_slower_one_fails_by_name(measure: Measure) -> None:
    base, same, slower = measure("base", WORKER), measure("same", WORKER), measure("slower", SLOWED)

    passed = bench("compare", str(base), str(same), "--fail-on", "time>25%")
    assert passed.returncode == 0, passed.stdout + passed.stderr

    failed = bench("compare", str(base), str(slower), "--fail-on", "time>25%")
    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert "time>25%: tiny encode 128x128 float32 untiled" in failed.stderr
    assert "time>25%: tiny decode" not in failed.stderr
