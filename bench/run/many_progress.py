"""Shows the progress of several runs at once, and what became of them: a live bar for each on a terminal."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from bench.core.units import one_line
from bench.errors import BenchError
from bench.plan import Plan
from bench.report.render.terminal import say
from bench.run import progress, run_summary
from bench.run.many_runs import beside_text, exit_code
from bench.run.progress import Reporter, Shared
from bench.run.run_options import LockedObserver, Observer, RunSummary


class ManyReporter:
    """Shows the runs of one plan, each named by its title, with which each of its lines begins.

    Its methods, and the observers, may be called by several threads.
    """

    def __init__(
        self, plan: Plan, titles: Sequence[str], console: Console, *, quiet: bool = False, most_beside: int = 0
    ) -> None:
        """`most_beside`: so many cards of a machine may be measured beside another one, if more than there are runs.

        The records' warnings about that are not shown.
        """
        self._lock = threading.RLock()
        self._bar = progress.live_bar(console, quiet=quiet)
        width = max(map(len, titles), default=0)
        told = frozenset(beside_text(others) for others in range(1, max(len(titles), most_beside + 1)))
        self._reporters = {
            title: Reporter(plan, console, quiet=quiet, shared=Shared(self._bar, title.ljust(width), told))
            for title in titles
        }

    def __enter__(self) -> ManyReporter:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def observer(self, title: str) -> Observer:
        """The observer of the run with this title. The lines of one event stay together."""
        return LockedObserver(self._reporters[title], self._lock)

    def warn(self, title: str, text: str) -> None:
        """Print a warning about this run, even if quiet."""
        with self._lock:
            self._reporters[title].warn(text)

    def tell(self, title: str, text: str) -> None:
        """Print what there is to say about this run, unless quiet."""
        with self._lock:
            self._reporters[title].tell(text)

    def failed(self, title: str, error: BenchError) -> None:
        """Print the error in which this run ended, even if quiet, and leave out its bar."""
        with self._lock:
            self._reporters[title].fail(str(error))

    def kept(self) -> Iterator[tuple[str, int, Path | None]]:
        """For each run its title, how many of its cases are on disk, and its file if it has begun."""
        for title, reporter in self._reporters.items():
            yield title, reporter.kept, reporter.path


def print_summaries(results: Mapping[str, RunSummary | BenchError], console: Console) -> None:
    """Print each run's counts, its file, and each case that was not measured, or the error in which it ended."""
    for title, result in results.items():
        if isinstance(result, RunSummary):
            device = f" ({one_line(result.records[0].device.name)})" if result.records else ""
            say(console, f"{title}{device}")
            run_summary.print_summary(result, console, indent=2)
        else:
            say(console, f"{title}: error: {one_line(str(result))}", "red")


def summaries_json(results: Mapping[str, RunSummary | BenchError]) -> dict[str, object]:
    """Return the summaries as data: for each run its title, and its summary or the error in which it ended."""
    return {
        "exit_code": exit_code(list(results.values())),
        "runs": [{"title": title, **_result_json(result)} for title, result in results.items()],
    }


def _result_json(result: RunSummary | BenchError) -> dict[str, object]:
    if not isinstance(result, RunSummary):
        return {"error": str(result), "exit_code": result.exit_code}
    device = result.records[0].device.model_dump(include={"name", "identity"}) if result.records else {}
    return {"device": device, **run_summary.summary_json(result), "exit_code": result.exit_code}
