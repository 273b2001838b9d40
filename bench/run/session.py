"""One worker's session: the border at which whatever a case does becomes data, and the model kept between cases.

Loads torch.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from bench import stats, timing
from bench.device import choose
from bench.device.base import DeviceState, Held
from bench.device.windows import Window, windowed
from bench.record import Case, MeasureSettings, Memory, Phase, Telemetry
from bench.run import environment, outcome
from bench.run.protocol import Broken, Done, Ready
from bench.workloads import models
from bench.workloads.image_vae import broken as faults
from bench.workloads.image_vae import module as vae
from bench.workloads.image_vae import work
from bench.workloads.image_vae.module import Call, VaeWorkload

_LEANER = (
    "the allocator turned down {} request(s), so torch fell back to kernels that need less: with more memory free the "
    "case may be faster and take more"
)
_SQUEEZED = (
    "memory was so tight that during the timed calls the allocator gave cached blocks back and asked for them again {} "
    "time(s): that is part of their time"
)
_Enter = Callable[[Phase], None]


class _TooTightError(Exception):
    """Cases that take turns leave each other too little memory: their times would be the allocator's."""


@dataclass(frozen=True, slots=True)
class _First:
    """What the first call of a case told that takes turns."""

    seconds: float
    passes: list[tuple[int, ...]]
    memory: Memory
    warnings: tuple[str, ...]


