"""Runs cases in a worker process and turns whatever becomes of it into data. Never loads torch.

One worker serves many cases. It is replaced after out-of-memory, an exception, a crash, a time-out, or memory that
did not return.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Protocol

from pydantic import ValidationError

from bench.errors import DeviceError, WorkerError
from bench.record import Case, Crashed, Measured, MeasureSettings, OutOfMemory, Phase, TimedOut
from bench.run import host
from bench.run.outcome import memory_in
from bench.run.protocol import Answer, Done, PhaseBegun, Ready, Refused, RunCase, Start, answers
from bench.units import format_bytes

#: -P: a `torch.py` or `bench/` in the folder where the user happens to be is not to be imported.
WORKER = (sys.executable, "-P", "-m", "bench.run.worker")
_CHECKOUT = Path(__file__).resolve().parents[2]
_START_TIMEOUT_S = 600.0  # a cold disk takes minutes over importing torch
_START_ATTEMPTS = 3
_TAIL_BYTES = 2000
_KILL_TIMEOUT_S = 10.0
_SIGKILL = 9  # `signal` has no name for it on Windows

OnPhase = Callable[[Phase], None]


class Executor(Protocol):
    """Measures cases, one at a time."""

    def start(self) -> Ready:
        """Take the device, unless it is held already.

        Raises DeviceError with the reason if it can't be used, WorkerError if nothing starts.
        """
        ...

    def run(self, case: Case, measure: MeasureSettings, timeout_s: float, on_phase: OnPhase) -> Done:
        """Measure one case within `timeout_s` seconds; never raises for what the case does."""
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
        self._worker: _Worker | None = None
        self._ready: Ready | None = None

    def start(self) -> Ready:
        if self._ready is not None and self._worker is not None and self._worker.alive:
            return self._ready
        died: _Worker | None = None
        for _ in range(_START_ATTEMPTS):
            self.close()
            try:
                worker = _Worker(self._command)
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
            f"The measuring process ended {_START_ATTEMPTS} times before it was ready. What was measured is kept; "
            f"the same command goes on from there. Its last words: {_last_line(died)}"
        )

    def run(self, case: Case, measure: MeasureSettings, timeout_s: float, on_phase: OnPhase) -> Done:
        request = RunCase(case=case, measure=measure).model_dump_json()
        worker: _Worker | None = None
        for _ in range(_START_ATTEMPTS):
            worker = self._ready_worker()
            kills = host.oom_kills()
            worker.send(request)
            done = self._await(worker, timeout_s, on_phase, kills)
            if done is not None:
                return self._after(done)
            self.close()  # it died before it began with the case: that says nothing about the case
        raise WorkerError(
            f"The measuring process died {_START_ATTEMPTS} times before it began with {case.label}. What was measured "
            f"is kept; the same command goes on from there. Its last words: {_last_line(worker)}"
        )

    def close(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._worker = None

    def _keep_device(self, worker: _Worker, ready: Ready) -> None:
        """Keep a new worker, if it holds the device of the run: `auto` falls back to the CPU when a GPU drops off."""
        if self._ready is not None and ready.device != self._ready.device:
            worker.kill()
            raise DeviceError(
                f"The device has changed during the run: it was {self._ready.device.name}, and now it is "
                f"{ready.device.name}. What was measured is kept; the same command goes on once the device is back."
            )
        self._worker, self._ready = worker, ready

    def _ready_worker(self) -> _Worker:
        self.start()
        assert self._worker is not None  # noqa: S101 - start() sets it or raises
        return self._worker

    def _await(self, worker: _Worker, timeout_s: float, on_phase: OnPhase, kills: int) -> Done | None:
        """The case's outcome, or None if the worker died before its first phase."""
        deadline = time.monotonic() + timeout_s
        phase: Phase | None = None
        while True:
            try:
                answer = worker.answer(max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return Done(outcome=TimedOut(timeout_s=timeout_s, phase=phase))
            if isinstance(answer, PhaseBegun):
                phase = answer.phase
                on_phase(phase)
            elif isinstance(answer, Done):
                return answer
            else:
                return None if phase is None else Done(outcome=_cause_of_death(worker, phase, kills))

    def _after(self, done: Done) -> Done:
        """Replace the worker where its state can't be trusted any more."""
        if not isinstance(done.outcome, Measured):
            self.close()
        elif done.leaked_bytes:
            self.close()
            leak = f"{format_bytes(done.leaked_bytes)} did not return after the case, so the worker was replaced"
            return done.model_copy(update={"warnings": (*done.warnings, leak)})
        return done


def _cause_of_death(worker: _Worker, phase: Phase, kills_before: int) -> Crashed | OutOfMemory:
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


def _last_line(worker: _Worker | None) -> str:
    """The last line that a worker printed: of a traceback the one that says what it was."""
    said = worker.stderr_tail().splitlines() if worker else []
    return said[-1] if said else "none"


def _environment() -> dict[str, str]:
    """The worker's environment: ours, and from a checkout that is not installed its root to import from."""
    if not (_CHECKOUT / "pyproject.toml").is_file():
        return dict(os.environ)
    paths = [str(_CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


class _Worker:
    """One worker process: its pipes, and a thread that waits for what it says."""

    def __init__(self, command: Sequence[str]) -> None:
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
        self._process = subprocess.Popen(  # noqa: S603 - our own worker
            [*command, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=_environment(),
            start_new_session=True,  # Ctrl-C in the terminal is the parent's to handle
        )
        self._heard = 0
        self._said: queue.SimpleQueue[Answer | None] = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def alive(self) -> bool:
        """Whether it can still be given a case."""
        return self._process.poll() is None

    def send(self, line: str) -> None:
        """Write one request. A worker that has died is noticed by `answer`; what it printed before is forgotten."""
        self._heard = os.fstat(self._stderr.fileno()).st_size
        assert self._process.stdin is not None  # noqa: S101 - Popen with PIPE sets it
        with contextlib.suppress(OSError):
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    def answer(self, timeout_s: float) -> Answer | None:
        """What it says next, or None once it is dead. Raises queue.Empty after `timeout_s` seconds of silence."""
        return self._said.get(timeout=timeout_s)

    def exit_code(self) -> int:
        """As subprocess gives it: negative for a signal."""
        return self._process.wait()

    def stderr_tail(self) -> str:
        """The end of what it printed since the last request.

        Read without a seek, since a worker that still runs shares the file's position.
        """
        size = os.fstat(self._stderr.fileno()).st_size
        begin = max(self._heard, size - _TAIL_BYTES)
        if sys.platform == "win32":  # no pread there; it is only asked for the last words of a dead worker
            self._stderr.seek(begin)
            return self._stderr.read().decode(errors="replace").strip()
        return os.pread(self._stderr.fileno(), size - begin, begin).decode(errors="replace").strip()

    def kill(self) -> None:
        """End it at once, whatever it is doing. What it printed can still be read."""
        self._process.kill()
        try:
            self._process.wait(_KILL_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise WorkerError(
                f"The measuring process {self._process.pid} can't be ended: it hangs inside the driver. Reset the "
                "device or reboot, then give the same command to go on."
            ) from None
        self._listener.join(_KILL_TIMEOUT_S)  # the pipe stays open if the worker left a child behind
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # a request that was never read
                    pipe.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - Popen with PIPE sets it
        try:
            for line in self._process.stdout:
                self._said.put(answers.validate_json(line))
        except (ValidationError, ValueError):
            self._process.kill()  # it no longer makes sense, so it can't be trusted with a case
        self._said.put(None)
