"""Payloads of videos: what is sent, and which answers are refused."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from bench.record import Case, Transport
from bench.wire.address import parse
from bench.workloads import models

torch = pytest.importorskip("torch")
request_body = pytest.importorskip("bench.remote.request_body")
failures = pytest.importorskip("bench.remote.failures")
videos = pytest.importorskip("bench.endpoint.videos")
ADDRESS = parse("http://127.0.0.1:1/decode")


def _case(transport: Transport, model: str = "tiny-hunyuan-video", operation: str = "decode", batch: int = 1) -> Case:
    axes = models.sized(model, 64, 32, frames=5, batch=batch)
    return Case(model=model, operation=operation, axes=axes, dtype="float16", transport=transport)


def _tensor(*shape: int, dtype: str = "float16") -> tuple[bytes, dict[str, str]]:
    items = 1 if dtype == "uint8" else 2
    return bytes(math.prod(shape) * items), {"shape": json.dumps(shape), "dtype": dtype}


def _refusal(payload: Any, content: bytes, headers: dict[str, str]) -> str:
    with pytest.raises(failures.RequestError) as caught:
        payload.check_answer(content, headers)
    return str(caught.value.outcome.exception)


@pytest.mark.parametrize("transport", ["pt", "pt-partial", "mp4"])
def test_a_decode_sends_a_latent_compressed_as_the_model_compresses(transport: Transport) -> None:
    payload = request_body.make(_case(transport))
    post = payload.post(ADDRESS)
    assert post.parameters["shape"] == [1, 16, 2, 4, 8]
    assert len(post.data) == 16 * 2 * 4 * 8 * 2
    assert post.headers["Accept"] == ("text/plain" if transport == "mp4" else "tensor/binary")
    assert post.parameters["scaling_factor"] == models.get("tiny-hunyuan-video").scaling_factor


def test_a_model_without_a_factor_gets_latents_that_need_no_scaling() -> None:
    post = request_body.make(_case("pt", "tiny-wan")).post(ADDRESS)
    assert not {"do_scaling", "scaling_factor", "shift_factor"} & post.parameters.keys()


def test_an_encode_sends_every_frame() -> None:
    payload = request_body.make(_case("pt", operation="encode", batch=2))
    post = payload.post(ADDRESS)
    assert post.parameters["shape"] == [2, 3, 5, 32, 64]
    assert len(post.data) == 2 * 3 * 5 * 32 * 64 * 2
    payload.check_answer(*_tensor(2, 16, 2, 4, 8))
    assert payload.max_response_bytes > 2 * 16 * 2 * 4 * 8 * 4


@pytest.mark.parametrize(
    ("transport", "batch", "right", "dtype"),
    [
        ("pt", 1, (1, 3, 5, 32, 64), "float16"),
        ("pt", 2, (2, 3, 5, 32, 64), "float16"),
        ("pt-partial", 1, (5, 32, 64, 3), "uint8"),
        ("pt-partial", 2, (10, 32, 64, 3), "uint8"),
    ],
)
def test_a_tensor_with_other_frames_or_sides_is_refused(
    transport: Transport, batch: int, right: tuple[int, ...], dtype: str
) -> None:
    payload = request_body.make(_case(transport, batch=batch))
    content, headers = _tensor(*right, dtype=dtype)
    payload.check_answer(content, headers)
    payload.check_result(payload.result(content, headers))
    for wrong in ((right[0] + 1, *right[1:]), right[1:], (*right[:2], right[2] + 1, *right[3:])):
        assert _refusal(payload, *_tensor(*wrong, dtype=dtype)) == "WrongShape"


def test_fewer_pictures_than_frames_are_not_the_result() -> None:
    payload = request_body.make(_case("pt-partial"))
    pictures = payload.result(*_tensor(5, 32, 64, 3, dtype="uint8"))
    payload.check_result(pictures)
    with pytest.raises(failures.RequestError):
        payload.check_result(pictures[:-1])


def test_a_file_with_other_frames_or_sides_is_refused() -> None:
    payload = request_body.make(_case("mp4"))

    def file(frames: int, height: int, width: int) -> bytes:
        made: bytes = videos.write(np.zeros((frames, height, width, 3), np.uint8), 24.0)
        return made

    payload.check_answer(file(5, 32, 64), {})
    payload.check_result(payload.result(file(5, 32, 64), {}))
    assert _refusal(payload, file(4, 32, 64), {}) == "WrongShape"
    assert _refusal(payload, file(5, 64, 32), {}) == "WrongShape"
    assert _refusal(payload, b"<html>", {}) == "UndecodableVideo"
    assert _refusal(payload, b"", {}) == "UndecodableVideo"
