"""A stage: a part of a call with a time and a peak of its own. A VAE's call has one, a pipeline's several."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from bench.core import stats
from bench.record.measurements import Memory, Timing
from bench.record.stored import Frozen


class Stage(Frozen):
    """One stage of a call. The n-th sample of each stage is of the same call."""

    name: str = Field(min_length=1)
    timing: Timing | None = None
    memory: Memory | None = None
    tiles: int | None = Field(default=None, ge=1, description="tiles that one call computed; null when untiled")
    flops: int | None = Field(
        default=None,
        ge=0,
        description="floating-point operations of one call, a multiply-add being two, "
        "as torch's FlopCounterMode counts",
    )


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
