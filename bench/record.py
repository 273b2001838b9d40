"""What is written to disk: Case, Outcome, Record and their parts, as frozen pydantic models with a JSON form.

Imports only `errors` and `units`; never torch. Quantities are seconds and bytes; what is missing is None, with a
reason beside it where there is one to give.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, computed_field, model_validator

from bench.units import format_bytes, one_line

SCHEMA_VERSION = 2

Kind = Literal["measured", "published", "predicted", "simulated"]
ContextFoundBy = Literal["NVML process", "device growth", "device in use"]
Phase = Literal["load", "warm-up", "run", "clean-up"]


class Frozen(BaseModel):
    """Base of everything stored: immutable, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def digest(value: object) -> str:
    """The first 16 hex digits of the SHA-256 of `value`'s canonical JSON (sorted keys, no spaces)."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


class Tile(Frozen):
    """A square tile's edge and how far neighbours overlap, both in image pixels."""

    tile: int = Field(gt=0)
    overlap: int = Field(ge=0)


class Case(Frozen):
    """One thing to measure. Its id is a digest of its other fields, the same on every machine."""

    model: str
    operation: str
    width: int = Field(gt=0, description="image pixels, also for decode")
    height: int = Field(gt=0, description="image pixels, also for decode")
    frames: int = Field(default=1, gt=0)
    batch: int = Field(default=1, gt=0)
    dtype: str = Field(description="float32, float16 or bfloat16")
    tiling: Literal["off"] | Tile = Field(default="off", description="off: the whole image at once")
    weights: str = Field(default="random", description="random, hub, or the path of a checkpoint folder")
    variant: str = "default"

    @computed_field(description="digest of the other fields")  # type: ignore[prop-decorator]
    @property
    def id(self) -> str:
        return digest(self.model_dump(exclude={"id"}))

    @model_validator(mode="before")
    @classmethod
    def _check_id(cls, data: Any) -> Any:
        """Accept the id that a stored case carries, and refuse one that its fields contradict."""
        if not isinstance(data, dict) or "id" not in data:
            return data
        fields = {key: value for key, value in data.items() if key != "id"}
        if cls.model_validate(fields).id != data["id"]:
            raise ValueError(f"case id {data['id']!r} does not match the case's fields: was the line edited by hand?")
        return fields

    @property
    def tile(self) -> Tile | None:
        """The tile, or None where tiling is off."""
        return None if self.tiling == "off" else self.tiling

    @property
    def resolution(self) -> str:
        """`512x768`, width by height, as the docs write it."""
        return f"{self.width}x{self.height}"

    @property
    def label(self) -> str:
        """One line for people, whatever the names hold: `sdxl encode 512x512 float32 tiled 256/64`."""
        parts = [self.model, self.operation, self.resolution, self.dtype]
        parts += [f"tiled {self.tile.tile}/{self.tile.overlap}"] if self.tile else ["untiled"]
        parts += [f"batch {self.batch}"] if self.batch != 1 else []
        parts += [f"{self.frames} frames"] if self.frames != 1 else []
        parts += [self.weights] if self.weights != "random" else []
        parts += [self.variant] if self.variant != "default" else []
        return one_line(" ".join(parts))


class Measured(Frozen):
    """The case ran and was measured (or, in a published row, a figure was printed)."""

    status: Literal["measured"] = "measured"


class OutOfMemory(Frozen):
    """The case asked for more memory than there was: a result, not an error."""

    status: Literal["out_of_memory"] = "out_of_memory"
    where: Literal["device", "host"]
    phase: Phase | None = None
    requested_bytes: int | None = Field(default=None, description="what the failing allocation asked for, if it said")
    free_bytes: int | None = Field(default=None, description="what was free when it failed")
    message: str = ""


class TimedOut(Frozen):
    """The case was stopped at its time-out."""

    status: Literal["timed_out"] = "timed_out"
    timeout_s: float
    phase: Phase | None = None


