"""Checkpoints of text encoders in folders: their weights, their tokenizers, and folders that have none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from factories import refusal

from bench.errors import ConfigError
from bench.record import Axes, Case
from bench.workloads import models
from bench.workloads.text_encoder import module, prompts, zoo

SPEC = zoo.get("tiny-clip-l")
WORDS = ("[PAD]", "[BOS]", "[EOS]", "a", "cat", "on", "the", "mat")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a pipeline: a small encoder of random weights, and a tokenizer of eight words, both made here."""
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("pipeline")
    torch.manual_seed(1)
    module.build(SPEC, torch.float32, torch.device("cpu")).save_pretrained(folder / "text_encoder")
    own = tokenizers.Tokenizer(tokenizers.models.WordLevel({word: n for n, word in enumerate(WORDS)}, "[PAD]"))
    own.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    own.post_processor = tokenizers.processors.TemplateProcessing(
        single="[BOS] $A [EOS]", special_tokens=[("[BOS]", 1), ("[EOS]", 2)]
    )
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=own, pad_token="[PAD]")  # noqa: S106 - no password
    fast.save_pretrained(folder / "tokenizer")
    (folder / "model_index.json").write_text("{}")
    return folder


def _case(weights: str) -> Case:
    axes = Axes({"tokens": 8, "batch": 1})
    return Case(model=SPEC.key, operation="encode-text", axes=axes, dtype="float32", weights=weights)


@pytest.mark.parametrize("inside", ["", "text_encoder"])
def test_the_weights_of_a_folder_are_those_that_encode(pipeline: Path, inside: str) -> None:
    weights = str(pipeline / inside)
    assert not models.workload(SPEC.key).weights_refusal(SPEC.key, weights)
    ids = torch.arange(200, 208)[None]
    with torch.inference_mode():
        loaded = module.EncoderOnDevice(_case(weights), torch.device("cpu")).encode(ids)
        other = module.EncoderOnDevice(_case("random"), torch.device("cpu")).encode(ids)
        again = module.EncoderOnDevice(_case(weights), torch.device("cpu")).encode(ids)
    assert torch.equal(loaded, again)
    assert not torch.equal(loaded, other)


@pytest.mark.parametrize("inside", ["", "text_encoder"])
def test_a_folder_s_own_tokenizer_cuts_and_pads_prompts(pipeline: Path, inside: str) -> None:
    tokenize = prompts.tokenizer(SPEC, str(pipeline / inside))
    made = tokenize(["the cat on the mat", "a cat"], 5)
    assert made.token_ids == [[1, 6, 4, 5, 2], [1, 3, 4, 2, 0]]
    assert made.mask == [[1] * 5, [1, 1, 1, 1, 0]]
    assert (made.lengths, made.is_hashed) == ([7, 4], False)


def test_a_folder_without_a_tokenizer_is_refused(pipeline: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((pipeline / "text_encoder" / "config.json").read_text())
    message = refusal(ConfigError, lambda: prompts.tokenizer(SPEC, str(tmp_path)))
    assert "tokenizer" in message


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "has no config.json"),
        ("{", "can't be read"),
        ("[]", "names no class"),
        ("{}", "names no class"),
        (json.dumps({"_class_name": "AutoencoderKL"}), "names no class"),
        (json.dumps({"architectures": ["T5EncoderModel"]}), "T5EncoderModel"),
    ],
)
def test_a_folder_that_is_no_checkpoint_of_the_model_is_refused(tmp_path: Path, content: str | None, says: str) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    assert says in models.workload(SPEC.key).weights_refusal(SPEC.key, str(tmp_path))


def test_a_checkpoint_of_another_size_is_refused(pipeline: Path) -> None:
    config = json.loads((pipeline / "text_encoder" / "config.json").read_text())
    wide = zoo.get("clip-l")
    assert config["architectures"] == [wide.resident_class]
    case = _case(str(pipeline)).model_copy(update={"model": "clip-l"})
    with pytest.raises(ValueError, match="hidden_size is 64, not 768"):
        module.EncoderOnDevice(case, torch.device("cpu"))