class Session:
    """Holds a device; `run` measures one case, `take_turns` several at once, and both return what happened."""

    def __init__(self, wanted: str, vram_limit_bytes: int | None) -> None:
        """Take the device that was asked for and set the limit. Raises UnusableError."""
        choice = choose.choose(wanted)
        self.held: Held = choose.take(choice.device, vram_limit_bytes, vae.exercise)
        self._loaded: tuple[tuple[str, ...], VaeWorkload] | None = None
        gc.freeze()  # hundreds of thousands of objects of torch's import, which each collection would walk again
        self.ready = Ready(
            device=self.held.device,
            environment=environment.collect(self.held.software(), self.held.settings),
            note=choice.note,
            reason=choice.reason,
        )

    def run(self, case: Case, settings: MeasureSettings, begin: _Enter) -> Done:
        """Measure one case, telling `begin` each phase. Every exception becomes an outcome: the border for all."""
        phase: Phase = "load"

        def enter(name: Phase) -> None:
            nonlocal phase
            phase = name
            begin(name)

        before = self._state()
        try:
            done = self._measure(case, settings, enter)
            leaked = self._leaked()
        except Exception as error:  # noqa: BLE001 - a case's failure is data
            now = self._state()
            state = DeviceState(now.kind, now.free_bytes, now.refusals - before.refusals)
            return Done(outcome=outcome.of_exception(error, phase, state))
        after = self._state()
        odd = (*_leaner(after.refusals - before.refusals), *done.warnings)
        return done.model_copy(update={"leaked_bytes": leaked, "warnings": odd})

    def take_turns(self, cases: Sequence[Case], settings: MeasureSettings, begin: _Enter) -> tuple[Done, ...] | Broken:
        """Measure cases whose timed calls take turns. If anything goes wrong nothing is said of any of them."""
        try:
            *others, last = self._measure_in_turns(cases, settings, begin)
            leaked = self._leaked()
        except Exception as error:  # noqa: BLE001 - each case is measured alone then, and fails on its own
            return Broken(reason=outcome.brief(error)[:300])
        return (*others, last.model_copy(update={"leaked_bytes": leaked}))

    def _leaked(self) -> int:
        """Bytes that the cases left behind, above what is tolerated."""
        left = self.held.meter.left_behind()
        return left if left > self.held.meter.leak_tolerance_bytes else 0

    def _state(self) -> DeviceState:
        """What is free; nothing is known of a device whose context an error has broken."""
        try:
            return self.held.state()
        except (RuntimeError, MemoryError, OSError):
            return DeviceState("cuda" if self.held.device.kind == "cuda" else "cpu")

    def _measure(self, case: Case, settings: MeasureSettings, enter: _Enter) -> Done:
        meter, watch = self.held.meter, self.held.watch
        workload, call, first_call_s, passes = self._first_call(case, enter)
        enter("run")
        windows: list[Window] = []
        before = self.held.state().squeezes
        with torch.inference_mode():
            watch.begin()
            samples = timing.sample(self._timed(call, windows), settings)
            telemetry = watch.end(windows)
        squeezed = self.held.state().squeezes - before
        memory = meter.calls_done(workload.weights_bytes)
        enter("clean-up")
        tight = (_SQUEEZED.format(squeezed),) if squeezed else ()
        return self._done(case, samples, first_call_s, passes, memory, telemetry, tight)

    def _measure_in_turns(self, cases: Sequence[Case], settings: MeasureSettings, enter: _Enter) -> list[Done]:
        """First calls and peaks of one case after another, as if alone; then all are held, and called in turns."""
        firsts = [self._first_alone(case, enter) for case in cases]
        enter("run")
        held = dict([self._loaded]) if self._loaded else {}
        for case in cases:
            if _key(case) not in held:
                held[_key(case)] = VaeWorkload(case, self.held.torch_device)
        calls = [self._prepare(held[_key(case)], case) for case in cases]
        rows: list[list[Window]] = [[] for _ in cases]
        timed = [self._timed(call, windows) for call, windows in zip(calls, rows, strict=True)]
        with torch.inference_mode():
            for once in timed:
                once()
            for windows in rows:
                windows.clear()
            before = self.held.state().squeezes
            self.held.watch.begin()
            samples = timing.take_turns(timed, settings)
            telemetry = self.held.watch.end_each(rows)
        if self.held.state().squeezes > before:
            raise _TooTightError("the calls took each other's cached memory: the cases do not fit beside each other")
        enter("clean-up")
        return [
            self._done(case, taken, first.seconds, first.passes, first.memory, told, first.warnings)
            for case, taken, first, told in zip(cases, samples, firsts, telemetry, strict=True)
        ]

    def _first_alone(self, case: Case, enter: _Enter) -> _First:
        """A case's first call and the peak of it, with no other case's model or input on the device."""
        before = self.held.state().refusals
        workload, _, first_call_s, passes = self._first_call(case, enter)
        memory = self.held.meter.calls_done(workload.weights_bytes)
        refused = self.held.state().refusals - before
        alone = {"measured_during": "first call", "timing_peak_rss_bytes": None}
        return _First(first_call_s, passes, memory.model_copy(update=alone), _leaner(refused))

    def _first_call(self, case: Case, enter: _Enter) -> tuple[VaeWorkload, Call, float, list[tuple[int, ...]]]:
        """Load, and call once: the call kept apart. Its seconds, and the shape of each pass that it made."""
        enter("load")
        self.held.watch.prepare()
        workload = self._load(case)
        self.held.meter.begin()
        enter("warm-up")
        call = self._prepare(workload, case)
        call.set_up()
        with torch.inference_mode(), call.watching_passes() as passes:
            first_call_s = self.held.clock.time(call.run)
        self.held.meter.first_call_done()
        return workload, call, first_call_s, passes

    def _timed(self, call: Call, windows: list[Window]) -> Callable[[], float]:
        once = windowed(lambda: self.held.clock.time(call.run), windows)

        def prepared() -> float:
            call.set_up()
            return once()

        return prepared

    def _done(
        self,
        case: Case,
        samples: timing.Samples,
        first_call_s: float,
        passes: list[tuple[int, ...]],
        memory: Memory,
        telemetry: Telemetry,
        warnings: tuple[str, ...] = (),
    ) -> Done:
        seconds = samples.seconds
        operations, why_none = _operations(case, passes)
        return Done(
            timing=samples.timing(self.held.clock.name, first_call_s),
            memory=memory,
            tiles=len(passes) if case.tile else None,
            flops=operations,
            telemetry=telemetry,
            warnings=(
                *warnings,
                *stats.warnings(seconds),
                *self.held.watch.warnings(telemetry, len(seconds)),
                *why_none,
            ),
        )

    def _load(self, case: Case) -> VaeWorkload:
        """The model of the case, kept from the case before where it is the same."""
        if self._loaded is None or self._loaded[0] != _key(case):
            self._loaded = None  # before the next is built: two models at once might not fit
            self.held.meter.empty()
            self._loaded = (_key(case), VaeWorkload(case, self.held.torch_device))
        return self._loaded[1]

    def _prepare(self, workload: VaeWorkload, case: Case) -> Call:
        fault = models.get(case.model).fault
        if fault is None or case.operation != faults.OPERATION:
            return workload.prepare(case)
        return Call(lambda: faults.CALLS[fault](self.held.torch_device))


def _leaner(refused: int) -> tuple[str, ...]:
    return (_LEANER.format(refused),) if refused else ()


def _operations(case: Case, passes: list[tuple[int, ...]]) -> tuple[int | None, tuple[str, ...]]:
    """FLOPs of the call, or None and why: a torch that can't count them is no reason to lose the measurement."""
    if not passes:
        return None, ()
    try:
        return work.of_call(case.model, case.operation, passes).flops, ()
    except (RuntimeError, TypeError) as error:  # NotImplementedError is a RuntimeError
        return None, (f"FLOPs could not be counted: {outcome.brief(error)}",)


def _key(case: Case) -> tuple[str, ...]:
    """What two cases must share to use one model."""
    return (case.model, case.weights, case.dtype, case.variant)
