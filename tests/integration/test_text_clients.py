"""Clients of remote text encoders against `bench serve`: diffusers' step for FLUX.2, the example, plain requests."""

from __future__ import annotations

import json
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import torch
from diffusers.modular_pipelines.flux2.encoders import Flux2RemoteTextEncoderStep
from endpoints import Child, serving
from processes import bench, records

from bench.record import Axes, Case, Measured
from bench.workloads.text_encoder import prompts, zoo
from bench.workloads.text_encoder.module import EncoderOnDevice

EXAMPLE = Path(__file__).parents[2] / "examples" / "flux2_remote_text_encoder.py"
KEY = "tiny-mistral-small-24b"
TOKEN = {"TEXT_TOKEN": "s3cret"}
BEARER = {"authorization": "Bearer s3cret"}


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """A text encoder and a VAE in one process, which need a token."""
    folder = tmp_path_factory.mktemp("text")
    arguments = ("--model", "tiny-flux2-text", "--model", "tiny", "--device", "cpu", "--cors", "https://page.example")
    with serving(folder, *arguments, "--token-env", "TEXT_TOKEN", env=TOKEN) as made:
        yield made


@pytest.fixture
def logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user of diffusers has this endpoint's token."""
    monkeypatch.setenv("HF_TOKEN", "s3cret")


def encoded_by_diffusers(url: str, prompt: object) -> Any:
    step = type("Step", (Flux2RemoteTextEncoderStep,), {"REMOTE_URL": url})
    return step().init_pipeline()(prompt=prompt, output="prompt_embeds")


def local(texts: list[str]) -> Any:
    spec = zoo.get(KEY)
    axes = Axes({"tokens": spec.tokens, "batch": len(texts)})
    case = Case(model=KEY, operation="encode-text", axes=axes, dtype="float32")
    ids = prompts.tokenizer(spec, "random")(texts, spec.tokens)
    encoder = EncoderOnDevice(case, torch.device("cpu"))
    with torch.inference_mode():
        return encoder.encode(torch.tensor(ids.token_ids), torch.tensor(ids.mask), ids.template_tokens)


@pytest.mark.usefixtures("logged_in")
@pytest.mark.parametrize(
    ("prompt", "texts"),
    [("a cat", ["a cat"]), (["a cat", "a dog by the sea"], ["a cat", "a dog by the sea"]), (None, [""])],
)
def test_diffusers_step_needs_only_another_address(child: Child, prompt: object, texts: list[str]) -> None:
    embeds = encoded_by_diffusers(f"{child.url}/predict", prompt)
    assert tuple(embeds.shape) == (len(texts), 512, zoo.get(KEY).width)
    assert torch.allclose(embeds, local(texts), atol=1e-4)


