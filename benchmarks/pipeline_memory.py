"""Predicted peaks of a pipeline's stages against torch's own allocation events: tiny siblings on the CPU in float32.

    python benchmarks/pipeline_memory.py [tiny-flux-txt2img ...] [--size 512]

One call of each pipeline under torch's profiler, cut where its stages begin. Peaks are of what the call itself
allocates, beside weights. Exit code 1 where one is off by more than 1% and 1 MiB.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from bench.core.units import MIB
from bench.predictions.pipelines import usual_case
from bench.record import Axes, Case
from bench.traces import trace
from bench.vram import timeline
from bench.vram.onednn import OneDnn
from bench.workloads import models
from bench.workloads.base import StagePart
from bench.workloads.pipeline.pipeline_on_device import PipelineOnDevice

_SHARE, _LEAST_BYTES = 0.01, MIB
_MARK = "bench stage "
_FLOAT_BYTES = 4
#: Channels of a block of oneDNN's layouts.
_LANES = 16 if "AVX512" in torch.backends.cpu.get_cpu_capability() else 8


@dataclass(frozen=True, slots=True)
class Peak:
    """What a stage holds at most beside weights, in bytes."""

    stage: str
    measured: int
    predicted: int

    @property
    def agrees(self) -> bool:
        """Whether both are within 1% or 1 MiB."""
        return abs(self.predicted - self.measured) <= max(_LEAST_BYTES, _SHARE * self.measured)


def main() -> int:
    """Run all, print a line each, and say with the exit code whether all agree."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", help="pipelines; by default all tiny ones")
    parser.add_argument("--size", type=int, help="the side of the images in px; by default the pipelines' own")
    size = parser.parse_args().size
    named = parser.parse_args().models or [
        key for key in models.zoo() if key.startswith("tiny-") and models.is_pipeline(key)
    ]
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}")
    good = True
    for key in named:
        case = usual_case(key)
        if size is not None:
            case = case.model_copy(update={"axes": Axes({**case.axes, "width": size, "height": size})})
        for peak in peaks_of(case):
            print(
                f"{key} {peak.stage}: measured {peak.measured / MIB:.2f} MiB, "
                f"predicted {peak.predicted / MIB:.2f} MiB, predicted/measured "
                f"{peak.predicted / peak.measured:.4f}{'' if peak.agrees else ' TOO FAR'}",
                flush=True,
            )
            good &= peak.agrees
        gc.collect()
    return 0 if good else 1


def peaks_of(case: Case) -> list[Peak]:
    """The peaks of the stages of a case in float32."""
    measured = measured_peaks(case)
    predicted = predicted_peaks(models.workload(case.model).parts(case))
    return [Peak(stage, measured[stage], predicted[stage]) for stage in measured]


def predicted_peaks(parts: Sequence[StagePart]) -> dict[str, int]:
    """The predicted peak of each stage beside weights, on this CPU."""
    backend = OneDnn(torch.get_num_threads(), _LANES)
    peaks: dict[str, int] = {}
    for part in parts:
        held = sum(trace.capture(each, "cpu").input_elements for each in part.held) * _FLOAT_BYTES
        call = timeline.build(trace.capture(part.case, "cpu"), backend, _FLOAT_BYTES, resident=(), held_bytes=held)
        peaks[part.stage] = max(peaks.get(part.stage, 0), call.peak_bytes)
    return peaks


def measured_peaks(case: Case) -> dict[str, int]:
    """The peak of each stage of a real call, from the allocations that torch's profiler sees."""
    loaded = PipelineOnDevice(case, torch.device("cpu"))
    arguments = loaded.arguments(case)

    def border(stage: str) -> None:
        with torch.profiler.record_function(f"{_MARK}{stage}"):
            pass

    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile, torch.inference_mode():
        loaded._in_stages(arguments, border)
    recorded: Any = profile.profiler
    events = sorted(recorded.kineto_results.events(), key=lambda event: event.start_ns())
    stage, alive = next(iter(models.workload(case.model).parts(case))).stage, 0
    peaks = {stage: 0}
    for event in events:
        if event.name().startswith(_MARK):
            stage = event.name().removeprefix(_MARK)
            peaks.setdefault(stage, alive)
        elif event.name() == "[memory]":
            alive += event.nbytes()
            peaks[stage] = max(peaks[stage], alive)
    return peaks


if __name__ == "__main__":
    sys.exit(main())
