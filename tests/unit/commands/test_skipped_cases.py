"""`bench run --dry-run` and `bench predict` say which cases a model can't run, and go on with the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.cli import main

SWEEP = """
models: [tiny, tiny-hunyuan-video-1.5]
operations: decode
resolutions: 64x48
tiling: ["off", {tile: 40, overlap: 8}]
"""


@pytest.fixture
def sweep(tmp_path: Path) -> str:
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP)
    return str(path)


def test_the_plan_says_why_a_case_will_be_skipped(sweep: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", sweep, "--dry-run", "--json"]) == 0
    cases = json.loads(capsys.readouterr().out)["cases"]
    assert [(case["model"], "skipped" in case) for case in cases] == [
        ("tiny", False),
        ("tiny", False),
        ("tiny-hunyuan-video-1.5", False),
        ("tiny-hunyuan-video-1.5", True),
    ]
    assert "multiple of 16" in cases[-1]["skipped"]


def test_a_sweep_of_nothing_but_skipped_cases_is_an_error(sweep: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["run", sweep, "--dry-run", "--set", "models=tiny-hunyuan-video-1.5", "--set", "tiling=40/8"]
    assert main(arguments) == 2
    assert "multiple of 16" in capsys.readouterr().err


def test_a_prediction_leaves_out_what_would_be_skipped(sweep: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", sweep, "--gpu", "rtx-4090", "--json"]) == 0
    output = capsys.readouterr()
    records = json.loads(output.out)
    assert len(records) == 3
    assert "multiple of 16" in output.err
