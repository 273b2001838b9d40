"""Text encoders built by transformers: their sizes, their calls, and their memory by torch's own account."""

from __future__ import annotations

import pytest
import torch

from bench.record import Axes, Case
from bench.traces import trace
from bench.vram import timeline
from bench.vram.onednn import OneDnn
from bench.workloads import models
from bench.workloads.text_encoder import on_meta, zoo
from bench.workloads.text_encoder.module import EncoderOnDevice

MIB = 2**20
_CAPABILITY = torch.backends.cpu.get_cpu_capability()
SMALL = [spec.key for spec in zoo.listed() if spec.key.startswith("tiny-")]


def _case(model: str, tokens: int, batch: int = 2) -> Case:
    axes = Axes({"tokens": tokens, "batch": batch})
    return Case(model=model, operation="encode-text", axes=axes, dtype="float32")


@pytest.mark.parametrize("key", [spec.key for spec in zoo.listed()])
def test_an_encoder_has_the_parameters_and_the_class_that_its_entry_states(key: str) -> None:
    spec, module = zoo.get(key), on_meta.shared(key, "bfloat16")
    parts = dict(module.named_parameters())
    seeing = ("visual.", "vision_tower.", "multi_modal_projector.")
    used = {name: part for name, part in parts.items() if not any(part in name for part in seeing)}
    assert sum(part.numel() for part in parts.values()) == spec.parameters
    assert sum(part.numel() for part in used.values()) == spec.used_parameters
    assert type(module).__name__ == models.workload(key).facts(key).class_name
    assert module.get_input_embeddings().num_embeddings == spec.vocabulary


def test_the_counts_are_those_that_were_published() -> None:
    published = {
        "clip-l": 123_060_480,
        "clip-g": 694_659_840,
        "t5-xxl": 4_762_310_656,
        "umt5-xxl": 5_680_910_336,
        "gemma-2-2b": 2_614_341_888,
        "qwen3-4b": 4_022_468_096,
        "llama-3-8b": 7_504_924_672,
    }
    assert {key: zoo.get(key).parameters for key in published} == published


@pytest.mark.parametrize("key", SMALL)
def test_a_small_encoder_s_answer_and_peak_are_as_predicted(key: str) -> None:
    # Given the answer and the peak of torch's own allocation events
    case = _case(key, zoo.get(key).tokens)
    call = EncoderOnDevice(case, torch.device("cpu")).prepare(case)
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.inference_mode(), torch.profiler.profile(activities=activities, profile_memory=True) as profiler:
        answer = call.run()
    assert profiler.profiler is not None
    assert isinstance(answer, torch.Tensor)
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    live = seen = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()
        seen = max(seen, live)
    # When the same call is predicted
    traced = trace.capture(case, "cpu")
    backend = OneDnn(torch.get_num_threads(), 16 if "AVX512" in _CAPABILITY else 8)
    predicted = timeline.build(traced, backend, 4).peak_bytes - 4 * (traced.weight_elements + traced.input_elements)
    # Then both agree (to 12 bytes, where this was written: torch 2.13, AVX-512)
    assert tuple(answer.shape) == zoo.get(key).answer_shape(case)
    assert bool(answer.isfinite().all())
    assert seen > MIB // 4
    assert abs(predicted - seen) <= max(0.01 * seen, 64 * 2**10)


def test_padding_changes_no_token_before_it() -> None:
    case = _case("tiny-llama-3-8b", 16, batch=1)
    encoder = EncoderOnDevice(case, torch.device("cpu"))
    ids = torch.arange(200, 200 + 95 + 16)[None]
    mask = torch.ones_like(ids)
    mask[:, -8:] = 0
    with torch.inference_mode():
        whole, padded = encoder.encode(ids), encoder.encode(ids, mask)
    assert torch.allclose(whole[:, :8], padded[:, :8], atol=1e-5)


def test_flux_2_s_answer_is_what_its_pipeline_makes() -> None:
    flux2 = pytest.importorskip("diffusers.pipelines.flux2.pipeline_flux2")
    case = _case("tiny-mistral-small-24b", 24)
    encoder = EncoderOnDevice(case, torch.device("cpu"))
    ids = torch.arange(200, 248).view(2, 24)
    mask = torch.ones_like(ids)
    mask[:, 12:] = 0

    class Tokenizer:
        """Gives the pipeline these token ids."""

        def apply_chat_template(self, *_args: object, **_kwargs: object) -> dict[str, torch.Tensor]:
            return {"input_ids": ids, "attention_mask": mask}

    with torch.inference_mode():
        ours = encoder.encode(ids, mask)
        theirs = flux2.Flux2Pipeline._get_mistral_3_small_prompt_embeds(
            encoder.module, Tokenizer(), ["a", "b"], max_sequence_length=24, hidden_states_layers=(1, 2, 3)
        )
    assert torch.equal(ours, theirs)


def test_the_operations_of_a_call_are_those_of_its_linear_layers_and_its_attention() -> None:
    case = _case("tiny-t5-xxl", 64, batch=1)
    flops = models.workload(case.model).flops(case, "encode-text", ((1, 64),))
    linear = 3 * (4 * 64 * 64 + 3 * 64 * 128)
    attention = 3 * 4 * 4 * 16 * 64
    assert flops == 64 * (2 * linear + attention)