class Crashed(Frozen):
    """The measuring process died."""

    status: Literal["crashed"] = "crashed"
    signal: str | None = Field(default=None, description="name of the signal that ended it")
    exit_code: int | None = None
    phase: Phase | None = None
    stderr_tail: str = ""


class Failed(Frozen):
    """The case raised an exception other than out-of-memory."""

    status: Literal["failed"] = "failed"
    exception: str
    message: str = ""
    phase: Phase | None = None
    traceback_tail: str = ""


class Skipped(Frozen):
    """The case was not run, for a stated reason."""

    status: Literal["skipped"] = "skipped"
    reason: str


Outcome = Annotated[Measured | OutOfMemory | TimedOut | Crashed | Failed | Skipped, Field(discriminator="status")]


class Device(Frozen):
    """What a case ran on. `total_bytes` is torch's figure for a GPU and physical RAM for a CPU."""

    kind: Literal["cuda", "cpu"]
    name: str
    total_bytes: int | None = Field(default=None, gt=0)
    nvml_total_bytes: int | None = None

    @property
    def slug(self) -> str:
        """The name of this device's results folder: `nvidia-h100-80gb-hbm3`, `cpu-amd-epyc-9b14`."""
        name = re.sub(r"[^a-z0-9]+", "-", self.name.lower().replace("(r)", " ").replace("(tm)", " ")).strip("-")
        kind = "" if self.kind == "cuda" or name.startswith("cpu") else self.kind
        return "-".join(part for part in (kind, name) if part) or self.kind


class MeasureSettings(Frozen):
    """When a case has been called often enough; `measure.loop` says how. Times in seconds of accumulated samples."""

    min_samples: int = Field(default=10, ge=1, le=100_000)
    min_time: float = Field(default=0.5, ge=0, description="keep sampling until this much time is sampled")
    max_time: float = Field(default=15.0, gt=0, description="stop after this much, with at least `few_samples`")
    few_samples: int = Field(default=3, ge=1, description="enough for slow calls, and where max_time is met first")
    slow_call: float | None = Field(
        default=3.0, gt=0, description="calls of this length or more need only `few_samples`; null: none is slow"
    )
    max_noise: float | None = Field(
        default=0.005, gt=0, description="stop once standard deviation over mean is below this; null: whatever it is"
    )


Seconds = Annotated[float, Field(ge=0)]
StoppedBy = Literal["noise_target", "inherently_noisy", "max_time", "enough_samples"]


class Timing(Frozen):
    """Seconds of one call. A published row has a median and no samples."""

    clock: Literal["cuda_event", "perf_counter", "published"]
    median_s: Seconds
    samples_s: tuple[Seconds, ...] = Field(default=(), description="raw, in the order of the calls")
    interval_s: tuple[Seconds, Seconds] | None = Field(
        default=None, description="95% interval of the median, from order statistics; null under 6 samples"
    )
    noise: float | None = Field(default=None, description="sample standard deviation over mean; null under 2 samples")
    outliers: tuple[int, ...] = Field(
        default=(), description="places in samples_s (from 0) that `stats` calls outliers"
    )
    first_call_s: Seconds | None = None
    stopped_by: StoppedBy | None = Field(
        default=None,
        description="noise_target: noise fell below max_noise; inherently_noisy: noise is steady above it; max_time: "
        "time was spent first; enough_samples: no noise was asked for",
    )


