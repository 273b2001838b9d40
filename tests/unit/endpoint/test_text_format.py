"""JSON of text encoders: what is a request, and what each refusal says."""

from __future__ import annotations

import json

import pytest

from bench.endpoint.shapes import Limits
from bench.endpoint.text_format import MOST_PROMPT_BYTES, TextRequest, max_body_bytes, text_request
from bench.wire.messages import Message, RefusedError

LIMITS = Limits(max_batch=3)
RAW, PREDICT = "/t5-xxl/encode-text", "/predict"


def parsed(content: object, path: str = RAW) -> TextRequest:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return text_request(Message((), body, path=path), LIMITS)


@pytest.mark.parametrize(
    ("content", "prompts", "tokens"),
    [
        ({"prompt": "a cat"}, ("a cat",), None),
        ({"prompt": ["a cat", "un chat é 猫 🐈"]}, ("a cat", "un chat é 猫 🐈"), None),
        ({"prompt": [""], "tokens": 64}, ("",), 64),
        ({"prompt": "a", "tokens": None}, ("a",), None),
    ],
)
def test_a_text_or_a_list_of_texts_is_a_request(content: object, prompts: tuple[str, ...], tokens: int | None) -> None:
    assert parsed(content) == TextRequest(prompts, tokens, saved=False)


def test_the_protocol_of_flux_2_has_prompts_and_ignores_everything_else() -> None:
    assert parsed({"prompt": ["a"], "tokens": 9, "seed": 1}, PREDICT) == TextRequest(("a",), None, saved=True)


@pytest.mark.parametrize("path", [RAW, PREDICT])
@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"", 400, "not JSON"),
        (b"a cat", 400, "not JSON"),
        (b"\xff\xfe", 400, "not JSON"),
        (b'{"prompt": "\\ud800"}', 400, "not JSON"),
        (b'{"prompt": NaN}', 400, "not JSON"),
        (b"[" * 100_000, 400, "not JSON"),
        (b'{"a":' * 100_000, 400, "not JSON"),
        (b'["a cat"]', 400, "a list"),
        (b'"a cat"', 400, "a text"),
        (b"{}", 400, 'no "prompt"'),
        (b'{"prompts": "a cat"}', 400, "Did you mean 'prompt'"),
        (b'{"prompt": null}', 400, "null"),
        (b'{"prompt": 3}', 400, "a number"),
        (b'{"prompt": true}', 400, "true or false"),
        (b'{"prompt": {"text": "a"}}', 400, "an object"),
        (b'{"prompt": []}', 400, "an empty list"),
        (b'{"prompt": ["a", ["b"]]}', 400, "Entry 1"),
        (b'{"prompt": ["a", 3]}', 400, "Entry 1"),
        (json.dumps({"prompt": ["a"] * 10_000}).encode(), 413, "10000 prompts"),
        (json.dumps({"prompt": "a" * 1_000_000}).encode(), 413, "1,000,000 bytes"),
        (json.dumps({"prompt": ["a", "é" * (MOST_PROMPT_BYTES // 2 + 1)]}).encode(), 413, "Prompt 1"),
    ],
)
def test_what_is_not_a_request_is_refused_in_a_short_text_that_says_why(
    body: bytes, status: int, told: str, path: str
) -> None:
    with pytest.raises(RefusedError) as caught:
        parsed(body, path)
    assert caught.value.status == status
    assert told in caught.value.message
    assert len(caught.value.message) < 400


@pytest.mark.parametrize("tokens", [0, -1, 1.5, "77", True, [77], 10**30])
def test_a_count_of_tokens_is_a_whole_number(tokens: object) -> None:
    if tokens == 10**30:  # a whole number, which the encoder's own limit refuses
        assert parsed({"prompt": "a", "tokens": tokens}).tokens == tokens
        return
    with pytest.raises(RefusedError, match='"tokens"'):
        parsed({"prompt": "a", "tokens": tokens})


def test_an_unknown_key_is_named_and_cut_short() -> None:
    with pytest.raises(RefusedError, match="Did you mean 'tokens'"):
        parsed({"prompt": "a", "token": 77})
    with pytest.raises(RefusedError) as caught:
        parsed({"prompt": "a", "x" * 100_000: 1})
    assert len(caught.value.message) < 400


def test_the_limit_on_a_body_has_room_for_each_prompt_however_it_is_escaped() -> None:
    body = json.dumps({"prompt": ["\x01" * MOST_PROMPT_BYTES] * LIMITS.max_batch}).encode()
    assert len(body) <= max_body_bytes(LIMITS)
    assert len(parsed(body).prompts) == LIMITS.max_batch
