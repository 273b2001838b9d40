"""The rounds of a search on disk: what is measured, continued, and taken from earlier."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from factories import GIB, a_case
from made_up_executor import DEVICE, MadeUpExecutor

from bench import store
from bench.analysis.best import answer, settings
from bench.plan import Plan
from bench.predictions import setting_forecasts
from bench.run.progress import Reporter
from bench.run.rounds import Rounds
from bench.run.scheduler import Observer, RunOptions

IMAGE = a_case(model="sdxl", operation="decode", size=1024)
TICKS = itertools.count()


@pytest.fixture(scope="module")
def forecasts() -> setting_forecasts.Forecasts:
    return setting_forecasts.of(IMAGE, DEVICE, None, None, Path("nowhere"))


@contextmanager
def silent(plan: Plan) -> Iterator[Observer]:
    from rich.console import Console

    with Reporter(plan, Console(stderr=True), quiet=True) as reporter:
        yield reporter


def rounds(executor: MadeUpExecutor, folder: Path, *, fresh: bool = False) -> Rounds:
    def now() -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=next(TICKS))

    return Rounds(executor, RunOptions(results=folder, fresh=fresh, now=now), silent)


def found(executor: MadeUpExecutor, folder: Path, forecasts: setting_forecasts.Forecasts, **options: bool) -> str:
    finished = rounds(executor, folder, **options).find(forecasts.search, 8 * GIB)
    best = answer.of(forecasts.search, finished).best
    assert best is not None
    return settings.label(best.case)


def test_a_search_that_was_stopped_is_continued_where_it_was(
    tmp_path: Path, forecasts: setting_forecasts.Forecasts
) -> None:
    whole = MadeUpExecutor()
    best = found(whole, tmp_path / "whole", forecasts)
    assert best == "float16, untiled, channels-last+compiled"
    for stop in (1, 5, len(whole.measured) - 1):
        folder = tmp_path / str(stop)
        first, second = MadeUpExecutor(interrupt_after=stop), MadeUpExecutor()
        with pytest.raises(KeyboardInterrupt):
            found(first, folder, forecasts)
        assert found(second, folder, forecasts) == best
        # the calls of the last round alternate, so that its records are written together: they may be measured again
        measured = [*first.measured, *second.measured]
        assert len(measured) <= len(whole.measured) + 3
        assert set(measured) == set(whole.measured)


def test_a_search_that_is_complete_is_not_measured_again_unless_it_is_to_be_fresh(
    tmp_path: Path, forecasts: setting_forecasts.Forecasts
) -> None:
    first, again, fresh = MadeUpExecutor(), MadeUpExecutor(), MadeUpExecutor()
    best = found(first, tmp_path, forecasts)
    assert found(again, tmp_path, forecasts) == best
    assert again.measured == []
    assert found(fresh, tmp_path, forecasts, fresh=True) == best
    assert fresh.measured == first.measured


def test_rounds_of_an_older_search_do_not_continue_a_newer_one(
    tmp_path: Path, forecasts: setting_forecasts.Forecasts
) -> None:
    whole, stopped, second = MadeUpExecutor(), MadeUpExecutor(interrupt_after=6), MadeUpExecutor()
    best = found(whole, tmp_path, forecasts)
    with pytest.raises(KeyboardInterrupt):
        found(stopped, tmp_path, forecasts, fresh=True)
    assert found(second, tmp_path, forecasts) == best
    assert len(second.measured) >= len(whole.measured) - 6


def test_the_records_tell_the_same_answer(tmp_path: Path, forecasts: setting_forecasts.Forecasts) -> None:
    best = found(MadeUpExecutor(), tmp_path, forecasts)
    records, notes = store.read_latest([tmp_path])
    (finding,) = answer.of_records(records)
    assert notes == []
    assert finding.answer.best is not None
    assert settings.label(finding.answer.best.case) == best
    assert finding.answer.default is not None
    assert settings.label(finding.answer.default.case) == "float32, untiled"
    assert finding.answer.safest is not None
    assert finding.answer.safest.case.dtype == "float32"
