"""The service of a small text encoder, against local calls of the same weights."""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from endpoints import live

from bench.endpoint.shapes import Limits
from bench.endpoint.state import Offer
from bench.errors import ConfigError
from bench.record import Axes, Case
from bench.wire.address import parse
from bench.wire.messages import Answer, Message, RefusedError
from bench.workloads.text_encoder import prompts, zoo

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
httpx2 = pytest.importorskip("httpx2")
text_service = pytest.importorskip("bench.endpoint.text_service")
startup = pytest.importorskip("bench.endpoint.startup")
module = pytest.importorskip("bench.workloads.text_encoder.module")
request_body = pytest.importorskip("bench.remote.request_body")
processor = pytest.importorskip("bench.device.cpu.processor")
CPU = torch.device("cpu")
KEY = "tiny-mistral-small-24b"


@pytest.fixture(scope="module")
def loaded() -> Any:
    """The encoder as it is served, at most three prompts of 2,048 tokens together."""
    held = processor.Processor(CPU, None, lambda _: None)
    return text_service.load(KEY, "random", held, "float32", Limits(max_batch=3, max_tokens=2048))


@cache
def small(key: str) -> Any:
    """The service of a small encoder."""
    return text_service.load(key, "random", processor.Processor(CPU, None, lambda _: None), "float32", Limits()).encode


@pytest.fixture(scope="module")
def service(loaded: Any) -> Any:
    return loaded.encode


def ask(service: Any, content: object, path: str = "") -> Answer:
    job = service.read(Message((), json.dumps(content).encode(), path=path))
    answer: Answer = service.write(service.compute(job))
    return answer


def tensor_of(answer: Answer) -> Any:
    shape, dtype = json.loads(answer.headers["shape"]), getattr(torch, answer.headers["dtype"])
    return torch.frombuffer(bytearray(answer.body), dtype=dtype).reshape(shape)


def local(text: str, tokens: int) -> Any:
    spec = zoo.get(KEY)
    case = Case(model=KEY, operation="encode-text", axes=Axes({"tokens": tokens, "batch": 1}), dtype="float32")
    ids = prompts.tokenizer(spec, "random")([text], tokens)
    with torch.inference_mode():
        encoder = module.EncoderOnDevice(case, CPU)
        return encoder.encode(torch.tensor(ids.token_ids), torch.tensor(ids.mask), ids.template_tokens)


def test_a_prompt_is_encoded_as_it_is_locally(service: Any) -> None:
    answer = ask(service, {"prompt": "a cat on a mat", "tokens": 16})
    assert (answer.headers["x-weights"], answer.media_type) == ("random", "tensor/binary")
    assert torch.allclose(tensor_of(answer), local("a cat on a mat", 16), atol=1e-5)


def test_the_protocol_of_flux_2_answers_a_bare_tensor_that_is_safe_to_load(service: Any) -> None:
    answer = ask(service, {"prompt": ["a cat", "a dog"]}, "/predict")
    assert answer.media_type == "application/octet-stream"
    assert "shape" not in answer.headers
    tensor = torch.load(io.BytesIO(answer.body), weights_only=True)
    assert (type(tensor), tuple(tensor.shape)) == (torch.Tensor, (2, 512, zoo.get(KEY).width))
    assert len(answer.body) < tensor.nbytes + 4096  # not a view of more
    assert torch.equal(tensor, tensor_of(ask(service, {"prompt": ["a cat", "a dog"]})))


def test_a_prompt_that_is_too_long_is_cut_as_the_pipeline_does_and_the_answer_says_which(service: Any) -> None:
    answer = ask(service, {"prompt": ["a b c d", "a b c d e", "a"], "tokens": 4})
    assert answer.headers["x-truncated-prompts"] == "1"
    whole, cut, _ = tensor_of(answer)
    assert torch.equal(whole, cut)
    assert "x-truncated-prompts" not in ask(service, {"prompt": "a b c d", "tokens": 4}).headers


@pytest.mark.parametrize(
    ("tokens", "batch", "status", "told"),
    [(131_073, 1, 400, "at most 131072"), (10**30, 1, 400, "at most 131072"), (1024, 3, 413, "at most 2,048")],
)
def test_more_tokens_than_the_encoder_or_the_endpoint_takes_are_refused(
    service: Any, tokens: int, batch: int, status: int, told: str
) -> None:
    with pytest.raises(RefusedError) as caught:
        ask(service, {"prompt": ["a"] * batch, "tokens": tokens})
    assert (caught.value.status, told in caught.value.message) == (status, True)


