"""Finds the run to continue, or begins a new one, and claims its file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

from bench import store
from bench.plan import Plan
from bench.record import Device, Environment, Record, Run, timestamp
from bench.run.messages import Ready
from bench.run.run_options import RunOptions


@contextmanager
def opened(
    plan: Plan, ready: Ready, folder: Path, options: RunOptions
) -> Iterator[tuple[Run, store.RunFile, list[Record]]]:
    """Yield the run to continue, or a new one: its identity, its file and its records so far.

    The file is claimed until the end of the block, because another card of the same name uses the same folder and may
    start in the same second.
    """

    with ExitStack() as claims:
        continued = None if options.fresh else _latest(plan, ready, folder, options)
        if continued is not None and claims.enter_context(store.claimed(continued.path)):
            file = store.RunFile(continued.path)
            file.repair()
            for warning in continued.warnings:
                options.warn(warning)
            yield continued.records[0].run, file, list(continued.records)
            return
        started = options.now()
        path = _new_path(folder, started, plan.config, claims)
        run_info = Run(
            id=path.stem,
            config=plan.config,
            plan=plan.id,
            cases=len(plan.cases),
            started_at=timestamp(started),
            sweep=options.sweep,
        )
        yield run_info, store.RunFile(path), []


def _latest(plan: Plan, ready: Ready, folder: Path, options: RunOptions) -> store.ResultsFile[Record] | None:
    """The run to continue: the latest if it is unfinished, or if its sweep on several cards is."""
    sweep = options.sweep
    last = store.latest_run(
        folder,
        plan.id,
        options.vram_limit_bytes,
        ready.device.identity,
        partial(is_alike, ready),
        shared=sweep is not None and sweep.shared,
    )
    if last is None or not store.is_finished(last):
        return last
    return last if sweep is not None and last.records[0].run.sweep == sweep else None


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


def differences(usual: Ready, other: Ready) -> list[str]:
    """What differs in a worker whose figures can't be in a run with the usual ones: `driver 550.1, not 560.2`."""
    wanted, settings = _setting(usual.device, usual.environment), _setting(other.device, other.environment)
    return [
        f"{name} {settings.get(name)}, not {wanted.get(name)}"
        for name in (wanted | settings)
        if settings.get(name) != wanted.get(name)
    ]


def _setting(device: Device, environment: Environment | None) -> dict[str, object]:
    """Return by name everything that must be equal for a run to be continued, because its figures depend on it.

    RAM and NVML's total memory are left out: they vary slightly with kernel and driver.
    """
    setting: dict[str, object] = {"kind": device.kind, "name": device.name}
    if environment is None:
        return setting
    gpu = environment.gpu
    return setting | {
        "memory": device.total_bytes if device.kind == "cuda" else None,
        **{
            f"package {name}": f"{package.version} {package.commit or ''}".strip()
            for name, package in environment.packages.items()
        },
        "Python": environment.python,
        "driver": environment.driver,
        "CUDA": environment.cuda,
        "cuDNN": environment.cudnn,
        "threads": environment.threads,
        **environment.variables,
        "stand-in": environment.stand_in,
        "power limit": gpu and gpu.power_limit_w,
        "ECC": gpu and gpu.ecc,
        "MIG": gpu and gpu.mig,
    }


def _new_path(folder: Path, started: datetime, config: str, claims: ExitStack) -> Path:
    """Claim and return `<UTC time>-<config>.jsonl`, with a number appended if another run began in the same second.

    A file that exists is not claimed, because its own card may be about to continue it.
    """
    stem = f"{started:%Y%m%dT%H%M%SZ}-{config}"
    number = 1
    while True:
        path = folder / (f"{stem}.jsonl" if number == 1 else f"{stem}-{number}.jsonl")
        with ExitStack() as attempt:
            if not path.exists() and attempt.enter_context(store.claimed(path)) and not path.exists():
                claims.enter_context(attempt.pop_all())
                return path
        number += 1
