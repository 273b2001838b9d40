"""`bench run --on`: which options go together. Nothing is connected to."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cli import main


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--on", "slurm"], "ray://HOST:PORT"),
        (["--on", "ray", "--device", "cuda:1"], "--device cuda:1"),
        (["--on", "ray", "--devices", "all"], "--devices"),
        (["--every-gpu"], "--on ray"),
        (["--any-versions"], "--on ray"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_that_do_not_go_together_are_refused(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["run", "smoke", *arguments, "--out", str(tmp_path / "results")]) == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def test_the_plan_of_a_sweep_on_a_cluster_needs_no_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--on", "ray://head.invalid:10001", "--dry-run"]) == 0
    assert "docs" in capsys.readouterr().out


def test_without_ray_the_extra_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("bench.packages._is_installed", lambda name, **_: name != "ray")
    assert main(["run", "smoke", "--on", "ray", "--out", str(tmp_path)]) == 2
    assert "hybrid-bench[fleet]" in capsys.readouterr().err
