"""Shows a run's progress: a live bar on a terminal, plain lines elsewhere, nothing when quiet.

Writes to the given console.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, ProgressColumn, Task
from rich.text import Text

from bench.core.units import format_bytes, format_seconds, one_line
from bench.doctor.gpu_findings import neighbour_warning
from bench.plan import Plan
from bench.record import Case, Phase, Record, Run, grouped
from bench.report.render.terminal import Draw, say
from bench.run.messages import Ready
from bench.run.run_summary import case_line, describe_load, describe_overlap
from bench.workloads.labels import label_of

#: In columns: the bar's width, the narrowest terminal with a bar, and the narrowest with the remaining time.
_BAR, _BAR_FROM, _LEFT_FROM = 16, 80, 60
#: The shipped sweeps for GPUs, and their counterparts for CPUs.
_CPU_SWEEPS = {"docs": "cpu", "models": "models-cpu", "video": "video-cpu", "pipelines": "pipelines-cpu"}
#: In pixels of all images or frames of a case: from here on a full-size VAE takes minutes for a call on a CPU.
_LARGE_ON_A_CPU = 512 * 512
#: Longer times are given in hours.
_IN_HOURS_S = 2 * 3600


class Estimate:
    """Estimates the remaining time from the finished cases, weighted by their size."""

    def __init__(self, cases: tuple[Case, ...], clock: Callable[[], float] = time.monotonic) -> None:
        self._left = {case.id: case.axes.product() for case in cases}
        self._clock, self._begin, self._done = clock, clock(), 0

    def skip(self, case: Case) -> None:
        """Leave out a case that is already measured."""
        self._left.pop(case.id, None)

    def finish(self, case: Case) -> None:
        """Count a case as finished."""
        self._done += self._left.pop(case.id, 0)

    def any_unfinished(self, ids: Iterable[str]) -> bool:
        """Whether any of these cases is unfinished."""
        return any(case_id in self._left for case_id in ids)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._begin

    @property
    def remaining_s(self) -> float | None:
        """Seconds that the remaining cases will take at this pace; None before the first case is finished."""
        return self.elapsed_s * sum(self._left.values()) / self._done if self._done else None


class _Calls:
    """The cases of a plan by model and operation, to know when all of a model and operation are finished."""

    def __init__(self, cases: Iterable[Case]) -> None:
        groups = grouped(cases, self._call)
        self._left = {self._call(group[0]): {case.id for case in group} for group in groups}
        self._records: dict[tuple[str, str], list[Record]] = {}

    def finish(self, record: Record) -> list[Record]:
        """All records of the case's model and operation if it was the last of them; otherwise none."""
        call = self._call(record.case)
        left, records = self._left.get(call, set()), self._records.setdefault(call, [])
        records.append(record)
        left.discard(record.case.id)
        return [] if left else records

    @staticmethod
    def _call(case: Case) -> tuple[str, str]:
        return (case.model, case.operation)


class _Line(ProgressColumn):
    """The live line: count, time, bar, remaining time and case, as far as they fit.

    A narrow terminal loses the bar first, then the remaining time, and then the end of the case's name.
    """

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def render(self, task: Task) -> Text:
        total, elapsed = int(task.total or 0), int(task.elapsed or 0)
        minutes, seconds = divmod(elapsed, 60)
        line = Text(task.fields["title"], "bold", no_wrap=True, end="")
        line.append(f"{int(task.completed)}/{total}", style="progress.download")
        line.append(f" {minutes // 60}:{minutes % 60:02}:{seconds:02} ", style="progress.elapsed")
        if self._console.width >= _BAR_FROM:
            done = _BAR * int(task.completed) // total if total else 0
            line.append("━" * done, style="bar.complete").append("━" * (_BAR - done), style="bar.back").append(" ")
        if task.fields["left"] and self._console.width >= _LEFT_FROM:
            line.append(f"{task.fields['left']} ")
        line.append(one_line(task.description))
        line.truncate(max(self._console.width - 1, 1), overflow="ellipsis")
        return line


def live_bar(console: Console, *, quiet: bool) -> Progress:
    """The live lines of one or more runs; nothing is drawn if there is no terminal."""
    return Progress(_Line(console), console=console, transient=True, disable=quiet or not console.is_terminal)


@dataclass(frozen=True, slots=True)
class Shared:
    """What makes a reporter one of several: their bar, its own title, and warnings that are told for all of them."""

    bar: Progress
    title: str
    told: frozenset[str] = frozenset()


