"""Runs cases in a worker process and turns whatever becomes of it into data. Never loads torch.

One worker serves many cases. It is replaced after out-of-memory, an exception, a crash, a time-out, or memory that
did not return.
"""

from __future__ import annotations

import queue
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from bench.core.units import format_bytes
from bench.device.cpu import host
from bench.errors import DeviceError, WorkerError
from bench.record import Case, Crashed, Measured, MeasureSettings, OutOfMemory, Phase, TimedOut
from bench.run.messages import (
    Broken,
    Done,
    PhaseBegun,
    Question,
    Ready,
    Refused,
    RunCase,
    Start,
    TakeTurns,
    Told,
)
from bench.run.outcome import memory_in
from bench.run.worker_process import WorkerProcess
from bench.workloads.labels import label_of

#: -P: a `torch.py` or `bench/` in the folder where the user happens to be is not to be imported.
WORKER = (sys.executable, "-P", "-m", "bench.run.worker")
_START_TIMEOUT_S = 600.0  # a cold disk takes minutes over importing torch
_START_ATTEMPTS = 3
_SIGKILL = 9  # `signal` has no name for it on Windows

OnPhase = Callable[[Phase], None]


class Executor(Protocol):
    """Measures cases, one by one or taking turns."""

    def start(self) -> Ready:
        """Take the device, unless it is held already.

        Raises DeviceError with the reason if it can't be used, WorkerError if nothing starts.
        """
        ...

    def run(self, case: Case, measure: MeasureSettings, timeout_s: float, on_phase: OnPhase) -> Done:
        """Measure one case within `timeout_s` seconds; never raises for what the case does."""
        ...

    def take_turns(
        self, cases: Sequence[Case], measure: MeasureSettings, timeout_s: float, on_phase: OnPhase
    ) -> tuple[Done, ...] | Broken:
        """Measure cases whose timed calls take turns, `timeout_s` seconds for each of them.

        If anything goes wrong with one nothing is known of any: they are then to be measured one by one.
        """
        ...

    def close(self) -> None:
        """Let go of the device, at once."""
        ...


