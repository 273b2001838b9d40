"""What a text request carries; that of images is tested with `analysis.hybrid`."""

from __future__ import annotations

import json

import pytest

from bench.workloads.payloads import Body, ImagePayload, TextPayload

#: A prompt to FLUX.2's encoder: 512 tokens of 3 x 5120 values.
FLUX_2 = TextPayload(("a cat",), (1, 512, 15360), "bfloat16")


def test_a_prompt_of_flux_2_brings_back_15_7_megabytes() -> None:
    assert FLUX_2.answer_bytes == 15_728_640
    sent, received = FLUX_2.bodies("predict")
    assert (sent, received) == (Body(len(b'{"prompt": ["a cat"]}')), Body(15_728_640))


def test_only_the_protocol_of_flux_2_leaves_out_the_count_of_tokens() -> None:
    assert json.loads(FLUX_2.request("predict")) == {"prompt": ["a cat"]}
    assert json.loads(FLUX_2.request("tensor")) == {"prompt": ["a cat"], "tokens": 512}


@pytest.mark.parametrize("transport", ["mp4", "tensor", "predict"])
def test_images_have_no_known_size_over_other_transports(transport: str) -> None:
    payload = ImagePayload((1, 4, 8, 8), (1, 3, 64, 64), "float32", sends_images=False, scaling={})
    assert payload.bodies(transport) is None  # type: ignore[arg-type]


def test_tensors_of_an_unknown_precision_have_no_known_size() -> None:
    payload = ImagePayload((1, 4, 8, 8), (1, 3, 64, 64), "float7", sends_images=False, scaling={})
    assert payload.bodies("pt") is None
