"""The memory of a call that is predicted stage by stage, held against torch's own allocation events."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from factories import refusal

from bench import config, plan
from bench.core.units import MIB
from bench.errors import ConfigError
from bench.predictions import predicted_records, predicted_stages
from bench.predictions.pipelines import usual_case
from bench.predictions.target_cards import TargetCard, choose_cards
from bench.record import Axes, Case, Measured, OutOfMemory, Record
from bench.store.line import record_of
from bench.traces import trace
from bench.traces.tracing import trace_of
from bench.vram import stages
from bench.workloads import models

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "pipeline_memory.py"
KEY = "tiny-sd-v1-img2img"
needs_onednn = pytest.mark.skipif(
    not torch.backends.cpu.get_cpu_capability().startswith("AVX") or not torch.backends.mkldnn.is_available(),
    reason="no oneDNN with AVX here",
)


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    """benchmarks/pipeline_memory.py, which compares all tiny pipelines; here are three."""
    spec = importlib.util.spec_from_file_location("pipeline_memory", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@needs_onednn
@pytest.mark.parametrize(
    ("key", "size", "least_mib"),
    [
        ("tiny-sd-v1-txt2img", 256, {"denoise": 6, "decode": 20}),
        ("tiny-sd-v1-img2img", 128, {"encode": 4, "denoise": 1.5, "decode": 5}),
        ("tiny-flux-txt2img", 128, {"text": 12, "denoise": 1, "decode": 5}),
    ],
)
def test_each_stage_s_peak_is_that_of_torch_s_own_allocation_events(
    benchmark: ModuleType, key: str, size: int, least_mib: dict[str, float]
) -> None:
    case = usual_case(key)
    case = case.model_copy(update={"axes": Axes({**case.axes, "width": size, "height": size})})
    peaks = {peak.stage: peak for peak in benchmark.peaks_of(case)}
    assert list(peaks) == list(dict.fromkeys(part.stage for part in models.workload(key).parts(case)))
    assert all(peaks[stage].measured > mib * MIB for stage, mib in least_mib.items())
    assert [stage for stage, peak in peaks.items() if not peak.agrees] == []


@pytest.fixture(scope="module")
def card() -> TargetCard:
    ((card,), _) = choose_cards(["RTX 4090"], None, Path("there is none"))
    return card


def test_every_stage_has_the_resident_weights_below_its_peak(card: TargetCard) -> None:
    case = usual_case(KEY)
    call = predicted_stages.predict(case, card)
    assert call is not None
    components = models.workload(KEY).components(case)
    weights = sum(trace_of(each).weight_elements for each in components.values()) * 4
    assert [part.required.weights_bytes for part in call.parts] == [weights] * 4
    assert all(part.required.lean_peaks.allocated_bytes > weights for part in call.parts)


def test_a_whole_call_is_its_largest_stage_with_the_work_of_all(card: TargetCard) -> None:
    call = predicted_stages.predict(usual_case(KEY), card)
    assert call is not None
    largest = max(call.parts, key=lambda part: part.prediction.taken_reserved_bytes)
    assert call.prediction.taken_reserved_bytes == largest.prediction.taken_reserved_bytes
    assert call.prediction.work.flops == sum(part.work.flops for part in call.parts)
    # what one stage left in the pool may not be used by the next
    assert call.prediction.taken_high_bytes >= stages.kept_bytes(call.parts) >= largest.required.band[1]


def test_offload_needs_less_and_sequential_offload_the_least(card: TargetCard) -> None:
    weights = []
    for variant in ("default", "model-offload", "sequential-offload"):
        call = predicted_stages.predict(usual_case(KEY).model_copy(update={"variant": variant}), card)
        assert call is not None
        weights.append(max(part.required.weights_bytes for part in call.parts))
    assert weights == sorted(weights, reverse=True)
    assert len(set(weights)) == 3


def records_on(card: TargetCard, case: Case) -> Record:
    sweep = config.choose(config.load(config.find("docs")), [KEY], [], [], [])
    (record,) = predicted_records.records_of(case, [card], plan.make(sweep))
    return record


def test_a_record_has_each_stage_with_its_peak_and_range(card: TargetCard) -> None:
    record = records_on(card, usual_case(KEY))
    assert isinstance(record.outcome, Measured)
    assert [stage.name for stage in record.stages] == ["text", "encode", "denoise", "decode"]
    for stage in record.stages:
        assert stage.memory is not None
        assert stage.reserved_range is not None
        assert stage.reserved_range[0] <= (stage.memory.peak_bytes or 0) <= stage.reserved_range[1]
    # and it is what is read again
    assert record_of(record.to_json().encode(), "a line") == record


def test_a_record_names_the_stage_that_does_not_fit(card: TargetCard) -> None:
    case = usual_case(KEY)
    case = case.model_copy(update={"axes": Axes({**case.axes, "width": 512, "height": 512})})
    call = predicted_stages.predict(case, card)
    assert call is not None
    needed = [part.required.lean_peaks.allocated_bytes for part in call.parts]
    assert max(needed) == needed[-1]  # decoding needs the most
    small = replace(card, place=replace(card.place, limit_bytes=needed[-1] - 1, context_bytes=(0, 0)))
    record = records_on(small, case)
    assert isinstance(record.outcome, OutOfMemory)
    assert record.outcome.stage == "decode"
    assert all(stage.memory is None and stage.reserved_range is not None for stage in record.stages)


def test_a_whole_call_has_no_trace_of_its_own() -> None:
    assert "bench predict" in refusal(ConfigError, trace_of, usual_case(KEY))


def test_a_step_computes_what_torch_counts() -> None:
    """`capture` compares the operations of a step with torch's own counter, and refuses a trace that differs."""
    case = usual_case("tiny-wan-2.1-t2v")
    step = next(part.case for part in models.workload(case.model).parts(case) if part.stage == "denoise")
    traced = trace.capture(step)
    assert len(traced.passes) == 2  # guidance runs the denoiser twice
    assert traced.passes[0] == traced.passes[1]
