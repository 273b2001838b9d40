"""One worker's session: the border at which whatever a case does becomes data, and the model kept between cases.

Loads torch.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from bench.core import stats
from bench.device import choose
from bench.device.base import DeviceState, Held
from bench.device.windows import Window, windowed
from bench.record import Case, Failed, MeasureSettings, Memory, OutOfMemory, Phase, Stage, Telemetry
from bench.run import outcome, stopping
from bench.run.messages import Broken, Done, Ready
from bench.run.worker import environment_capture
from bench.workloads import models
from bench.workloads.base import Call, Loaded, Shape, weights_bytes

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


class _StageError(Exception):
    """What a stage of several raised, as the cause."""

    def __init__(self, stage: str) -> None:
        super().__init__(stage)
        self.stage = stage


@dataclass(frozen=True, slots=True)
class _First:
    """What the first call of a case told: of each stage its name, its seconds, and the passes that it made."""

    stages: tuple[str, ...]
    seconds: tuple[float, ...]
    passes: tuple[tuple[Shape, ...], ...]


@dataclass(frozen=True, slots=True)
class _Alone:
    """The first call of a case that takes turns, its peaks, and what was odd about it."""

    first: _First
    memory: tuple[Memory, ...]
    warnings: tuple[str, ...]


@dataclass(slots=True)
class _Rows:
    """The timed calls so far: when each ran, and the seconds of each of its stages."""

    windows: list[Window] = field(default_factory=list)
    seconds: list[tuple[float, ...]] = field(default_factory=list)

    def clear(self) -> None:
        """Forget them."""
        self.windows.clear()
        self.seconds.clear()


class Session:
    """Holds a device; `run` measures one case, `take_turns` several at once, and both return what happened."""

    def __init__(self, wanted: str, vram_limit_bytes: int | None) -> None:
        """Take the device that was asked for and set the limit. Raises UnusableError."""
        choice = choose.choose(wanted)
        self.held: Held = choose.take(choice.device, vram_limit_bytes, models.exercise)
        self._loaded: tuple[tuple[str, ...], Loaded] | None = None
        gc.freeze()  # hundreds of thousands of objects of torch's import, which each collection would walk again
        self.ready = Ready(
            device=self.held.device,
            environment=environment_capture.collect(self.held.software(), self.held.settings),
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
            return Done(outcome=_outcome(error, phase, state))
        after = self._state()
        odd = (*_leaner(after.refusals - before.refusals), *done.warnings)
        return done.model_copy(update={"leaked_bytes": leaked, "warnings": odd})

    def take_turns(self, cases: Sequence[Case], settings: MeasureSettings, begin: _Enter) -> tuple[Done, ...] | Broken:
        """Measure cases whose timed calls take turns. If anything goes wrong nothing is said of any of them."""
        try:
            *others, last = self._measure_in_turns(cases, settings, begin)
            leaked = self._leaked()
        except Exception as error:  # noqa: BLE001 - each case is measured alone then, and fails on its own
            return Broken(reason=_brief(error)[:300])
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
        loaded, call, first = self._first_call(case, enter)
        enter("run")
        rows = _Rows()
        before = self.held.state().squeezes
        with torch.inference_mode():
            watch.begin()
            samples = stopping.sample(self._timed(call, rows), settings)
            telemetry = watch.end(rows.windows)
        squeezed = self.held.state().squeezes - before
        memory = meter.calls_done(weights_bytes(loaded))
        enter("clean-up")
        tight = (_SQUEEZED.format(squeezed),) if squeezed else ()
        return self._done(case, samples, rows, first, memory, telemetry, tight)

    def _measure_in_turns(self, cases: Sequence[Case], settings: MeasureSettings, enter: _Enter) -> list[Done]:
        """First calls and peaks of one case after another, as if alone; then all are held, and called in turns."""
        alone = [self._first_alone(case, enter) for case in cases]
        enter("run")
        held = dict([self._loaded]) if self._loaded else {}
        for case in cases:
            if _key(case) not in held:
                held[_key(case)] = self._built(case)
        rows = [_Rows() for _ in cases]
        timed = [self._timed(held[_key(case)].prepare(case), row) for case, row in zip(cases, rows, strict=True)]
        with torch.inference_mode():
            for once in timed:
                once()
            for row in rows:
                row.clear()
            before = self.held.state().squeezes
            self.held.watch.begin()
            samples = stopping.take_turns(timed, settings)
            telemetry = self.held.watch.end_each([row.windows for row in rows])
        if self.held.state().squeezes > before:
            raise _TooTightError("the calls took each other's cached memory: the cases do not fit beside each other")
        enter("clean-up")
        return [
            self._done(case, taken, row, one.first, one.memory, told, one.warnings)
            for case, taken, row, one, told in zip(cases, samples, rows, alone, telemetry, strict=True)
        ]

    def _first_alone(self, case: Case, enter: _Enter) -> _Alone:
        """A case's first call and the peaks of it, with no other case's model or input on the device."""
        before = self.held.state().refusals
        loaded, _, first = self._first_call(case, enter)
        memory = self.held.meter.calls_done(weights_bytes(loaded))
        refused = self.held.state().refusals - before
        update = {"measured_during": "first call", "timing_peak_rss_bytes": None}
        return _Alone(first, tuple(one.model_copy(update=update) for one in memory), _leaner(refused))

    def _first_call(self, case: Case, enter: _Enter) -> tuple[Loaded, Call, _First]:
        """Load, and call once, the call kept apart."""
        enter("load")
        self.held.watch.prepare()
        loaded = self._load(case)
        self.held.meter.begin()
        enter("warm-up")
        call = loaded.prepare(case)
        _check_stages(call)
        call.set_up()
        seconds: list[float] = []
        passes: list[tuple[Shape, ...]] = []
        with torch.inference_mode():
            for place, stage in enumerate(call.stages):
                with stage.watching_passes() as made:
                    seconds.append(self._time(call, place))
                passes.append(tuple(made))
        self.held.meter.first_call_done()
        return loaded, call, _First(tuple(stage.name for stage in call.stages), tuple(seconds), tuple(passes))

    def _time(self, call: Call, place: int) -> float:
        """The seconds of a stage. Of several each has its peak taken, and what it raises says which it was."""
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

    def _timed(self, call: Call, rows: _Rows) -> Callable[[], float]:
        """One timed call: the seconds of its stages are noted, and their sum is returned."""

        def stages() -> float:
            seconds = tuple([self._time(call, place) for place in range(len(call.stages))])
            rows.seconds.append(seconds)
            return sum(seconds)

        once = windowed(stages, rows.windows)

        def prepared() -> float:
            call.set_up()
            return once()

        return prepared

    def _done(
        self,
        case: Case,
        samples: stopping.Samples,
        rows: _Rows,
        first: _First,
        memory: tuple[Memory, ...],
        telemetry: Telemetry,
        warnings: tuple[str, ...] = (),
    ) -> Done:
        stages: list[Stage] = []
        why_none: list[str] = []
        for name, first_s, passes, peak, seconds in zip(
            first.stages, first.seconds, first.passes, memory, zip(*rows.seconds, strict=True), strict=True
        ):
            operations, why = _operations(case, name, passes)
            why_none += why
            stages.append(
                Stage(
                    name=name,
                    timing=stopping.Samples(seconds, samples.stopped_by).timing(self.held.clock.name, first_s),
                    memory=peak,
                    tiles=(len(passes) or None) if case.tile else None,
                    flops=operations,
                )
            )
        return Done(
            stages=tuple(stages),
            telemetry=telemetry,
            warnings=(
                *warnings,
                *stats.warnings(samples.seconds),
                *self.held.watch.warnings(telemetry, len(samples.seconds)),
                *why_none,
            ),
        )

    def _load(self, case: Case) -> Loaded:
        """The model of the case, kept from the case before where it is the same."""
        if self._loaded is None or self._loaded[0] != _key(case):
            self._loaded = None  # before the next is built: two models at once might not fit
            self.held.meter.empty()
            self._loaded = (_key(case), self._built(case))
        return self._loaded[1]

    def _built(self, case: Case) -> Loaded:
        return models.workload(case.model).load(case, self.held.torch_device)


def _check_stages(call: Call) -> None:
    """Raises ValueError for stages that a record could not tell apart."""
    names = [stage.name for stage in call.stages]
    if not all(names) or len(set(names)) < len(names) or not names:
        raise ValueError(f"the stages of the call are {names}: give it one at least, and each a name of its own")


def _raised(error: Exception) -> tuple[BaseException, str | None]:
    """What was raised, and in which of several stages."""
    if isinstance(error, _StageError) and error.__cause__ is not None:
        return error.__cause__, error.stage
    return error, None


def _brief(error: Exception) -> str:
    """The same in a line."""
    raised, stage = _raised(error)
    return f"{stage}: {outcome.brief(raised)}" if stage else outcome.brief(raised)


def _outcome(error: Exception, phase: Phase, state: DeviceState) -> OutOfMemory | Failed:
    """What an exception means, and in which of several stages it was raised."""
    raised, stage = _raised(error)
    return outcome.of_exception(raised, phase, state).model_copy(update={"stage": stage})


def _leaner(refused: int) -> tuple[str, ...]:
    return (_LEANER.format(refused),) if refused else ()


def _operations(case: Case, stage: str, passes: tuple[Shape, ...]) -> tuple[int | None, tuple[str, ...]]:
    """FLOPs of a stage, or None and why: a torch that can't count them is no reason to lose the measurement."""
    try:
        return models.workload(case.model).flops(case, stage, passes), ()
    except (RuntimeError, TypeError) as error:  # NotImplementedError is a RuntimeError
        return None, (f"FLOPs could not be counted: {outcome.brief(error)}",)


def _key(case: Case) -> tuple[str, ...]:
    """What two cases must share to use one model."""
    return (case.model, case.weights, case.dtype, case.variant)
