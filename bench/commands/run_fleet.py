"""`bench run --on ray`: a sweep on the cards of a cluster."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, NoReturn

import typer

from bench.commands import run_many, sweeps
from bench.commands.run_request import RunRequest
from bench.commands.stderr import INTERRUPTED, interruptible, tell
from bench.core.units import format_count
from bench.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.errors import BenchError
    from bench.fleet.card_types import Card
    from bench.fleet.sweep import Fleet
    from bench.plan import Plan
    from bench.run.scheduler import RunSummary

#: What an interruption prints while the connection is closed.
_ALL_MEASURED = "Interrupted after the last case. All results are kept."


def check_options(engine: str, device: str, devices: str | None) -> None:
    """Raise ConfigError for a cluster that is not known, and for cards that are chosen by number."""
    from bench.fleet import address

    address.address_of(engine, None)
    if devices is not None:
        raise ConfigError("--on and --devices exclude each other. Omit --devices: a cluster measures on all its GPUs.")
    if ":" in device:
        raise ConfigError(f"--device {device}: the cluster chooses the cards. Use --device cuda or cpu, or omit it.")


def measure(
    request: RunRequest, engine: str, device: str, *, every_gpu: bool, any_versions: bool, exclusive: bool
) -> NoReturn:
    """Measure the sweep on the cluster, print progress and summaries, and exit with the worst exit code."""
    from bench import packages, store

    on_cpu = device == "cpu"
    plan = request.plan(
        lambda: ("cpu", "the CPU was requested.") if on_cpu else ("docs", "the cluster's GPUs measure it.")
    )
    if request.dry_run:
        request.print_plan(plan)
        raise typer.Exit
    packages.require("`bench run --on ray`", packages.FLEET)
    from bench.fleet import address, cluster
    from bench.fleet.sweep import Fleet
    from bench.report.render import terminal
    from bench.run import many_progress, many_runs, surroundings

    fleet = Fleet(
        on_cpu=on_cpu,
        every_gpu=every_gpu,
        any_versions=any_versions,
        exclusive=exclusive,
        vram_limit_bytes=request.limit_bytes,
        variables=surroundings.shippable(os.environ),
        commit=surroundings.project_commit(),
    )
    where = address.address_of(engine, os.environ.get(address.VARIABLE))
    results: dict[str, RunSummary | BenchError] = {}
    with interruptible(lambda: _ALL_MEASURED if results else sweeps.NOTHING_MEASURED, sigterm=True):
        if not request.quiet:
            tell(
                "Starting Ray on this machine."
                if where == address.OWN
                else f"Connecting to the Ray cluster at {where}."
            )
        with store.sweep_lock(request.out), cluster.connected(where, fleet.variables):
            results |= _results(plan, fleet, request)
    if request.as_json:
        typer.echo(json.dumps(many_progress.summaries_json(results), indent=2))
    elif not request.quiet:
        terminal.show(partial(many_progress.print_summaries, results))
    raise typer.Exit(many_runs.exit_code(list(results.values())))


def _results(plan: Plan, fleet: Fleet, request: RunRequest) -> dict[str, RunSummary | BenchError]:
    """Run the plan on the cluster that is connected; exits if it is interrupted."""
    from dataclasses import replace

    from rich.console import Console

    from bench.fleet.sweep import most_beside
    from bench.run.many_progress import ManyReporter
    from bench.run.many_runs import Task, run_side_by_side

    runs = fleet.runs()
    if not request.quiet:
        tell(_what(runs, shares=not fleet.every_gpu))
    options = replace(request.run_options(), sweep=request.sweep(plan, len(runs), shared=not fleet.every_gpu))
    reporter = ManyReporter(plan, list(runs), Console(stderr=True), quiet=request.quiet, most_beside=most_beside(runs))
    executors = fleet.executors(runs, reporter.tell)
    tasks = [Task(title, plan, executors[title][0] if fleet.every_gpu else executors[title], options) for title in runs]
    try:
        with reporter:
            return dict(zip(runs, run_side_by_side(tasks, reporter, in_one_machine=False), strict=True))
    except KeyboardInterrupt:
        if not any(kept for _, kept, _ in reporter.kept()):
            raise
        run_many.tell_kept(plan, reporter, fresh=request.fresh)
        raise typer.Exit(INTERRUPTED) from None


def _what(runs: Mapping[str, Sequence[Card]], *, shares: bool) -> str:
    """`Cards that measure it: A100 (4 cards share the cases), H100 (1 card).`"""
    if not shares:
        return f"{format_count(len(runs), 'card')} measure the whole sweep each: {', '.join(runs)}."
    counted = ", ".join(
        f"{title} ({format_count(len(cards), 'card')}{' share the cases' if len(cards) > 1 else ''})"
        for title, cards in runs.items()
    )
    return f"Cards that measure it: {counted}."