def test_bearer_none_gets_what_it_means(child: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(Exception, match="401"):
        encoded_by_diffusers(f"{child.url}/predict", "a cat")
    answer = httpx2.post(f"{child.url}/predict", json={"prompt": "a"}, headers={"authorization": "Bearer None"})
    assert answer.status_code == 401
    assert "the client had none" in answer.json()["detail"]


def test_the_other_protocol_answers_raw_bytes_with_shape_and_dtype(child: Child) -> None:
    answer = httpx2.post(f"{child.url}/{KEY}/encode-text", json={"prompt": "a cat", "tokens": 8}, headers=BEARER)
    assert answer.status_code == 200
    assert json.loads(answer.headers["shape"]) == [1, 8, zoo.get(KEY).width]
    assert len(answer.content) == 8 * zoo.get(KEY).width * 4
    assert (answer.headers["dtype"], answer.headers["x-weights"]) == ("float32", "random")
    assert "compute;dur=" in answer.headers["server-timing"]


@pytest.mark.parametrize("path", [f"/{KEY}/encode-text", "/predict"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[" * 100_000, 400),
        (b'{"prompt": 3}', 400),
        (b'{"prompt": []}', 400),
        (json.dumps({"prompt": ["a"] * 10_000}).encode(), 413),
        (json.dumps({"prompt": "a" * 1_000_000}).encode(), 413),
        (json.dumps({"prompt": "a" * 10_000_000}).encode(), 413),
    ],
)
def test_after_bad_input_the_next_request_works(child: Child, path: str, body: bytes, status: int) -> None:
    answer = httpx2.post(f"{child.url}{path}", content=body, headers=BEARER, timeout=20)
    assert answer.status_code == status
    assert {"error", "reason"} <= answer.json().keys()
    assert ("detail" in answer.json()) == (path == "/predict")
    assert len(answer.content) < 2000
    good = httpx2.post(f"{child.url}/{KEY}/encode-text", json={"prompt": "", "tokens": 1}, headers=BEARER, timeout=20)
    assert good.status_code == 200


def test_pages_list_what_is_served(child: Child) -> None:
    routes = httpx2.get(f"{child.url}/").json()["routes"]
    assert {"POST /predict", f"POST /{KEY}/predict", f"POST /{KEY}/encode-text", "POST /tiny/decode"} <= set(routes)
    assert f"POST /{KEY}/decode" not in routes
    health = httpx2.get(f"{child.url}/health", headers=BEARER).json()
    assert health["models"][KEY]["routes"] == {"encode-text": f"/{KEY}/encode-text"}
    assert (health["models"][KEY]["predict"], health["models"][KEY]["tokens"]) == (f"/{KEY}/predict", 512)
    assert health["models"]["tiny"]["geometry"]["channels"] == 4
    assert httpx2.get(f"{child.url}/ready").status_code == 200
    metrics = httpx2.get(f"{child.url}/metrics", headers=BEARER).text
    assert 'operation="encode-text",status="200"' in metrics.replace(f'model="{KEY}",', "")


def test_a_page_of_an_allowed_origin_may_use_it(child: Child) -> None:
    headers = {"origin": "https://page.example", "access-control-request-method": "POST"}
    preflight = httpx2.request("OPTIONS", f"{child.url}/predict", headers=headers)
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-methods"] == "POST"
    answer = httpx2.post(
        f"{child.url}/{KEY}/encode-text",
        json={"prompt": "a b c", "tokens": 2},
        headers={**BEARER, "origin": "https://page.example"},
    )
    assert answer.headers["x-truncated-prompts"] == "0"
    assert "x-truncated-prompts" in answer.headers["access-control-expose-headers"]


def test_a_vae_in_the_same_process_answers_too(child: Child) -> None:
    query = "shape=1&shape=4&shape=8&shape=8&dtype=float32&output_type=pt"
    answer = httpx2.post(
        f"{child.url}/tiny/decode?{query}", content=bytes(1024), headers={**BEARER, "accept": "tensor/binary"}
    )
    assert json.loads(answer.headers["shape"]) == [1, 3, 16, 16]


@pytest.mark.usefixtures("logged_in")
def test_the_example_writes_the_embeddings(child: Child, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [str(EXAMPLE), "--endpoint", f"{child.url}/predict", "--prompt", "a cat"])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    embeds = torch.load(tmp_path / "prompt_embeds.pt", weights_only=True)
    assert torch.allclose(embeds, local(["a cat"]), atol=1e-4)


def test_bench_remote_measures_both_protocols_with_the_token(child: Child, tmp_path: Path) -> None:
    # Given a sweep of images, whose sizes and transports a text encoder does not have
    few = ("--set", "repeats=1", "--set", "measure.few_samples=1", "--set", "measure.max_time=0.01")
    # When the endpoint of one is measured
    done = bench(
        "remote", "--endpoint", child.url, "--token-env", "TEXT_TOKEN", "--model", "tiny-flux2-text", *few,
        "--out", str(tmp_path), "--quiet", env=TOKEN,
    )  # fmt: skip
    # Then what came back over both is the embeddings
    assert done.returncode == 0, done.stderr
    raw, saved = sorted(records(tmp_path), key=lambda record: str(record.case.transport), reverse=True)
    assert (raw.case.transport, saved.case.transport) == ("tensor", "predict")
    embeddings = 512 * zoo.get(KEY).width * 4
    clients = []
    for record in (raw, saved):
        assert isinstance(record.outcome, Measured), record.outcome
        assert record.remote is not None
        assert 0 <= (record.remote.response_bytes or 0) - embeddings < (1 if record is raw else 4096)
        assert record.remote.checked > 0
        assert record.assumed == ()
        clients.append(record.remote.exchanges[0].client)
    assert clients == ["bench", "diffusers"]
