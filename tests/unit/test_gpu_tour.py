"""The plan of the tour of a checkout; the tour itself is tested in sharing/test_tour.py."""

from __future__ import annotations

from pathlib import Path

import gpu_tour
import pytest

from bench.record import Device
from bench.sharing.contribute.tour import LEAST_S
from bench.sharing.contribute.tour_steps import steps_for


@pytest.mark.parametrize("minutes", ["15", "60"])
def test_the_whole_plan_fits_the_minutes(capsys: pytest.CaptureFixture[str], minutes: str) -> None:
    assert gpu_tour.main(["--list", "--minutes", minutes]) == 0
    boxes = [float(line.split()[1]) for line in capsys.readouterr().out.splitlines()]
    assert min(boxes) >= LEAST_S
    assert sum(boxes) == pytest.approx(float(minutes) * 60, abs=len(boxes))


def test_the_plan_begins_with_the_gpu_s_tests_and_is_printed_without_a_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu_tour.main(["--list"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names[:5] == ["gpu-tests", "doctor", "ceilings", "docs", "docs-8gib"]
    assert {"decode-kernels", "decode-batches", "cuda-memory", "endpoint-share"} <= set(names)


def test_every_step_of_a_volunteer_is_in_it_and_more() -> None:
    names = {step.name for step in gpu_tour.plan(Path("out"), "flux", 1024)}
    volunteers = steps_for(Device(kind="cuda", name="card"), "cuda", Path("out"), Path("logs"))
    assert {step.name for step in volunteers} < names


def test_a_step_that_is_not_there_is_refused() -> None:
    with pytest.raises(SystemExit) as ended:
        gpu_tour.main(["--only", "nothing"])
    assert ended.value.code == 2
