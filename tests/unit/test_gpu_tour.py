"""The plan of the tour of a checkout; the tour itself is tested in sharing/test_tour.py."""

from __future__ import annotations

import gpu_tour
import pytest

from bench.sharing.tour import LEAST_S


@pytest.mark.parametrize("minutes", ["8", "15", "60"])
def test_the_whole_plan_fits_the_minutes(capsys: pytest.CaptureFixture[str], minutes: str) -> None:
    assert gpu_tour.main(["--list", "--minutes", minutes]) == 0
    boxes = [float(line.split()[1]) for line in capsys.readouterr().out.splitlines()]
    assert min(boxes) >= LEAST_S
    assert sum(boxes) == pytest.approx(float(minutes) * 60, abs=len(boxes))


def test_the_plan_begins_with_the_gpu_s_tests_and_is_printed_without_a_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu_tour.main(["--list"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names[:3] == ["gpu-tests", "docs", "docs-8gib"]
    assert {"decode-eager", "decode-compiled", "decode-kernels", "cuda-memory", "calibrate", "endpoint"} <= set(names)


def test_a_step_that_is_not_there_is_refused() -> None:
    with pytest.raises(SystemExit) as ended:
        gpu_tour.main(["--only", "nothing"])
    assert ended.value.code == 2
