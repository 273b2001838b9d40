"""Waiting for a device that other programs use: `bench run --exclusive`.

The worker looks, because this process does not load the driver's library.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bench.core.units import format_bytes
from bench.doctor.gpu_findings import BUSY_SHARE
from bench.errors import CancelledError, DeviceError
from bench.record import Case, MeasureSettings
from bench.run.executor import CancellableExecutor
from bench.run.messages import Broken, Done, Ready, Survey
from bench.run.outcome import OnPhase

#: How often the device is looked at. The driver's utilization is that of the last second or less (nvmlUtilization_t).
_PERIOD_S = 1.0
#: So many looks may show the utilization of this program's own last call.
_LOOKS_IF_BUSY = 2
#: More than this share of the memory means that the device is in use, where the driver lists no processes. Assumed.
_USED_SHARE = 0.05


class SurveyingExecutor(CancellableExecutor, Protocol):
    """An Executor that can see who else uses its device, before it takes it and afterwards."""

    def survey(self) -> Survey:
        """Look at the device without taking it."""

    def release(self) -> None:
        """Give the device back if it was taken."""


class ExclusiveExecutor:
    """An Executor that waits whenever it is started, until no other process uses the device.

    A scheduler starts it before each group of cases. While it waits it gives the device back, so that two programs that
    wait for each other do not wait for ever.
    """

    def __init__(
        self, executor: SurveyingExecutor, tell: Callable[[str], None], *, period_s: float = _PERIOD_S
    ) -> None:
        """`tell` is called when a wait begins, and when it ends."""
        self._executor, self._tell, self._period_s = executor, tell, period_s
        self._cancelled = threading.Event()

    def start(self) -> Ready:
        """Wait for the device, then take it.

        Raises DeviceError if the driver does not tell who uses the device, and what the executor's own `start` raises.
        """
        looks, is_told = 0, False
        while (use := others_use(self._executor.survey())) is not None:
            looks += 1
            if not is_told and (use.is_certain or looks > _LOOKS_IF_BUSY):
                self._executor.release()
                self._tell(f"Waiting until no other process uses the device: {use.what}.")
                is_told = True
            if self._cancelled.wait(self._period_s):
                raise CancelledError("The run was cancelled.")
        if is_told:
            self._tell("No other process uses the device any more: going on.")
        return self._executor.start()

    def run(self, case: Case, measure: MeasureSettings, timeout_s: float, on_phase: OnPhase) -> Done:
        return self._executor.run(case, measure, timeout_s, on_phase)

    def run_interleaved(
        self, cases: Sequence[Case], measure: MeasureSettings, timeout_s: float, on_phase: OnPhase
    ) -> tuple[Done, ...] | Broken:
        return self._executor.run_interleaved(cases, measure, timeout_s, on_phase)

    def close(self) -> None:
        self._executor.close()

    def cancel(self) -> None:
        self._cancelled.set()
        self._executor.cancel()


@dataclass(frozen=True, slots=True)
class Use:
    """What others do with a device. Not certain: the driver's utilization may still be that of this program."""

    what: str
    is_certain: bool = True


def others_use(survey: Survey) -> Use | None:
    """What other processes do with the device; None if it is free of them.

    Processes that compute count. Those that draw count if they keep the device busy, because a desktop is always there.
    If the driver lists no processes (in containers), memory in use and utilization decide. Raises DeviceError if the
    driver reports none of them.
    """
    seen = survey.neighbours
    if seen.computing:
        count = "another process computes" if seen.computing == 1 else f"{seen.computing} other processes compute"
        return Use(f"{count} on it")
    busy = seen.utilization if seen.utilization is not None and seen.utilization > BUSY_SHARE else None
    if seen.count is not None:
        return Use(f"programs that draw keep it busy {busy:.0%} of the time", False) if busy and seen.drawing else None
    if seen.bytes is None and seen.utilization is None:
        why = survey.reason or "the driver reports neither processes nor memory nor utilization"
        raise DeviceError(f"--exclusive: it is not known who else uses the device ({why}). Omit --exclusive.")
    if seen.bytes is not None and survey.total_bytes and seen.bytes > _USED_SHARE * survey.total_bytes:
        return Use(f"{format_bytes(seen.bytes)} of its memory are in use, by processes that the driver does not list")
    return Use(f"it is busy {busy:.0%} of the time", False) if busy else None
