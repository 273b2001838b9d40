"""`bench run` on one device."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, NoReturn

from bench.commands import sweeps
from bench.commands.run_request import RunRequest, default_sweep
from bench.commands.stderr import interruptible, tell

if TYPE_CHECKING:
    from bench.plan import Plan
    from bench.run.executor import Executor, SubprocessExecutor


def measure(request: RunRequest, device: str, *, exclusive: bool) -> None:
    """Measure the sweep on this device, print progress and summary, and exit with the run's exit code."""
    from bench.run.executor import SubprocessExecutor

    request.require_packages()
    inner = SubprocessExecutor(device, request.limit_bytes)
    executor = executor_for(inner, request, exclusive=exclusive and not request.dry_run)
    with interruptible(sweeps.NOTHING_MEASURED, sigterm=True), closing(executor):
        plan = request.plan(lambda: default_sweep(executor.start()))
        if request.dry_run:
            request.print_plan(plan)
        else:
            measure_with(plan, executor, request)


def measure_with(plan: Plan, executor: Executor, request: RunRequest) -> NoReturn:
    """Measure the plan with this executor, which the caller closes, and exit."""
    sweeps.measure(plan, executor, request.run_options(), as_json=request.as_json, quiet=request.quiet)


def executor_for(executor: SubprocessExecutor, request: RunRequest, *, exclusive: bool) -> Executor:
    """The executor, or one that waits until its device is free of others."""
    from bench.run.exclusive import ExclusiveExecutor

    return ExclusiveExecutor(executor, _silent if request.quiet else tell) if exclusive else executor


def _silent(text: str) -> None:
    """Print nothing."""
