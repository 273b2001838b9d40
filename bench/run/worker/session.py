"""One worker's session: turns whatever a case does into data, and keeps the model between cases."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from bench.core import stats
from bench.core.units import format_count
from bench.device import choose
from bench.device.base import DeviceState, Held, Window, windowed
from bench.record import Case, Failed, MeasureSettings, Memory, OutOfMemory, Phase, Skipped, Stage, Telemetry
from bench.run import outcome, stopping
from bench.run.messages import Broken, Done, Ready
from bench.run.outcome import OnPhase, PhaseTracker
from bench.run.worker import environment_capture
from bench.workloads import models
from bench.workloads.base import Call, CompileError, Compiles, Loaded, Shape, weights_bytes


class _TooTightError(Exception):
    """Interleaved cases leave each other too little memory, so their times would be those of the allocator."""


class _StageError(Exception):
    """An error in one of several stages; `__cause__` is what the stage raised."""

    def __init__(self, stage: str) -> None:
        super().__init__(stage)
        self.stage = stage


@dataclass(frozen=True, slots=True)
class _FirstStage:
    """One stage of a case's first call."""

    name: str
    seconds: float
    passes: tuple[Shape, ...]
    compile_s: float | None = None


@dataclass(slots=True)
class _TimedCalls:
    """The timed calls so far: each call's window, and the seconds of each of its stages."""

    windows: list[Window] = field(default_factory=list)
    seconds: list[tuple[float, ...]] = field(default_factory=list)

    def clear(self) -> None:
        """Forget all calls."""
        self.windows.clear()
        self.seconds.clear()


