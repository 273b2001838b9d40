"""The tour's time boxes, its summary, and its end: with steps of a line each."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import gpu_tour
import pytest
from gpu_tour import Step, Tour

ROOT = Path(__file__).parents[2]
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
    assert gpu_tour.summed_up(tour) == 1


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
    assert gpu_tour.box_s([first, second, third], 240.0) == 120.0
    assert gpu_tour.box_s([second, third], 120.0) == 60.0
    assert gpu_tour.box_s([second, third], 239.0) == 119.5
    assert gpu_tour.box_s([third], 239.0) == 239.0


def test_a_box_is_never_so_short_that_torch_alone_fills_it() -> None:
    steps = [Step(name, 100.0, ()) for name in "abcd"]
    assert gpu_tour.box_s(steps, 48.0) == gpu_tour.LEAST_S
    assert gpu_tour.box_s(steps, 10.0) == 10.0


@pytest.mark.parametrize("minutes", ["8", "15", "60"])
def test_the_whole_plan_fits_the_minutes(capsys: pytest.CaptureFixture[str], minutes: str) -> None:
    assert gpu_tour.main(["--list", "--minutes", minutes]) == 0
    boxes = [float(line.split()[1]) for line in capsys.readouterr().out.splitlines()]
    assert min(boxes) >= gpu_tour.LEAST_S
    assert sum(boxes) == pytest.approx(float(minutes) * 60, abs=len(boxes))


def test_ctrl_c_ends_the_step_and_sums_up(tmp_path: Path) -> None:
    # Given a tour in a process of its own, whose second step says when it has begun
    begun = tmp_path / "begun"
    os.mkfifo(begun)
    wait = f"import threading; open({str(begun)!r}, 'w').close(); threading.Event().wait()"
    program = (
        "import sys; from pathlib import Path; from gpu_tour import *\n"
        "tour = Tour(Path(sys.argv[1]), 100.0)\n"
        f"tour.go([Step('runs', 30.0, ('-c', 'pass')), Step('waits', 60.0, ('-c', {wait!r})),"
        " Step('later', 9.0, ('-c', 'pass'))])\n"
        "sys.exit(summed_up(tour))"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "benchmarks"), str(ROOT)])}
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], env=env, stdout=subprocess.PIPE)
    with begun.open():
        pass
    # When it is interrupted
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    # Then what ran is kept, and the rest is named
    assert process.returncode == 130
    assert ends(tmp_path) == {"runs": "ran", "waits": "interrupted", "later": "did not fit"}
    assert b"Summary" in output


def test_the_plan_begins_with_the_gpu_s_tests_and_is_printed_without_a_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu_tour.main(["--list"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names[:3] == ["gpu-tests", "docs", "docs-8gib"]
    assert {"decode-eager", "decode-compiled", "decode-kernels", "cuda-memory", "calibrate", "endpoint"} <= set(names)


def test_a_step_that_is_not_there_is_refused() -> None:
    with pytest.raises(SystemExit) as ended:
        gpu_tour.main(["--only", "nothing"])
    assert ended.value.code == 2


def test_what_the_zoo_lacks_is_in_the_summary() -> None:
    assert [result.status for result in gpu_tour.beyond_images()] == ["not in the zoo"]
