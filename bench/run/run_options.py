"""What a run is given besides its plan, whom it tells, and what it returns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from bench.record import Case, Phase, Record, Run, SweepOnCards
from bench.run.messages import Ready

#: Outcomes after which a run still ends with exit code 0.
GOOD = ("measured", "out_of_memory", "skipped")


class Observer(Protocol):
    """Receives the events of a run."""

    def begun(self, run: Run, path: Path, earlier: Sequence[Record], ready: Ready) -> None:
        """A run begins, or continues after the cases that earlier sessions have finished."""

    def case_begun(self, number: int, case: Case) -> None:
        """Case `number` of the plan (from 1) is next."""

    def phase_begun(self, phase: Phase) -> None:
        """The current case has reached this phase."""

    def case_done(self, number: int, record: Record) -> None:
        """The case is finished and on disk."""


@dataclass(frozen=True, slots=True)
class LockedObserver:
    """An Observer that passes everything on under a lock, so that several threads may call it."""

    observer: Observer
    lock: AbstractContextManager[object]

    def begun(self, run: Run, path: Path, earlier: Sequence[Record], ready: Ready) -> None:
        with self.lock:
            self.observer.begun(run, path, earlier, ready)

    def case_begun(self, number: int, case: Case) -> None:
        with self.lock:
            self.observer.case_begun(number, case)

    def phase_begun(self, phase: Phase) -> None:
        with self.lock:
            self.observer.phase_begun(phase)

    def case_done(self, number: int, record: Record) -> None:
        with self.lock:
            self.observer.case_done(number, record)


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The result of a run: its file and all its records, including those of earlier sessions."""

    path: Path
    records: tuple[Record, ...]
    resumed: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """The number of cases by outcome."""
        return dict(Counter(record.outcome.status for record in self.records))

    @property
    def exit_code(self) -> int:
        """0 if every case was measured, out of memory or skipped; 1 otherwise."""
        return 0 if all(record.outcome.status in GOOD for record in self.records) else 1


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a run is stored and continued.

    Attributes:
        results: the results folder.
        vram_limit_bytes: the limit that the executor has set; None without one.
        fresh: start a new run even if an unfinished one could be continued.
        sweep: the sweep on a cluster that the run is part of. A finished run of this sweep is not begun anew. If its
            cards share the cases, any of them may continue it; a run of one card is then not continued.
        now: the clock of the file's name and the records.
        warn: called with each warning about the file of a continued run.
        surroundings: what went on beside the case that has just ended: further warnings of its record.
    """

    results: Path
    vram_limit_bytes: int | None = None
    fresh: bool = False
    sweep: SweepOnCards | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    warn: Callable[[str], None] = lambda _: None
    surroundings: Callable[[], tuple[str, ...]] = tuple
