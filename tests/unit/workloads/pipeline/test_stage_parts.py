"""The parts of a pipeline's call: what each runs, and what is on the device meanwhile."""

from __future__ import annotations

import pytest

from bench.predictions.pipelines import usual_case
from bench.record import Case
from bench.workloads import models
from bench.workloads.base import StagePart


def parts_of(key: str, variant: str = "default") -> tuple[StagePart, ...]:
    case = usual_case(key).model_copy(update={"variant": variant})
    return models.workload(key).parts(case)


def names(cases: tuple[Case, ...]) -> list[str]:
    return [case.model for case in cases]


def test_a_call_has_a_part_for_each_text_encoder_one_step_and_the_vae() -> None:
    parts = parts_of("sdxl-txt2img")
    assert [(part.stage, part.case.model) for part in parts] == [
        ("text", "clip-l"),
        ("text", "clip-g"),
        ("denoise", "sdxl-txt2img"),
        ("decode", "sdxl"),
    ]
    step = parts[2]
    assert (step.case.axes["steps"], step.repeats) == (1, 50)
    assert all(set(names(part.resident)) == {"clip-l", "clip-g", "sdxl-txt2img", "sdxl"} for part in parts)


def test_a_vae_that_overflows_is_resident_as_loaded_and_decodes_in_float32() -> None:
    *_, step, decode = parts_of("sdxl-txt2img")
    dtypes = [{each.model: each.dtype for each in part.resident}["sdxl"] for part in (step, decode)]
    assert dtypes == ["float16", "float32"]
    assert decode.case.dtype == "float32"


def test_a_picture_stays_on_the_device_after_it_was_encoded() -> None:
    encode, denoise, decode = parts_of("sd-v1-img2img")[-3:]
    assert [part.stage for part in (encode, denoise, decode)] == ["encode", "denoise", "decode"]
    assert encode.case in denoise.held
    assert set(decode.held) == {denoise.case, encode.case}


@pytest.mark.parametrize(
    ("variant", "stages", "resident"),
    [
        ("without-vae", ["text", "text", "denoise"], ["clip-l", "t5-xxl", "flux-txt2img"]),
        ("without-text", ["denoise", "decode"], ["flux-txt2img", "flux"]),
        ("denoise-only", ["denoise"], ["flux-txt2img"]),
    ],
)
def test_a_remote_stage_leaves_out_its_components(variant: str, stages: list[str], resident: list[str]) -> None:
    parts = parts_of("flux-txt2img", variant)
    assert [part.stage for part in parts] == stages
    assert all(names(part.resident) == resident for part in parts)


@pytest.mark.parametrize(("variant", "by_leaf"), [("model-offload", False), ("sequential-offload", True)])
def test_offload_keeps_only_what_runs(variant: str, by_leaf: bool) -> None:
    parts = parts_of("wan-2.1-t2v", variant)
    assert all(part.resident == (part.case,) and part.by_leaf == by_leaf for part in parts)


def test_a_step_by_itself_has_no_parts() -> None:
    step = parts_of("sd-v1-txt2img")[1].case
    assert models.workload(step.model).parts(step) == ()
