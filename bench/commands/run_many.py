"""`bench run --devices`: a sweep on several cards of this machine, side by side."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, NoReturn

import typer

from bench.commands import run_one, sweeps
from bench.commands.run_request import RunRequest
from bench.commands.stderr import INTERRUPTED, interruptible, tell
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.plan import Plan
    from bench.run.executor import SubprocessExecutor
    from bench.run.many_progress import ManyReporter
    from bench.run.scheduler import RunOptions, RunSummary


@dataclass(frozen=True, slots=True)
class _Card:
    """One of the cards: its name here, its identity if it has one, and the executor that measures on it."""

    title: str
    identity: str | None
    executor: SubprocessExecutor


def measure(request: RunRequest, devices: str, *, exclusive: bool) -> None:
    """Measure the sweep on each of these cards, print progress and summaries, and exit with the worst exit code."""
    from bench.device import base
    from bench.run.executor import SubprocessExecutor

    request.require_packages()
    plan = None if request.config is None else request.plan()  # a wrong sweep is refused before a worker is started
    if plan is not None and request.dry_run:
        request.print_plan(plan)
        return
    limit, numbers = request.limit_bytes, base.check_cards(devices)
    with interruptible(sweeps.NOTHING_MEASURED, sigterm=True), ExitStack() as stack:

        def loading(card: int) -> SubprocessExecutor:
            executor = stack.enter_context(closing(SubprocessExecutor(f"cuda:{card}", limit)))
            executor.launch()
            return executor

        executors = {card: loading(card) for card in numbers or (0,)}
        listed = next(iter(executors.values())).cards()
        cards = base.chosen_cards(devices, len(listed.names), listed.reason)
        plan = plan or request.plan(lambda: ("docs", _why_docs([listed.names[card] for card in cards])))
        if request.dry_run:
            request.print_plan(plan)
            return
        executors |= {card: loading(card) for card in cards if card not in executors}
        _wait_until_loaded(executors.values())
        chosen = [_Card(f"cuda:{card}", listed.identities[card], executors[card]) for card in cards]
        _measure_on(plan, chosen, request, exclusive=exclusive)


def _wait_until_loaded(executors: Iterable[SubprocessExecutor]) -> None:
    """Wait until no worker loads torch any more, which would disturb the first measurements of the others."""
    for executor in executors:
        with suppress(BenchError):  # told when its own run begins
            executor.cards()


def _measure_on(plan: Plan, cards: Sequence[_Card], request: RunRequest, *, exclusive: bool) -> NoReturn:
    """Measure the plan on these cards, print what became of it, and exit."""
    from bench.report.render import terminal
    from bench.run import many_progress, many_runs

    if len(cards) == 1 and not request.as_json:  # JSON keeps its form, however many cards there are
        executor = run_one.executor_for(cards[0].executor, request, exclusive=exclusive)
        run_one.measure_with(plan, executor, request)
    results = _results(plan, cards, request, exclusive=exclusive)
    if request.as_json:
        typer.echo(json.dumps(many_progress.summaries_json(results), indent=2))
    elif not request.quiet:
        terminal.show(partial(many_progress.print_summaries, results))
    raise typer.Exit(many_runs.exit_code(list(results.values())))


def _results(
    plan: Plan, cards: Sequence[_Card], request: RunRequest, *, exclusive: bool
) -> dict[str, RunSummary | BenchError]:
    """Run the plan on these cards; exits if it is interrupted."""
    from rich.console import Console

    from bench.run.exclusive import ExclusiveExecutor
    from bench.run.many_progress import ManyReporter
    from bench.run.many_runs import Task, run_side_by_side

    titles = [card.title for card in cards]
    reporter = ManyReporter(plan, titles, Console(stderr=True), quiet=request.quiet)
    options = _options(plan, cards, request)

    def task(card: _Card) -> Task:
        waiting = ExclusiveExecutor(card.executor, partial(reporter.tell, card.title)) if exclusive else card.executor
        return Task(card.title, plan, waiting, options)

    if len(cards) > 1 and not request.quiet:
        tell(f"{len(cards)} cards are measured at the same time. That may slow them, so each record says so.")
    try:
        with reporter:
            return dict(zip(titles, run_side_by_side([task(card) for card in cards], reporter), strict=True))
    except KeyboardInterrupt:
        if not any(kept for _, kept, _ in reporter.kept()):
            raise
        tell_kept(plan, reporter, fresh=request.fresh)
        raise typer.Exit(INTERRUPTED) from None


def _options(plan: Plan, cards: Sequence[_Card], request: RunRequest) -> RunOptions:
    """How the runs are stored: as one sweep, if there are several cards that can be told apart."""
    identities = {card.identity for card in cards if card.identity is not None}
    if len(cards) == 1 or len(identities) < len(cards):
        return request.run_options()
    return replace(request.run_options(), sweep=request.sweep(plan, len(cards), shared=False, cards=identities))


def tell_kept(plan: Plan, reporter: ManyReporter, *, fresh: bool) -> None:
    """Say of each card how many cases are kept where."""
    how = "The same command without --fresh" if fresh else "The same command"
    tell(f"Interrupted. {how} continues each card from there:")
    for title, kept, path in reporter.kept():
        where = f" in {path}" if path is not None and kept else ""
        tell(f"  {title}: {kept} of {len(plan.cases)} cases are kept{where}.")


def _why_docs(names: Sequence[str]) -> str:
    """`2 CUDA GPUs measure it: NVIDIA H100 (2).`"""
    counted = ", ".join(name if count == 1 else f"{name} ({count})" for name, count in Counter(names).items())
    return f"{counted} is a CUDA GPU." if len(names) == 1 else f"{len(names)} CUDA GPUs measure it: {counted}."
