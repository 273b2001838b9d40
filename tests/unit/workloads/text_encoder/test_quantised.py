"""Weights of 8 and 4 bits, and weights in the host's memory."""

from __future__ import annotations

import sys

import pytest
import torch
from factories import refusal

from bench.errors import ConfigError
from bench.record import Axes, Case
from bench.workloads import models
from bench.workloads.base import weights_bytes
from bench.workloads.text_encoder import on_meta, zoo
from bench.workloads.text_encoder.module import EncoderOnDevice

CPU = torch.device("cpu")


def _case(model: str = "tiny-llama-3-8b", dtype: str = "float32", variant: str = "default") -> Case:
    axes = Axes({"tokens": 16, "batch": 1})
    return Case(model=model, operation="encode-text", axes=axes, dtype=dtype, variant=variant)


def test_the_weights_of_a_quantised_model_take_what_its_format_says() -> None:
    # Given the largest encoder, whose embedding and head keep their precision
    spec, module = zoo.get("mistral-small-24b"), on_meta.shared("mistral-small-24b", "bfloat16")
    tables = 2 * spec.vocabulary * 5120
    rest = spec.parameters - tables
    # When its weights are counted in each format
    sizes = {
        dtype: sum(spec.stored_bytes(dtype, part.numel()) for part in module.parameters())
        for dtype in ("bfloat16", "int8", "nf4")
    }
    # Then a weight takes 2 bytes, 1 byte, or half a byte and a float32 for 64 of them
    assert sizes["bfloat16"] == 2 * spec.parameters
    assert sizes["int8"] == pytest.approx(2 * tables + rest, rel=1e-3)
    assert sizes["nf4"] == pytest.approx(2 * tables + rest * (1 / 2 + 4 / 64), rel=1e-3)


def test_quantised_weights_can_t_be_offloaded() -> None:
    kind = models.workload("tiny-llama-3-8b")
    assert kind.check(_case(dtype="nf4", variant="cpu-offload"))
    assert not kind.check(_case(dtype="nf4"))
    assert kind.needs(_case(dtype="nf4")) == ("bitsandbytes",)
    assert kind.needs(_case()) == ()


def test_an_image_s_vae_has_no_quantised_weights() -> None:
    assert "int8" not in models.workload("sdxl").precisions


def test_without_bitsandbytes_a_quantised_model_is_refused_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    message = refusal(ConfigError, EncoderOnDevice, _case(dtype="nf4"), CPU)
    assert "hybrid-bench[quantised]" in message


@pytest.mark.parametrize("dtype", ["int8", "nf4"])
def test_a_quantised_model_answers_about_as_its_own_precision_does(dtype: str) -> None:
    pytest.importorskip("bitsandbytes")
    encoder = EncoderOnDevice(_case(dtype=dtype), CPU)
    whole = EncoderOnDevice(_case(dtype="float16"), CPU)
    with torch.inference_mode():
        answer = encoder.prepare(_case(dtype=dtype)).run()
    assert isinstance(answer, torch.Tensor)
    assert tuple(answer.shape) == (1, 16, 64)
    assert bool(answer.isfinite().all())
    assert weights_bytes(encoder) < weights_bytes(whole)


@pytest.mark.parametrize("variant", ["cpu-offload", "sequential-offload"])
def test_an_offloaded_model_gives_the_same_answer(variant: str) -> None:
    answers = []
    for each in ("default", variant):
        case = _case(variant=each)
        with torch.inference_mode():
            answers.append(EncoderOnDevice(case, CPU).prepare(case).run())
    first, second = answers
    assert isinstance(first, torch.Tensor)
    assert isinstance(second, torch.Tensor)
    assert torch.equal(first, second)
