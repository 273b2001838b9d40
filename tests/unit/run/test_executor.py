"""The executor over real processes that misbehave: what becomes of a worker is data, or a clear error."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import pytest
from factories import a_case, an_environment

from bench.errors import CancelledError, DeviceError, PackageError, WorkerError
from bench.record import Crashed, Device, Measured, MeasureSettings, Neighbours, OutOfMemory, TimedOut
from bench.run.executor import SubprocessExecutor
from bench.run.messages import Broken, CardsListed, Done, PhaseBegun, Ready, Refused, Survey

READY = Ready(device=Device(kind="cpu", name="Test CPU"), environment=an_environment()).model_dump_json()
PHASE = PhaseBegun(phase="run").model_dump_json()
DONE = Done(outcome=Measured()).model_dump_json()
LEAKED = Done(outcome=Measured(), leaked_bytes=2**28).model_dump_json()
STARTED = f"import os, signal, sys, time\nsys.stdin.readline()\nprint({READY!r}, flush=True)\n"
SETTINGS = MeasureSettings()


def executor(tmp_path: Path, after_ready: str, before: str = STARTED) -> SubprocessExecutor:
    """An executor whose worker is a script: ready, and then what the test says on being given a case."""
    script = tmp_path / "worker.py"
    script.write_text(f"{before}\nfor line in sys.stdin:\n    {after_ready}\n")
    return SubprocessExecutor(command=(sys.executable, str(script)))


def run(made: SubprocessExecutor, timeout_s: float = 20) -> Done:
    try:
        return made.run(a_case(), SETTINGS, timeout_s, lambda _: None)
    finally:
        made.close()


def test_a_case_s_answer_comes_back_with_its_phases(tmp_path: Path) -> None:
    made = executor(tmp_path, f"print({PHASE!r}); print({DONE!r}, flush=True)")
    phases: list[str] = []
    done = made.run(a_case(), SETTINGS, 20, phases.append)
    made.close()
    assert phases == ["run"]
    assert isinstance(done.outcome, Measured)


def test_one_worker_serves_many_cases(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    before = f"open({str(starts)!r}, 'a').write('x')\n{STARTED}"
    made = executor(tmp_path, f"print({PHASE!r}); print({DONE!r}, flush=True)", before)
    for _ in range(3):
        made.run(a_case(), SETTINGS, 20, lambda _: None)
    made.close()
    assert starts.read_text() == "x"


def test_a_leak_is_a_warning_and_replaces_the_worker(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    before = f"open({str(starts)!r}, 'a').write('x')\n{STARTED}"
    made = executor(tmp_path, f"print({PHASE!r}); print({LEAKED!r}, flush=True)", before)
    done = made.run(a_case(), SETTINGS, 20, lambda _: None)
    made.run(a_case(), SETTINGS, 20, lambda _: None)
    made.close()
    assert "256 MiB" in done.warnings[0]
    assert starts.read_text() == "xx"


def test_a_hang_is_a_time_out_in_its_phase(tmp_path: Path) -> None:
    done = run(executor(tmp_path, f"print({PHASE!r}, flush=True); time.sleep(600)"), timeout_s=0.5)
    assert done.outcome == TimedOut(timeout_s=0.5, phase="run")


def test_a_signal_is_a_crash_with_its_name_and_last_words(tmp_path: Path) -> None:
    die = "print('last words', file=sys.stderr, flush=True); os.kill(os.getpid(), signal.SIGABRT)"
    done = run(executor(tmp_path, f"print({PHASE!r}, flush=True); {die}"))
    assert done.outcome == Crashed(signal="SIGABRT", phase="run", stderr_tail="last words")


def test_an_exit_is_a_crash_with_its_code(tmp_path: Path) -> None:
    done = run(executor(tmp_path, f"print({PHASE!r}, flush=True); os._exit(7)"))
    assert done.outcome == Crashed(exit_code=7, phase="run")


def test_a_kill_is_out_of_memory_only_if_the_kernel_counted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a worker that is killed
    die = f"print({PHASE!r}, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    # When the kernel's counter stands still, it is a crash
    monkeypatch.setattr("bench.device.cpu.host.oom_kills", lambda: 3)
    assert run(executor(tmp_path, die)).outcome == Crashed(signal="SIGKILL", phase="run")
    # And when it rose, the host was out of memory
    counts = iter(range(100))
    monkeypatch.setattr("bench.device.cpu.host.oom_kills", lambda: next(counts))
    outcome = run(executor(tmp_path, die)).outcome
    assert isinstance(outcome, OutOfMemory)
    assert outcome.where == "host"


def test_last_words_about_memory_are_out_of_memory(tmp_path: Path) -> None:
    die = "print('terminate called: std::bad_alloc', file=sys.stderr, flush=True); os.abort()"
    outcome = run(executor(tmp_path, f"print({PHASE!r}, flush=True); {die}")).outcome
    assert isinstance(outcome, OutOfMemory)
    assert outcome.where == "host"


def test_nonsense_on_the_pipe_is_a_crash(tmp_path: Path) -> None:
    done = run(executor(tmp_path, f"print({PHASE!r}); print('Hello!', flush=True); time.sleep(600)"))
    assert isinstance(done.outcome, Crashed)


def test_a_worker_that_died_idle_is_replaced_and_the_case_is_run(tmp_path: Path) -> None:
    # Given a worker that ends after its first case, before it is given a second
    made = executor(tmp_path, f"print({PHASE!r}); print({DONE!r}, flush=True); os._exit(0)")
    for _ in range(3):
        assert isinstance(made.run(a_case(), SETTINGS, 20, lambda _: None).outcome, Measured)
    made.close()


def test_workers_that_never_begin_with_a_case_are_an_error_not_an_outcome(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="3 times"):
        run(executor(tmp_path, "os._exit(1)"))


def test_a_worker_that_never_gets_ready_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="no module of that name"):
        run(executor(tmp_path, "pass", "import sys; sys.exit('no module of that name')"))


def test_a_device_that_changes_between_workers_stops_the_run(tmp_path: Path) -> None:
    # Given a worker whose device is another one the second time that it starts
    other = READY.replace("Test CPU", "Another CPU")
    before = f"import os, sys\nsys.stdin.readline()\nseen = os.path.exists({str(tmp_path / 'seen')!r})\n"
    before += f"open({str(tmp_path / 'seen')!r}, 'w').close()\nprint({other!r} if seen else {READY!r}, flush=True)\n"
    made = executor(tmp_path, "os._exit(0)", before)
    assert made.start().device.name == "Test CPU"
    # When the first has died, then the next case is not measured on the other device
    with pytest.raises(DeviceError, match="Another CPU"):
        run(made)


@pytest.mark.parametrize(("lacks_package", "kind"), [(False, DeviceError), (True, PackageError)])
def test_a_refused_device_is_an_error_with_the_reason(
    lacks_package: bool, kind: type[Exception], tmp_path: Path
) -> None:
    refused = Refused(reason="no such device", lacks_package=lacks_package).model_dump_json()
    before = f"import sys, time\nsys.stdin.readline()\nprint({refused!r}, flush=True)\ntime.sleep(600)"
    with pytest.raises(kind, match="no such device"):
        executor(tmp_path, "pass", before).start()


def test_what_was_printed_before_the_case_is_not_held_against_it(tmp_path: Path) -> None:
    # Given a worker that warned of memory while it started, and is killed by something else in a case
    warned = STARTED + "print('mlock: Cannot allocate memory', file=sys.stderr)\n"
    warned += "sys.stderr.flush()\n"
    # The warning comes after `ready` and before the case is sent
    made = executor(tmp_path, f"print({PHASE!r}, flush=True); os.kill(os.getpid(), signal.SIGSEGV)", warned)
    made.start()
    _wait_for_text(made)
    assert run(made).outcome == Crashed(signal="SIGSEGV", phase="run")


def _wait_for_text(made: SubprocessExecutor) -> None:
    worker = made._worker
    assert worker is not None
    for _ in range(1000):
        if worker.stderr_tail():
            return
        time.sleep(0.01)
    raise AssertionError("the worker printed nothing")


def test_last_words_about_the_device_are_out_of_memory_there(tmp_path: Path) -> None:
    die = "print('what(): CUDA error: out of memory', file=sys.stderr, flush=True); os.abort()"
    outcome = run(executor(tmp_path, f"print({PHASE!r}, flush=True); {die}")).outcome
    assert isinstance(outcome, OutOfMemory)
    assert outcome.where == "device"


def test_the_real_worker_does_not_import_from_the_folder_where_the_user_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a folder with files named like modules that the worker needs
    for name in ("bench", "torch", "queue"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong one')")
    monkeypatch.chdir(tmp_path)
    made = SubprocessExecutor("cpu")
    try:
        assert made.start().device.kind == "cpu"
    finally:
        made.close()


# Taking turns

TWO = (a_case(size=64), a_case(size=128))
BROKEN = Broken(reason="out of memory").model_dump_json()


def run_interleaved(made: SubprocessExecutor, timeout_s: float = 20) -> tuple[Done, ...] | Broken:
    try:
        return made.run_interleaved(TWO, SETTINGS, timeout_s, lambda _: None)
    finally:
        made.close()


def test_cases_that_take_turns_have_an_answer_each(tmp_path: Path) -> None:
    dones = run_interleaved(executor(tmp_path, f"print({PHASE!r}); print({DONE!r}); print({DONE!r}, flush=True)"))

    assert [done.outcome.status for done in dones] == ["measured", "measured"]


def test_a_group_that_breaks_up_says_why_and_replaces_the_worker(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    before = f"open({str(starts)!r}, 'a').write('x')\n{STARTED}"
    made = executor(tmp_path, f"print({BROKEN!r}, flush=True)", before)
    result = made.run_interleaved(TWO, SETTINGS, 20, lambda _: None)
    made.start()
    made.close()

    assert result == Broken(reason="out of memory")
    assert starts.read_text() == "xx"


def test_a_worker_that_dies_over_a_group_breaks_it_up(tmp_path: Path) -> None:
    result = run_interleaved(
        executor(tmp_path, f"print({PHASE!r}); print({DONE!r}, flush=True); os.kill(os.getpid(), signal.SIGKILL)")
    )

    assert result == Broken(reason="the measuring process died")


def test_a_group_has_the_time_of_all_its_cases(tmp_path: Path) -> None:
    begin = time.monotonic()
    result = run_interleaved(executor(tmp_path, "time.sleep(600)"), timeout_s=0.3)

    assert result == Broken(reason="no answer within 0.6 s")
    assert time.monotonic() - begin > 0.6


def test_a_worker_that_dies_before_it_began_with_a_group_is_replaced(tmp_path: Path) -> None:
    # given a worker whose first process ends when it is given the group
    first = tmp_path / "first"
    after = f"""
    if not os.path.exists({str(first)!r}):
        open({str(first)!r}, "w"); os._exit(1)
    print({PHASE!r}); print({DONE!r}); print({DONE!r}, flush=True)"""

    assert len(run_interleaved(executor(tmp_path, after))) == 2


# Before the device is taken, and the end from another thread

CARDS = CardsListed(names=("GPU", "GPU")).model_dump_json()
SURVEY = Survey(neighbours=Neighbours(computing=1)).model_dump_json()
REFUSED = Refused(reason="no such device").model_dump_json()
#: Answers each request by its type, so that it can be asked before it has the device, and writes a line for each start.
EARLY = f"""import json, os, sys, time
open("STARTS", "a").write("x")
answers = {{"list_cards": {CARDS!r}, "look_around": {SURVEY!r}, "start": {READY!r}}}
"""
BY_TYPE = "print(answers[json.loads(line)['type']], flush=True)"


def early(tmp_path: Path, answer: str = BY_TYPE) -> tuple[SubprocessExecutor, Path]:
    starts = tmp_path / "starts"
    return executor(tmp_path, answer, EARLY.replace("STARTS", str(starts))), starts


def test_one_process_lists_the_cards_looks_around_and_takes_the_device(tmp_path: Path) -> None:
    made, starts = early(tmp_path)
    made.launch()
    assert made.cards().names == ("GPU", "GPU")
    assert made.survey().neighbours.computing == 1
    made.release()
    assert made.start().device.name == "Test CPU"
    assert made.survey().neighbours.computing == 1
    assert made.cards().names == ("GPU", "GPU")
    made.release()
    assert starts.read_text() == "x"
    assert made._worker is None


def test_a_device_that_is_not_there_is_refused_before_it_is_taken_too(tmp_path: Path) -> None:
    made, _ = early(tmp_path, f"print({REFUSED!r}, flush=True)")
    for ask in (made.cards, made.survey):
        with pytest.raises(DeviceError, match="no such device"):
            ask()


def test_a_worker_that_dies_over_a_look_is_replaced_by_one_without_the_device(tmp_path: Path) -> None:
    dies = "\n    ".join(
        [
            "request = json.loads(line)['type']",
            "has_device = request == 'start' or globals().get('has_device', False)",
            "if request == 'look_around' and has_device: os._exit(1)",
            BY_TYPE,
        ]
    )
    made, starts = early(tmp_path, dies)
    made.start()
    assert made.survey().neighbours.computing == 1
    made.close()
    assert starts.read_text() == "xx"


@pytest.mark.parametrize("reached", ["start", "run"])
def test_what_waits_in_an_executor_ends_when_another_thread_cancels_it(tmp_path: Path, reached: str) -> None:
    # Given an executor that waits for a worker which never is ready, or never has measured its case
    mark = tmp_path / "reached"
    hangs = f"open({str(mark)!r}, 'w').close(); time.sleep(600)"
    made = executor(tmp_path, hangs) if reached == "run" else executor(tmp_path, hangs, "import time, sys")

    def cancel() -> None:
        while not mark.exists():
            time.sleep(0.01)
        made.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    # When another thread cancels it, then it ends as cancelled, not as a crash, and starts nothing more
    with pytest.raises(CancelledError):
        made.run(a_case(), SETTINGS, 600, lambda _: None)
    thread.join()
    with pytest.raises(CancelledError):
        made.start()
    assert made._worker is None
