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


@dataclass(frozen=True, slots=True)
class _CaseRunner:
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


@contextmanager
def _opened(
    plan: Plan, ready: Ready, folder: Path, options: RunOptions
) -> Iterator[tuple[Run, store.RunFile, list[Record]]]:
    """Yield the run to continue, or a new one: its identity, its file and its records so far.

    The file is claimed until the end of the block, because another card of the same name uses the same folder and may
    start in the same second.
    """

    limit_bytes, identity, alike = options.vram_limit_bytes, ready.device.identity, partial(is_alike, ready)
    with ExitStack() as claims:
        unfinished = None if options.fresh else store.unfinished(folder, plan.id, limit_bytes, identity, alike)
        if unfinished is not None and claims.enter_context(store.claimed(unfinished.path)):
            file = store.RunFile(unfinished.path)
            file.repair()
            for warning in unfinished.warnings:
                options.warn(warning)
            yield unfinished.records[0].run, file, list(unfinished.records)
            return
        started = options.now()
        path = _new_path(folder, started, plan.config, claims)
        run_info = Run(
            id=path.stem, config=plan.config, plan=plan.id, cases=len(plan.cases), started_at=timestamp(started)
        )
        yield run_info, store.RunFile(path), []


def is_alike(ready: Ready, record: Record) -> bool:
    """Whether a record was measured in the setting of this worker or client, so that its run may be continued."""
    here = _setting(ready.device, ready.environment)
    return _setting(record.device, record.environment) == here and _same_endpoint(record, ready)


def _same_endpoint(record: Record, ready: Ready) -> bool:
    """Whether a record was measured at the same endpoint, with the same client.

    An endpoint that identifies its server is compared by the server, because its address may change. Any other endpoint
    is compared by its address.
    """
    remote = record.remote
    if remote is None:
        return ready.endpoint is None
    expected = ready.client_of(record.case.transport)
    client = remote.exchanges[0].client if remote.exchanges else expected
    current, recorded = ready.endpoint, remote.endpoint
    if (current and current.server_device) or recorded.server_device:
        same = current is not None and current.server == recorded.server
    else:
        url = current.url if current else ready.addresses.get(f"{record.case.model}/{record.case.operation}", "")
        same = url == recorded.url
    return same and client == expected


def _setting(device: Device, environment: Environment | None) -> tuple[object, ...]:
    """Return everything that must be equal for a run to be continued, because its figures depend on it.

    RAM and NVML's total memory are left out: they vary slightly with kernel and driver.
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
    """Claim and return `<UTC time>-<config>.jsonl`, with a number appended if another run began in the same second."""
    stem = f"{started:%Y%m%dT%H%M%SZ}-{config}"
    path = folder / f"{stem}.jsonl"
    number = 2
    while not claims.enter_context(store.claimed(path)) or path.exists():
        path = folder / f"{stem}-{number}.jsonl"
        number += 1
    return path
