"""Runs the checking process and collects its results, including its crashes. Never loads torch."""

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


@dataclass(slots=True)
class _Progress:
    """The results so far. `left` are the layouts that no process has begun yet."""

    left: list[str]
    packages: dict[str, str] = field(default_factory=dict)
    refused: str | None = None
    layouts: dict[str, LayoutFacts] = field(default_factory=dict)
    current: PayloadKind | None = None
    started: bool = False
    finished: bool = False


def check(
    ask: Ask,
    on_layout: OnLayout = lambda _: None,
    *,
    command: Sequence[str] = CHECK,
    start_timeout_s: float = _START_TIMEOUT_S,
    kind_timeout_s: float = _KIND_TIMEOUT_S,
) -> ClientFacts:
    """Return what the installed client does to payloads of each layout. Calls `on_layout` when a layout begins.

    If a process crashes, the rest of its layout is lost, and another process goes on with the next layout. Raises
    WorkerError if a process dies before it has sent anything.
    """
    progress = _Progress(list(ask.layouts))
    while progress.left and progress.refused is None:
        _Listener(progress, on_layout, (start_timeout_s, kind_timeout_s)).run(ask, command)
    return ClientFacts(
        packages=progress.packages,
        refused=progress.refused,
        layouts=tuple(progress.layouts[name] for name in ask.layouts if name in progress.layouts),
    )


def ask(tries: int, layouts: Sequence[str] = tuple(LAYOUTS)) -> Ask:
    """Return the default instructions for `check`: all layouts, against an echo on loopback."""
    return Ask(layouts=tuple(layouts), tries=tries)


class _Listener:
    """One checking process, from its start to its end."""

    def __init__(self, progress: _Progress, on_layout: OnLayout, timeouts_s: tuple[float, float]) -> None:
        self._progress, self._on_layout, self._timeouts_s = progress, on_layout, timeouts_s

    def run(self, ask: Ask, command: Sequence[str]) -> None:
        progress = self._progress
        progress.started = progress.finished = False
        progress.current = None
        try:
            child = Child((*command, str(os.getpid())))
        except OSError as error:
            raise WorkerError(f"The checking process could not be started: {error}.") from None
        try:
            child.send(ask.model_copy(update={"layouts": tuple(progress.left)}).model_dump_json())
            failure = self._listen(child)
            if failure is not None and progress.current is None:
                last_lines = child.stderr_tail().splitlines()[-1:] or ["none"]
                raise WorkerError(
                    f"The checking process ended before it had sent anything ({failure}). Its last line of output: "
                    f"{last_lines[0]}"
                )
        finally:
            child.kill(_KILL_TIMEOUT_S)
        if failure is not None and progress.current is not None:
            self._add(progress.current.layout, crash=PayloadCrash(kind=progress.current, how=failure))

    def _listen(self, child: Child) -> str | None:
        """Process the child's messages until it ends. Returns how it died, or None if it finished."""
        progress = self._progress
        while not progress.finished and progress.refused is None:
            timeout_s = self._timeouts_s[progress.started]
            try:
                line = child.line(timeout_s)
            except queue.Empty:
                return f"no answer within {timeout_s:g} s"
            if line is None:
                return _end(child.exit_code(_KILL_TIMEOUT_S))
            self._handle(lines.validate_json(line))
        return None

    def _handle(self, line: Line) -> None:
        progress = self._progress
        match line:
            case InstalledClient():
                progress.packages, progress.refused, progress.started = line.packages, line.refused, True
            case Begun():
                progress.current = line.kind
                self._begin(line.kind.layout)
            case Counted():
                self._add(line.count.kind.layout, line.count)
            case NotChecked():
                self._begin(line.layout)
                progress.layouts[line.layout] = LayoutFacts(layout=line.layout, not_checked=line.reason)
            case Finished():
                progress.finished = True
                progress.left.clear()

    def _begin(self, layout: str) -> None:
        progress = self._progress
        if layout in progress.left:
            progress.left.remove(layout)
            progress.layouts[layout] = LayoutFacts(layout=layout)
            self._on_layout(layout)

    def _add(self, layout: str, *counts: PayloadCount, crash: PayloadCrash | None = None) -> None:
        facts = self._progress.layouts[layout]
        self._progress.layouts[layout] = facts.model_copy(update={"counts": (*facts.counts, *counts), "crash": crash})


def _end(exit_code: int | None) -> str:
    """Return how a process ended: `SIGSEGV`, or `exit code 3`."""
    if exit_code is None:
        return "it closed its output but did not end"
    if exit_code < 0:
        try:
            return signal.Signals(-exit_code).name
        except ValueError:
            return f"signal {-exit_code}"
    return f"exit code {exit_code}"
