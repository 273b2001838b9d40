"""The answers of a worker to one request for cases, and what its death in between means."""

from __future__ import annotations

import queue
import signal
import time
from dataclasses import dataclass, field
from typing import Literal

from bench.device.cpu import host
from bench.record import Crashed, OutOfMemory, Phase
from bench.run.messages import Broken, Done, PhaseBegun
from bench.run.outcome import OnPhase, memory_in
from bench.run.worker_process import WorkerProcess

_SIGKILL = 9  # `signal` has no name for it on Windows


@dataclass(slots=True)
class Exchange:
    """A worker's answers to one request, and how they ended."""

    worker: WorkerProcess
    oom_kills_before: int
    phase: Phase | None = None
    results: list[Done] = field(default_factory=list)
    end: Literal["done", "timeout", "died"] | Broken = "done"

    def collect(self, count: int, timeout_s: float, on_phase: OnPhase) -> None:
        """Collect answers until there are `count`, `timeout_s` seconds have passed, or no more can come."""
        deadline = time.monotonic() + timeout_s
        while len(self.results) < count:
            try:
                answer = self.worker.answer(max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                self.end = "timeout"
                return
            if isinstance(answer, PhaseBegun):
                self.phase = answer.phase
                on_phase(answer.phase)
            elif isinstance(answer, Done):
                self.results.append(answer)
            else:
                self.end = answer if isinstance(answer, Broken) else "died"
                return

    def cause_of_death(self) -> Crashed | OutOfMemory:
        """The outcome of a worker that died in a case: out of memory if the kernel or its last output says so."""
        phase, code = self.phase, self.worker.exit_code()
        assert phase is not None  # noqa: S101 - a worker that dies earlier is replaced
        assert code is not None  # noqa: S101 - there is no time-out
        tail = self.worker.stderr_tail()
        if code == -_SIGKILL and host.oom_kills() > self.oom_kills_before:
            return OutOfMemory(where="host", phase=phase, message="the kernel's out-of-memory killer ended the worker")
        where = memory_in(tail)
        if where is not None:
            return OutOfMemory(where=where, phase=phase, message=f"the worker died: {tail[-300:]}")
        name = signal.Signals(-code).name if code < 0 and -code in signal.valid_signals() else None
        return Crashed(signal=name, exit_code=None if code < 0 else code, phase=phase, stderr_tail=tail)
