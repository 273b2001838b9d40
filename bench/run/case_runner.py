"""Measures the cases of a run with one executor, and makes their records."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.core.units import format_count
from bench.doctor.gpu_findings import neighbour_warning
from bench.plan import Plan, refusal
from bench.record import Case, Crashed, Record, Run, Skipped, timestamp
from bench.run.executor import Executor
from bench.run.messages import Broken, Done, Ready
from bench.run.run_options import Observer, RunOptions
from bench.workloads import models


@dataclass(frozen=True, slots=True)
class CaseRunner:
    """Measures the cases of one run, and adds to each record the part that all records share."""

    plan: Plan
    executor: Executor
    ready: Ready
    run: Run
    options: RunOptions
    observer: Observer
    #: The place of each case in the plan, from 1, by its id.
    numbers: Mapping[str, int]

    def measure(self, cases: tuple[Case, ...], measured_earlier: int) -> Iterator[tuple[Record, ...]]:
        """Yield records that must be written together: those of all cases if they were interleaved, else one by one.

        `measured_earlier` further cases of the group were measured by an earlier session.
        """
        count = format_count(measured_earlier, "case")
        warning = f"measured without {count} of its group, measured by an earlier session"
        warnings = [warning] if measured_earlier else []
        refused = {case: reason for case in cases if (reason := self._refusal(case))}
        for case, reason in refused.items():
            yield (self._skip(case, reason),)
        cases = tuple(case for case in cases if case not in refused)
        if len(cases) < 2:
            for case in cases:
                yield (self._measure_alone(case, warnings),)
            return
        self._announce(cases[0])
        begin = time.monotonic()
        results = self.executor.run_interleaved(
            cases, self.plan.measure, self.plan.timeout_s, self.observer.phase_begun
        )
        if isinstance(results, Broken):
            partners = format_count(len(cases) - 1, "other case")
            warnings.append(f"measured alone instead of in turns with {partners}: {results.reason}")
            for case in cases:
                yield (self._measure_alone(case, warnings),)
            return
        share_s = (time.monotonic() - begin) / len(cases)
        yield tuple(
            self._record(case, done, warnings, share_s, tuple(other.id for other in cases if other is not case))
            for case, done in zip(cases, results, strict=True)
        )

    def give_up(self, cases: tuple[Case, ...], reason: str) -> tuple[Record, ...]:
        """The records of cases that are not tried again, because of what became of those that measured them."""
        crashed = Done(outcome=Crashed(phase="run", stderr_tail=reason))
        for case in cases:
            self.observer.case_begun(self.numbers[case.id], case)
        return tuple(self._record(case, crashed, (), 0.0) for case in cases)

    def _announce(self, case: Case) -> None:
        self.executor.start()  # so that starting a new worker is not part of the case's time
        self.observer.case_begun(self.numbers[case.id], case)

    def _refusal(self, case: Case) -> str:
        """Why the case will be skipped: its model can't run it, or not on this device."""
        return refusal(case) or models.workload(case.model).device_refusal(case, self.ready.device.kind)

    def _skip(self, case: Case, reason: str) -> Record:
        self.observer.case_begun(self.numbers[case.id], case)
        return self._record(case, Done(outcome=Skipped(reason=reason)), (), 0.0)

    def _measure_alone(self, case: Case, warnings: Sequence[str]) -> Record:
        self._announce(case)
        begin = time.monotonic()
        done = self.executor.run(case, self.plan.measure, self.plan.timeout_s, self.observer.phase_begun)
        return self._record(case, done, warnings, time.monotonic() - begin)

    def _record(
        self, case: Case, done: Done, warnings: Sequence[str], wall_s: float, interleaved_with: tuple[str, ...] = ()
    ) -> Record:
        neighbours = neighbour_warning(self.ready.environment.gpu, self.ready.device)
        return Record(
            kind="measured",
            case=case,
            device=self.ready.device,
            vram_limit_bytes=self.options.vram_limit_bytes,
            run=self.run,
            outcome=done.outcome,
            stages=done.stages,
            loading=done.loading,
            telemetry=done.telemetry,
            remote=done.remote,
            interleaved_with=interleaved_with,
            environment=self.ready.environment,
            measure=self.plan.measure,
            assumed=done.assumed,
            warnings=(*done.warnings, *warnings, *([neighbours] if neighbours else []), *self.options.surroundings()),
            wall_s=round(wall_s, 6),
            recorded_at=timestamp(self.options.now()),
        )
