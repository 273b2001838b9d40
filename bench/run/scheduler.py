"""Runs a plan: order, resume, one durable record per case. The caller gives executor and clock."""

from __future__ import annotations

from collections.abc import Sequence

from bench import store
from bench.plan import Plan
from bench.run.case_runner import CaseRunner
from bench.run.continuing import is_alike, opened
from bench.run.executor import CancellableExecutor, Executor
from bench.run.run_options import GOOD, Observer, RunOptions, RunSummary
from bench.run.shared_run import SharedRun

__all__ = ["GOOD", "Observer", "RunOptions", "RunSummary", "is_alike", "run"]


def run(
    plan: Plan, executor: Executor | Sequence[CancellableExecutor], options: RunOptions, observer: Observer
) -> RunSummary:
    """Measure all cases that have no outcome yet. Returns when every case has an outcome on disk.

    Several executors are equal cards, which share the cases (`shared_run`). Continues the latest unfinished run of the
    same plan, device, limit and library versions, unless `fresh`. Raises BenchError if the device, the worker or the
    disk fails; finished cases are kept.
    """
    store.prepare_folder(options.results)
    if isinstance(executor, Sequence):
        return SharedRun(plan, executor, options, observer).run()
    ready = executor.start()
    store.refuse_stand_in(options.results, store.stand_in_of(ready.environment, ready.endpoint))
    with (
        store.device_folder(options.results, ready.device) as folder,
        opened(plan, ready, folder, options) as (run_info, file, records),
    ):
        observer.begun(run_info, file.path, tuple(records), ready)
        done = {record.case.id for record in records}
        numbers = {case.id: number for number, case in enumerate(plan.cases, start=1)}
        runner = CaseRunner(plan, executor, ready, run_info, options, observer, numbers)
        for group in plan.groups:
            cases = tuple(case for case in group if case.id not in done)
            for batch in runner.measure(cases, len(group) - len(cases)) if cases else ():
                file.append(*batch)
                records.extend(batch)
                for record in batch:
                    observer.case_done(numbers[record.case.id], record)
    return RunSummary(file.path, tuple(records), resumed=len(done))
