"""Merged runs go on and are shown as one run would be: with the scheduler itself, and nothing computed."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from factories import load_sweep
from made_up_executor import MadeUpExecutor
from rich.console import Console

from bench import plan, store
from bench.run import scheduler
from bench.run.progress import Reporter
from bench.run.scheduler import RunOptions
from bench.sharing.merge.given import Given
from bench.sharing.merge.merge_folders import merge

SWEEP = """
models: tiny
operations: encode
resolutions: [64, 128, 192, 256]
tiling: "off"
"""
Measure = Callable[..., list[str]]


@pytest.fixture
def measure(tmp_path: Path) -> Measure:
    """Measures the same plan in a folder, on a given day, and returns the sizes of the cases that it measured."""
    planned = plan.make(load_sweep(tmp_path, SWEEP))

    def run(folder: str, day: int = 1, *, interrupt_after: float = math.inf) -> list[str]:
        executor = MadeUpExecutor(interrupt_after=interrupt_after)
        options = RunOptions(tmp_path / folder, now=lambda: datetime(2026, 1, day, tzinfo=UTC))
        with suppress(KeyboardInterrupt), Reporter(planned, Console(stderr=True), quiet=True) as reporter:
            scheduler.run(planned, executor, options, reporter)
        return [str(case.axes["width"]) for case in executor.measured]

    return run


def figures(folder: Path) -> list[tuple[int, float | None]]:
    """Size and time of each case that tables show."""
    records, notes = store.read_latest([folder])
    assert not notes
    return [(record.case.axes["width"], record.timing.median_s if record.timing else None) for record in records]


def test_two_unfinished_runs_are_continued_and_shown_as_one(measure: Measure, tmp_path: Path) -> None:
    # Given a run that was undisturbed, and two that were stopped, of which neither has all cases
    measure("undisturbed")
    measure("a", 1, interrupt_after=1)
    measure("b", 2, interrupt_after=3)
    # When these are merged and the sweep is run in the merged folder
    merge([Given.of(tmp_path / name) for name in "ab"], tmp_path / "merged")
    assert measure("merged", 3) == ["256"]
    # Then only what was missing was measured, and the tables are those of the undisturbed run
    assert figures(tmp_path / "merged") == figures(tmp_path / "undisturbed")
    assert len(measure("merged", 4)) == 4  # a finished plan begins anew


def test_a_copied_run_that_was_continued_elsewhere_is_whole(measure: Measure, tmp_path: Path) -> None:
    # Given a run that was copied when it was stopped, and continued in the copy
    measure("a", interrupt_after=2)
    merge([Given.of(tmp_path / "a")], tmp_path / "copy")
    measure("copy", 2)
    # When it comes back, then it is as it is there
    merge([Given.of(tmp_path / "copy")], tmp_path / "a")
    (ours,), (theirs,) = ((tmp_path / name).rglob("*.jsonl") for name in ("a", "copy"))
    assert ours.read_bytes() == theirs.read_bytes()
    assert [size for size, _ in figures(tmp_path / "a")] == [64, 128, 192, 256]
