"""`bench doctor` with the real worker, on the CPU, in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest
from processes import STANDIN, bench

from bench import store
from bench.errors import WorkerError
from bench.run.executor import SubprocessExecutor
from bench.run.messages import CeilingMeasured, Examine, Examined, MeasureCeiling

COMMAND = """
import sys, typer
sys.modules['torch'] = sys.modules['diffusers'] = sys.modules['pynvml'] = None
from bench.commands.doctor import doctor
app = typer.Typer(pretty_exceptions_enable=False)
app.command()(doctor)
app()
"""


def test_the_cpu_is_told_and_sound_by_a_process_that_loads_no_torch(tmp_path: Path) -> None:
    # Given that the command's own process can't import torch: its worker alone does
    command = (sys.executable, "-c", COMMAND)
    done = bench("--device", "cpu", "--json", "--out", str(tmp_path), command=command)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["sound"] is True
    assert said["facts"]["device"]["kind"] == "cpu"
    assert said["facts"]["found"]["gpu"] is None
    assert said["facts"]["environment"]["packages"]["torch"]["version"]
    assert list(tmp_path.iterdir()) == []


def test_a_device_that_is_not_there_ends_in_1_with_the_host_told(tmp_path: Path) -> None:
    done = bench("doctor", "--device", "cuda:99", "--out", str(tmp_path), env={"COLUMNS": "200"})
    assert done.returncode == 1
    assert "problem  device" in done.stdout
    assert "--device cuda:99" in done.stdout
    assert "ok       machine" in done.stdout


@pytest.mark.slow
def test_ceilings_of_the_cpu_are_measured_and_kept(tmp_path: Path) -> None:
    done = bench("doctor", "--device", "cpu", "--ceilings", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    ((found,), _) = store.read_ceilings([tmp_path])
    assert str(next(tmp_path.rglob("ceilings.json"))) in done.stdout
    assert 1e9 < (found.flops_per_second("float32") or 0) < 1e14
    copy = next(ceiling for ceiling in found.ceilings if ceiling.what == "copy")
    assert 1e8 < copy.per_second < 1e12


def test_a_worker_that_dies_over_a_question_is_an_error_and_the_next_one_is_answered() -> None:
    made = SubprocessExecutor("cpu", command=STANDIN)
    try:
        made.start()
        assert made._worker is not None
        # Given a worker that is stopped, so that it hangs over the question
        os.kill(made._worker.pid, signal.SIGSTOP)
        with pytest.raises(WorkerError, match="1 s"):
            made.ask(Examine(), 1.0)
        # When the next is asked, another worker answers it
        assert isinstance(made.ask(Examine(), 60.0), Examined)
        # And a nonsensical one is refused by its own words, and does not hang
        with pytest.raises(WorkerError, match="no such thing"):
            made.ask(MeasureCeiling(what="matmul", dtype="no such thing"), 60.0)
        answer = made.ask(MeasureCeiling(what="copy", dtype="float32"), 60.0)
        assert isinstance(answer, CeilingMeasured)
        assert answer.ceiling is not None
    finally:
        made.close()
