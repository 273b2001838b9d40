"""The measurements of a case: its time, its memory, and the state of the GPU during the calls."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bench.record.stored import Frozen

Seconds = Annotated[float, Field(ge=0)]
Bytes = Annotated[int, Field(ge=0)]
#: A place in a row of samples, from 0.
Place = Annotated[int, Field(ge=0)]
StoppedBy = Literal["noise_target", "inherently_noisy", "max_time", "enough_samples"]
ContextFoundBy = Literal["NVML process", "device growth", "device in use"]
EnergySource = Literal["total energy counter", "integrated power"]


class Timing(Frozen):
    """Seconds of one call. A published row has a median and no samples."""

    clock: Literal["cuda_event", "perf_counter", "published"]
    median_s: Seconds
    samples_s: tuple[Seconds, ...] = Field(default=(), description="raw, in the order of the calls")
    interval_s: tuple[Seconds, Seconds] | None = Field(
        default=None, description="95% interval of the median, from order statistics; null under 6 samples"
    )
    noise: float | None = Field(
        default=None, ge=0, description="sample standard deviation over mean; null under 2 samples"
    )
    outliers: tuple[Place, ...] = Field(
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

    percent: float | None = Field(default=None, ge=0)
    peak_bytes: Bytes | None = Field(
        default=None, description="the numerator: peak reserved on CUDA; weights + RSS growth on a CPU"
    )
    peak_reason: str | None = Field(default=None, description="why peak_bytes is null")
    weights_bytes: Bytes | None = None
    peak_allocated_bytes: Bytes | None = None
    peak_reserved_bytes: Bytes | None = None
    first_call_peak_allocated_bytes: Bytes | None = None
    first_call_peak_reserved_bytes: Bytes | None = None
    context_bytes: Bytes | None = Field(default=None, description="the CUDA context, measured when the worker started")
    context_found_by: ContextFoundBy | None = None
    context_reason: str | None = Field(default=None, description="why context_bytes is null on a GPU")
    nvml_process_bytes: Bytes | None = None
    nvml_process_reason: str | None = Field(default=None, description="why nvml_process_bytes is null")
    nvml_device_growth_bytes: int | None = Field(
        default=None, description="memory in use on the whole device after the calls, less that before them"
    )
    baseline_rss_bytes: Bytes | None = Field(default=None, description="CPU: after loading, heap trimmed")
    peak_rss_bytes: Bytes | None = Field(default=None, description="CPU: highest during the memory pass")
    timing_peak_rss_bytes: Bytes | None = Field(
        default=None, description="CPU: highest during the timed calls, with whatever the C library's heap retained"
    )
    measured_during: Literal["all calls", "first call"] | None = Field(
        default=None, description="which calls the peak covers; on a CPU the first one is the memory pass"
    )


class Spread(Frozen):
    """The least, median and greatest of a series of readings."""

    low: float
    median: float
    high: float


class Telemetry(Frozen):
    """The GPU during the timed calls, read through NVML by a separate process; null if NVML does not report it."""

    readings: int = Field(default=0, ge=0)
    reason: str | None = Field(default=None, description="why there are no readings")
    sm_clock_hz: Spread | None = None
    memory_clock_hz: Spread | None = None
    temperature_c: Spread | None = None
    power_w: Spread | None = None
    throttle_reasons: tuple[str, ...] = Field(default=(), description="clock event reasons seen in any reading")
    throttled_samples: tuple[Place, ...] = Field(
        default=(), description="places in samples_s (from 0) during which the GPU was slowed; they are kept and count"
    )
    energy_per_call_j: float | None = Field(default=None, ge=0)
    energy_source: EnergySource | None = None
    energy_window_s: float | None = Field(default=None, ge=0, description="over how long the energy was counted")
    energy_reason: str | None = Field(default=None, description="why energy_per_call_j is null")
