"""What the zoo says of each text encoder, without torch."""

from __future__ import annotations

import pytest

from bench import config
from bench.record import Axes, Case
from bench.workloads import models
from bench.workloads.text_encoder import prompts, zoo

FULL = ("clip-l", "clip-g", "t5-xxl", "umt5-xxl", "llama-3-8b", "qwen2.5-vl-7b", "qwen3-4b", "gemma-2-2b")


def a_prompt(model: str, tokens: int = 77, batch: int = 1, **fields: str) -> Case:
    axes = Axes({"tokens": tokens, "batch": batch})
    return Case(**{"model": model, "operation": "encode-text", "axes": axes, "dtype": "float32"} | fields)


def test_each_encoder_has_a_small_sibling_that_is_called_in_the_same_way() -> None:
    specs = {spec.key: spec for spec in zoo.listed()}
    full = [key for key in specs if not key.startswith("tiny-")]
    assert {*FULL, "mistral-small-24b"} == set(full)
    for key in full:
        own, small = specs[key], specs[f"tiny-{key}"]
        assert (own.resident_class, own.tokens, own.mask, own.forbids_cache) == (
            *(small.resident_class, small.tokens, small.mask, small.forbids_cache),
        )
        assert small.parameters < 10**6


def test_flux_2_s_encoder_is_known_by_the_name_of_its_part() -> None:
    assert models.get("flux2-text").key == "mistral-small-24b"
    assert models.get("tiny-flux2-text").key == "tiny-mistral-small-24b"


def test_the_answer_of_flux_2_s_encoder_is_three_hidden_states_side_by_side() -> None:
    spec = zoo.get("mistral-small-24b")
    assert spec.answer_shape(a_prompt("mistral-small-24b", 512)) == (1, 512, 15360)
    payload = models.workload("flux2-text").payload(a_prompt("mistral-small-24b", 512, dtype="bfloat16"))
    assert payload is not None
    assert payload.bodies("predict")[1].known_bytes == 15_728_640  # type: ignore[index]


def test_the_template_is_encoded_but_not_part_of_the_answer() -> None:
    spec, case = zoo.get("qwen2.5-vl-7b"), a_prompt("qwen2.5-vl-7b", 1024)
    assert spec.input_shape(case) == (1, 1024 + 34)
    assert spec.answer_shape(case) == (1, 1024, 3584)


@pytest.mark.parametrize(
    ("model", "most"), [("clip-l", 77), ("t5-xxl", 512), ("llama-3-8b", 8192 - 95), ("mistral-small-24b", 131_072)]
)
def test_a_prompt_that_is_longer_than_the_encoder_takes_is_refused_with_the_most(model: str, most: int) -> None:
    check = models.axes(model)["tokens"].check
    assert not check(most)
    assert str(most) in check(most + 1)


@pytest.mark.parametrize("text", ["0", "-1", "77.5", "1e9", "many", "", "1" * 19])
def test_tokens_that_are_no_count_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a whole number|is less than 1"):
        models.axes("clip-l")["tokens"].parse(text)


# Prompts with random weights


def test_a_hashed_prompt_has_the_same_ids_for_the_same_words_and_is_said_to_be_hashed() -> None:
    spec = zoo.get("tiny-llama-3-8b")
    made = prompts.tokenizer(spec, "random")(["a cat, a hat", "dog"], 8)
    first, second = made.token_ids
    assert first[95] == first[98]  # "a" twice
    assert first[:95] == second[:95]  # the template
    assert (made.template_tokens, made.tokens, made.lengths, made.is_hashed) == (95, 8, [5, 1], True)
    assert made.mask[1][95:] == [1, *[0] * 7]
    assert all(0 <= word < spec.vocabulary for word in first)


def test_a_hashed_prompt_that_is_too_long_is_cut_and_its_length_stays_known() -> None:
    made = prompts.hashed(zoo.get("tiny-clip-l"), ["one two three four"], 3)
    assert (len(made.token_ids[0]), made.lengths) == (3, [4])


def test_sample_prompts_differ_and_hold_fewer_words_than_tokens() -> None:
    first, second = prompts.sample(40, 2)
    assert first != second
    assert len(first.split()) <= 40


def test_the_shipped_sweeps_of_text_encoders_name_models_of_both_sizes() -> None:
    for name, is_small in (("text-encoders", False), ("text-encoders-cpu", True)):
        sweep = config.load(config.find(name))
        assert len(sweep.models) == 9
        assert all(key.startswith("tiny-") is is_small for key in sweep.models)
