"""Records as a volunteer's card would give them, rebuilt from the figures that the docs print of it.

Medians and peaks of memory are the published ones; peak allocated is the predicted one. What the docs do not print is
made up: samples around the median (log-normal, from a seed, on the clock's grid, as many as the program's own rule
takes), telemetry, moments. The figures serve to try the checks of `bench accept`, and nothing else.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from bench.analysis.plausibility.clock_grid import float32
from bench.config import Gpu, Gpus, load_gpus
from bench.core import stats
from bench.core.units import ITEM_BYTES, MIB, memory_bytes, memory_percent
from bench.predictions import target_cards
from bench.record import (
    Case,
    Device,
    Environment,
    GpuSettings,
    Measured,
    MeasureSettings,
    Memory,
    Neighbours,
    OutOfMemory,
    Package,
    Record,
    Run,
    Spread,
    Stage,
    Telemetry,
    Timing,
    timestamp,
)
from bench.run.stopping import StoppingRule
from bench.store import published, read_all
from bench.traces import shipped, tracing
from bench.vram import verdict
from bench.workloads import models

#: Sample standard deviation over mean of the made-up samples, and how much longer a first call takes.
_NOISE, _FIRST = 0.003, 1.7
#: Seconds of a case besides its calls, once its model is loaded, and of loading it.
_BESIDES_S, _LOADING_S = 0.2, 2.5
#: How the docs' sweep measures (configs/docs.yaml).
MEASURE = MeasureSettings(min_samples=10, min_time=1.0, max_time=15.0)
BEGAN = datetime.fromisoformat("2026-11-01T12:00:00+00:00")
#: A folder without workspaces of cards.
NOWHERE = Path("/nonexistent")
_ALLOCATED_UNIT, _RESERVED_UNIT = 512, 2 * MIB


def cards() -> list[str]:
    """The names of the cards of the docs' encode page."""
    names = (record.device.name for record in _printed() if record.case.operation == "encode")
    return list(dict.fromkeys(names))


def records_of(card: str, operation: str = "encode", seed: int = 0) -> list[Record]:
    """A run of a card: each published case of an operation, as it would have been measured."""
    printed = [record for record in _printed() if (record.device.name, record.case.operation) == (card, operation)]
    maker = _Maker(card, load_gpus(), random.Random(seed))  # noqa: S311 - made-up samples
    run = Run(
        id=f"{BEGAN:%Y%m%dT%H%M%SZ}-docs",
        config="docs",
        plan="0123456789abcdef",
        cases=len(printed),
        started_at=timestamp(BEGAN),
    )
    return [maker.record(each, run) for each in printed]


def _printed() -> list[Record]:
    folder = published()
    if folder is None:
        raise SystemExit("The docs' figures are missing. Restore results/published/.")
    names = {"encode", "decode"}
    records = [record for record in read_all([folder])[0] if record.case.operation in names]
    return [record for record in records if load_gpus().of_device(record.device.name, record.device.total_bytes)]


