"""diffusers' pipelines on the CPU, tiny: their calls in stages, and without the parts that an endpoint does."""

from __future__ import annotations

import gc
import weakref
from functools import cache
from inspect import signature
from typing import Any

import pytest
from pipelines import a_pipeline_case

from bench.record import Tile
from bench.workloads import models
from bench.workloads.pipeline import zoo

torch = pytest.importorskip("torch")
on_device = pytest.importorskip("bench.workloads.pipeline.pipeline_on_device")
components = pytest.importorskip("bench.workloads.pipeline.components")
TINY = [spec.key for spec in zoo.listed() if spec.key.startswith("tiny-")]
FULL = [spec.key for spec in zoo.listed() if spec.hub_id]


@cache
def built(key: str, variant: str = "default") -> Any:
    """A pipeline on the CPU, which all tests share."""
    return on_device.PipelineOnDevice(a_pipeline_case(key, variant=variant), torch.device("cpu"))


def result_of(output: Any) -> torch.Tensor:
    """The picture, the frames or the latents of a call, as numbers."""
    made = output.images if hasattr(output, "images") else output.frames
    if isinstance(made, torch.Tensor):
        return made
    return torch.stack([torch.as_tensor(bytearray(each.tobytes())) for each in made])


@pytest.mark.parametrize("key", TINY)
def test_the_stages_are_one_call_of_the_pipeline_cut_and_not_changed(key: str) -> None:
    case, pipeline = a_pipeline_case(key), built(key)
    call = pipeline.prepare(case)
    call.set_up()
    passes = {}
    for stage in call.stages:
        with stage.watching_passes() as made:
            result = stage.run()
        passes[stage.name] = list(made)

    spec = zoo.get(key)
    assert tuple(passes) == spec.stages()
    assert torch.equal(result_of(result), result_of(pipeline.call(pipeline.arguments(case))))
    steps = case.axes["steps"]
    assert len(passes["denoise"]) == spec.denoiser_calls(steps)
    assert models.workload(key).count(case, "denoise", passes["denoise"]).steps == spec.steps_made(steps)
    assert passes["denoise"][0][0] == spec.denoiser.batch
    assert passes["decode"]


@pytest.mark.parametrize("variant", ["without-vae", "without-text", "denoise-only"])
@pytest.mark.parametrize("key", [key for key in TINY if not zoo.get(key).needs_vae])
def test_without_the_parts_that_an_endpoint_does_the_rest_runs(key: str, variant: str) -> None:
    spec, pipeline = zoo.get(key), built(key, variant)
    call = pipeline.prepare(a_pipeline_case(key, variant=variant))
    results = [stage.run() for stage in call.stages]

    assert tuple(stage.name for stage in call.stages) == spec.stages(variant)
    assert torch.isfinite(result_of(results[-1]).float()).all()
    assert (pipeline.pipe.vae is None) == ("decode" not in spec.stages(variant))
    assert (pipeline.pipe.text_encoder is None) == ("text" not in spec.stages(variant))


def test_what_a_case_s_calls_leave_in_diffusers_objects_goes_with_the_case() -> None:
    for key in ("tiny-qwen-image-txt2img", "tiny-wan-2.1-t2v"):
        # Given a call that filled the scheduler and the caches of diffusers
        pipe, call = built(key).pipe, built(key).prepare(a_pipeline_case(key))
        call.run()
        used = weakref.ref(pipe.scheduler)
        # When the case is over
        del call
        gc.collect()
        # Then they are empty
        assert used() is None
        assert not getattr(pipe.scheduler, "model_outputs", None) or set(pipe.scheduler.model_outputs) == {None}
    rope = type(built("tiny-qwen-image-txt2img").pipe.transformer.pos_embed)
    assert [cache.cache_info().currsize for cache in on_device._caches(rope)] == [0, 0]


@pytest.mark.parametrize("key", ["tiny-sd-v1-img2img", "tiny-flux-txt2img", "tiny-wan-2.1-t2v"])
def test_a_pipeline_whose_components_accelerate_moves_is_cut_into_the_same_stages(key: str) -> None:
    # Given a pipeline with accelerate's hooks, which here move everything from the CPU to the CPU
    whole, offloaded = (built(key, variant).prepare(a_pipeline_case(key)) for variant in ("default", "model-offload"))
    # When it is called twice, since hooks are made anew after each call
    for _ in range(2):
        results = [result_of([stage.run() for stage in call.stages][-1]) for call in (whole, offloaded)]
        # Then each stage runs, and the picture is the same
        assert torch.equal(*results)


