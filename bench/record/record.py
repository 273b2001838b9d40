"""A record, which is one line of a results file, with its run and the stages of its call."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from bench.core import stats
from bench.record.case import Case, MeasureSettings
from bench.record.environment import Device, Environment
from bench.record.measurements import Memory, Telemetry, Timing
from bench.record.outcome import Outcome
from bench.record.prediction import Prediction
from bench.record.requests import Remote
from bench.record.stored import SCHEMA_VERSION, Frozen, digest

Kind = Literal["measured", "published", "predicted", "simulated"]


#: A name that every file system takes, and that no other program hides.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,119}")
#: Fields of a stage that its line leaves out if they are not set.
_OPTIONAL = {"chunks", "steps", "compile_s", "reserved_range"}


class Stage(Frozen):
    """A part of a call with a time and a peak of its own. A VAE's call has one, a pipeline's several.

    The n-th sample of each stage is of the same call.
    """

    name: str = Field(min_length=1)
    timing: Timing | None = None
    memory: Memory | None = None
    tiles: int | None = Field(default=None, ge=1, description="tiles that one call computed; null when untiled")
    chunks: int | None = Field(
        default=None,
        ge=2,
        description="chunks of frames that one call computed one after another for each tile; null: all frames at once",
    )
    steps: int | None = Field(
        default=None, ge=1, description="steps of a denoiser that one call made; null: the stage has no steps"
    )
    flops: int | None = Field(
        default=None,
        ge=0,
        description="floating-point operations of one call, a multiply-add being two, "
        "as torch's FlopCounterMode counts",
    )
    compile_s: float | None = Field(
        default=None,
        ge=0,
        description="seconds that torch.compile took before the first call, with its cache as it was; null: nothing "
        "was compiled. Of several stages the first has it for all",
    )
    reserved_range: tuple[int, int] | None = Field(
        default=None,
        description="the least and the most bytes that the stage reserves with memory to spare, if it is predicted",
    )

    @model_serializer(mode="wrap")
    def _without_unset(self, serialize: SerializerFunctionWrapHandler):  # type: ignore[no-untyped-def]  # noqa: ANN202
        """Leave out what most stages lack, if it is not set: lines of images are older than these fields.

        Without a return type, which pydantic would take for the schema.
        """
        return {name: value for name, value in serialize(self).items() if name not in _OPTIONAL or value is not None}


def whole_timing(stages: Sequence[Stage]) -> Timing | None:
    """The time of the whole call: the sum of its stages, call by call; None if a stage has no time."""
    if len(stages) == 1:
        return stages[0].timing
    timings = [stage.timing for stage in stages if stage.timing is not None]
    if not timings or len(timings) < len(stages):
        return None
    samples = tuple(sum(row) for row in zip(*(timing.samples_s for timing in timings), strict=False))
    firsts = [timing.first_call_s for timing in timings if timing.first_call_s is not None]
    return timings[0].model_copy(
        update={
            "median_s": stats.median(samples) if samples else sum(timing.median_s for timing in timings),
            "samples_s": samples,
            "interval_s": stats.interval(samples) if samples else None,
            "noise": stats.noise(samples) if samples else None,
            "outliers": stats.outliers(samples) if samples else (),
            "first_call_s": sum(firsts) if len(firsts) == len(timings) else None,
        }
    )


def whole_memory(stages: Sequence[Stage]) -> Memory | None:
    """The memory of the whole call, which is that of the largest stage; None if no stage has any."""
    if len(stages) == 1:
        return stages[0].memory
    known = [stage.memory for stage in stages if stage.memory is not None]
    return max(known, key=lambda memory: (memory.peak_bytes or 0, memory.percent or 0.0), default=None)


class SweepOnCards(Frozen):
    """A sweep on a cluster or on several cards of a machine: it has a run for each type of card, or for each card."""

    id: str = Field(description="when it began")
    runs: int = Field(ge=1, description="how many runs it has")
    shared: bool = Field(
        description="equal cards share the cases of a run, and each record names the card that measured it; otherwise "
        "each card has a run of its own"
    )


class Run(Frozen):
    """The run that a record belongs to; it has one file and one plan."""

    id: str
    config: str
    plan: str = Field(description="digest of the planned cases and of how they are measured")
    cases: int = Field(ge=0, description="how many cases the plan has: fewer lines than this is an unfinished run")
    started_at: str
    sweep: SweepOnCards | None = Field(
        default=None, description="the sweep on several cards that it is part of; left out unless there is one"
    )

    @property
    def is_shared(self) -> bool:
        """Whether equal cards share its cases."""
        return self.sweep is not None and self.sweep.shared

    @model_serializer(mode="wrap")
    def _without_unset(self, serialize: SerializerFunctionWrapHandler):  # type: ignore[no-untyped-def]  # noqa: ANN202
        """Leave out `sweep` if there is none: most lines are older than the field.

        Without a return type, which pydantic would take for the schema.
        """
        return {name: value for name, value in serialize(self).items() if name != "sweep" or value is not None}

    @property
    def stem(self) -> str:
        """The name of its files without their ending: the id, or a digest if the id is no plain name of a file."""
        return self.id if _PLAIN_NAME.fullmatch(self.id) else f"run-{digest(self.id)}"


class Record(Frozen):
    """One line of a results file."""

    schema_version: int = SCHEMA_VERSION
    kind: Kind
    case: Case
    device: Device
    vram_limit_bytes: int | None = Field(
        default=None, gt=0, description="a smaller card was imitated; percent divides by it"
    )
    run: Run
    outcome: Outcome
    stages: tuple[Stage, ...] = Field(
        default=(), description="in the order in which they run; none if nothing was measured or published"
    )
    loading: Memory | None = Field(
        default=None,
        description="peaks while the model was loaded, before any call; null: not measured for its kind of model, or "
        "the case was interleaved",
    )
    telemetry: Telemetry | None = None
    remote: Remote | None = Field(default=None, description="null unless an endpoint did the work")
    prediction: Prediction | None = Field(default=None, description="null unless the kind is predicted")
    interleaved_with: tuple[str, ...] = Field(
        default=(), description="ids of the cases whose timed calls were interleaved with this one's (A-B-B-A)"
    )
    environment: Environment | None = None
    measure: MeasureSettings | None = None
    assumed: tuple[str, ...] = Field(default=(), description="fields of the case that the source did not say")
    source: str | None = Field(default=None, description="where a published figure was printed")
    warnings: tuple[str, ...] = ()
    wall_s: float | None = Field(
        default=None,
        ge=0,
        description="the whole case: load, warm-up, calls, clean-up; an equal share of it if cases were interleaved",
    )
    recorded_at: str

    @model_serializer(mode="wrap")
    def _without_unset(self, serialize: SerializerFunctionWrapHandler):  # type: ignore[no-untyped-def]  # noqa: ANN202
        """Leave out loading if it was not measured: most lines are older than the field, or have none.

        Without a return type, which pydantic would take for the schema.
        """
        return {name: value for name, value in serialize(self).items() if name != "loading" or value is not None}

    @property
    def timing(self) -> Timing | None:
        """The time of the whole call (`whole_timing`)."""
        return whole_timing(self.stages)

    @property
    def memory(self) -> Memory | None:
        """The memory of the whole call (`whole_memory`)."""
        return whole_memory(self.stages)

    @property
    def tiles(self) -> int | None:
        """Tiles that one call computed, of all stages; None when untiled."""
        counts = [stage.tiles for stage in self.stages if stage.tiles is not None]
        return sum(counts) if counts else None

    @property
    def flops(self) -> int | None:
        """Floating-point operations of one call, of all stages; None if one stage's are not known."""
        counts = [stage.flops for stage in self.stages if stage.flops is not None]
        return sum(counts) if counts and len(counts) == len(self.stages) else None

    @property
    def key(self) -> tuple[str, str, str | None, int | None, str, str]:
        """(case id, device and its identity, vram limit, kind, run): no two records of a results folder share one."""
        device = self.device
        return (self.case.id, device.name, device.identity, self.vram_limit_bytes, self.kind, self.run.id)

    def to_json(self) -> str:
        """One line of JSON, without its newline."""
        return self.model_dump_json()


def json_schema() -> dict[str, Any]:
    """JSON Schema of a stored record, as `docs/record.schema.json` carries it."""
    return Record.model_json_schema(mode="serialization")
