"""A tour of a device: steps that measure, each a process in a time box of its own, and a summary of them all.

The boxes share the tour's time by what each step needs, and time that a step leaves goes to those after it. A step is
ended when its box is over, so one that hangs, fails or crashes costs no more than its box. Steps write what they
measure to the disk at once.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from bench.errors import ResultsError
from bench.sharing.bundles.manifest import StepReport, StepStatus
from bench.sharing.contribute.boxed_process import run_boxed
from bench.store.disk import reported, write_whole

#: A step with less time than this, in seconds, can't load torch and measure anything.
LEAST_S = 20.0
SUMMARY = "summary.json"
_REPORTS = TypeAdapter(tuple[StepReport, ...])


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to measure.

    Attributes:
        need_s: what it needs at most; a tour scales what its steps need to the time that it has.
        command: what follows the interpreter's name.
        what: what it measures, in a few words.
        stdout: a file for its standard output alone, in the folder of logs; NAME.log gets everything else.
        why_not: why it can't run here; empty if it can.
    """

    name: str
    need_s: float
    command: tuple[str, ...]
    what: str = ""
    stdout: str = ""
    why_not: str = ""


def box_s(steps: Sequence[Step], left_s: float) -> float:
    """How long the first of these steps may take, if all of them are to share the time that is left, in seconds.

    At least what loading torch takes, since a shorter box would be wasted: the last steps pay for it.
    """
    share_s = left_s * steps[0].need_s / sum(step.need_s for step in steps)
    return min(left_s, max(share_s, _least_s(steps[0])))


def boxes(steps: Sequence[Step], seconds: float) -> list[float]:
    """The boxes of all steps, in seconds, if each takes the whole of its own; 0 where a step does not fit."""
    left_s, planned = seconds, []
    for place, step in enumerate(steps):
        planned.append(box_s(steps[place:], left_s) if left_s >= _least_s(step) else 0.0)
        left_s -= planned[-1]
    return planned


def _least_s(step: Step) -> float:
    return min(LEAST_S, step.need_s)


def read_summary(folder: Path) -> tuple[StepReport, ...]:
    """What became of the steps of a tour whose summary is in this folder; none if there is no summary.

    Raises ResultsError if it can't be read.
    """
    path = folder / SUMMARY
    try:
        return _REPORTS.validate_json(path.read_bytes())
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ResultsError(f"Can't read {path}: {error.strerror}.") from None
    except ValidationError:
        raise ResultsError(f"{path} is not the summary of a tour. Delete it, or choose another folder.") from None


@dataclass(slots=True)
class Tour:
    """Runs steps within `seconds`, and writes the summary to the disk after each.

    Attributes:
        folder: the folder of the summary and of the steps' logs, which is made.
        cwd: the folder that the steps run in.
        done: steps that ran in an earlier tour, by name, which are not run again.
        tell: gets a line when a step begins, and one when it ends.
    """

    folder: Path
    seconds: float
    now: Callable[[], float] = time.monotonic
    cwd: Path | None = None
    done: Mapping[str, StepReport] = field(default_factory=dict)
    tell: Callable[[str], None] = lambda _: None
    results: list[StepReport] = field(default_factory=list)
    _begin: float = field(init=False)

    def __post_init__(self) -> None:
        """Begin the tour's time. Raises ResultsError if its folder can't be made."""
        self._begin = self.now()
        with reported(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)

    def go(self, steps: Sequence[Step]) -> None:
        """Run each step that still fits; the time that one leaves is shared by those after it.

        On KeyboardInterrupt the rest are listed as not run.
        """
        waiting = []
        for step in steps:
            if step.name in self.done:
                self.add(self.done[step.name])
            elif step.why_not:
                self.add(StepReport(name=step.name, status="not here", note=step.why_not))
            else:
                waiting.append(step)
        for place, step in enumerate(waiting):
            try:
                left_s = self.seconds - (self.now() - self._begin)
                if left_s < _least_s(step):
                    self.add(StepReport(name=step.name, status="did not fit"))
                else:
                    self.add(self._run(step, box_s(waiting[place:], left_s)))
            except KeyboardInterrupt:
                self._interrupted(step, waiting[place + 1 :])
                return

    def add(self, report: StepReport) -> None:
        """Add a report to the summary, and write it. Raises ResultsError if that fails."""
        self.results.append(report)
        path = self.folder / SUMMARY
        names = {result.name for result in self.results}
        kept = [earlier for name, earlier in self.done.items() if name not in names]  # or SIGKILL now would lose them
        content = [result.model_dump(mode="json") for result in (*self.results, *kept)]
        with reported(path):
            write_whole(path, json.dumps(content, indent=2).encode() + b"\n")
        self.tell(f"{report.status:<14} {report.name:<20} {report.seconds:6.1f} s  {report.note[:100]}".rstrip())

    def summed_up(self) -> str:
        """`12 ran, 1 failed, 2 did not fit`."""
        ends = [result.status for result in self.results]
        return ", ".join(f"{ends.count(status)} {status}" for status in dict.fromkeys(ends))

    def _run(self, step: Step, most_s: float) -> StepReport:
        self.tell(f"begins         {step.name:<20} {most_s:6.1f} s at most")
        log = self.folder / f"{step.name}.log"
        stdout = self.folder / step.stdout if step.stdout else None
        begin = self.now()
        with reported(log):
            code = run_boxed([sys.executable, *step.command], log, most_s, stdout=stdout, cwd=self.cwd)
            seconds = round(max(0.0, self.now() - begin), 1)
            note = _last_line(log)
        status: StepStatus = "overran" if code is None else "failed" if code else "ran"
        return StepReport(name=step.name, status=status, seconds=seconds, exit_code=code, note=note)

    def _interrupted(self, step: Step, later: Sequence[Step]) -> None:
        if step.name not in {result.name for result in self.results}:  # else it had just ended
            self.add(StepReport(name=step.name, status="interrupted"))
        for after in later:
            self.add(StepReport(name=after.name, status="did not fit", note="the tour was interrupted before it"))


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
