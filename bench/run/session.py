"""One worker's session: measures a case at a time and keeps the model between cases. Loads torch."""

from __future__ import annotations

import gc
from collections.abc import Callable

import torch

from bench import models, stats
from bench.measure import clock, loop
from bench.record import Case, MeasureSettings, Phase, Timing
from bench.run import device as devices
from bench.run import environment, hold, outcome
from bench.run.outcome import DeviceState
from bench.run.protocol import Done, Ready
from bench.workloads import faults
from bench.workloads.vae import Call, VaeWorkload

_LEANER = (
    "the allocator turned down {} request(s), so torch fell back to kernels that need less: with more memory free the "
    "case may be faster and take more"
)


class Session:
    """Holds a device; `run` measures one case and returns what happened, whatever happens."""

    def __init__(self, wanted: str, vram_limit_bytes: int | None) -> None:
        """Take the device that was asked for and set the limit. Raises UnusableError."""
        choice = devices.choose(wanted)
        self._device = choice.device
        self._hold = hold.take(choice.device, vram_limit_bytes)
        self._clock = clock.for_device(choice.device)
        self._loaded: tuple[tuple[str, ...], VaeWorkload] | None = None
        gc.freeze()  # hundreds of thousands of objects of torch's import, which each collection would walk again
        self.ready = Ready(
            device=self._hold.device,
            environment=environment.collect(choice.device, self._hold.nvml),
            note=choice.note,
            reason=choice.reason,
        )

    def run(self, case: Case, settings: MeasureSettings, begin: Callable[[Phase], None]) -> Done:
        """Measure one case, telling `begin` each phase. Every exception becomes an outcome: the border for all."""
        phase: Phase = "load"

        def enter(name: Phase) -> None:
            nonlocal phase
            phase = name
            begin(name)

        meter = self._hold.meter
        before = self._state()
        try:
            done = self._measure(case, settings, enter)
            left = meter.left_behind()
        except Exception as error:  # noqa: BLE001 - a case's failure is data
            now = self._state()
            state = DeviceState(now.kind, now.free_bytes, now.refusals - before.refusals)
            return Done(outcome=outcome.of_exception(error, phase, state))
        refused = self._state().refusals - before.refusals
        return done.model_copy(
            update={
                "leaked_bytes": left if left > meter.leak_tolerance_bytes else 0,
                "warnings": (_LEANER.format(refused),) if refused else (),
            }
        )

    def _state(self) -> DeviceState:
        """What is free; nothing is known of a device whose context an error has broken."""
        try:
            return self._hold.state()
        except (RuntimeError, MemoryError, OSError):
            return DeviceState(self._hold.device.kind)

    def _measure(self, case: Case, settings: MeasureSettings, enter: Callable[[Phase], None]) -> Done:
        meter = self._hold.meter
        enter("load")
        workload = self._load(case)
        meter.begin()
        enter("warm-up")
        call = self._prepare(workload, case)
        with torch.inference_mode(), call.counting_tiles() as passes:
            first_call_s = self._clock.time(call.run)
        meter.first_call_done()
        enter("run")
        with torch.inference_mode():
            samples = loop.sample(lambda: self._clock.time(call.run), settings)
        memory = meter.calls_done(workload.weights_bytes)
        enter("clean-up")
        return Done(
            timing=Timing(
                clock=self._clock.name,
                median_s=stats.median(samples.seconds),
                samples_s=samples.seconds,
                first_call_s=first_call_s,
                stopped_by=samples.stopped_by,
            ),
            memory=memory,
            tiles=len(passes) if case.tile else None,
        )

    def _load(self, case: Case) -> VaeWorkload:
        """The model of the case, kept from the case before where it is the same."""
        key = (case.model, case.weights, case.dtype, case.variant)
        if self._loaded is None or self._loaded[0] != key:
            self._loaded = None  # before the next is built: two models at once might not fit
            self._hold.meter.empty()
            self._loaded = (key, VaeWorkload(case, self._device))
        return self._loaded[1]

    def _prepare(self, workload: VaeWorkload, case: Case) -> Call:
        fault = models.get(case.model).fault
        if fault is None or case.operation != faults.OPERATION:
            return workload.prepare(case)
        return Call(lambda: faults.CALLS[fault](self._device))
