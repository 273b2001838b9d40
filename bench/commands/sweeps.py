"""Shared by `bench run` and `bench remote`: printing a plan, and measuring it with its progress and its end."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

import typer

from bench.commands.stderr import INTERRUPTED, tell
from bench.core.units import format_count, format_percent

if TYPE_CHECKING:
    from bench.config import LoadSettings, OverlapSettings
    from bench.plan import Plan
    from bench.record import Record
    from bench.report.render.terminal import Draw
    from bench.run.executor import Executor
    from bench.run.scheduler import RunOptions, RunSummary

#: What an interruption prints before the first case is measured.
NOTHING_MEASURED = "Interrupted before anything was measured."


def measure(plan: Plan, executor: Executor, options: RunOptions, *, as_json: bool, quiet: bool) -> NoReturn:
    """Run a plan, print its progress and summary, and exit with its exit code."""
    from bench.report.render import terminal
    from bench.run import run_summary

    summary = run_plan(plan, executor, options, _table_of, quiet=quiet)
    if as_json:
        typer.echo(json.dumps(run_summary.summary_json(summary), indent=2))
    elif not quiet:
        terminal.show(lambda console: run_summary.print_summary(summary, console))
    raise typer.Exit(summary.exit_code)


def run_plan(
    plan: Plan,
    executor: Executor,
    options: RunOptions,
    table_of: Callable[[Sequence[Record]], Draw] | None,
    *,
    quiet: bool,
) -> RunSummary:
    """Run a plan and print its progress; `table_of` draws what is finished, if given. Exits if it is interrupted."""
    from rich.console import Console

    from bench.run import progress, scheduler

    reporter = progress.Reporter(plan, Console(stderr=True), table_of, quiet=quiet)
    try:
        with reporter:
            return scheduler.run(plan, executor, replace(options, warn=reporter.warn), reporter)
    except KeyboardInterrupt:
        finished = reporter.kept
        if not finished:
            raise
        how = "The same command without --fresh" if options.fresh else "The same command"
        kept = f"{finished} of {len(plan.cases)} cases are kept in {reporter.path}."
        tell(f"Interrupted. {kept} {how} continues from there.")
        raise typer.Exit(INTERRUPTED) from None


def _table_of(records: Sequence[Record]) -> Draw:
    from bench.report.document import Document
    from bench.report.pages import run_table
    from bench.report.render import console

    return console.draw(Document("", (run_table.table(records),)))


def print_plan(plan: Plan, *, as_json: bool) -> None:
    """Print the cases of a plan, and how they would be measured."""
    from bench.plan import refusal
    from bench.report.render import terminal
    from bench.workloads.labels import label_of

    if as_json:
        skipped = {case.id: {"skipped": reason} for case in plan.cases if (reason := refusal(case))}
        cases = [{**case.flat(), "id": case.id, **skipped.get(case.id, {})} for case in plan.cases]
        extra = {
            "overlap": plan.overlap.model_dump() if plan.overlap else None,
            "load": plan.load.model_dump() if plan.load else None,
        }
        typer.echo(json.dumps({"config": plan.config, "plan": plan.id, "cases": cases, **extra}, indent=2))
        return
    reasons = [refusal(case) for case in plan.cases]
    labels = [
        f"{label_of(case)}: skipped: {reason}" if reason else label_of(case)
        for case, reason in zip(plan.cases, reasons, strict=True)
    ]
    lines = [f"{n:>3}  {case.id}  {label}" for n, (case, label) in enumerate(zip(plan.cases, labels, strict=True), 1)]
    measure = plan.measure
    least_s = min(measure.min_time, measure.max_time)
    least = f" and {least_s:g} s" if least_s else ""
    noise = (
        "" if measure.max_noise is None else f", until the noise is below {format_percent(measure.max_noise)} or steady"
    )
    turns = f" in {len(plan.groups)} groups whose cases alternate" if plan.interleave else ""
    lines.append(
        f"{len(plan.cases)} cases of {plan.config!r}{turns}. Each is timed for at least {measure.min_samples} calls"
        f"{least}{noise}. After {measure.max_time:g} s, {measure.few_samples} calls are enough. Time-out: "
        f"{plan.timeout_s:g} s per case."
    )
    if plan.overlap:
        lines.append(_overlap(plan.overlap, sum(plan.overlap.of(case) for case in plan.cases)))
    if plan.load:
        lines.append(_load(plan.load, sum(plan.load.of(case.transport) for case in plan.cases)))
    terminal.print_lines(lines)


def _load(load: LoadSettings, cases: int) -> str:
    loads = [f"{rate:g} /s" for rate in load.rates or ()]
    if load.shares:
        shares = " and ".join(f"{share:.0%}" for share in load.shares)
        loads.append(f"{shares} of the capacity, which {load.concurrency} simultaneous requests measure first")
    return f"Then {cases} of them are put under load, {load.seconds:g} s for each rate: {'; '.join(loads)}."


def _overlap(overlap: OverlapSettings, cases: int) -> str:
    times = [f"{generation:g} s" for generation in overlap.generation or ()]
    if overlap.shares:
        shares = ", ".join(f"{share:.0%}" for share in overlap.shares)
        times.append(f"{shares} of the case's own median request")
    workers = format_count(overlap.workers, "worker")
    return (
        f"Then {cases} of them run {overlap.images} images in two ways, {overlap.rounds} times each: decode after "
        f"generating, and decode while the next image is generated ({workers}). Generation times: {'; '.join(times)}."
    )
