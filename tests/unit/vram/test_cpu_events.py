"""Predicted peaks on the CPU against the allocations that torch's own profiler sees of the real call."""

from __future__ import annotations

import pytest
import torch
from factories import a_case

from bench.record import Case, Tile
from bench.traces import trace
from bench.vram import timeline
from bench.vram.onednn import OneDnn
from bench.workloads import models
from bench.workloads.labels import label_of
from bench.workloads.vae_classes.module import VaeOnDevice
from bench.workloads.vae_classes.vae_class import VaeSpec

KIB, MIB = 2**10, 2**20
_CAPABILITY = torch.backends.cpu.get_cpu_capability()
pytestmark = pytest.mark.skipif(
    not _CAPABILITY.startswith("AVX") or not torch.backends.mkldnn.is_available(), reason="no oneDNN with AVX here"
)


def _of_profiler(case: Case) -> int:
    """The most that the call's allocations come to at once, its input and the weights apart."""
    call = VaeOnDevice(case, torch.device("cpu")).prepare(case)
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.inference_mode(), torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        call.run()
    assert profile.profiler is not None
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    alive = peak = 0
    for event in sorted(events, key=lambda one: one.start_ns()):
        alive += event.nbytes()
        peak = max(peak, alive)
    return peak


@pytest.mark.parametrize(
    "case",
    [
        a_case(model="sd-v1", size=64),
        a_case(model="sd-v1", operation="decode", size=64),
        a_case(model="flux", operation="decode", size=64),
        *(a_case(operation=name, size=128, tiling=Tile(tile=64, overlap=16)) for name in ("encode", "decode")),
        a_case(operation="decode", width=192, height=64),
        a_case(operation="decode", size=64, batch=3, variant="sliced"),
    ],
    ids=label_of,
)
def test_the_predicted_peak_is_that_of_torch_s_own_allocation_events(case: Case) -> None:
    # Given the peak that the profiler saw
    seen = _of_profiler(case)
    assert seen > MIB
    # When the same call is predicted
    traced = trace.capture(case)
    backend = OneDnn(torch.get_num_threads(), 16 if "AVX512" in _CAPABILITY else 8)
    found = timeline.build(traced, backend, 4).peak_bytes - 4 * (traced.weight_elements + traced.input_elements)
    # Then they agree (to the byte, where the rules were found: torch 2.13, AVX-512)
    assert abs(found - seen) <= 0.02 * seen


def _small_models() -> list[Case]:
    """Encode and decode with the small model of each class, whole and in tiles."""
    cases = []
    for key, spec in models.zoo().items():
        if not isinstance(spec, VaeSpec) or not key.startswith("tiny"):
            continue
        for operation in spec.vae_class.operations:
            whole = {"model": key, "operation": operation, "dtype": "float32", "axes": models.square(key, 64)}
            cases += [Case(**whole), Case(**{**whole, "axes": {**whole["axes"], "width": 96}, "tiling": spec.tile})]
    return [case for case in cases if not models.workload(case.model).check(case)]


@pytest.mark.parametrize("case", _small_models(), ids=label_of)
def test_a_class_s_small_model_peaks_where_the_cpu_s_rules_say(case: Case) -> None:
    # Given the peak that the profiler saw
    seen = _of_profiler(case)
    # When the same call is predicted with the layouts of a CPU
    traced = trace.capture(case, "cpu")
    backend = OneDnn(torch.get_num_threads(), 16 if "AVX512" in _CAPABILITY else 8)
    found = timeline.build(traced, backend, 4).peak_bytes - 4 * (traced.weight_elements + traced.input_elements)
    # Then they agree (to the byte, where the rules were found: torch 2.13, AVX2)
    assert abs(found - seen) <= 64 * KIB
