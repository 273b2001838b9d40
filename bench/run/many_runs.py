"""Several runs at once, side by side in this process: one on each card, a thread for each.

The process that measures is another one, so the threads mostly wait for it.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from bench.core.units import format_count
from bench.errors import BenchError, CancelledError
from bench.plan import Plan
from bench.record import Case, Phase, Record, Run
from bench.run import scheduler
from bench.run.executor import CancellableExecutor
from bench.run.messages import Ready
from bench.run.scheduler import Observer, RunOptions, RunSummary

#: Windows notices Ctrl-C only between two waits.
_WAIT_S = 1.0


class View(Protocol):
    """Shows the runs. Everything may be called by several threads at once."""

    def observer(self, title: str) -> Observer:
        """The observer of this run."""

    def warn(self, title: str, text: str) -> None:
        """Show a warning about this run."""

    def failed(self, title: str, error: BenchError) -> None:
        """Show that this run has ended with an error."""


@dataclass(frozen=True, slots=True)
class Task:
    """One of the runs; `title` names it, such as `cuda:1`, and is unique. Several executors share its cases."""

    title: str
    plan: Plan
    executor: CancellableExecutor | Sequence[CancellableExecutor]
    options: RunOptions

    @property
    def executors(self) -> Sequence[CancellableExecutor]:
        """All that measure for this run."""
        return self.executor if isinstance(self.executor, Sequence) else (self.executor,)


def run_side_by_side(
    tasks: Sequence[Task], view: View, *, in_one_machine: bool = True
) -> list[RunSummary | BenchError]:
    """Run all tasks at once, and return for each its summary, or the error in which it ended, in their order.

    An error ends its own run alone. Ctrl-C in the main thread ends all of them: KeyboardInterrupt is raised once every
    thread has ended, so that each file is complete and each lock is open. Each executor is closed when its run ends.
    If the runs are `in_one_machine`, each record says how many others were measured at the same time.
    """
    company = Company() if in_one_machine else None
    with ThreadPoolExecutor(max_workers=max(len(tasks), 1), thread_name_prefix="card") as pool:
        try:
            futures = [pool.submit(_run, task, view, company) for task in tasks]
            while futures and wait(futures, timeout=_WAIT_S).not_done:
                pass
        except KeyboardInterrupt:
            _cancel(itertools.chain.from_iterable(task.executors for task in tasks))
            raise
    return [future.result() for future in futures]


def _cancel(executors: Iterable[CancellableExecutor]) -> None:
    """Cancel all of them, also if Ctrl-C is pressed again meanwhile."""
    waiting = list(executors)
    while waiting:
        with suppress(KeyboardInterrupt):
            waiting[-1].cancel()
            waiting.pop()


def exit_code(results: Sequence[RunSummary | BenchError]) -> int:
    """The worst exit code: that of a run, or of the error in which it ended."""
    return max((result.exit_code for result in results), default=0)


def beside_text(others: int) -> str:
    """The warning of a record that was measured while so many other cards were."""
    cards, was = ("another card", "was") if others == 1 else (format_count(others, "other card"), "were")
    return (
        f"{cards} of this machine {was} measured at the same time; that may lengthen what waits for the processor, the "
        "bus or the power supply"
    )


def _run(task: Task, view: View, company: Company | None) -> RunSummary | BenchError:
    """Run a task to its end. Other errors than those that a user can meet are raised."""
    options = replace(task.options, warn=partial(view.warn, task.title))
    observer = view.observer(task.title)
    if company is not None:
        options = replace(options, surroundings=partial(company.warnings, task.title))
        observer = _Counted(task.title, observer, company)
    try:
        with ExitStack() as held:  # its cards are free while others are still being measured
            for executor in task.executors:
                held.enter_context(closing(executor))
            return scheduler.run(task.plan, task.executor, options, observer)
    except CancelledError as error:
        return error
    except BenchError as error:
        view.failed(task.title, error)
        return error
    finally:
        if company is not None:
            company.end_case(task.title)


@dataclass(slots=True)
class Company:
    """Which runs measure now, and which of the others measured at any time during the current case of each."""

    _met: dict[str, set[str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin_case(self, title: str) -> None:
        """A run begins a case."""
        with self._lock:
            self._met.pop(title, None)
            for met in self._met.values():
                met.add(title)
            self._met[title] = set(self._met)

    def end_case(self, title: str) -> None:
        """A run measures nothing for now, or no more."""
        with self._lock:
            self._met.pop(title, None)

    def warnings(self, title: str) -> tuple[str, ...]:
        """The warning of the record of the run's current case; none if it had no company."""
        with self._lock:
            met = self._met.get(title, set())
            return (beside_text(len(met)),) if met else ()


@dataclass(frozen=True, slots=True)
class _Counted:
    """An observer that also tells the company when a case begins."""

    title: str
    observer: Observer
    company: Company

    def begun(self, run: Run, path: Path, earlier: Sequence[Record], ready: Ready) -> None:
        self.observer.begun(run, path, earlier, ready)

    def case_begun(self, number: int, case: Case) -> None:
        self.company.begin_case(self.title)
        self.observer.case_begun(number, case)

    def phase_begun(self, phase: Phase) -> None:
        self.observer.phase_begun(phase)

    def case_done(self, number: int, record: Record) -> None:
        self.company.end_case(self.title)
        self.observer.case_done(number, record)