class Memory(Frozen):
    """Peaks of one case in bytes. `percent` is the docs' column: `peak_bytes` over the total, or over the limit."""

    percent: float | None = None
    peak_bytes: int | None = Field(
        default=None, description="the numerator: peak reserved on CUDA; weights + RSS growth on a CPU"
    )
    peak_reason: str | None = Field(default=None, description="why peak_bytes is null")
    weights_bytes: int | None = None
    peak_allocated_bytes: int | None = None
    peak_reserved_bytes: int | None = None
    first_call_peak_allocated_bytes: int | None = None
    first_call_peak_reserved_bytes: int | None = None
    context_bytes: int | None = Field(default=None, description="the CUDA context, measured when the worker started")
    context_found_by: ContextFoundBy | None = None
    nvml_process_bytes: int | None = None
    nvml_process_reason: str | None = Field(default=None, description="why nvml_process_bytes is null")
    nvml_device_growth_bytes: int | None = Field(
        default=None, description="memory in use on the whole device after the calls, less that before them"
    )
    baseline_rss_bytes: int | None = Field(default=None, description="CPU: after loading, heap trimmed")
    peak_rss_bytes: int | None = Field(default=None, description="CPU: highest during the memory pass")
    timing_peak_rss_bytes: int | None = Field(
        default=None, description="CPU: highest during the timed calls, with whatever the C library's heap retained"
    )
    measured_during: Literal["all calls", "first call"] | None = Field(
        default=None, description="which calls the peak covers; on a CPU the first one is the memory pass"
    )


class Spread(Frozen):
    """Least, median and greatest of a row of readings."""

    low: float
    median: float
    high: float


EnergySource = Literal["total energy counter", "integrated power"]


class Telemetry(Frozen):
    """The GPU during the timed calls, read through NVML by a process apart. What it does not tell is null."""

    readings: int = Field(default=0, ge=0)
    reason: str | None = Field(default=None, description="why there are no readings")
    sm_clock_hz: Spread | None = None
    memory_clock_hz: Spread | None = None
    temperature_c: Spread | None = None
    power_w: Spread | None = None
    throttle_reasons: tuple[str, ...] = Field(default=(), description="clock event reasons seen in any reading")
    throttled_samples: tuple[int, ...] = Field(
        default=(), description="places in samples_s (from 0) during which the GPU was slowed; they are kept and count"
    )
    energy_per_call_j: float | None = Field(default=None, ge=0)
    energy_source: EnergySource | None = None
    energy_window_s: float | None = Field(default=None, ge=0, description="over how long the energy was counted")
    energy_reason: str | None = Field(default=None, description="why energy_per_call_j is null")


class Neighbours(Frozen):
    """Other processes on the GPU when the worker took it."""

    count: int | None = Field(default=None, description="null where NVML lists none, or not this process either")
    bytes: int | None = Field(default=None, description="device memory that was in use before this process took any")
    utilization: float | None = Field(default=None, description="share of time in which a kernel ran, 0 to 1")


class GpuSettings(Frozen):
    """How a GPU is set up, as NVML tells it; what it does not tell is null."""

    compute_capability: str | None = None
    multiprocessors: int | None = None
    power_limit_w: float | None = None
    power_default_w: float | None = Field(default=None, description="the power limit as shipped")
    sm_clock_default_hz: float | None = Field(default=None, description="default application clock, else the highest")
    sm_clock_max_hz: float | None = None
    memory_clock_max_hz: float | None = None
    ecc: bool | None = None
    persistence: bool | None = None
    mig: bool | None = None
    neighbours: Neighbours = Neighbours()


class Package(Frozen):
    """An installed distribution; the commit where it was installed from git."""

    version: str
    commit: str | None = None


class Environment(Frozen):
    """The software and the host around a measurement."""

    python: str
    packages: dict[str, Package]
    project_commit: str | None = Field(default=None, description="of Hybrid Bench itself; '-dirty' if changed")
    os: str
    host_cpu: str
    host_cores: int
    host_ram_bytes: int
    threads: int | None = Field(default=None, description="torch's intra-op threads")
    variables: dict[str, str] = Field(default={}, description="environment variables that change the figures")
    driver: str | None = None
    cuda: str | None = None
    cudnn: str | None = None
    nvml_reason: str | None = Field(default=None, description="why the driver's library was not used")
    gpu: GpuSettings | None = None
    may_spill: str | None = Field(
        default=None, description="why the driver may have used system memory instead of failing; null if it can't"
    )


class Run(Frozen):
    """The run that a record belongs to: one file, one plan."""

    id: str
    config: str
    plan: str = Field(description="digest of the planned cases and of how they are measured")
    cases: int = Field(ge=0, description="how many cases the plan has: fewer lines than this is an unfinished run")
    started_at: str