@pytest.mark.parametrize("key", [key for key in TINY if zoo.get(key).needs_vae])
def test_what_is_said_to_need_its_vae_fails_without_one(key: str) -> None:
    pipeline = built(key, "without-vae")
    with pytest.raises(AttributeError, match="config"):
        pipeline.call(pipeline.arguments(a_pipeline_case(key, variant="without-vae")))


def test_the_vae_goes_by_tiles_and_whole_again_as_each_case_says() -> None:
    key = "tiny-sd-v1-txt2img"
    pipeline, counts = built(key), []
    for tiling in (Tile(tile=64, overlap=16), "off"):
        case = a_pipeline_case(key, tiling=tiling)
        call = pipeline.prepare(case)
        call.set_up()
        *_, decode = call.stages
        for stage in call.stages[:-1]:
            stage.run()
        with decode.watching_passes() as made:
            decode.run()
        counts.append(models.workload(key).count(case, "decode", made).tiles)
    assert counts == [9, None]


def test_a_batch_has_a_prompt_and_a_picture_for_each_image() -> None:
    pipeline = built("tiny-sd-v1-img2img")
    arguments = pipeline.arguments(a_pipeline_case("tiny-sd-v1-img2img", batch=3))
    assert (len(arguments["prompt"]), len(arguments["image"])) == (3, 3)
    assert arguments["image"][0].size == (128, 128)
    assert len(result_of(pipeline.call(arguments))) == 3


@pytest.mark.parametrize("key", [key for key in TINY if not zoo.get(key).takes_image])
def test_the_text_stage_makes_embeddings_of_the_shapes_that_a_remote_encoder_sends(key: str) -> None:
    case, pipe = a_pipeline_case(key), built(key).pipe
    seen: dict[str, torch.Tensor] = {}
    encode, names = pipe.encode_prompt, list(zoo.get(key).embeddings)

    def watched(*values: Any, **named: Any) -> Any:
        made = encode(*values, **named)
        given = [each for each in made if isinstance(each, torch.Tensor) and each.dtype == torch.float32]
        left = [name for name in names if name not in seen]
        seen.update(dict(zip(left, given, strict=False)))
        return made

    pipe.encode_prompt = watched
    try:
        built(key).call(built(key).arguments(case))
    finally:
        del pipe.encode_prompt
    assert {name: tuple(each.shape[1:]) for name, each in seen.items()} == zoo.get(key).embeddings


@pytest.mark.parametrize("key", TINY)
def test_it_is_called_as_diffusers_calls_it_by_default(key: str) -> None:
    its_class = components.in_diffusers(zoo.get(key).class_name)
    defaults = {name: known.default for name, known in signature(its_class.__call__).parameters.items()}
    full = zoo.get(key.removeprefix("tiny-"))
    assert full.steps == defaults["num_inference_steps"]
    assert defaults.get("strength") == full.strength
    assert defaults.get("num_frames") == full.frames


@pytest.mark.parametrize("key", [*FULL, *TINY])
def test_the_denoiser_has_as_many_parameters_as_its_spec_says(key: str) -> None:
    denoiser = zoo.get(key).denoiser
    with torch.device("meta"):
        module = components.in_diffusers(denoiser.class_name)(**denoiser.arguments)
    assert sum(parameter.numel() for parameter in module.parameters()) == denoiser.parameters


def test_parts_that_diffusers_keeps_in_float32_stay_so() -> None:
    denoiser = components.denoiser(zoo.get("tiny-wan-2.1-t2v"), "bfloat16")
    kinds = {name: parameter.dtype for name, parameter in denoiser.named_parameters()}
    assert kinds["condition_embedder.time_embedder.linear_1.weight"] == torch.float32
    assert kinds["blocks.0.attn1.to_q.weight"] == torch.bfloat16


def test_the_weights_are_those_of_the_components() -> None:
    pipeline = built("tiny-flux-txt2img")
    expected = models.workload("tiny-flux-txt2img").facts("tiny-flux-txt2img").parameters
    assert sum(parameter.numel() for parameter in pipeline.module.parameters()) == expected
