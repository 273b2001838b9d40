"""Runs cases in a worker process and turns whatever happens to it into data.

One worker serves many cases. It is replaced after out-of-memory, an exception, a crash, a time-out, or a memory leak.
"""

from __future__ import annotations

import contextlib
import queue
import sys
from collections.abc import Sequence
from typing import Protocol

from bench.core.units import format_bytes
from bench.device.cpu import host
from bench.errors import CancelledError, DeviceError, PackageError, WorkerError
from bench.record import Case, Measured, MeasureSettings, TimedOut
from bench.run.exchange import Exchange
from bench.run.messages import (
    Broken,
    CardsListed,
    DeviceAnswer,
    DeviceQuestion,
    Done,
    EarlyAnswer,
    EarlyQuestion,
    ListCards,
    LookAround,
    Ready,
    Refused,
    RunCase,
    RunInterleaved,
    Start,
    Survey,
)
from bench.run.outcome import OnPhase
from bench.run.worker_process import WorkerProcess, worker_error
from bench.workloads.labels import label_of

#: -P: do not import a `torch.py` or `bench/` in the current folder.
WORKER = (sys.executable, "-P", "-m", "bench.run.worker")
_START_TIMEOUT_S = 600.0  # a cold disk takes minutes over importing torch
_LOOK_TIMEOUT_S = 30.0
_START_ATTEMPTS = 3
_KEPT = " Finished cases are kept; repeat the command to continue."


class Executor(Protocol):
    """Measures cases, one by one or interleaved."""

    def start(self) -> Ready:
        """Take the device, if it is not taken already.

        Raises DeviceError with the reason if it can't be used, PackageError if torch or diffusers is missing or broken,
        WorkerError if no worker starts.
        """

    def run(self, case: Case, measure: MeasureSettings, timeout_s: float, on_phase: OnPhase) -> Done:
        """Measure one case within `timeout_s` seconds. Never raises for what the case does."""

    def run_interleaved(
        self, cases: Sequence[Case], measure: MeasureSettings, timeout_s: float, on_phase: OnPhase
    ) -> tuple[Done, ...] | Broken:
        """Measure cases whose timed calls alternate, with `timeout_s` seconds for each case.

        If anything goes wrong with one case, none has a result, and they have to be measured one by one.
        """

    def close(self) -> None:
        """Release the device at once."""


class CancellableExecutor(Executor, Protocol):
    """An Executor that another thread can end."""

    def cancel(self) -> None:
        """End everything at once, and start nothing more: what waits in another thread raises CancelledError."""


