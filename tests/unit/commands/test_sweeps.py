"""What is told of a sweep that is interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from made_up_executor import MadeUpExecutor

from bench import config, plan
from bench.commands import sweeps
from bench.run.scheduler import RunOptions
from bench.store import RunFile


def test_a_record_that_was_written_but_not_told_of_counts_as_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given an interruption between the write of the first record and the line about it
    append = RunFile.append

    def interrupted(file: RunFile, *records: object) -> None:
        append(file, *records)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(RunFile, "append", interrupted)
    planned = plan.make(config.load(config.find("smoke")))
    # When the sweep runs
    with pytest.raises(typer.Exit):
        sweeps.run_plan(planned, MadeUpExecutor(), RunOptions(tmp_path), None, quiet=True)
    # Then it says that one case is kept
    assert f"1 of {len(planned.cases)} cases are kept" in capsys.readouterr().err


def test_before_the_first_record_nothing_is_said_to_be_kept(tmp_path: Path) -> None:
    planned = plan.make(config.load(config.find("smoke")))
    with pytest.raises(KeyboardInterrupt):
        sweeps.run_plan(planned, MadeUpExecutor(interrupt_after=0), RunOptions(tmp_path), None, quiet=True)
