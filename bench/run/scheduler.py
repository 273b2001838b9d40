"""Walks a plan: order, resume, one durable record a case. Never loads torch; the executor and the clock are given."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from bench import store
from bench.doctor.gpu_findings import crowding
from bench.plan import Plan
from bench.record import Case, Device, Environment, Phase, Record, Run, timestamp
from bench.run.executor import Executor
from bench.run.messages import Broken, Done, Ready

#: Outcomes after which a run still ends with exit code 0.
GOOD = ("measured", "out_of_memory", "skipped")


class Observer(Protocol):
    """Is told what happens, as it happens."""

    def begun(self, run: Run, path: Path, resumed: int, ready: Ready) -> None:
        """A run begins, or goes on with `resumed` cases finished."""
        ...

    def case_begun(self, number: int, case: Case) -> None:
        """Case `number` of the plan (from 1) is next."""
        ...

    def phase_begun(self, phase: Phase) -> None:
        """The case in hand is now loading, warming up, running."""
        ...

    def case_done(self, number: int, record: Record) -> None:
        """The case is finished and on disk."""
        ...


@dataclass(frozen=True, slots=True)
class RunSummary:
    """How a run ended: its file, and all of its records, those of an earlier session included."""

    path: Path
    records: tuple[Record, ...]
    resumed: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """How many cases had each outcome."""
        return dict(Counter(record.outcome.status for record in self.records))

    @property
    def exit_code(self) -> int:
        """0 if every case was measured, out of memory or skipped; 1 otherwise."""
        return 0 if all(record.outcome.status in GOOD for record in self.records) else 1


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Where results go and whether an unfinished run is continued."""

    results: Path
    vram_limit_bytes: int | None = None
    fresh: bool = False
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    #: Is told of what was set aside of a file that a run goes on with.
    warn: Callable[[str], None] = field(default=lambda _: None)


def run(plan: Plan, executor: Executor, options: RunOptions, observer: Observer) -> RunSummary:
    """Measure what the plan still lacks, and return when every case has an outcome on disk.

    Goes on with the latest unfinished run of the same plan, device, limit and library versions, unless `fresh`.
    Raises BenchError if the device, the worker or the disk give out; what was finished stays.
    """
    store.prepare_folder(options.results)
    ready = executor.start()
    store.refuse_stand_in(options.results, store.stand_in_of(ready.environment, ready.endpoint))
    with (
        store.device_folder(options.results, ready.device) as folder,
        _opened(plan, ready, folder, options) as opened,
    ):
        run_info, file, records = opened
        observer.begun(run_info, file.path, len(records), ready)
        done = {record.case.id for record in records}
        crowd = crowding(ready.environment.gpu, ready.device)
        numbers = {case.id: number for number, case in enumerate(plan.cases, start=1)}
        going = _Going(plan, executor, ready, run_info, options, observer, (crowd,) if crowd else (), numbers)
        for cases, missing in _left(plan, done):
            for batch in going.measure(cases, missing):
                file.append(*batch)
                records += batch
                for record in batch:
                    observer.case_done(numbers[record.case.id], record)
    return RunSummary(file.path, tuple(records), resumed=len(done))


def _left(plan: Plan, done: set[str]) -> Iterator[tuple[tuple[Case, ...], int]]:
    """The groups of cases that are still to be measured, each with how many of the group already are."""
    for group in plan.turns:
        cases = tuple(case for case in group if case.id not in done)
        if cases:
            yield cases, len(group) - len(cases)