class _Maker:
    """Makes the records of one card, one after another on its clock."""

    def __init__(self, card: str, gpus: Gpus, chance: random.Random) -> None:
        self._gpu = gpus.cards[card]
        self._device = Device(
            kind="cuda",
            name=card,
            total_bytes=self._gpu.memory_bytes,
            nvml_total_bytes=self._gpu.memory_bytes + 300 * MIB,
            identity="sha256:0123456789ab",
        )
        self._environment = environment_of(self._gpu)
        self._chance = chance
        self._now, self._model = BEGAN, ""

    def record(self, printed: Record, run: Run) -> Record:
        """The measured record of a printed one."""
        case, is_loaded = printed.case, self._model == printed.case.model
        self._model = case.model
        stage, telemetry, calls_s = None, None, 0.5
        if printed.timing is not None:
            samples, reason = self._samples(printed.timing.median_s)
            timing = samples_timing(samples, reason, _on_grid(_FIRST * printed.timing.median_s))
            calls_s = sum(samples) + (timing.first_call_s or 0.0)
            telemetry = self._telemetry(sum(samples), len(samples))
            stage = self._stage(case, printed).model_copy(update={"timing": timing})
        wall_s = round(calls_s + _BESIDES_S + (0.0 if is_loaded else _LOADING_S), 6)
        self._now += timedelta(seconds=wall_s + 0.001)
        refused = OutOfMemory(where="device", phase="warm-up", message="CUDA out of memory.")
        return Record(
            kind="measured",
            case=case,
            device=self._device,
            run=run,
            outcome=refused if stage is None else Measured(),
            stages=() if stage is None else (stage,),
            telemetry=telemetry,
            environment=self._environment,
            measure=MEASURE,
            wall_s=wall_s,
            recorded_at=timestamp(self._now),
        )

    def _samples(self, median_s: float) -> tuple[tuple[float, ...], str]:
        rule = StoppingRule(MEASURE)
        while rule.stopped_by is None:
            rule.add(_on_grid(median_s * math.exp(self._chance.gauss(0.0, _NOISE))))
        return rule.samples.seconds, rule.samples.stopped_by

    def _stage(self, case: Case, printed: Record) -> Stage:
        trace = shipped.trace_of(tracing.representative(case))
        if trace is None:
            raise SystemExit(f"{case.model} has no trace that comes with the program.")
        card = target_cards.of_device(self._device, self._environment, None, NOWHERE)
        predicted, _, _ = verdict.predict(case, card.backend(case), card.memory(), card.place.allocator)
        total = self._gpu.memory_bytes
        percent = printed.memory.percent if printed.memory else None
        reserved = memory_bytes(percent or 0.0, total) if percent else predicted.taken_reserved_bytes
        reserved = round(reserved / _RESERVED_UNIT) * _RESERVED_UNIT
        allocated = max(min(predicted.taken_allocated_bytes, reserved), predicted.needed_allocated_bytes)
        allocated = min(-(-allocated // _ALLOCATED_UNIT) * _ALLOCATED_UNIT, reserved)
        counts = models.workload(case.model).count(case, case.operation, trace.passes)
        memory = Memory(
            percent=memory_percent(reserved, total),
            peak_bytes=reserved,
            weights_bytes=sum(trace.weights) * ITEM_BYTES[case.dtype],
            peak_allocated_bytes=allocated,
            peak_reserved_bytes=reserved,
            first_call_peak_allocated_bytes=allocated,
            first_call_peak_reserved_bytes=reserved,
            nvml_process_bytes=reserved + 500 * MIB,
            measured_during="all calls",
        )
        return Stage(name=case.operation, memory=memory, tiles=counts.tiles, flops=tracing.kernels_of(case).work.flops)

    def _telemetry(self, busy_s: float, calls: int) -> Telemetry:
        clock_hz, watts = self._gpu.clock_hz, 280.0
        return Telemetry(
            readings=max(1, int(busy_s / 0.05)),
            sm_clock_hz=Spread(low=0.97 * clock_hz, median=clock_hz, high=1.01 * clock_hz),
            temperature_c=Spread(low=55, median=62, high=66),
            power_w=Spread(low=0.9 * watts, median=watts, high=1.05 * watts),
            energy_per_call_j=watts * busy_s * 1.01 / calls,
            energy_source="total energy counter",
            energy_window_s=busy_s * 1.01,
        )


def environment_of(gpu: Gpu) -> Environment:
    """The software and settings around a made-up measurement."""
    packages = {"hybrid-bench": "0.1.0", "torch": "2.13.0", "diffusers": "0.42.1", "transformers": "5.24.0"}
    return Environment(
        python="3.12.3",
        packages={name: Package(version=version) for name, version in packages.items()},
        project_commit="0123456789ab",
        os="Linux 6.8.0",
        host_cpu="Made-up CPU",
        host_cores=16,
        host_ram_bytes=64 * 1024 * MIB,
        threads=16,
        driver="580.95",
        cuda="13.0",
        cudnn="91300",
        gpu=GpuSettings(
            compute_capability=gpu.compute_capability,
            multiprocessors=gpu.sm_count,
            power_limit_w=350.0,
            power_default_w=350.0,
            sm_clock_max_hz=1.15 * gpu.clock_hz,
            neighbours=Neighbours(count=0, bytes=0),
        ),
    )


def samples_timing(samples: Sequence[float], reason: str, first_call_s: float | None) -> Timing:
    """The timing of these samples, with all that follows from them."""
    return Timing.model_validate(
        {
            "clock": "cuda_event",
            "median_s": stats.median(samples),
            "samples_s": tuple(samples),
            "interval_s": stats.interval(samples),
            "noise": stats.noise(samples),
            "outliers": stats.outliers(samples),
            "first_call_s": first_call_s,
            "stopped_by": reason,
        }
    )


def _on_grid(seconds: float) -> float:
    """The nearest time that CUDA's events can give."""
    return float32(seconds * 1e3) / 1e3