class Record(Frozen):
    """One line of a results file."""

    schema_version: int = SCHEMA_VERSION
    kind: Kind
    case: Case
    device: Device
    vram_limit_bytes: int | None = Field(default=None, description="a smaller card was imitated; percent divides by it")
    run: Run
    outcome: Outcome
    timing: Timing | None = None
    memory: Memory | None = None
    tiles: int | None = Field(default=None, description="tiles that one call computed; null when untiled")
    flops: int | None = Field(
        default=None,
        ge=0,
        description="floating-point operations of one call, a multiply-add being two, by torch's FlopCounterMode",
    )
    telemetry: Telemetry | None = None
    interleaved_with: tuple[str, ...] = Field(
        default=(), description="ids of the cases whose timed calls took turns with this one's (A-B-B-A)"
    )
    environment: Environment | None = None
    measure: MeasureSettings | None = None
    assumed: tuple[str, ...] = Field(default=(), description="fields of the case that the source did not say")
    source: str | None = Field(default=None, description="where a published figure was printed")
    warnings: tuple[str, ...] = ()
    wall_s: float | None = Field(
        default=None,
        description="the whole case: load, warm-up, calls, clean-up; an equal share of it where cases took turns",
    )
    recorded_at: str

    @property
    def key(self) -> tuple[str, str, int | None, str, str]:
        """(case id, device, vram limit, kind, run): no two records of a results folder share one."""
        return (self.case.id, self.device.name, self.vram_limit_bytes, self.kind, self.run.id)

    def to_json(self) -> str:
        """One line of JSON, without its newline."""
        return self.model_dump_json()


class Ceiling(Frozen):
    """The most that a device was seen to do of one thing: a large matrix product, or a large copy on the device."""

    what: Literal["matmul", "copy"]
    dtype: str
    size: int = Field(gt=0, description="matmul: edge of the square matrices; copy: bytes of the source")
    median_s: float = Field(gt=0)
    samples_s: tuple[Seconds, ...]
    per_second: float = Field(gt=0, description="matmul: floating-point operations; copy: bytes read and written")


class Ceilings(Frozen):
    """What `bench doctor --ceilings` measured on one device, as `results/<device>/ceilings.json` holds it."""

    schema_version: int = SCHEMA_VERSION
    device: Device
    ceilings: tuple[Ceiling, ...]
    environment: Environment | None = None
    recorded_at: str

    def flops_per_second(self, dtype: str) -> float | None:
        """The matrix-product ceiling of a precision, or None where it was not measured.

        That of float32 is TF32's where it was measured: torch lets convolutions use TF32 unless told otherwise.
        """
        alike = {dtype, "tf32"} if dtype == "float32" else {dtype}
        return max((c.per_second for c in self.ceilings if c.what == "matmul" and c.dtype in alike), default=None)


def describe(outcome: Outcome) -> str:
    """An outcome in a few words, for people: `timed out after 60 s (run)`."""
    match outcome:
        case OutOfMemory():
            asked = f", asked for {format_bytes(outcome.requested_bytes)}" if outcome.requested_bytes else ""
            return f"out of memory ({outcome.where}, {outcome.phase}{asked})"
        case TimedOut():
            return f"timed out after {outcome.timeout_s:g} s ({outcome.phase})"
        case Crashed():
            return f"crashed ({outcome.signal or f'exit code {outcome.exit_code}'}, {outcome.phase})"
        case Failed():
            return f"failed ({outcome.phase}): {outcome.exception}: {outcome.message}"
        case Skipped():
            return f"skipped: {outcome.reason}"
    return "measured"


def timestamp(moment: datetime) -> str:
    """`2026-01-31T12:00:00.000000Z`: text that sorts as time does, also within a second."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def json_schema() -> dict[str, Any]:
    """JSON Schema of a stored record, as `docs/record.schema.json` carries it."""
    return Record.model_json_schema(mode="serialization")
