"""The worker's side of the telemetry: starts the sampling process, and has it read while the timed calls run.

Imports no torch. Nothing here raises or waits for long: a sampler that fails leaves a reason, and the case goes on.
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from typing import IO, Protocol

from bench.measure import sampler, telemetry
from bench.measure.nvml import Nvml
from bench.measure.telemetry import Counter, Reading, Window
from bench.record import Telemetry

#: -P: nothing is imported from the folder where the user happens to be. The GPU's UUID and the period follow.
SAMPLER = (sys.executable, "-P", "-m", "bench.measure.sampler")
_TIMEOUT_S = 10.0
_KILL_TIMEOUT_S = 2.0
_TAIL_BYTES = 1000
#: The energy of calls that took turns with another case's: one counter and one sensor can't tell them apart.
_SHARED = {
    "energy_per_call_j": None,
    "energy_source": None,
    "energy_window_s": None,
    "energy_reason": "the calls took turns with another case's, and the board's energy can't be told apart",
}


class Watch(Protocol):
    """Watches the device during the timed calls of one case after another."""

    def begin(self) -> None:
        """To be called right before the first timed call."""
        ...

    def end(self, windows: Sequence[Window]) -> Telemetry:
        """To be called right after the last one, with a window for each sample."""
        ...

    def end_each(self, groups: Sequence[Sequence[Window]]) -> tuple[Telemetry, ...]:
        """The same for cases whose calls took turns: a telemetry for each group of windows, without energy."""
        ...

    def warnings(self, summary: Telemetry, samples_count: int) -> tuple[str, ...]:
        """What a reader of the case's time should know of the device."""
        ...

    def close(self) -> None:
        """Let go of the device."""
        ...


class HostWatch:
    """The watch of a CPU: NVML knows nothing of it."""

    def begin(self) -> None:
        return None

    def end(self, windows: Sequence[Window]) -> Telemetry:
        return Telemetry(reason="not a GPU: clocks, power and throttling are read through NVML")

    def end_each(self, groups: Sequence[Sequence[Window]]) -> tuple[Telemetry, ...]:
        return tuple(self.end(group) for group in groups)

    def warnings(self, summary: Telemetry, samples_count: int) -> tuple[str, ...]:
        return ()

    def close(self) -> None:
        return None


