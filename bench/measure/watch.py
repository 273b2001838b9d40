"""The worker's side of the telemetry: starts the sampling process, and has it read while the timed calls run.

Imports no torch. Nothing here raises or waits for long: a sampler that fails leaves a reason, and the case goes on.
"""

from __future__ import annotations

import queue
import sys
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from bench.child import Child
from bench.measure import sampler, telemetry
from bench.measure.nvml import Nvml
from bench.measure.telemetry import Counter, Reading, Window
from bench.record import Telemetry

#: -P: nothing is imported from the folder where the user happens to be. The GPU's UUID and the period follow.
SAMPLER = (sys.executable, "-P", "-m", "bench.measure.sampler")
_TIMEOUT_S = 10.0
_KILL_TIMEOUT_S = 2.0
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
        self._timeout_s = timeout_s
        self._default_sm_clock_hz = nvml.sm_clock_default_hz()
        self._begun: tuple[float, float | None] | None = None
        self._reason = nvml.reason
        self._process: Child | None = None
        if uuid is not None and self._reason is None:
            try:
                self._process = Child((*command, uuid, str(period_s)))
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
                alone=len(groups) == 1,
            )
            for windows in groups
        )
        return told if len(told) == 1 else tuple(each.model_copy(update=_SHARED) for each in told)

    def warnings(self, summary: Telemetry, samples_count: int) -> tuple[str, ...]:
        return telemetry.warnings(summary, samples_count, self._default_sm_clock_hz)

    def close(self) -> None:
        """End the sampler."""
        if self._process is not None:
            self._process.kill(_KILL_TIMEOUT_S)  # one that hangs inside the driver must not hold the worker up
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
        answer = _ask(self._process, "end", self._timeout_s)
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


def _ask(child: Child, order: str, timeout_s: float) -> sampler.Answer | str:
    """The sampler's answer to an order, or why there is none."""
    child.send(order)
    try:
        line = child.line(timeout_s)
    except queue.Empty:
        return f"the sampler did not answer within {timeout_s:g} s"
    if line is None:
        code = child.exit_code(_KILL_TIMEOUT_S)  # it has closed its pipe, so it is about to end
        said = child.stderr_tail().splitlines()
        return f"the sampler died (exit code {code}{f': {said[-1]}' if said else ''})"
    try:
        return sampler.Answer.from_json(line)
    except ValueError:
        return "the sampler's answer made no sense"