class Reporter:
    """An Observer that prints one line for each finished case, above a live bar if there is a terminal.

    When all cases of a model and operation are finished, it prints them again as the table that `table_of` makes,
    if that is given. Without `header` it does not say on which device. One of several reporters (`shared`) begins each
    line with its title.
    """

    def __init__(
        self,
        plan: Plan,
        console: Console,
        table_of: Callable[[Sequence[Record]], Draw] | None = None,
        *,
        quiet: bool = False,
        header: bool = True,
        shared: Shared | None = None,
    ) -> None:
        self.finished = 0
        self.path: Path | None = None
        self._plan, self._console, self._table_of, self._quiet = plan, console, table_of, quiet
        self._unfinished = _Calls(plan.cases)
        self._estimate = Estimate(plan.cases)
        self._label, self._header = "", header
        self._title = f"{shared.title}  " if shared else ""
        self._told = shared.told if shared else frozenset[str]()
        self._bar = shared.bar if shared else live_bar(console, quiet=quiet)
        self._task = self._bar.add_task("starting", total=len(plan.cases), left="", title=self._title)

    def __enter__(self) -> Reporter:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begun(self, run: Run, path: Path, earlier: Sequence[Record], ready: Ready) -> None:
        resumed = len(earlier)
        self.path, self.finished = path, resumed
        self._estimate = Estimate(self._plan.cases)
        for record in earlier:
            self._estimate.skip(record.case)
            self._unfinished.finish(record)
        if self._header:
            self._say_where(ready)
        continuing = f"Continuing {path} ({resumed} of {len(self._plan.cases)} cases are finished)"
        self._say(continuing if resumed else f"Writing {path}")
        self._bar.update(self._task, completed=resumed)

    def _say_where(self, ready: Ready) -> None:
        """Print the device, and what there is to say about it."""
        device, environment = ready.device, ready.environment
        torch = environment.packages.get("torch")
        version = f", torch {torch.version}" if torch else ""
        self._say(_where(ready, version))
        if ready.note:
            self._say(f"Note: {ready.note}")
        if ready.device.kind == "cpu" and (warning := _for_gpus(self._plan)):
            self._say(f"Note: {warning}")
        if environment.may_spill:
            self._say(f"Note: {environment.may_spill}. Out-of-memory may go unnoticed here, as the records state.")
        neighbours = neighbour_warning(environment.gpu, device)
        if neighbours:
            self._say(f"Warning: {neighbours}")

    def warn(self, text: str) -> None:
        """Print a warning about the file that the run continues, even if quiet."""
        say(self._bar.console, f"{self._title}warning: {one_line(text)}")

    def tell(self, text: str) -> None:
        """Print what there is to say besides, unless quiet."""
        self._say(text)

    def fail(self, text: str) -> None:
        """Print the error in which the run ended, even if quiet, and remove its bar."""
        say(self._bar.console, f"{self._title}error: {one_line(text)}", "red")
        self._bar.update(self._task, visible=False)

    @property
    def kept(self) -> int:
        """How many of the plan's cases are on disk.

        The complete lines of a file are counted if nothing was told yet: an interruption can come in between.
        """
        if self.finished or self.path is None:
            return self.finished
        try:
            return self.path.read_bytes().count(b"\n")
        except FileNotFoundError:  # it is created with its first line
            return 0

    def case_begun(self, number: int, case: Case) -> None:
        self._label = label_of(case)
        self._bar.update(self._task, description=label_of(case))

    def phase_begun(self, phase: Phase) -> None:
        self._bar.update(self._task, description=f"{self._label}: {phase}")

    def case_done(self, number: int, record: Record) -> None:
        self.finished += 1
        self._estimate.finish(record.case)
        left = None if self._estimate.any_unfinished(record.interleaved_with) else self._estimate.remaining_s
        about = f"about {_rough(left)} left" if left and self.finished < len(self._plan.cases) else ""
        line = case_line(record, f"[{number:>{len(str(len(self._plan.cases)))}}/{len(self._plan.cases)}] ")
        if not self._console.is_terminal:
            line.append(f"  ({_rough(self._estimate.elapsed_s)} so far{', ' if about else ''}{about})")
        self._say(line)
        for overlap in record.remote.overlaps if record.remote else ():
            self._say(describe_overlap(overlap), indent=4)
        for load in record.remote.loads if record.remote else ():
            self._say(describe_load(load), indent=4)
        for warning in record.warnings:
            if warning not in self._told:
                self._say(f"warning: {warning}", indent=4)
        self._bar.update(self._task, completed=self.finished, left=about)
        if self.finished == len(self._plan.cases):
            self._bar.update(self._task, description="done")
        together = self._unfinished.finish(record)
        if self._table_of is not None and len(together) > 1 and not self._quiet:
            self._table_of(together)(self._bar.console)

    def _say(self, text: str | Text, indent: int = 0) -> None:
        if not self._quiet:
            line = Text(one_line(text)) if isinstance(text, str) else text
            if self._title:
                line, indent = Text(self._title, "bold") + Text(" " * indent) + line, 0
            say(self._bar.console, line, indent=indent)


def _for_gpus(plan: Plan) -> str | None:
    """Return what to run instead of a sweep that is meant for GPUs; None if the plan suits a CPU."""
    instead = _CPU_SWEEPS.get(plan.config)
    if instead is None or all(case.axes.product() < _LARGE_ON_A_CPU for case in plan.cases):
        return None
    return f"{plan.config} is a sweep for GPUs, and may take days on a CPU. For a CPU: bench run {instead}"


def _rough(seconds: float) -> str:
    """Return seconds for people who wait: `0.4 s`, `35.1 s`, `14 h`."""
    if seconds >= _IN_HOURS_S:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds:.1f} s" if seconds < 1 else format_seconds(seconds)


def _where(ready: Ready, version: str) -> str:
    """Return the device or endpoint, in one line."""
    if ready.device.kind != "endpoint":
        return f"Device: {ready.device.name}, {format_bytes(ready.device.total_bytes)}{version}"
    server = ready.endpoint and ready.endpoint.server_device
    return f"Endpoint: {ready.device.name}{f', on {server.name}' if server else ''}"
