"""Runs the checking process and collects its results, including its crashes."""

from __future__ import annotations

import os
import queue
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.doctor import ClientFacts, LayoutFacts, PayloadCount, PayloadCrash, PayloadKind
from bench.errors import WorkerError
from bench.process.child import Child
from bench.remote.payloads.layouts import LAYOUTS
from bench.remote.payloads.lines import Ask, Begun, Counted, Finished, InstalledClient, Line, NotChecked, lines

#: -P: import nothing from the current folder. This process's id is appended.
CHECK = (sys.executable, "-P", "-m", "bench.remote.payloads.check")
_START_TIMEOUT_S = 600.0  # a cold disk takes minutes over importing torch
_KIND_TIMEOUT_S = 300.0
_KILL_TIMEOUT_S = 5.0

OnLayout = Callable[[str], None]


def check(
    ask: Ask,
    on_layout: OnLayout = lambda _: None,
    *,
    command: Sequence[str] = CHECK,
    start_timeout_s: float = _START_TIMEOUT_S,
    kind_timeout_s: float = _KIND_TIMEOUT_S,
) -> ClientFacts:
    """Return what the installed client does to payloads of each layout. Calls `on_layout` when a layout begins.

    If a process crashes, the rest of its layout is lost, and another process continues with the next layout. Raises
    WorkerError if a process dies before it has sent anything.
    """
    results = _Results(list(ask.layouts), on_layout, (start_timeout_s, kind_timeout_s))
    while results.left and results.refused is None:
        results.run(ask, command)
    return ClientFacts(
        packages=results.packages,
        refused=results.refused,
        layouts=tuple(results.layouts[name] for name in ask.layouts if name in results.layouts),
    )


def ask(tries: int, layouts: Sequence[str] = tuple(LAYOUTS)) -> Ask:
    """Return the default instructions for `check`: all layouts, against an echo on loopback."""
    return Ask(layouts=tuple(layouts), tries=tries)


@dataclass(slots=True)
class _Results:
    """The results of the checking processes so far.

    Attributes:
        left: the layouts that no process has begun yet.
        timeouts_s: for the start of a process, and for the payloads of one kind.
        current, started, finished: the state of the running process.
    """

    left: list[str]
    on_layout: OnLayout
    timeouts_s: tuple[float, float]
    packages: dict[str, str] = field(default_factory=dict)
    refused: str | None = None
    layouts: dict[str, LayoutFacts] = field(default_factory=dict)
    current: PayloadKind | None = None
    started: bool = False
    finished: bool = False

    def run(self, ask: Ask, command: Sequence[str]) -> None:
        """Run one checking process for the layouts that are left."""
        self.started = self.finished = False
        self.current = None
        try:
            child = Child((*command, str(os.getpid())))
        except OSError as error:
            raise WorkerError(f"The checking process could not be started: {error}.") from None
        try:
            child.send(ask.model_copy(update={"layouts": tuple(self.left)}).model_dump_json())
            failure = self._listen(child)
            if failure is not None and self.current is None:
                last_lines = child.stderr_tail().splitlines()[-1:] or ["none"]
                raise WorkerError(
                    f"The checking process ended before it had sent anything ({failure}). Its last line of output: "
                    f"{last_lines[0]}"
                )
        finally:
            child.kill(_KILL_TIMEOUT_S)
        if failure is not None and self.current is not None:
            self._add(self.current.layout, crash=PayloadCrash(kind=self.current, how=failure))

    def _listen(self, child: Child) -> str | None:
        """Process the child's messages until it ends. Returns how it died, or None if it finished."""
        while not self.finished and self.refused is None:
            timeout_s = self.timeouts_s[self.started]
            try:
                line = child.line(timeout_s)
            except queue.Empty:
                return f"no answer within {timeout_s:g} s"
            if line is None:
                return _end(child.exit_code(_KILL_TIMEOUT_S))
            self._handle(lines.validate_json(line))
        return None

    def _handle(self, line: Line) -> None:
        match line:
            case InstalledClient():
                self.packages, self.refused, self.started = line.packages, line.refused, True
            case Begun():
                self.current = line.kind
                self._begin(line.kind.layout)
            case Counted():
                self._add(line.count.kind.layout, line.count)
            case NotChecked():
                self._begin(line.layout)
                self.layouts[line.layout] = LayoutFacts(layout=line.layout, not_checked=line.reason)
            case Finished():
                self.finished = True
                self.left.clear()

    def _begin(self, layout: str) -> None:
        if layout in self.left:
            self.left.remove(layout)
            self.layouts[layout] = LayoutFacts(layout=layout)
            self.on_layout(layout)

    def _add(self, layout: str, *counts: PayloadCount, crash: PayloadCrash | None = None) -> None:
        facts = self.layouts[layout]
        self.layouts[layout] = facts.model_copy(update={"counts": (*facts.counts, *counts), "crash": crash})


def _end(exit_code: int | None) -> str:
    """Return how a process ended: `SIGSEGV`, or `exit code 3`."""
    if exit_code is None:
        return "it closed its output but did not end"
    if exit_code < 0:
        known = -exit_code in signal.valid_signals()
        return signal.Signals(-exit_code).name if known else f"signal {-exit_code}"
    return f"exit code {exit_code}"