def test_work_and_memory_grow_with_prompts_and_with_the_form_of_the_answer(service: Any) -> None:
    def size(count: int, path: str = "") -> Any:
        return service.size(service.read(Message((), json.dumps({"prompt": ["a"] * count}).encode(), path=path)))

    assert size(2).flops == 2 * size(1).flops
    assert size(1).held_bytes == 2 * 512 * zoo.get(KEY).width * 4
    assert size(1, "/predict").held_bytes > size(1).held_bytes


def test_the_most_prompts_that_are_quick_enough_are_said(service: Any) -> None:
    job = service.read(Message((), json.dumps({"prompt": ["a"] * 3}).encode()))
    each = service.size(job).flops // 3
    assert service.largest(job, lambda flops: flops <= 2 * each).figures == {"largest_batch": 2}
    assert service.largest(job, lambda _: False).figures == {"largest_batch": 0}


def test_both_forms_are_warmed_up_with_one_two_and_four_prompts_within_the_limits(service: Any) -> None:
    timed = startup.warm_up(service)
    assert 1 <= len(timed) <= 2  # four prompts are more than the limit
    assert all(seconds > 0 and flops > 0 for seconds, flops in timed)


def test_its_facts_are_its_tokens_and_width(loaded: Any) -> None:
    assert loaded.facts == {"tokens": 512, "most_tokens": 131_072, "width": zoo.get(KEY).width}
    assert list(loaded.services) == ["encode-text"]


@pytest.mark.parametrize("key", [spec.key for spec in zoo.listed() if spec.key.startswith("tiny-")])
@pytest.mark.parametrize("transport", ["tensor", "predict"])
def test_every_small_encoder_answers_what_the_client_of_bench_remote_expects(key: str, transport: str) -> None:
    spec = zoo.get(key)
    axes = Axes({"tokens": spec.tokens, "batch": 1})
    case = Case.model_validate(
        {"model": key, "operation": "encode-text", "axes": axes, "dtype": "float32", "transport": transport}
    )
    payload = request_body.make(case)
    post = payload.post(parse("http://127.0.0.1:1"))
    service = small(key)
    job = service.read(Message((), post.data, path="/predict" if transport == "predict" else ""))
    answer = service.write(service.compute(job))

    payload.check_answer(answer.body, answer.headers)
    payload.check_result(payload.result(answer.body, answer.headers))
    assert "x-truncated-prompts" not in answer.headers
    assert len(answer.body) < spec.tokens * spec.width * 4 + 4096  # also without the states of a template


def test_only_one_encoder_answers_at_predict_itself() -> None:
    routes = Offer((KEY, "tiny"), ("encode-text", "decode"), "random").routes
    assert routes["/predict"] == routes[f"/{KEY}/predict"] == (KEY, ("encode-text",))
    assert routes["/tiny"] == ("tiny", ("decode",))
    both = Offer((KEY, "tiny-clip-l"), ("encode-text",), "random").routes
    assert "/predict" not in both
    assert {f"/{KEY}/predict", "/tiny-clip-l/predict"} <= both.keys()


def test_until_it_is_loaded_both_forms_of_the_error_are_a_503() -> None:
    with live(operations=("encode-text",), model=KEY, loaded=False) as server:
        answer = httpx2.post(f"{server.url}/predict", json={"prompt": "a"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["detail"] == answer.json()["error"]
    assert answer.json()["reason"] == "loading"


def test_bearer_none_is_accepted_without_a_token_and_explained_with_one() -> None:
    headers = {"authorization": "Bearer None"}
    with live(operations=("encode-text",), model=KEY) as server:
        assert httpx2.post(f"{server.url}/predict", content=b"x", headers=headers).status_code == 200
    with live(operations=("encode-text",), model=KEY, token="s3cret") as server:  # noqa: S106 - of this test
        answer = httpx2.post(f"{server.url}/predict", content=b"x", headers=headers)
    assert answer.status_code == 401
    assert "`Bearer None` means that the client had none" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (None, "has no config.json, neither in itself nor in text_encoder"),
        ("[", "config.json of .* can't be read"),
        ('{"architectures": ["T5EncoderModel"]}', "is a checkpoint of class 'T5EncoderModel', and tiny-clip-l is of"),
    ],
)
def test_a_folder_of_something_else_is_refused_for_what_it_is(config: str | None, told: str, tmp_path: Path) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    held = processor.Processor(CPU, None, lambda _: None)
    with pytest.raises(ConfigError, match=told):
        text_service.load("tiny-clip-l", str(tmp_path), held, "float32", Limits())
