"""`bench compare` on real runs of this machine: the same code twice, and once with encode made slower."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import bench, warm
from rich.console import Console

from bench import config, plan
from bench.run import progress, scheduler
from bench.run.executor import SubprocessExecutor

pytest.importorskip("torch")
REAL, SLOWED = "bench.run.worker", str(Path(__file__).with_name("slow_worker.py"))
#: Calls of 50 ms and more, with one thread so that a second core's other work does not matter as much.
SWEEP = """
models: tiny
resolutions: 128
tiling: ["off"]
repeats: 10
measure: {min_time: 0, max_time: 60, max_noise: null}
"""
Measure = Callable[[str, str], Path]


@pytest.fixture(scope="module")
def measure(tmp_path_factory: pytest.TempPathFactory) -> Measure:
    """Run the sweep with a worker into a folder of that name."""
    root = tmp_path_factory.mktemp("runs")
    (root / "mine.yaml").write_text(SWEEP)
    made = plan.make(config.load(root / "mine.yaml", ()))

    def run(name: str, worker: str) -> Path:
        folder = root / name
        command, environment = warm({**os.environ, "OMP_NUM_THREADS": "1"}, worker)
        executor = SubprocessExecutor("cpu", command=command)
        reporter = progress.Reporter(made, Console(file=io.StringIO()), quiet=True)
        with pytest.MonkeyPatch.context() as patch:
            for variable, value in environment.items():
                patch.setitem(os.environ, variable, value)
            try:
                scheduler.run(made, executor, scheduler.RunOptions(results=folder), reporter)
            finally:
                executor.close()
        return folder

    return run


#: A shared machine's speed can drift between two runs of a second or two each, most of all where other tests run beside
#: this one: that is no fault of the program. So the gate is wide, what it shall find is far beyond it, and a fresh pair
#: is measured where that did not do. A program that is wrong is wrong each time.
ATTEMPTS = 3


def _named(stderr: str) -> set[str]:
    """The operations that failed the gate."""
    return set(re.findall(r"^time>100%: tiny (\w+) 128x128 float32 untiled: ", stderr, flags=re.MULTILINE))


def test_two_runs_of_one_code_pass_a_gate_that_a_slower_one_fails_by_name(measure: Measure) -> None:
    said = []
    for attempt in range(ATTEMPTS):
        # given two runs of one code, and one whose encode does its work four times
        folders = [measure(f"{name}{attempt}", w) for name, w in (("base", REAL), ("same", REAL), ("slow", SLOWED))]
        base, same, slow = map(str, folders)
        # when each is held against the first
        passed = bench("compare", base, same, "--fail-on", "time>100%")
        failed = bench("compare", base, slow, "--fail-on", "time>100%")
        # then the one passes, and the other fails by the name of what was slowed, and of nothing else
        if (passed.returncode, failed.returncode, _named(failed.stderr)) == (0, 1, {"encode"}):
            return
        said.append(passed.stdout + passed.stderr + failed.stdout + failed.stderr)
    pytest.fail("\n".join(said))