class GpuWatch:
    """The watch of a GPU. The sampling process is started at once, so that it is ready when the model is loaded."""

    def __init__(
        self,
        nvml: Nvml,
        uuid: str | None,
        *,
        period_s: float = sampler.PERIOD_S,
        command: Sequence[str] = SAMPLER,
        timeout_s: float = _TIMEOUT_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`timeout_s` is how long an answer is awaited.

        To be made on the main thread: Linux ends the sampler with the thread that started it.
        """
        self._nvml = nvml
        self._period_s = period_s
        self._now = now
        self._default_sm_clock_hz = nvml.sm_clock_default_hz()
        self._begun: tuple[float, float | None] | None = None
        self._reason = nvml.reason
        self._process: _Process | None = None
        if uuid is not None and self._reason is None:
            try:
                self._process = _Process((*command, uuid, str(period_s)), timeout_s)
            except OSError as error:
                self._reason = f"the sampler can't be started: {error}"

    def begin(self) -> None:
        """Read the energy counter (a few milliseconds) and let the sampler begin, without waiting for it."""
        energy_j = self._nvml.energy_j()
        self._begun = (self._now(), energy_j)
        if self._process is not None:
            self._process.send("begin")

    def end(self, windows: Sequence[Window]) -> Telemetry:
        return self.end_each([windows])[0]

    def end_each(self, groups: Sequence[Sequence[Window]]) -> tuple[Telemetry, ...]:
        counter = self._counter()
        answer = self._ask()
        readings = [Reading(at_s, conditions) for at_s, conditions in answer.readings]
        told = tuple(
            telemetry.summarise(
                readings,
                windows,
                default_sm_clock_hz=self._default_sm_clock_hz,
                period_s=answer.period_s,
                counter=counter,
                reason=answer.reason,
            )
            for windows in groups
        )
        return told if len(told) == 1 else tuple(each.model_copy(update=_SHARED) for each in told)

    def warnings(self, summary: Telemetry, samples_count: int) -> tuple[str, ...]:
        return telemetry.warnings(summary, samples_count, self._default_sm_clock_hz)

    def close(self) -> None:
        """End the sampler."""
        if self._process is not None:
            self._process.close()
            self._process = None
            self._reason = "the watch was closed"

    def _counter(self) -> Counter | None:
        """The energy counter from `begin` until now."""
        begun, self._begun = self._begun, None
        energy_j = self._nvml.energy_j()
        return None if begun is None else Counter(*begun, self._now(), energy_j)

    def _ask(self) -> sampler.Answer:
        """What the sampler has read. One that fails is ended, and not started again in this worker."""
        if self._process is None:
            return sampler.Answer((), self._period_s, self._reason)
        answer = self._process.ask("end")
        if isinstance(answer, sampler.Answer):
            return answer
        self.close()
        self._reason = answer
        return sampler.Answer((), self._period_s, answer)


def windowed(
    time_once: Callable[[], float], windows: list[Window], now: Callable[[], float] = time.monotonic
) -> Callable[[], float]:
    """`time_once`, noting in `windows` when each call ran."""

    def noted() -> float:
        begin_s = now()
        seconds = time_once()
        windows.append(Window(begin_s, now()))
        return seconds

    return noted


class _Process:
    """The sampler's process, with pipes of its own and a thread that waits for what it says."""

    def __init__(self, command: Sequence[str], timeout_s: float) -> None:
        """Raises OSError if it can't be started."""
        self._timeout_s = timeout_s
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        try:
            self._popen = subprocess.Popen(  # noqa: S603 - our own sampler
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr
            )
        except OSError:
            self._stderr.close()
            raise
        self._said: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def send(self, order: str) -> None:
        """Write an order; never waits, since a pipe holds thousands. That it has died is noticed by `ask`."""
        assert self._popen.stdin is not None  # noqa: S101 - Popen with PIPE sets it
        with contextlib.suppress(OSError):
            self._popen.stdin.write(order.encode() + b"\n")
            self._popen.stdin.flush()

    def ask(self, order: str) -> sampler.Answer | str:
        """The answer to an order, or why there is none."""
        self.send(order)
        try:
            line = self._said.get(timeout=self._timeout_s)
        except queue.Empty:
            return f"the sampler did not answer within {self._timeout_s:g} s"
        if line is None:
            return f"the sampler died ({self._last_words()})"
        try:
            return sampler.Answer.from_json(line)
        except ValueError:
            return "the sampler's answer made no sense"

    def close(self) -> None:
        """End it at once."""
        self._popen.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # it hangs inside the driver; the worker must not
            self._popen.wait(_KILL_TIMEOUT_S)
        self._listener.join(_KILL_TIMEOUT_S)
        said = None if self._listener.is_alive() else self._popen.stdout  # a pipe that is being read can't be closed
        for pipe in (self._popen.stdin, said, self._stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):  # an order that was never read
                    pipe.close()

    def _last_words(self) -> str:
        """The end of what a dead sampler printed on its standard error, and its exit code."""
        self._stderr.seek(max(0, os.fstat(self._stderr.fileno()).st_size - _TAIL_BYTES))
        said = self._stderr.read().decode(errors="replace").splitlines()
        with contextlib.suppress(subprocess.TimeoutExpired):  # it has closed its pipe, so it is about to end
            self._popen.wait(_KILL_TIMEOUT_S)
        return f"exit code {self._popen.returncode}" + (f": {said[-1]}" if said else "")

    def _listen(self) -> None:
        assert self._popen.stdout is not None  # noqa: S101 - Popen with PIPE sets it
        for line in self._popen.stdout:
            self._said.put(line)
        self._said.put(None)