class SubprocessExecutor:
    """An Executor over `bench.run.worker` (or a stand-in that speaks the same protocol)."""

    def __init__(
        self, device: str = "auto", vram_limit_bytes: int | None = None, command: Sequence[str] = WORKER
    ) -> None:
        self._start_request = Start(device=device, vram_limit_bytes=vram_limit_bytes)
        self._command = tuple(command)
        self._worker: WorkerProcess | None = None
        self._ready: Ready | None = None

    def start(self) -> Ready:
        if self._ready is not None and self._worker is not None and self._worker.alive:
            return self._ready
        died: WorkerProcess | None = None
        for _ in range(_START_ATTEMPTS):
            self.close()
            try:
                worker = WorkerProcess(self._command)
            except OSError as error:
                raise WorkerError(f"The measuring process can't be started: {error}.") from None
            try:
                worker.send(self._start_request.model_dump_json())
                answer = worker.answer(_START_TIMEOUT_S)
            except queue.Empty:
                worker.kill()
                raise WorkerError(
                    f"The measuring process did not get ready within {_START_TIMEOUT_S:.0f} s. "
                    f"Its last words: {_last_line(worker)}"
                ) from None
            except BaseException:  # Ctrl-C while it starts
                worker.kill()
                raise
            if isinstance(answer, Ready):
                self._keep_device(worker, answer)
                return answer
            worker.kill()
            if isinstance(answer, Refused):
                raise DeviceError(answer.reason)
            died = worker
        raise WorkerError(
            f"The measuring process ended {_START_ATTEMPTS} times before it was ready. What a run has "
            f"measured is kept, and the same command goes on from there. Its last words: {_last_line(died)}"
        )

    def run(self, case: Case, measure: MeasureSettings, timeout_s: float, on_phase: OnPhase) -> Done:
        talk = self._talk(RunCase(case=case, measure=measure), [case], timeout_s, on_phase)
        if talk.end == "silence":
            return self._after(Done(outcome=TimedOut(timeout_s=timeout_s, phase=talk.phase)))
        if talk.end == "answers":
            return self._after(talk.dones[0])
        assert talk.phase is not None  # noqa: S101 - a worker that dies before that is replaced
        return self._after(Done(outcome=_cause_of_death(talk.worker, talk.phase, talk.kills_before)))

    def take_turns(
        self, cases: Sequence[Case], measure: MeasureSettings, timeout_s: float, on_phase: OnPhase
    ) -> tuple[Done, ...] | Broken:
        limit_s = timeout_s * len(cases)
        talk = self._talk(TakeTurns(cases=tuple(cases), measure=measure), cases, limit_s, on_phase)
        if talk.end == "answers":
            return tuple([self._after(done) for done in talk.dones])
        self.close()
        if isinstance(talk.end, Broken):
            return talk.end
        silent = f"no answer within {limit_s:g} s"
        return Broken(reason=silent if talk.end == "silence" else "the measuring process died")

    def _talk(self, request: RunCase | TakeTurns, cases: Sequence[Case], timeout_s: float, on_phase: OnPhase) -> _Talk:
        """Give the worker these cases and hear it out. One that dies before it began says nothing about them."""
        worker: WorkerProcess | None = None
        for _ in range(_START_ATTEMPTS):
            worker = self._ready_worker()
            talk = _Talk(worker, host.oom_kills())
            worker.send(request.model_dump_json())
            talk.hear(len(cases), timeout_s, on_phase)
            if talk.end != "death" or talk.phase is not None:
                return talk
            self.close()
        raise WorkerError(
            f"The measuring process died {_START_ATTEMPTS} times before it began with {label_of(cases[0])}. What was "
            f"measured is kept; the same command goes on from there. Its last words: {_last_line(worker)}"
        )

    def ask(self, request: Question, timeout_s: float) -> Told:
        """What the worker answers to `bench doctor` or `bench calibrate` within `timeout_s` seconds.

        Raises WorkerError if it dies or hangs over it (the next question starts another), and what `start` raises.
        """
        worker = self._ready_worker()
        worker.send(request.model_dump_json())
        try:
            answer = worker.answer(timeout_s)
        except queue.Empty:
            self.close()
            raise WorkerError(f"The measuring process gave no answer in {timeout_s:.0f} s, and was ended.") from None
        if isinstance(answer, Told):
            return answer
        self.close()
        raise WorkerError(f"The measuring process died over it. Its last words: {_last_line(worker)}")

    def close(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._worker = None

    def _keep_device(self, worker: WorkerProcess, ready: Ready) -> None:
        """Keep a new worker, if it holds the device of the run: `auto` falls back to the CPU when a GPU drops off."""
        if self._ready is not None and ready.device != self._ready.device:
            worker.kill()
            raise DeviceError(
                f"The device has changed during the run: it was {self._ready.device.name}, and now it is "
                f"{ready.device.name}. What was measured is kept; the same command goes on once the device is back."
            )
        self._worker, self._ready = worker, ready

    def _ready_worker(self) -> WorkerProcess:
        self.start()
        assert self._worker is not None  # noqa: S101 - start() sets it or raises
        return self._worker

    def _after(self, done: Done) -> Done:
        """Replace the worker where its state can't be trusted any more."""
        if not isinstance(done.outcome, Measured):
            self.close()
        elif done.leaked_bytes:
            self.close()
            leak = f"{format_bytes(done.leaked_bytes)} did not return after the case, so the worker was replaced"
            return done.model_copy(update={"warnings": (*done.warnings, leak)})
        return done


@dataclass(slots=True)
class _Talk:
    """What a worker said to one request, and how that ended."""

    worker: WorkerProcess
    kills_before: int
    phase: Phase | None = None
    dones: list[Done] = field(default_factory=list)
    end: Literal["answers", "silence", "death"] | Broken = "answers"

    def hear(self, count: int, timeout_s: float, on_phase: OnPhase) -> None:
        """Listen until there are `count` answers, or `timeout_s` seconds are over, or there will be none."""
        deadline = time.monotonic() + timeout_s
        while len(self.dones) < count:
            try:
                answer = self.worker.answer(max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                self.end = "silence"
                return
            if isinstance(answer, PhaseBegun):
                self.phase = answer.phase
                on_phase(answer.phase)
            elif isinstance(answer, Done):
                self.dones.append(answer)
            else:
                self.end = answer if isinstance(answer, Broken) else "death"
                return


def _cause_of_death(worker: WorkerProcess, phase: Phase, kills_before: int) -> Crashed | OutOfMemory:
    """What ended a worker: want of memory where the kernel or its last words say so, else a crash."""
    code = worker.exit_code()
    tail = worker.stderr_tail()
    if code == -_SIGKILL and host.oom_kills() > kills_before:
        return OutOfMemory(where="host", phase=phase, message="the kernel's out-of-memory killer ended the worker")
    where = memory_in(tail)
    if where is not None:
        return OutOfMemory(where=where, phase=phase, message=f"the worker died: {tail[-300:]}")
    name = signal.Signals(-code).name if code < 0 and -code in signal.valid_signals() else None
    return Crashed(signal=name, exit_code=None if code < 0 else code, phase=phase, stderr_tail=tail)


def _last_line(worker: WorkerProcess | None) -> str:
    """The last line that a worker printed: of a traceback the one that says what it was."""
    said = worker.stderr_tail().splitlines() if worker else []
    return said[-1] if said else "none"