class Session:
    """Holds a device. `run` measures one case, `run_interleaved` several at once; both return what happened."""

    def __init__(self, device: str, vram_limit_bytes: int | None) -> None:
        """Take the device and set the limit. Raises DeviceError."""
        choice = choose.choose(device)
        self.held: Held = choose.take(choice.device, vram_limit_bytes, models.exercise)
        self._loaded: tuple[tuple[str, ...], Loaded] | None = None
        self._loading: Memory | None = None
        gc.freeze()  # else each collection would traverse hundreds of thousands of objects of torch's import
        self.ready = Ready(
            device=self.held.device,
            environment=environment_capture.collect(self.held.software(), self.held.settings),
            note=choice.note,
            reason=choice.reason,
        )

    def run(self, case: Case, settings: MeasureSettings, begin: OnPhase) -> Done:
        """Measure one case, and call `begin` with each phase. Every exception becomes an outcome."""
        enter = PhaseTracker(begin)
        before = self._state()
        try:
            done = self._measure(case, settings, enter)
            leaked = self._leaked()
        except Exception as error:  # noqa: BLE001 - a case's failure is data
            now = self._state()
            state = DeviceState(now.kind, now.free_bytes, now.refusals - before.refusals)
            return Done(outcome=_outcome(error, enter.phase, state))
        after = self._state()
        warnings = (*_refused_warning(after.refusals - before.refusals), *done.warnings)
        return done.model_copy(update={"leaked_bytes": leaked, "warnings": warnings, "loading": self._loading})

    def run_interleaved(
        self, cases: Sequence[Case], settings: MeasureSettings, begin: OnPhase
    ) -> tuple[Done, ...] | Broken:
        """Measure cases whose timed calls alternate. If anything goes wrong, none of them has a result."""
        try:
            *earlier, last = self._measure_interleaved(cases, settings, begin)
            leaked = self._leaked()
        except Exception as error:  # noqa: BLE001 - each case is then measured alone, and fails on its own
            return Broken(reason=_brief(error)[:300])
        return (*earlier, last.model_copy(update={"leaked_bytes": leaked}))

    def _leaked(self) -> int:
        """Return the bytes that the cases did not free, or 0 if that is within the tolerance."""
        left = self.held.meter.left_behind()
        return left if left > self.held.meter.leak_tolerance_bytes else 0

    def _state(self) -> DeviceState:
        """Return the device's state, which is unknown if an error has broken its context."""
        try:
            return self.held.state()
        except (RuntimeError, MemoryError, OSError):
            return DeviceState("cuda" if self.held.device.kind == "cuda" else "cpu")

    def _measure(self, case: Case, settings: MeasureSettings, enter: OnPhase) -> Done:
        meter, watch = self.held.meter, self.held.watch
        loaded, call, first = self._first_call(case, enter)
        enter("run")
        timed = _TimedCalls()
        before = self.held.state().squeezes
        with torch.inference_mode():
            watch.begin()
            samples = stopping.sample(self._timed(call, timed), settings)
            telemetry = watch.end(timed.windows)
        squeezed = self.held.state().squeezes - before
        memory = meter.calls_done(weights_bytes(loaded))
        enter("clean-up")
        return self._done(case, samples, timed, first, memory, telemetry, _squeezed_warning(squeezed))

    def _measure_interleaved(self, cases: Sequence[Case], settings: MeasureSettings, enter: OnPhase) -> list[Done]:
        """Measure first calls and peaks of each case alone. Then load all models, and alternate their timed calls."""
        alone = [self._first_alone(case, enter) for case in cases]
        enter("run")
        held = dict([self._loaded]) if self._loaded else {}
        for case in cases:
            if _key(case) not in held:
                held[_key(case)] = self._built(case)
        timed = [_TimedCalls() for _ in cases]
        calls = [self._timed(held[_key(case)].prepare(case), own) for case, own in zip(cases, timed, strict=True)]
        with torch.inference_mode():
            for call in calls:
                call()
            for own in timed:
                own.clear()
            before = self.held.state().squeezes
            self.held.watch.begin()
            samples = stopping.sample_interleaved(calls, settings)
            telemetry = self.held.watch.end_each([own.windows for own in timed])
        if self.held.state().squeezes > before:
            raise _TooTightError("the calls used each other's cached memory: the cases do not fit in memory together")
        enter("clean-up")
        return [
            self._done(case, own_samples, own_timed, first, memory, readings, warnings)
            for case, own_samples, own_timed, (first, memory, warnings), readings in zip(
                cases, samples, timed, alone, telemetry, strict=True
            )
        ]

    def _first_alone(self, case: Case, enter: OnPhase) -> tuple[list[_FirstStage], tuple[Memory, ...], tuple[str, ...]]:
        """Return a case's first call, peaks and warnings, with no other case's model or input on the device."""
        before = self.held.state().refusals
        loaded, _, first = self._first_call(case, enter)
        memory = self.held.meter.calls_done(weights_bytes(loaded))
        refused = self.held.state().refusals - before
        update = {"measured_during": "first call", "timing_peak_rss_bytes": None}
        peaks = tuple(peak.model_copy(update=update) for peak in memory)
        return first, peaks, _refused_warning(refused)

    def _first_call(self, case: Case, enter: OnPhase) -> tuple[Loaded, Call, list[_FirstStage]]:
        """Load the model and make the first call, which is not a sample."""
        enter("load")
        self.held.watch.prepare()
        loaded = self._load(case)
        compile_call_s = self._compile(loaded, case)
        self.held.meter.begin()
        enter("warm-up")
        call = loaded.prepare(case)
        _check_stages(call)
        call.set_up()
        first: list[_FirstStage] = []
        with torch.inference_mode():
            for place, stage in enumerate(call.stages):
                with stage.watching_passes() as made:
                    seconds = self._time(call, place)
                compile_s = None if compile_call_s is None or place else max(0.0, compile_call_s - seconds)
                first.append(_FirstStage(stage.name, seconds, tuple(made), compile_s))
        self.held.meter.first_call_done()
        return loaded, call, first

    def _compile(self, loaded: Loaded, case: Case) -> float | None:
        """Compile the case's kernels before anything is measured.

        Return the seconds that the compiling call took; None if nothing is compiled.
        """
        if not isinstance(loaded, Compiles):
            return None
        is_compiled = False

        def compile_once() -> None:
            nonlocal is_compiled
            is_compiled = loaded.compile(case)

        with torch.inference_mode():
            seconds = self.held.clock.time(compile_once)
        return seconds if is_compiled else None

    def _time(self, call: Call, place: int) -> float:
        """Return the seconds of a stage. If there are several, measure each one's peak, and name it in its errors."""
        stage = call.stages[place]
        if len(call.stages) == 1:
            return self.held.clock.time(stage.run)
        self.held.meter.enter(place)
        try:
            seconds = self.held.clock.time(stage.run)
        except Exception as error:
            raise _StageError(stage.name) from error
        self.held.meter.leave(place)
        return seconds

    def _timed(self, call: Call, timed: _TimedCalls) -> Callable[[], float]:
        """Return a function that makes one timed call: it adds it to `timed` and returns its seconds."""

        def run_stages() -> float:
            seconds = tuple([self._time(call, place) for place in range(len(call.stages))])
            timed.seconds.append(seconds)
            return sum(seconds)

        run_in_window = windowed(run_stages, timed.windows)

        def time_once() -> float:
            call.set_up()
            return run_in_window()

        return time_once

    def _done(
        self,
        case: Case,
        samples: stopping.Samples,
        timed: _TimedCalls,
        first: Sequence[_FirstStage],
        memory: Sequence[Memory],
        telemetry: Telemetry,
        warnings: Sequence[str],
    ) -> Done:
        stages: list[Stage] = []
        uncounted: list[str] = []
        for stage, peak, seconds in zip(first, memory, zip(*timed.seconds, strict=True), strict=True):
            flops, why_not = _flops(case, stage)
            counts = models.workload(case.model).count(case, stage.name, stage.passes)
            uncounted += why_not
            stages.append(
                Stage(
                    name=stage.name,
                    timing=stopping.Samples(seconds, samples.stopped_by).timing(self.held.clock.name, stage.seconds),
                    memory=peak,
                    tiles=counts.tiles,
                    chunks=counts.chunks,
                    steps=counts.steps,
                    flops=flops,
                    compile_s=stage.compile_s,
                )
            )
        return Done(
            stages=tuple(stages),
            telemetry=telemetry,
            warnings=(
                *warnings,
                *stats.warnings(samples.seconds),
                *self.held.watch.warnings(telemetry, len(samples.seconds)),
                *uncounted,
            ),
        )

    def _load(self, case: Case) -> Loaded:
        """Return the case's model, reusing that of the previous case if it is the same."""
        if self._loaded is None or self._loaded[0] != _key(case):
            self._loaded = None  # frees the model first, because two at once might not fit
            self.held.meter.empty()
            self.held.meter.begin_load()
            self._loaded = (_key(case), self._built(case))
            is_recorded = models.workload(case.model).records_loading
            self._loading = self.held.meter.load_done() if is_recorded else None
        return self._loaded[1]

    def _built(self, case: Case) -> Loaded:
        return models.workload(case.model).load(case, self.held.torch_device)


