"""Pipelines as data: what fits what, and which cases are refused before anything is loaded. Without torch."""

from __future__ import annotations

import pytest
from pipelines import a_pipeline_case

from bench.plan import refusal
from bench.record import Tile
from bench.workloads import models
from bench.workloads.base import Workload
from bench.workloads.passes import Counts
from bench.workloads.pipeline import zoo
from bench.workloads.pipeline.pipeline_spec import STAGES, PipelineSpec
from bench.workloads.text_encoder import zoo as text_zoo

KEYS = [spec.key for spec in zoo.listed()]
VARIANTS = ("default", "model-offload", "sequential-offload", "without-vae", "without-text", "denoise-only")


def kind(key: str) -> Workload:
    return models.workload(key)


@pytest.mark.parametrize("key", KEYS)
def test_the_components_fit_each_other(key: str) -> None:
    spec = zoo.get(key)
    widths = {
        spec.denoiser.arguments.get("cross_attention_dim"),
        spec.denoiser.arguments.get("joint_attention_dim"),
        spec.denoiser.arguments.get("text_dim"),
    } - {None}
    made = [text_zoo.get(encoder.model).width for encoder in spec.text_encoders]
    tokens, width = spec.embeddings["prompt_embeds"]
    assert width in {made[-1], sum(made)}
    assert widths <= {width}
    assert tokens == max(encoder.tokens for encoder in spec.text_encoders)
    assert all(encoder.tokens <= text_zoo.get(encoder.model).most_tokens for encoder in spec.text_encoders)
    assert spec.vae_spec.geometry.is_video == (spec.frames is not None)


@pytest.mark.parametrize("spec", [spec for spec in zoo.listed() if spec.hub_id], ids=lambda spec: spec.key)
def test_each_pipeline_has_a_tiny_sibling_of_the_same_classes(spec: PipelineSpec) -> None:
    tiny = zoo.get(f"tiny-{spec.key}")
    for name in ("class_name", "scheduler", "strength", "negative_prompt", "needs_vae", "vae_decodes_in", "multiple"):
        assert getattr(tiny, name) == getattr(spec, name)
    assert tiny.denoiser.class_name == spec.denoiser.class_name
    assert [each.model for each in tiny.text_encoders] == [f"tiny-{each.model}" for each in spec.text_encoders]
    assert tiny.vae_spec.vae_class is spec.vae_spec.vae_class
    assert tiny.vae_spec.spatial_factor == spec.vae_spec.spatial_factor  # what pipelines assume without a VAE
    assert tiny.embeddings.keys() == spec.embeddings.keys()


def test_a_variant_leaves_out_the_stages_that_an_endpoint_does() -> None:
    spec = zoo.get("sd-v1-img2img")
    assert spec.stages() == STAGES
    assert spec.stages("model-offload") == STAGES
    assert spec.stages("without-vae") == ("text", "denoise")
    assert spec.stages("without-text") == ("encode", "denoise", "decode")
    assert spec.stages("denoise-only") == ("denoise",)
    assert zoo.get("flux-txt2img").stages() == ("text", "denoise", "decode")


@pytest.mark.parametrize(
    ("key", "asked", "made", "calls"),
    [
        ("sd-v1-txt2img", 50, 51, 51),  # PNDM's first step has two parts
        ("sd-v1-img2img", 50, 41, 41),
        ("sdxl-img2img", 50, 15, 15),
        ("flux-txt2img", 28, 28, 28),
        ("wan-2.1-t2v", 50, 50, 100),
    ],
)
def test_steps_and_the_denoiser_s_calls(key: str, asked: int, made: int, calls: int) -> None:
    assert (zoo.get(key).steps_made(asked), zoo.get(key).denoiser_calls(asked)) == (made, calls)


def test_the_steps_of_a_stage_are_counted_from_the_denoiser_s_calls() -> None:
    case = a_pipeline_case("wan-2.1-t2v")
    assert kind("wan-2.1-t2v").count(case, "denoise", [(1, 16, 21, 60, 104)] * 100) == Counts(steps=50)
    assert kind("wan-2.1-t2v").count(case, "text", []) == Counts()


def test_a_pipeline_that_reads_its_vae_is_refused_without_one_before_it_is_loaded() -> None:
    for variant in ("without-vae", "denoise-only"):
        assert "vae=None" in refusal(a_pipeline_case("sdxl-img2img", variant=variant))
        assert not refusal(a_pipeline_case("sdxl-txt2img", variant=variant))
    assert not refusal(a_pipeline_case("sdxl-img2img", variant="without-text"))


@pytest.mark.parametrize("key", KEYS)
def test_each_variant_is_a_case_of_its_own(key: str) -> None:
    assert kind(key).variants == VARIANTS[1:]
    assert len({a_pipeline_case(key, variant=variant).id for variant in VARIANTS}) == len(VARIANTS)


def test_offload_is_refused_on_a_cpu_and_nothing_else_is() -> None:
    workload = kind("flux-txt2img")
    cases = {variant: a_pipeline_case("flux-txt2img", variant=variant) for variant in VARIANTS}
    refused = {variant for variant, case in cases.items() if workload.device_refusal(case, "cpu")}
    assert refused == {"model-offload", "sequential-offload"}
    assert not any(workload.device_refusal(case, "cuda") for case in cases.values())


def test_tiles_are_those_of_the_vae() -> None:
    tile = Tile.of(64)
    assert not refusal(a_pipeline_case("tiny-sd-v1-txt2img", tiling=tile))
    assert "no VAE" in refusal(a_pipeline_case("tiny-sd-v1-txt2img", tiling=tile, variant="without-vae"))
    assert "multiple of 8" in refusal(a_pipeline_case("tiny-sd-v1-txt2img", tiling=Tile(tile=60, overlap=12)))


def test_steps_that_come_to_none_are_refused() -> None:
    assert "ask for more" in refusal(a_pipeline_case("tiny-sdxl-img2img", steps=3))
    assert not refusal(a_pipeline_case("tiny-sdxl-img2img", steps=4))
    # PNDM's extra step does not count: without one that is kept it has no timesteps at all
    assert "ask for more" in refusal(a_pipeline_case("tiny-sd-v1-img2img", steps=1))
    assert not refusal(a_pipeline_case("tiny-sd-v1-img2img", steps=2))


def test_sides_and_frames_have_the_nearest_valid_ones() -> None:
    axes = models.axes("wan-2.1-t2v")
    assert "try 480 or 496" in axes["height"].check(488)
    assert "81" in axes["frames"].check(82)
    assert axes["steps"].default == 50


@pytest.mark.parametrize(
    ("dtype", "decodes_in"), [("float16", "float32"), ("bfloat16", "bfloat16"), ("float32", "float32")]
)
def test_sdxl_decodes_in_float32_what_was_loaded_in_float16(dtype: str, decodes_in: str) -> None:
    case = a_pipeline_case("sdxl-txt2img", dtype=dtype)
    assert zoo.get("sdxl-txt2img").vae_case(case, "decode").dtype == decodes_in


def test_the_latents_are_those_of_the_vae() -> None:
    assert zoo.get("flux-txt2img").latent_shape(a_pipeline_case("flux-txt2img", batch=2).axes) == (2, 16, 128, 128)
    assert zoo.get("wan-2.1-t2v").latent_shape(a_pipeline_case("wan-2.1-t2v").axes) == (1, 16, 21, 60, 104)