@dataclass(frozen=True, slots=True)
class _Going:
    """A run that is under way: what its records have in common."""

    plan: Plan
    executor: Executor
    ready: Ready
    run: Run
    options: RunOptions
    observer: Observer
    crowd: tuple[str, ...]
    #: The place of each case in the plan, from 1, by its id.
    numbers: Mapping[str, int]

    def measure(self, cases: tuple[Case, ...], missing: int) -> Iterator[tuple[Record, ...]]:
        """Records that are to be written together: of all these cases, taking turns, if there are several and all goes
        well; else of one after another. `missing` more of their group were measured by an earlier session.
        """
        earlier = (f"measured without {missing} more of its group, which an earlier session measured",) * bool(missing)
        if len(cases) == 1:
            yield (self._alone(cases[0], *earlier),)
            return
        self._begin(cases[0])
        begin = time.monotonic()
        dones = self.executor.take_turns(cases, self.plan.measure, self.plan.timeout_s, self.observer.phase_begun)
        if isinstance(dones, Broken):
            why = f"measured alone, although it was to take turns with {len(cases) - 1} more: {dones.reason}"
            for case in cases:
                yield (self._alone(case, *earlier, why),)
            return
        share = (time.monotonic() - begin) / len(cases)
        yield tuple(
            self._record(case, _warned(done, earlier), share, tuple(other.id for other in cases if other is not case))
            for case, done in zip(cases, dones, strict=True)
        )

    def _begin(self, case: Case) -> None:
        self.executor.start()  # a replacement, where there is need of one, is no part of the case's time
        self.observer.case_begun(self.numbers[case.id], case)

    def _alone(self, case: Case, *warnings: str) -> Record:
        self._begin(case)
        begin = time.monotonic()
        done = self.executor.run(case, self.plan.measure, self.plan.timeout_s, self.observer.phase_begun)
        wall_s = time.monotonic() - begin
        return self._record(case, _warned(done, warnings), wall_s)

    def _record(self, case: Case, done: Done, wall_s: float, interleaved_with: tuple[str, ...] = ()) -> Record:
        return Record(
            kind="measured",
            case=case,
            device=self.ready.device,
            vram_limit_bytes=self.options.vram_limit_bytes,
            run=self.run,
            outcome=done.outcome,
            stages=done.stages,
            telemetry=done.telemetry,
            remote=done.remote,
            interleaved_with=interleaved_with,
            environment=self.ready.environment,
            measure=self.plan.measure,
            assumed=done.assumed,
            warnings=(*done.warnings, *self.crowd),
            wall_s=round(wall_s, 6),
            recorded_at=timestamp(self.options.now()),
        )


def _warned(done: Done, warnings: Iterable[str]) -> Done:
    return done.model_copy(update={"warnings": (*done.warnings, *warnings)})


@contextmanager
def _opened(
    plan: Plan, ready: Ready, folder: Path, options: RunOptions
) -> Iterator[tuple[Run, store.RunFile, list[Record]]]:
    """The run to go on with, or a new one: its identity, its file and the records that it has.

    The file is claimed meanwhile: another card of the same name shares the folder, and may begin in the same second.
    """

    def same_setting(record: Record) -> bool:
        return _setting(record.device, record.environment) == _setting(
            ready.device, ready.environment
        ) and _same_endpoint(record, ready)

    limit_bytes, identity = options.vram_limit_bytes, ready.device.identity
    with ExitStack() as claims:
        found = None if options.fresh else store.unfinished(folder, plan.id, limit_bytes, identity, same_setting)
        if found is not None and claims.enter_context(store.claimed(found.path)):
            file = store.RunFile(found.path)
            file.repair()
            for warning in found.warnings:
                options.warn(warning)
            yield found.records[0].run, file, list(found.records)
            return
        started = options.now()
        path = _new_path(folder, started, plan.config, claims)
        begun = timestamp(started)
        run_info = Run(id=path.stem, config=plan.config, plan=plan.id, cases=len(plan.cases), started_at=begun)
        yield run_info, store.RunFile(path), []


def _same_endpoint(record: Record, ready: Ready) -> bool:
    """Whether a record's figures are of the same endpoint, through the same client.

    One that tells of itself may have moved; of any other the address is all that is known.
    """
    remote = record.remote
    if remote is None:
        return ready.endpoint is None
    client = remote.exchanges[0].client if remote.exchanges else ready.client
    here, there = ready.endpoint, remote.endpoint
    if (here and here.server_device) or there.server_device:
        same = here is not None and here.server == there.server
    else:
        url = here.url if here else ready.addresses.get(f"{record.case.model}/{record.case.operation}", "")
        same = url == there.url
    return same and client == ready.client


def _setting(device: Device, environment: Environment | None) -> tuple[object, ...]:
    """What must be the same for a run to be continued: all that its figures depend on.

    Not RAM and NVML's total, which vary by a little with the kernel and the driver's mood.
    """
    if environment is None:
        return (device.kind, device.name)
    return (
        device.kind,
        device.name,
        device.total_bytes if device.kind == "cuda" else None,
        environment.packages,
        environment.python,
        environment.driver,
        environment.cuda,
        environment.cudnn,
        environment.threads,
        environment.variables,
        environment.stand_in,
        environment.gpu and (environment.gpu.power_limit_w, environment.gpu.ecc, environment.gpu.mig),
    )


def _new_path(folder: Path, started: datetime, config: str, claims: ExitStack) -> Path:
    """`<UTC time>-<config>.jsonl`, claimed; two runs begun within one second differ by a number."""
    stem = f"{started:%Y%m%dT%H%M%SZ}-{config}"
    path = folder / f"{stem}.jsonl"
    number = 2
    while not claims.enter_context(store.claimed(path)) or path.exists():
        path = folder / f"{stem}-{number}.jsonl"
        number += 1
    return path
