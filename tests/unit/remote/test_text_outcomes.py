"""What anybody's `/predict` does wrong is an outcome with a reason; what it does right is measured."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from misbehaving import Misbehaving, misbehaving

from bench.record import Axes, Case, Failed, Measured, MeasureSettings, Skipped
from bench.remote.endpoint_executor import EndpointExecutor
from bench.run.messages import Done
from bench.wire.address import Endpoints, Token, parse
from bench.workloads import models

pytest.importorskip("httpx2")
torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
request_body = pytest.importorskip("bench.remote.request_body")
ONCE = MeasureSettings(min_samples=2, few_samples=1, min_time=0, max_noise=None)
KEY = "tiny-clip-l"
SHAPE = (1, 77, 64)


@pytest.fixture(scope="module")
def server() -> Iterator[Misbehaving]:
    with misbehaving() as it:
        yield it


def a_case(transport: str = "predict", tokens: int = 77) -> Case:
    axes = Axes({"tokens": tokens, "batch": 1})
    return Case.model_validate(
        {"model": KEY, "operation": "encode-text", "axes": axes, "dtype": "float32", "transport": transport}
    )


def saved(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def measure(
    server: Misbehaving, given: bytes = b"", transport: str = "predict", path: str = "given", token: Token | None = None
) -> Done:
    """One case at an address that answers with these bytes."""
    server.given = given
    address = parse(f"{server.url}/{path}")
    executor = EndpointExecutor(Endpoints(single={(KEY, "encode-text"): address}), token)
    try:
        return executor.run(a_case(transport), ONCE, 20, lambda _: None)
    finally:
        executor.close()


def test_a_bare_tensor_is_measured_by_diffusers_step_and_by_the_own_client(server: Misbehaving) -> None:
    before = len(server.requests)
    done = measure(server, saved(torch.zeros(SHAPE)))
    assert isinstance(done.outcome, Measured), done.outcome
    assert done.remote is not None
    assert [(e.client, e.connection) for e in done.remote.exchanges] == [
        ("diffusers", "new"), ("bench", "new"), ("bench", "kept")
    ]  # fmt: skip
    # then both send the same bytes
    assert len({digest for _, _, _, digest in server.requests[before:]}) == 1


def test_the_user_s_token_of_the_hub_goes_to_nobody_and_the_endpoint_s_own_to_it(
    server: Misbehaving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    for token, sent in ((None, {None, "Bearer None"}), (Token("mine"), {"Bearer mine"})):
        before = len(server.authorizations)
        done = measure(server, saved(torch.zeros(SHAPE)), token=token)
        assert isinstance(done.outcome, Measured), done.outcome
        assert set(server.authorizations[before:]) == sent


@pytest.mark.parametrize(
    ("given", "exception", "words"),
    [
        (b"<!DOCTYPE html><title>Sign in</title>", "NotATensor", "HTML"),
        (pickle.dumps({"a": 1}), "NotATensor", "pickle"),
        (b"", "NotATensor", "empty"),
        (saved([torch.zeros(SHAPE)]), "WrongType", "not a tensor"),
        (saved(torch.zeros(1, 76, 64)), "WrongShape", "[1, 76, 64]"),
        (saved(torch.zeros(77, 64)), "WrongShape", "[77, 64]"),
        (saved(torch.zeros(SHAPE, dtype=torch.bfloat16)), "WrongDtype", "bfloat16"),
        (saved(torch.zeros(SHAPE, dtype=torch.float64)), "WrongDtype", "float64"),
        (saved(torch.zeros(SHAPE))[:-100], "NotATensor", "damaged"),
        (bytes(3_000_000), "ResponseTooLarge", "longer"),
    ],
    ids=["html", "pickle", "empty", "list", "tokens", "no batch", "bfloat16", "float64", "cut", "large"],
)
def test_another_answer_is_a_failure_with_its_reason(
    server: Misbehaving, given: bytes, exception: str, words: str
) -> None:
    outcome = measure(server, given).outcome
    assert isinstance(outcome, Failed), outcome
    assert outcome.exception == exception, outcome
    assert words in outcome.message


def test_an_endless_answer_ends(server: Misbehaving) -> None:
    outcome = measure(server, path="endless").outcome
    assert isinstance(outcome, Failed), outcome
    assert outcome.exception == "ResponseTooLarge"


def test_a_message_in_detail_is_shown(server: Misbehaving) -> None:
    answer = json.dumps({"detail": "the model is being loaded"}).encode()
    failures = pytest.importorskip("bench.remote.failures")
    error = failures.of_status(503, {}, answer, lambda text: text)
    assert "the model is being loaded" in error.outcome.message


def test_the_other_protocol_is_checked_by_its_headers(server: Misbehaving) -> None:
    path = "tensor/encode-text"  # an unknown behaviour: a picture
    outcome = measure(server, transport="tensor", path=path).outcome
    assert isinstance(outcome, Failed), outcome
    assert outcome.exception == "MissingHeaders"


def test_an_encoder_that_does_not_pad_may_answer_fewer_tokens_but_not_more() -> None:
    failures = pytest.importorskip("bench.remote.failures")
    axes = Axes({"tokens": 64, "batch": 1})
    key, operation = "tiny-qwen2.5-vl-7b", "encode-text"
    payload = request_body.make(Case(model=key, operation=operation, axes=axes, dtype="float32", transport="tensor"))
    width = payload.payload.embeddings[2]

    def check(tokens: int) -> None:
        body, headers = bytes(tokens * width * 4), {"shape": f"[1, {tokens}, {width}]", "dtype": "float32"}
        payload.check_answer(body, headers)
        payload.check_result(payload.result(body, headers))

    check(64)
    check(50)
    with pytest.raises(failures.RequestError):
        check(65)


@pytest.mark.parametrize(("transport", "path"), [("tensor", "predict"), ("predict", "x/encode-text")])
def test_an_address_answers_over_one_transport(server: Misbehaving, transport: str, path: str) -> None:
    outcome = measure(server, transport=transport, path=path).outcome
    assert isinstance(outcome, Skipped)
    assert transport in outcome.reason


@pytest.mark.parametrize("transport", ["tensor", "predict"])
def test_what_the_client_warms_up_with_is_a_valid_answer(transport: str) -> None:
    payload = request_body.make(a_case(transport))
    body, headers = payload.valid_answer()
    payload.check_answer(body, headers)
    payload.check_result(payload.result(body, headers))
    assert len(body) < payload.max_response_bytes


def test_an_endpoint_of_this_program_has_an_address_for_each_protocol() -> None:
    endpoints = Endpoints(base=parse("http://host:8000"))
    assert endpoints.of(KEY, "encode-text", "predict") == parse(f"http://host:8000/{KEY}/predict")
    assert endpoints.of(KEY, "encode-text", "tensor") == parse(f"http://host:8000/{KEY}/encode-text")


def test_the_protocol_without_a_count_of_tokens_carries_only_the_usual_one() -> None:
    kind = models.workload(KEY)
    assert kind.carries(a_case(), "predict")
    assert not kind.carries(a_case(tokens=16), "predict")
    assert kind.carries(a_case(tokens=16), "tensor")
