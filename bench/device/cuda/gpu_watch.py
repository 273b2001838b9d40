"""The worker's side of telemetry: starts the sampler and has it read while the timed calls run.

Nothing here raises or waits long: if the sampler fails, the telemetry says why.
"""

from __future__ import annotations

import queue
import sys
import time
from collections.abc import Callable, Sequence

from bench.device.base import Window
from bench.device.cuda import sampler, telemetry
from bench.device.cuda.nvml import Nvml
from bench.device.cuda.telemetry import Counter, Reading
from bench.process.child import Child
from bench.record import GpuSettings, Telemetry

#: -P: import nothing from the current folder. The GPU's name in NVML and the period follow.
SAMPLER = (sys.executable, "-P", "-m", "bench.device.cuda.sampler")
_TIMEOUT_S = 10.0
_KILL_TIMEOUT_S = 2.0
#: The energy fields if calls took turns with another case's: one counter and one sensor can't tell them apart.
_SHARED = {
    "energy_per_call_j": None,
    "energy_source": None,
    "energy_window_s": None,
    "energy_reason": "the calls took turns with another case's, so the board's energy can't be split between them",
}


class GpuWatch:
    """The watch of a GPU. It starts the sampler with the first case, so that an endpoint never starts one."""

    def __init__(
        self,
        nvml: Nvml,
        settings: GpuSettings | None = None,
        *,
        period_s: float = sampler.PERIOD_S,
        command: Sequence[str] = SAMPLER,
        timeout_s: float = _TIMEOUT_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`settings` are the GPU's, including its usual clock; `timeout_s` bounds the wait for an answer."""
        self._nvml = nvml
        self._period_s = period_s
        self._now = now
        self._timeout_s = timeout_s
        self._settings = nvml.settings() if settings is None else settings
        is_highest = self._settings.sm_clock_default_source == "highest clock"
        self._usual_clock = telemetry.UsualClock(self._settings.sm_clock_default_hz, is_highest)
        self._command = command
        self._begun: tuple[float, float | None] | None = None
        self._reason = nvml.reason
        self._process: Child | None = None

    def prepare(self) -> None:
        """Start the sampler unless it runs or has failed before.

        Call this on the main thread: Linux ends the sampler with the thread that started it.
        """
        if self._process is not None or self._reason is not None or self._nvml.name is None:
            return
        try:
            self._process = Child((*self._command, self._nvml.name, str(self._period_s)))
        except OSError as error:
            self._reason = f"the sampler can't be started: {error}"

    def begin(self) -> None:
        """Read the energy counter (a few milliseconds) and start the sampling, without waiting for it."""
        self.prepare()
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
        summaries = tuple(
            telemetry.summarise(
                readings,
                windows,
                usual_clock=self._usual_clock,
                period_s=answer.period_s,
                counter=counter,
                reason=answer.reason,
                interleaved=len(groups) > 1,
            )
            for windows in groups
        )
        if len(summaries) == 1:
            return summaries
        return tuple(summary.model_copy(update=_SHARED) for summary in summaries)

    def warnings(self, summary: Telemetry, samples_count: int) -> tuple[str, ...]:
        return telemetry.warnings(summary, samples_count, self._settings)

    def close(self) -> None:
        """End the sampler."""
        if self._process is not None:
            self._process.kill(_KILL_TIMEOUT_S)  # the sampler may hang inside the driver
            self._process = None
        self._reason = self._reason or "the watch was closed"

    def _counter(self) -> Counter | None:
        """The energy counter from `begin` until now."""
        begun, self._begun = self._begun, None
        energy_j = self._nvml.energy_j()
        return None if begun is None else Counter(*begun, self._now(), energy_j)

    def _ask(self) -> sampler.Answer:
        """The sampler's readings. A sampler that fails is ended and not started again in this worker."""
        if self._process is None:
            return sampler.Answer((), self._period_s, self._reason)
        answer = _ask(self._process, "end", self._timeout_s)
        if isinstance(answer, sampler.Answer):
            return answer
        self.close()
        self._reason = answer
        return sampler.Answer((), self._period_s, answer)


def _ask(child: Child, order: str, timeout_s: float) -> sampler.Answer | str:
    """The sampler's answer to an order, or why there is none."""
    child.send(order)
    try:
        line = child.line(timeout_s)
    except queue.Empty:
        return f"the sampler did not answer within {timeout_s:g} s"
    if line is None:
        code = child.exit_code(_KILL_TIMEOUT_S)  # its pipe is closed, so it is about to end
        last_words = child.stderr_tail().splitlines()
        return f"the sampler died (exit code {code}{f': {last_words[-1]}' if last_words else ''})"
    try:
        return sampler.Answer.from_json(line)
    except ValueError:
        return "the sampler's answer could not be read"
