"""kill -9 at random moments: no finished record is lost or doubled, the run is completed, no worker is left behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import psutil
import pytest
from processes import BENCH, STANDIN_BENCH

from bench import store
from bench.record import Record

PARENT = Path(__file__).parents[1] / "standin_parent.py"
CASES = 1500
ROUNDS = 16


def _records(results: Path) -> list[Record]:
    files = sorted(results.rglob("*.jsonl"))
    assert len(files) <= 1, "a run that was cut off must be continued in its own file"
    return list(store.read_file(files[0]).records) if files else []


def _wait_for(condition: Callable[[], object], what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.01)


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _assert_kept(before: list[Record], after: list[Record]) -> None:
    """Everything that was there still is, unchanged and in place, and no case stands twice."""
    assert after[: len(before)] == before
    ids = [record.case.id for record in after]
    assert len(ids) == len(set(ids))


def _interruptible(command: list[str]) -> subprocess.Popen[str]:
    """Start a command that Ctrl-C reaches, also where the tests themselves run in the background of a shell, which
    makes it ignored by all that they start.
    """
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heard)  # noqa: PLW1509 - no threads here


def _kill_a_worker(parent: subprocess.Popen[bytes], moment: random.Random) -> None:
    _wait_for(lambda: _children(parent.pid), "a worker")
    time.sleep(moment.uniform(0, 0.4))
    for worker in _children(parent.pid):
        worker.kill()


def _kill_parent(parent: subprocess.Popen[bytes]) -> None:
    workers = _children(parent.pid)
    parent.kill()
    parent.wait()
    _wait_for(lambda: all(_gone(worker) for worker in workers), "the worker to die with its parent", 10)


def test_no_record_is_lost_or_doubled_by_kills_of_parent_and_worker(tmp_path: Path) -> None:
    # Given a run of a quick stand-in worker
    moment = random.Random(2026)
    command = [sys.executable, str(PARENT), str(tmp_path), str(CASES)]
    kept: list[Record] = []
    killed = {"parent": 0, "worker": 0}
    # When parent or worker are killed at many random moments
    for number in range(ROUNDS):
        parent = subprocess.Popen(command)
        if number % 3 == 2:
            _kill_a_worker(parent, moment)
            killed["worker"] += 1
        if number == 0:  # on a busy machine a run may need longer than the moments below to begin
            _wait_for(lambda: _records(tmp_path), "a first record")
        time.sleep(moment.uniform(0.0, 0.8))
        assert parent.poll() is None, "the run must outlive its worker, and be too long to finish here"
        _kill_parent(parent)
        killed["parent"] += 1
        # Then each time all that was finished is still there, once
        now = _records(tmp_path)
        _assert_kept(kept, now)
        kept = now
    assert sum(killed.values()) >= 20
    assert 0 < len(kept) < CASES, "the moments are too early, or the run too short"
    # And the next run completes the same file
    done = subprocess.run(command, env={**os.environ, "BENCH_STANDIN_SECONDS": "0"}, check=False)
    final = _records(tmp_path)
    _assert_kept(kept, final)
    assert len(final) == CASES
    crashed = [record for record in final if record.outcome.status == "crashed"]
    assert done.returncode == (1 if crashed else 0)
    assert len(crashed) <= killed["worker"]


@pytest.mark.slow
def test_with_the_real_worker_too_kills_of_both_lose_nothing_and_leave_nobody_behind(tmp_path: Path) -> None:
    # Given a real run of the tiny VAE, long enough to be cut off
    moment = random.Random(7)
    command = [*BENCH, "run", "smoke", "--device", "cpu", "--quiet", "--out", str(tmp_path)]
    command += ["--set", "resolutions=[64, 72, 80, 88, 96]", "--set", "measure.max_time=0.1"]
    command += ["--set", "measure.max_noise=null"]
    parent = subprocess.Popen(command)
    # When a while after the first record the worker is killed, and a while later the parent
    _wait_for(lambda: _records(tmp_path), "the first record", 60)
    _kill_a_worker(parent, moment)
    time.sleep(moment.uniform(0, 2))
    assert parent.poll() is None
    before = _records(tmp_path)
    _kill_parent(parent)
    kept = _records(tmp_path)
    _assert_kept(before, kept)
    # Then the same command completes the same file
    code = subprocess.run(command, check=False).returncode
    final = _records(tmp_path)
    _assert_kept(kept, final)
    assert len(final) == final[0].run.cases == 20
    crashed = [record for record in final if record.outcome.status == "crashed"]
    assert len(crashed) <= 1
    assert code == len(crashed)


@pytest.mark.parametrize(("sent", "program"), [(signal.SIGINT, BENCH), (signal.SIGTERM, STANDIN_BENCH)])
def test_an_interrupt_ends_within_seconds_keeps_what_was_finished_and_says_how_to_go_on(
    tmp_path: Path, sent: signal.Signals, program: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a run under way, over the real worker or the stand-in
    monkeypatch.setenv("BENCH_STANDIN_SECONDS", "0.5")
    command = [*program, "run", "smoke", "--device", "cpu", "--out", str(tmp_path)]
    parent = _interruptible([*command, "--set", "repeats=200"])
    assert parent.stderr is not None
    assert any("[ 1/12]" in line for line in parent.stderr), "the run ended before its first line of progress"
    workers = _children(parent.pid)
    # When it is interrupted
    parent.send_signal(sent)
    said = parent.communicate(timeout=15)[1]
    # Then it ends with 130, its worker too, the records are whole, and it says what is kept and how to go on
    assert parent.returncode == 130
    assert workers
    assert all(_gone(worker) for worker in workers)
    assert 0 < len(_records(tmp_path)) < 12
    assert "of 12 cases are kept in" in said
    assert "The same command" in said
    assert "Traceback" not in said


def test_an_interrupt_before_anything_is_measured_says_so(tmp_path: Path) -> None:
    parent = _interruptible([*BENCH, "run", "--out", str(tmp_path)])
    _wait_for(lambda: _children(parent.pid), "the worker")
    parent.send_signal(signal.SIGINT)
    assert "Interrupted before anything was measured" in parent.communicate(timeout=15)[1]
    assert parent.returncode == 130
