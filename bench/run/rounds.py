"""Measures one round of a search after another, each as a run of its own, and continues a search that was stopped.

A round that is finished on the disk is not measured again: the same command continues where it was stopped, and prints
the answer of a search that is complete. Rounds of another, older search are told apart by time: a round begins after
the one before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bench import store
from bench.analysis.best import answer, search, trials
from bench.analysis.best.search import Finished, Search
from bench.plan import Plan
from bench.record import Case, MeasureSettings, PictureComparison, Record, timestamp
from bench.run import scheduler
from bench.run.executor import Executor, SubprocessExecutor
from bench.run.messages import Ready
from bench.run.quality_run import QualityRun
from bench.run.scheduler import Observer, RunOptions

#: Seconds for one setting; compiling a large model takes minutes.
_TIMEOUT_S = 1800.0
#: Seconds of calls after which three are enough.
_MOST_S = 15.0


@dataclass(slots=True)
class Rounds:
    """The rounds of one search.

    Attributes:
        executor: measures.
        options: as of any run. If `fresh`, no older round is taken.
        observing: makes the observer of a round that is measured, with what it is about to measure.
        reused: how many records an earlier process measured.
        measured: how many this one did.
    """

    executor: Executor
    options: RunOptions
    observing: Callable[[Plan], AbstractContextManager[Observer]]
    reused: int = 0
    measured: int = 0
    _since: str = ""

    def __post_init__(self) -> None:
        if self.options.fresh:
            self._since = timestamp(self.options.now())

    def find(self, searched: Search, most_bytes: int | None) -> list[Finished]:
        """All rounds of a search. A setting whose peak is above `most_bytes` does not fit."""
        finished: list[Finished] = []
        while (step := search.next_round(searched, finished)) is not None:
            records = self.measure(step.cases, step.calls, in_turns=step.purpose == "final")
            finished.append(Finished(step, tuple(trials.of(record, most_bytes) for record in records)))
        return finished

    def measure(self, cases: Sequence[Case], calls: int, *, in_turns: bool) -> tuple[Record, ...]:
        """The records of a round, in the order of its cases. Raises what `scheduler.run` raises."""
        plan = plan_of(cases, calls, in_turns=in_turns)
        last = self._last(plan)
        if last is None or not store.is_finished(last):
            earlier = 0 if last is None else len(last.records)
            options = replace(self.options, fresh=last is None)
            with self.observing(plan) as observer:
                records = scheduler.run(plan, self.executor, options, observer).records
            self.reused += earlier
            self.measured += len(records) - earlier
        else:
            records = last.records
            self.reused += len(records)
        self._since = records[0].run.started_at
        by_case = {record.case: record for record in records}
        return tuple(by_case[case] for case in cases)

    def _last(self, plan: Plan) -> store.ResultsFile[Record] | None:
        """The latest run of this plan, unless it began before the round before."""
        store.prepare_folder(self.options.results)
        ready = self.executor.start()
        alike = partial(scheduler.is_alike, ready)
        with store.device_folder(self.options.results, ready.device) as folder:
            last = store.latest_run(folder, plan.id, self.options.vram_limit_bytes, ready.device.identity, alike)
        return None if last is None or last.records[0].run.started_at < self._since else last


def picture_of(
    reference: Case, changed: Case, executor: SubprocessExecutor, ready: Ready, results: Path
) -> PictureComparison:
    """The picture of a setting against another's, which is kept as `bench quality` keeps it."""
    with store.device_folder(results, ready.device) as folder:
        run = QualityRun(executor, ready, folder, _Silent())
        run.compare(reference, changed, None)
    return run.comparisons[0]


class _Silent:
    def comparing(self, comparison: PictureComparison) -> AbstractContextManager[object]:
        return nullcontext(comparison)


def plan_of(cases: Sequence[Case], calls: int, *, in_turns: bool) -> Plan:
    """The plan of a round: exactly so many calls of each case, or three of slow ones."""
    settings = MeasureSettings(
        min_samples=calls, few_samples=min(3, calls), min_time=0.0, max_time=_MOST_S, max_noise=None
    )
    return Plan(answer.CONFIG, tuple(cases), settings, _TIMEOUT_S, interleave=in_turns and len(cases) > 1)
