"""The tour's time boxes, its summary, and its end: with steps of a line each."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.errors import ResultsError
from bench.sharing.bundles.manifest import StepReport
from bench.sharing.contribute import boxed_process
from bench.sharing.contribute.tour import LEAST_S, SUMMARY, Step, Tour, box_s, boxes, read_summary

ROOT = Path(__file__).parents[3]
RUNS = Step("runs", 30.0, ("-c", "print('a figure')"))
FAILS = Step("fails", 30.0, ("-c", "raise SystemExit(3)"))
HANGS = Step("hangs", 1.0, ("-c", "import threading; threading.Event().wait()"))


def ends(folder: Path) -> dict[str, str]:
    """How each step ended, by the file."""
    return {result["name"]: result["status"] for result in json.loads((folder / "summary.json").read_text())}


def test_a_step_that_fails_or_overruns_its_box_stops_nothing(tmp_path: Path) -> None:
    tour = Tour(tmp_path, 31.0)
    tour.go([FAILS, HANGS, RUNS])
    assert ends(tmp_path) == {"fails": "failed", "hangs": "overran", "runs": "ran"}
    assert [result.exit_code for result in tour.results] == [3, None, 0]
    assert tour.results[-1].note == "a figure"
    assert tour.summed_up() == "1 failed, 1 overran, 1 ran"


def test_what_does_not_fit_into_the_time_is_named_and_not_run(tmp_path: Path) -> None:
    # Given a clock of which the first step takes all: read at the tour's begin, before the step, in it, and after it
    moments = iter([0.0, 0.0, 0.0, 95.0, 95.0])
    tour = Tour(tmp_path, 100.0, now=lambda: next(moments))
    tour.go([RUNS, FAILS])
    assert ends(tmp_path) == {"runs": "ran", "fails": "did not fit"}


def test_a_box_is_no_longer_than_the_time_that_is_left(tmp_path: Path) -> None:
    # Given a clock by which a second is left when the step begins
    moments = iter([0.0, 99.0, 99.0, 100.0])
    tour = Tour(tmp_path, 100.0, now=lambda: next(moments))
    tour.go([Step("hangs", 1.0, HANGS.command)])
    assert [(result.status, result.seconds) for result in tour.results] == [("overran", 1.0)]


def test_boxes_share_the_time_by_need_and_what_a_step_leaves_goes_to_those_after_it() -> None:
    first, second, third = (Step(name, need_s, ()) for name, need_s in (("a", 60.0), ("b", 30.0), ("c", 30.0)))
    assert box_s([first, second, third], 240.0) == 120.0
    assert box_s([second, third], 120.0) == 60.0
    assert box_s([second, third], 239.0) == 119.5
    assert box_s([third], 239.0) == 239.0


def test_a_box_is_never_so_short_that_torch_alone_fills_it() -> None:
    steps = [Step(name, 100.0, ()) for name in "abcd"]
    assert box_s(steps, 48.0) == LEAST_S
    assert box_s(steps, 10.0) == 10.0


def test_ctrl_c_ends_the_step_and_sums_up(tmp_path: Path) -> None:
    # Given a tour in a process of its own, whose second step says when it has begun
    begun = tmp_path / "begun"
    os.mkfifo(begun)
    wait = f"import threading; open({str(begun)!r}, 'w').close(); threading.Event().wait()"
    program = (
        "import sys; from pathlib import Path; from bench.sharing.contribute.tour import *\n"
        "tour = Tour(Path(sys.argv[1]), 100.0)\n"
        f"tour.go([Step('runs', 30.0, ('-c', 'pass')), Step('waits', 60.0, ('-c', {wait!r})),"
        " Step('later', 9.0, ('-c', 'pass'))])\n"
        "print(tour.summed_up())"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], env=env, stdout=subprocess.PIPE)
    with begun.open():
        pass
    # When it is interrupted
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    # Then what ran is kept, and the rest is named
    assert process.returncode == 0
    assert ends(tmp_path) == {"runs": "ran", "waits": "interrupted", "later": "did not fit"}
    assert output.splitlines()[-1] == b"1 ran, 1 interrupted, 1 did not fit"


def test_a_step_that_ran_is_not_run_again(tmp_path: Path) -> None:
    Tour(tmp_path, 60.0).go([RUNS, FAILS])
    earlier = {report.name: report for report in read_summary(tmp_path) if report.status == "ran"}
    assert set(earlier) == {"runs"}
    # Given another command of that name, which would fail if it were run
    again = Tour(tmp_path, 60.0, done=earlier)
    again.go([Step("runs", 30.0, FAILS.command), Step("fails", 30.0, RUNS.command)])
    assert ends(tmp_path) == {"runs": "ran", "fails": "ran"}
    assert again.results[0] == earlier["runs"]


def test_a_process_that_ignores_ctrl_c_is_still_asked_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boxed_process, "_GRACES_S", {signal.SIGINT: 0.1, signal.SIGTERM: 60.0})
    code = (
        "import signal, sys, threading; signal.signal(signal.SIGINT, signal.SIG_IGN);"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('saved')));"
        "print('begun', flush=True); threading.Event().wait()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        boxed_process.end(process)
        assert (process.returncode, process.stdout.read()) == (0, b"saved\n")


def test_the_first_report_of_a_tour_forgets_no_earlier_one(tmp_path: Path) -> None:
    earlier = {name: StepReport(name=name, status="ran", seconds=1.0) for name in ("a", "b")}
    tour = Tour(tmp_path, 60.0, done=earlier)
    tour.add(earlier["a"])
    assert ends(tmp_path) == {"a": "ran", "b": "ran"}


def test_a_step_that_can_t_run_here_takes_no_time_and_says_why(tmp_path: Path) -> None:
    tour = Tour(tmp_path, 60.0)
    tour.go([Step("needs-more", 30.0, FAILS.command, why_not="a package is missing"), RUNS])
    assert ends(tmp_path) == {"needs-more": "not here", "runs": "ran"}
    assert tour.results[0].note == "a package is missing"


def test_each_step_is_told_when_it_begins_and_when_it_ends(tmp_path: Path) -> None:
    lines: list[str] = []
    Tour(tmp_path, 60.0, tell=lines.append).go([RUNS])
    assert [line.split()[:2] for line in lines] == [["begins", "runs"], ["ran", "runs"]]


def test_a_step_s_process_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    # Given a step that starts a process that ignores SIGINT and keeps a pipe open
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    child = (
        "import signal, threading; signal.signal(signal.SIGINT, signal.SIG_IGN);"
        f"kept = open({str(pipe)!r}, 'w'); print(flush=True); threading.Event().wait()"
    )
    command = (
        "import subprocess, sys;"
        f"subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE).stdout.readline()"
    )
    Tour(tmp_path, 60.0).go([Step("starts", 30.0, ("-c", command))])
    assert ends(tmp_path) == {"starts": "ran"}
    # Then the pipe is closed when the step is over
    os.set_blocking(reading, True)
    assert os.read(reading, 1) == b""
    os.close(reading)


@pytest.mark.parametrize("text", ["{", "{}", '[{"name": 1}]', '[{"name": "docs", "status": "perfect"}]'])
def test_a_summary_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / SUMMARY).write_text(text)
    with pytest.raises(ResultsError, match="summary"):
        read_summary(tmp_path)


def test_planned_boxes_fill_the_time(tmp_path: Path) -> None:
    steps = [Step(name, 100.0, ()) for name in "abcd"]
    assert boxes(steps, 400.0) == [100.0] * 4
    assert boxes(steps, 50.0) == [20.0, 20.0, 0.0, 0.0]