def _check_stages(call: Call) -> None:
    """Raises ValueError if there is no stage, or if their names are empty or repeated."""
    names = [stage.name for stage in call.stages]
    if not all(names) or len(set(names)) < len(names) or not names:
        raise ValueError(f"the stages of the call are {names}; it needs at least one, each with a unique name")


def _unwrapped(error: Exception) -> tuple[BaseException, str | None]:
    """Return the original error and the stage's name of a _StageError; the error and None of any other."""
    if isinstance(error, _StageError) and error.__cause__ is not None:
        return error.__cause__, error.stage
    return error, None


def _brief(error: Exception) -> str:
    """Return the error in one line, with its stage if there are several."""
    raised, stage = _unwrapped(error)
    return f"{stage}: {outcome.brief(raised)}" if stage else outcome.brief(raised)


def _outcome(error: Exception, phase: Phase, state: DeviceState) -> OutOfMemory | Failed | Skipped:
    """Return the outcome for an exception, with its stage if there are several.

    A case whose kernels can't be compiled is skipped: the figures of its eager variant are those that there are.
    """
    raised, stage = _unwrapped(error)
    if isinstance(raised, CompileError) and outcome.memory_in(str(raised)) is None:
        return Skipped(reason=str(raised))
    return outcome.of_exception(raised, phase, state).model_copy(update={"stage": stage})


def _squeezed_warning(squeezed: int) -> tuple[str, ...]:
    if not squeezed:
        return ()
    times = format_count(squeezed, "time")
    return (
        f"memory was so tight that the allocator freed and reallocated cached blocks {times} during the timed calls, "
        "which is part of their time",
    )


def _refused_warning(refused: int) -> tuple[str, ...]:
    if not refused:
        return ()
    requests = format_count(refused, "request")
    return (
        f"the allocator refused {requests}, so torch used kernels with smaller workspaces; with more free memory the "
        "case may be faster and use more memory",
    )


def _flops(case: Case, stage: _FirstStage) -> tuple[int | None, tuple[str, ...]]:
    """Return a stage's FLOPs, or None and a warning: the measurement is valid even if torch can't count them."""
    try:
        return models.workload(case.model).flops(case, stage.name, stage.passes), ()
    except (RuntimeError, TypeError) as error:  # NotImplementedError is a RuntimeError
        return None, (f"the FLOPs could not be counted: {outcome.brief(error)}",)


def _key(case: Case) -> tuple[str, ...]:
    """Return the fields that two cases must share to use the same model."""
    return (case.model, case.weights, case.dtype, case.variant)
