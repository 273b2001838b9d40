"""Pipelines on a CUDA GPU: where their weights are, and what stages and loading take, with and without offload."""

from __future__ import annotations

import pytest
from pipelines import a_pipeline_case

from bench.core.units import MIB
from bench.record import Measured, MeasureSettings
from bench.run.messages import Done

torch = pytest.importorskip("torch")
session = pytest.importorskip("bench.run.worker.session")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available() or torch.version.hip is not None, reason="no CUDA GPU here"),
]
QUICK = MeasureSettings(min_samples=3, min_time=0.0, max_time=5.0, max_noise=None)
TINY = ("tiny-sd-v1-img2img", "tiny-sdxl-txt2img", "tiny-flux-txt2img", "tiny-qwen-image-txt2img", "tiny-wan-2.1-t2v")


@pytest.fixture(scope="module")
def gpu() -> object:
    return session.Session("cuda", None)


def run(gpu: object, key: str, variant: str, dtype: str = "float32") -> Done:
    done: Done = gpu.run(a_pipeline_case(key, variant=variant, dtype=dtype), QUICK, lambda _: None)
    assert isinstance(done.outcome, Measured), done.outcome
    return done


@pytest.mark.parametrize("variant", ["default", "model-offload", "sequential-offload"])
@pytest.mark.parametrize("key", TINY)
def test_each_way_to_keep_the_weights_runs_in_stages(gpu: object, key: str, variant: str) -> None:
    done = run(gpu, key, variant)
    assert [stage.name for stage in done.stages][-2:] == ["denoise", "decode"]
    assert all(stage.memory.peak_allocated_bytes for stage in done.stages)
    assert done.leaked_bytes == 0


def test_weights_are_on_the_card_after_loading_only_without_offload(gpu: object) -> None:
    # Given the real U-Net of SD v1.5, whose weights outweigh everything else
    loading = {variant: run(gpu, "sd-v1-txt2img", variant, "float16") for variant in ("default", "model-offload")}
    peaks = {variant: done.loading.peak_allocated_bytes for variant, done in loading.items()}
    weights = loading["default"].stages[0].memory.weights_bytes
    assert peaks["default"] == pytest.approx(weights, rel=0.02)
    assert peaks["model-offload"] < 16 * MIB


def test_offload_lowers_the_peak_of_every_stage(gpu: object) -> None:
    whole, offloaded = (run(gpu, "sd-v1-txt2img", variant, "float16") for variant in ("default", "model-offload"))
    for stage, other in zip(whole.stages, offloaded.stages, strict=True):
        assert other.memory.peak_allocated_bytes < stage.memory.peak_allocated_bytes
