"""One run over several equal executors: each takes the next group of cases as soon as it is free.

Each executor has a thread. A card's next case begins only when the record of its last one is on disk. Records are
written and the observer is told under one lock, so neither needs to know of the threads.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field

from bench import store
from bench.errors import BenchError, CancelledError, ResultsError
from bench.plan import Plan
from bench.record import Case, Record, Run
from bench.run.case_runner import CaseRunner
from bench.run.continuing import differences, opened
from bench.run.executor import CancellableExecutor, Executor
from bench.run.messages import Ready
from bench.run.run_options import LockedObserver, Observer, RunOptions, RunSummary

#: A group that so many cards have failed over is not tried again: else it could bring down all of them.
_MOST_LOSSES = 3


class _StoppedError(CancelledError):
    """The run ends, so a result that arrives late is not kept."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Cases that are measured together, and how many more of their group were measured earlier.

    `losses`: so many cards failed while they measured them.
    """

    cases: tuple[Case, ...]
    measured_earlier: int
    losses: int = 0


@dataclass(frozen=True, slots=True)
class _Begun:
    """The run, once the first executor is ready."""

    run: Run
    file: store.RunFile
    records: list[Record]
    resumed: int
    ready: Ready


@dataclass(slots=True)
class SharedRun:
    """A plan, and the equal executors that share its groups.

    An executor that fails is left out, and what it had begun goes back to the end of the queue: whatever brought it
    down then meets another card only after everything else is measured, and at most three in all.
    """

    plan: Plan
    executors: Sequence[CancellableExecutor]
    options: RunOptions
    observer: Observer
    #: Guards everything below.
    _changed: threading.Condition = field(default_factory=threading.Condition)
    #: The place of each case in the plan, from 1, by its id.
    _numbers: dict[str, int] = field(default_factory=dict)
    _claims: ExitStack = field(default_factory=ExitStack)
    _begun: _Begun | None = None
    _waiting: deque[_Group] = field(default_factory=deque)
    _in_work: int = 0
    _is_over: bool = False
    _losses: list[BenchError] = field(default_factory=list)

    def run(self) -> RunSummary:
        """Measure all cases that have no outcome yet.

        Raises the error of the last executor that failed if cases are left over, and ResultsError if records can't be
        written. Finished cases are kept.
        """
        self.observer = LockedObserver(self.observer, self._changed)
        self._numbers = {case.id: number for number, case in enumerate(self.plan.cases, start=1)}
        with self._claims, ThreadPoolExecutor(len(self.executors), "card") as threads:
            serving: list[Future[None]] = []
            try:
                serving += [threads.submit(self._serve, executor) for executor in self.executors]
                done, _ = wait(serving, return_when=FIRST_EXCEPTION)
            finally:
                self._end()
            for future in done:
                future.result()
            return self._summary()

    def _summary(self) -> RunSummary:
        begun = self._begun
        if begun is None or len(begun.records) < len(self.plan.cases):
            raise self._losses[-1]
        return RunSummary(begun.file.path, tuple(begun.records), resumed=begun.resumed)

    def _end(self) -> None:
        """Let nothing more be measured or written, and release all devices at once."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        for executor in self.executors:
            executor.cancel()

    def _serve(self, executor: CancellableExecutor) -> None:
        """Measure with one executor until nothing is left. Raises ResultsError if a record can't be written."""
        try:
            runner = self._runner(executor, executor.start())
            while runner is not None and (group := self._next()) is not None:
                self._measure(runner, group)
            executor.close()
            self._release_if_finished()
        except ResultsError:
            raise
        except BenchError as error:
            executor.close()
            self._lose(error)

    def _lose(self, error: BenchError) -> None:
        """Go on without an executor; that one was closed because the run is over is no loss."""
        with self._changed:
            if not self._is_over:
                self._losses.append(error)
                if len(self._losses) < len(self.executors) and not isinstance(error, CancelledError):
                    self.options.warn(f"{error.args[0]} The other cards measure what it had begun.")

    def _runner(self, executor: Executor, ready: Ready) -> CaseRunner | None:
        """What measures with an executor that is ready; None if its setting differs from that of the others."""
        store.refuse_stand_in(self.options.results, store.stand_in_of(ready.environment, ready.endpoint))
        with self._changed:
            if self._is_over:
                return None
            begun = self._begun = self._begun or self._begin(ready)
            if different := differences(begun.ready, ready):
                self.options.warn(
                    f"A card is left out, because it differs from the others of its type: {'; '.join(different)}. "
                    "--every-gpu gives each GPU a run of its own."
                )
                return None
        return CaseRunner(self.plan, executor, ready, begun.run, self.options, self.observer, self._numbers)

    def _begin(self, ready: Ready) -> _Begun:
        """Open the run's file, for as long as the run lasts, and queue what it lacks."""
        any_card = ready.model_copy(update={"device": ready.device.model_copy(update={"identity": None})})
        folder = self._claims.enter_context(store.device_folder(self.options.results, any_card.device))
        run, file, records = self._claims.enter_context(opened(self.plan, any_card, folder, self.options))
        measured = {record.case.id for record in records}
        for group in self.plan.groups:
            cases = tuple(case for case in group if case.id not in measured)
            if cases:
                self._waiting.append(_Group(cases, len(group) - len(cases)))
        self.observer.begun(run, file.path, tuple(records), ready)
        return _Begun(run, file, records, len(records), ready)

    def _next(self) -> _Group | None:
        """The next group, as soon as there is one; None if all are finished, or the run is over.

        While others measure the last groups, one may still come back from an executor that is lost.
        """
        with self._changed:
            while not self._waiting and self._in_work and not self._is_over:
                self._changed.wait()
            if self._is_over or not self._waiting:
                return None
            self._in_work += 1
            return self._waiting.popleft()

    def _measure(self, runner: CaseRunner, group: _Group) -> None:
        kept: set[str] = set()
        try:
            for batch in _batches(runner, group):
                self._keep(batch, kept)
        finally:
            with self._changed:
                left = tuple(case for case in group.cases if case.id not in kept)
                if left:
                    self._waiting.append(_Group(left, group.measured_earlier + len(kept), group.losses + 1))
                self._in_work -= 1
                self._changed.notify_all()

    def _keep(self, batch: tuple[Record, ...], kept: set[str]) -> None:
        """Write records, add their cases to those that are kept, and tell the observer, whatever becomes of that."""
        with self._changed:
            if self._is_over or self._begun is None:
                raise _StoppedError("The run is over.")
            self._begun.file.append(*batch)
            self._begun.records.extend(batch)
            kept.update(record.case.id for record in batch)
            for record in batch:
                self.observer.case_done(self._numbers[record.case.id], record)

    def _release_if_finished(self) -> None:
        """Once everything is measured, do not wait for cards that have not been free yet."""
        with self._changed:
            is_finished = self._begun is not None and not self._waiting and not self._in_work
        if is_finished:
            self._end()


def _batches(runner: CaseRunner, group: _Group) -> Iterable[tuple[Record, ...]]:
    """The records of a group, those together that must be written together."""
    if group.losses < _MOST_LOSSES:
        return runner.measure(group.cases, group.measured_earlier)
    return [runner.give_up(group.cases, f"{group.losses} cards were lost while they measured it")]