class SubprocessExecutor:
    """An Executor over `bench.run.worker`, or a stand-in with the same protocol."""

    def __init__(
        self, device: str = "auto", vram_limit_bytes: int | None = None, command: Sequence[str] = WORKER
    ) -> None:
        self._start_request = Start(device=device, vram_limit_bytes=vram_limit_bytes)
        self._command = tuple(command)
        self._worker: WorkerProcess | None = None
        self._has_device = False
        self._ready: Ready | None = None
        self._is_cancelled = False

    def launch(self) -> None:
        """Start a worker, if there is none, without waiting until it has loaded. Raises WorkerError.

        Linux ends a worker with the thread that started it.
        """
        if not self._holds_device():
            self._early_worker()

    def start(self) -> Ready:
        if self._ready is not None and self._holds_device():
            return self._ready
        answer = self._ask_early(self._start_request)
        if isinstance(answer, Ready):
            self._keep_device(answer)
            return answer
        assert isinstance(answer, Refused)  # noqa: S101 - the only other answer to Start
        raise self._refusal(answer)

    def cards(self) -> CardsListed:
        """Return the CUDA devices that torch sees, without taking one. Raises as `start`."""
        answer = self._answer_of_any(ListCards())
        assert isinstance(answer, CardsListed)  # noqa: S101 - the only answer
        return answer

    def survey(self) -> Survey:
        """Return who else uses the device, before this executor takes it or afterwards. Raises as `start`."""
        answer = self._answer_of_any(LookAround(device=self._start_request.device))
        assert isinstance(answer, Survey)  # noqa: S101 - the only answer
        return answer

    def cancel(self) -> None:
        """End everything at once, from another thread, and start nothing more.

        What waits in this executor, and whatever is asked of it later, raises CancelledError.
        """
        self._is_cancelled = True
        worker = self._worker
        if worker is not None:
            worker.end()

    def run(self, case: Case, measure: MeasureSettings, timeout_s: float, on_phase: OnPhase) -> Done:
        exchange = self._exchange(RunCase(case=case, measure=measure), [case], timeout_s, on_phase)
        if exchange.end == "done":
            return self._close_if_tainted(exchange.results[0])
        self._refuse_if_cancelled()
        if exchange.end == "timeout":
            self.close()
            return Done(outcome=TimedOut(timeout_s=timeout_s, phase=exchange.phase))
        outcome = exchange.cause_of_death()
        self.close()
        return Done(outcome=outcome)

    def run_interleaved(
        self, cases: Sequence[Case], measure: MeasureSettings, timeout_s: float, on_phase: OnPhase
    ) -> tuple[Done, ...] | Broken:
        limit_s = timeout_s * len(cases)
        exchange = self._exchange(RunInterleaved(cases=tuple(cases), measure=measure), cases, limit_s, on_phase)
        if exchange.end == "done":
            return tuple(self._close_if_tainted(done) for done in exchange.results)
        self._refuse_if_cancelled()
        self.close()
        if isinstance(exchange.end, Broken):
            return exchange.end
        if exchange.end == "timeout":
            return Broken(reason=f"no answer within {limit_s:g} s")
        return Broken(reason="the measuring process died")

    def _exchange(
        self, request: RunCase | RunInterleaved, cases: Sequence[Case], timeout_s: float, on_phase: OnPhase
    ) -> Exchange:
        """Send the worker these cases and collect its answers. Restart a worker that dies before it has begun."""
        worker: WorkerProcess | None = None
        for _ in range(_START_ATTEMPTS):
            worker = self._ready_worker()
            exchange = Exchange(worker, host.oom_kills())
            worker.send(request.model_dump_json())
            exchange.collect(len(cases), timeout_s, on_phase)
            if exchange.end != "died" or exchange.phase is not None:
                return exchange
            self.close()
        raise worker_error(f"died {_START_ATTEMPTS} times before it began {label_of(cases[0])}", worker, _KEPT)

    def ask(self, request: DeviceQuestion, timeout_s: float) -> DeviceAnswer:
        """Return the worker's answer to `bench doctor` or `bench calibrate`, within `timeout_s` seconds.

        Raises WorkerError if the worker dies or hangs, after which the next question starts another worker; and what
        `start` raises.
        """
        self.start()
        answer = self._answer_of_holder(request, timeout_s)
        assert isinstance(answer, DeviceAnswer)  # noqa: S101 - the only answer to such a question
        return answer

    def close(self) -> None:
        worker, self._worker, self._has_device = self._worker, None, False
        if worker is not None:
            worker.kill()

    def release(self) -> None:
        """Give the device back if it was taken. A worker that has not taken it stays."""
        if self._has_device:
            self.close()

    def _holds_device(self) -> bool:
        return self._has_device and self._worker is not None and self._worker.alive

    def _answer_of_any(self, request: EarlyQuestion) -> Ready | EarlyAnswer:
        """Return the answer of the worker that has the device, or else of one that has not."""
        if self._holds_device():
            with contextlib.suppress(WorkerError):  # it died: ask another
                answer = self._answer_of_holder(request, _LOOK_TIMEOUT_S)
                assert isinstance(answer, EarlyAnswer)  # noqa: S101 - the only answer to such a question
                return answer
        early = self._ask_early(request)
        if isinstance(early, Refused):
            raise self._refusal(early)
        return early

    def _answer_of_holder(
        self, request: DeviceQuestion | EarlyQuestion, timeout_s: float
    ) -> DeviceAnswer | EarlyAnswer:
        """Return the answer of the worker that has the device. Raises WorkerError if it dies or hangs."""
        worker = self._ready_worker()
        worker.send(request.model_dump_json())
        try:
            answer = worker.answer(timeout_s)
        except queue.Empty:
            self.close()
            raise WorkerError(
                f"The measuring process did not answer within {timeout_s:.0f} s and was killed."
            ) from None
        if isinstance(answer, DeviceAnswer | EarlyAnswer):
            return answer
        self.close()
        self._refuse_if_cancelled()
        raise worker_error("died", worker)

    def _ask_early(self, request: Start | EarlyQuestion) -> Ready | Refused | EarlyAnswer:
        """Return the answer of a worker that has not taken the device, which is started at most three times."""
        died: WorkerProcess | None = None
        for _ in range(_START_ATTEMPTS):
            worker = self._early_worker()
            try:
                worker.send(request.model_dump_json())
                answer = worker.answer(_START_TIMEOUT_S)
            except queue.Empty:
                self.close()
                raise worker_error(f"was not ready within {_START_TIMEOUT_S:.0f} s", worker) from None
            except BaseException:  # Ctrl-C while it starts
                self.close()
                raise
            if isinstance(answer, Ready | Refused | CardsListed | Survey):
                return answer
            self.close()
            self._refuse_if_cancelled()
            died = worker
        raise worker_error(f"ended {_START_ATTEMPTS} times before it was ready", died, _KEPT)

    def _early_worker(self) -> WorkerProcess:
        """Return a worker that has not taken the device: the one that there is, or a new one."""
        if self._worker is not None and self._worker.alive and not self._has_device:
            return self._worker
        self.close()
        self._refuse_if_cancelled()
        try:
            self._worker = worker = WorkerProcess(self._command)
        except OSError as error:
            raise WorkerError(f"The measuring process could not be started: {error}.") from None
        if self._is_cancelled:  # meanwhile: `cancel` may not have seen this worker
            self.close()
            self._refuse_if_cancelled()
        return worker

    def _refusal(self, answer: Refused) -> DeviceError | PackageError:
        """Return the error of a worker that refused, and close it."""
        self.close()
        return (PackageError if answer.lacks_package else DeviceError)(answer.reason)

    def _refuse_if_cancelled(self) -> None:
        if self._is_cancelled:
            self.close()
            raise CancelledError("The run was cancelled.")

    def _keep_device(self, ready: Ready) -> None:
        """Keep a new worker if it has the run's device. With `auto` it may not, if the GPU has dropped off the bus."""
        if self._ready is not None and ready.device != self._ready.device:
            self.close()
            raise DeviceError(
                f"The device changed during the run from {self._ready.device.name} to {ready.device.name}. Results so "
                "far are kept; repeat the command once the device is back."
            )
        self._ready, self._has_device = ready, True

    def _ready_worker(self) -> WorkerProcess:
        self.start()
        assert self._worker is not None  # noqa: S101 - start() sets it or raises
        return self._worker

    def _close_if_tainted(self, done: Done) -> Done:
        """Return the result, and close the worker if its state can no longer be trusted."""
        if not isinstance(done.outcome, Measured):
            self.close()
        elif done.leaked_bytes:
            self.close()
            leak = f"{format_bytes(done.leaked_bytes)} were not freed after the case, so the worker was replaced"
            return done.model_copy(update={"warnings": (*done.warnings, leak)})
        return done
