"""`bench run`: measure a sweep."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.options import INTERRUPTED, RESULTS, AsJson, Models, Operations, Quiet, Resolutions
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.config import Sweep
    from bench.plan import Plan
    from bench.run.executor import SubprocessExecutor


def run(
    config: Annotated[
        str | None, typer.Argument(help="A YAML sweep or a shipped one's name; default: docs on CUDA, else cpu.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set a key of the sweep, e.g. repeats=5; repeatable."),
    ] = None,
    model: Models = None,
    operation: Operations = None,
    resolution: Resolutions = None,
    device: Annotated[str, typer.Option(help="Where to measure: auto, cpu, cuda or cuda:N.")] = "auto",
    vram_limit: Annotated[
        str | None, typer.Option(help="Behave like a smaller card, e.g. 8GiB (on a CPU: bound the process).")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Results go to OUT/<device>/.")] = RESULTS,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start a new run even if an unfinished one could go on.")
    ] = False,
    interleave: Annotated[
        bool,
        typer.Option(
            "--interleave",
            help="Let cases that differ only in tiling, precision or variant take turns (A-B-B-A), to compare them.",
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and measure nothing.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure a sweep: each case's time and peak memory, one durable line a case.

    A run that was stopped goes on where it was when the same command is given again.
    """
    from bench import plan as plans
    from bench.run.executor import SubprocessExecutor

    limit = None if vram_limit is None else _limit(vram_limit)
    executor = SubprocessExecutor(device, limit)
    chosen: dict[str, Sequence[str]] = {
        "models": model or [],
        "operations": operation or [],
        "resolutions": resolution or [],
    }
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sweep = _sweep(config, overrides or [], chosen, executor, quiet=quiet)
        plan = plans.make(sweep, interleave=interleave)
        if dry_run:
            _print_plan(plan, as_json=as_json)
        else:
            _measure(plan, executor, out, limit, fresh=fresh, as_json=as_json, quiet=quiet)
    except KeyboardInterrupt:
        typer.echo("Interrupted before anything was measured.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    finally:
        executor.close()


def _limit(text: str) -> int:
    from bench.units import MIB, format_bytes, parse_bytes

    try:
        limit = parse_bytes(text)
    except BenchError as error:
        raise BenchError(f"--vram-limit {text[:80]}: {error}") from None
    if limit < MIB:
        raise BenchError(f"--vram-limit {text}: that is {format_bytes(limit)}. Did you mean {text.strip()}GiB?")
    return limit


def _sweep(
    name: str | None,
    overrides: Sequence[str],
    chosen: dict[str, Sequence[str]],
    executor: SubprocessExecutor,
    *,
    quiet: bool,
) -> Sweep:
    """The sweep that was named, or the one that fits the device; overridden and narrowed."""
    from bench import config

    if name is None:
        ready = executor.start()
        name = "docs" if ready.device.kind == "cuda" else "cpu"
        why = f"{ready.device.name} is a CUDA GPU." if name == "docs" else f"no CUDA GPU is used: {ready.reason}"
        if not quiet:
            typer.echo(f"Sweep: {name}.yaml, because {why}", err=True)
    return config.narrow(config.load(config.find(name), overrides), chosen)


def _measure(
    plan: Plan, executor: SubprocessExecutor, out: Path, limit: int | None, *, fresh: bool, as_json: bool, quiet: bool
) -> None:
    from rich.console import Console

    from bench.run import progress, scheduler

    options = scheduler.RunOptions(results=out, vram_limit_bytes=limit, fresh=fresh)
    reporter = progress.Reporter(plan, Console(stderr=True), quiet=quiet)
    try:
        with reporter:
            summary = scheduler.run(plan, executor, options, reporter)
    except KeyboardInterrupt:
        if not reporter.finished:
            raise
        how = "The same command without --fresh" if fresh else "The same command"
        kept = f"{reporter.finished} of {len(plan.cases)} cases are kept in {reporter.path}."
        typer.echo(f"Interrupted. {kept} {how} goes on from there.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        typer.echo(json.dumps(progress.summary_json(summary), indent=2))
    elif not quiet:
        progress.print_summary(summary, Console())
    raise typer.Exit(summary.exit_code)


def _print_plan(plan: Plan, *, as_json: bool) -> None:
    if as_json:
        cases = [case.model_dump() for case in plan.cases]
        typer.echo(json.dumps({"config": plan.config, "plan": plan.id, "cases": cases}, indent=2))
        return
    for number, case in enumerate(plan.cases, start=1):
        typer.echo(f"{number:>3}  {case.id}  {case.label}")
    measure = plan.measure
    least_s = min(measure.min_time, measure.max_time)
    noise = "" if measure.max_noise is None else f", until their noise is below {measure.max_noise:.1%} or steady"
    turns = f" in {len(plan.turns)} groups that take turns" if plan.interleave else ""
    typer.echo(
        f"{len(plan.cases)} cases of {plan.config!r}{turns}; each timed for {measure.min_samples} calls and "
        f"{least_s:g} s or more{noise}, or for {measure.few_samples} calls once {measure.max_time:g} s are spent; "
        f"time-out {plan.timeout_s:g} s a case."
    )
