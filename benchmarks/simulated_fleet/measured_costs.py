"""What driver and store take on this machine: appends, records, the scheduler, Ray's messages, the start of a worker.

Wall time and CPU time of the whole process, the median of several rounds, because the machine may compute other things.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import scale
from rich.console import Console

from bench import config, plan, store
from bench.record import Case, Device, MeasureSettings, Record, Run
from bench.run import progress, scheduler
from bench.run.executor import SubprocessExecutor
from bench.run.messages import Broken, Done, Ready
from bench.run.outcome import OnPhase
from bench.run.scheduler import RunOptions

ROUNDS = 5
#: Files that are appended to at once, to see how many appends the disk carries out at once.
_FILES = 8
_RUN = Run(
    id="simulated", config="docs", plan="0123456789abcdef", cases=len(scale.CASES), started_at="2026-01-01T00:00:00Z"
)
_CARD = scale.device(0)


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds that one of something takes."""

    wall_s: float
    cpu_s: float


def taken(work: Callable[[], object], count: int = 1, rounds: int = ROUNDS) -> Taken:
    """What one of `count` things takes that `work` does: the medians of some rounds, after one that does not count."""
    times = []
    for _ in range(rounds + 1):
        begin, begin_cpu = time.perf_counter(), time.process_time()
        work()
        times.append((time.perf_counter() - begin, time.process_time() - begin_cpu))
    wall_s, cpu_s = (statistics.median(column) / count for column in zip(*times[1:], strict=True))
    return Taken(wall_s, cpu_s)


def records(count: int) -> list[Record]:
    """Made-up records of a card, like those that a worker measures."""
    moments = random.Random(0)  # noqa: S311 - figures, not secrets
    return [scale.record(scale.CASES[number % len(scale.CASES)], _CARD, _RUN, moments) for number in range(count)]


def building(count: int) -> Taken:
    """Make a record of what a worker answered, and its line."""
    answers = [_answer(record) for record in records(count)]
    return taken(lambda: [_record(case, done).to_json() for case, done in answers], count)


def _record(case: Case, done: Done) -> Record:
    return Record(
        kind="measured",
        case=case,
        device=_CARD,
        run=_RUN,
        outcome=done.outcome,
        stages=done.stages,
        telemetry=done.telemetry,
        environment=scale.environment(),
        measure=MeasureSettings(),
        wall_s=1.0,
        recorded_at=_RUN.started_at,
    )


def _answer(record: Record) -> tuple[Case, Done]:
    return record.case, Done(outcome=record.outcome, stages=record.stages, telemetry=record.telemetry)


def appending(folder: Path, count: int, files: int = 1) -> Taken:
    """One durable append of a record (`store.RunFile`) in this folder; `files` are appended to at once, by threads."""
    written = records(count)

    def append_all(number: int) -> None:
        file = store.RunFile(folder / f"{number}.jsonl")
        for record in written:
            file.append(record)

    with ThreadPoolExecutor(files) as threads:
        return taken(lambda: list(threads.map(append_all, range(files))), count * files)


def disk_lanes(folder: Path, count: int) -> int:
    """How many appends to different files the disk carries out in the time of one: at least 1, at most 8."""
    alone, together = (appending(folder, count, files) for files in (1, _FILES))
    return max(1, min(_FILES, round(alone.wall_s / together.wall_s)))


class InstantExecutor:
    """An executor that answers at once, with the same figures for every case."""

    def __init__(self, device: Device = _CARD) -> None:
        self._ready = Ready(device=device, environment=scale.environment(), reason="simulated")
        self._done = _answer(records(1)[0])[1]

    def start(self) -> Ready:
        return self._ready

    def run(self, case: Case, measure: MeasureSettings, timeout_s: float, on_phase: OnPhase) -> Done:
        return self._done

    def run_interleaved(
        self, cases: Sequence[Case], measure: MeasureSettings, timeout_s: float, on_phase: OnPhase
    ) -> tuple[Done, ...] | Broken:
        return tuple(self._done for _ in cases)

    def close(self) -> None:
        """Nothing to release."""


def a_plan(cases: int) -> plan.Plan:
    """A plan of that many cases, those of the docs' sweep at ever larger sizes."""
    small = [case for case in scale.CASES if case.tile is None]

    def grown(case: Case, step: int) -> Case:
        axes = {**case.axes, "width": case.axes["width"] + 64 * step}
        return case.model_copy(update={"axes": type(case.axes)(axes)})

    many = (grown(case, step) for step in range(cases) for case in small)
    distinct = dict.fromkeys(next(many) for _ in range(2 * cases))
    return plan.Plan("docs", tuple(distinct)[:cases], MeasureSettings(), 300.0)


def docs_settings() -> MeasureSettings:
    """When the docs' sweep stops sampling."""
    return plan.make(config.load(config.find("docs"))).measure


def scheduling(folder: Path, cases: int, rounds: int = ROUNDS) -> Taken:
    """A case in the real scheduler with its progress, the executor answering at once: record, append, what is shown."""
    planned = a_plan(cases)

    def run() -> None:
        with Path(os.devnull).open("w") as nowhere, progress.Reporter(planned, Console(file=nowhere)) as reporter:
            scheduler.run(planned, InstantExecutor(), RunOptions(folder, fresh=True), reporter)

    return taken(run, cases, rounds)


def looking_for_the_run(folder: Path, runs: int) -> Taken:
    """What a driver takes to find the run to continue in a device's folder with so many runs of 32 records."""
    lines = [record.to_json() for record in records(len(scale.CASES))]
    for number in range(runs):
        text = "".join(f"{line}\n" for line in lines)
        (folder / f"{number:06}.jsonl").write_text(text.replace(_RUN.plan, f"{number:016}"))
    wanted = f"{runs - 1:016}"
    return taken(lambda: store.latest_run(folder, wanted, None, _CARD.identity, lambda _: True), rounds=3)


def starting_a_worker(device: str = "cpu") -> Taken:
    """From starting the real worker, which imports torch, until it has the device. CPU time is the parent's."""

    def start() -> None:
        executor = SubprocessExecutor(device)
        try:
            executor.start()
        finally:
            executor.close()

    return taken(start, rounds=2)


def file_system_of(folder: Path) -> str:
    """The type of the file system that a folder is on: `ext4`, `tmpfs`."""
    mounts = [part for part in psutil.disk_partitions(all=True) if folder.resolve().is_relative_to(part.mountpoint)]
    return max(mounts, key=lambda part: len(part.mountpoint)).fstype if mounts else "unknown"
