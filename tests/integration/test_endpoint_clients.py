"""The clients of hybrid inference against `bench serve`: diffusers' own functions, and calls as others make them.

What comes back is held against a local call of the same weights in the same precision, bit for bit where it is no JPEG.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path

import httpx2
import numpy as np
import pytest
import torch
from diffusers.image_processor import VaeImageProcessor
from diffusers.utils.remote_utils import remote_decode, remote_encode
from endpoints import Child, serving
from PIL import Image

from bench.record import Case
from bench.workloads import models
from bench.workloads.image_vae.zoo import ZOO
from bench.workloads.vae_classes.module import VaeOnDevice

LARGE = ("sd-v1", "sdxl", "flux")
SIDE = 32
FACTOR, SHIFT = 0.3611, 0.1159  # those of Flux
PROCESSOR = VaeImageProcessor()


def serve(folder: Path, *keys: str) -> AbstractContextManager[Child]:
    named = [word for key in keys for word in ("--model", key)]
    # float32, the default on a CPU: 16 bits take ten times as long and more where it has no kernels for them
    return serving(folder, *named, "--device", "cpu", "--quiet")


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    with serve(tmp_path_factory.mktemp("tiny"), "tiny") as made:
        yield made


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """The models of the docs, all in one server."""
    with serve(tmp_path_factory.mktemp("large"), *LARGE) as made:
        yield made


@cache
def local(model: str) -> VaeOnDevice:
    """The same model in this process: random weights come from one seed."""
    case = Case(model=model, operation="decode", axes=models.square(model, SIDE), dtype="float32")
    return VaeOnDevice(case, torch.device("cpu"))


@cache
def latent_of(model: str, batch: int = 1) -> torch.Tensor:
    spec = ZOO.get(model)
    side = SIDE // spec.spatial_factor
    seeded = torch.Generator().manual_seed(1)
    return torch.randn((batch, spec.latent_channels, side, side), generator=seeded)


@cache
def image_of(batch: int = 1) -> torch.Tensor:
    return torch.rand((batch, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(2)) * 2 - 1


def decoded(model: str, latent: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return local(model).decode(latent).clone()


def encoded(model: str, image: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        # contiguous as what comes over the wire: the processor's tensors are not, and kernels differ in the last bits
        return local(model).encode(local(model).place(image)).clone()


def pictures(sample: torch.Tensor) -> list[Image.Image]:
    """As a local pipeline would make them."""
    made: list[Image.Image] = PROCESSOR.postprocess(sample, output_type="pil")
    return made


def same(one: Image.Image, other: Image.Image) -> bool:
    return np.array_equal(np.asarray(one), np.asarray(other))


@pytest.fixture(params=["tiny", *(pytest.param(key, marks=pytest.mark.full_size) for key in LARGE)])
def model(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def url(request: pytest.FixtureRequest, model: str) -> str:
    """Where the model's decode is served."""
    return str(request.getfixturevalue("large" if model in LARGE else "child").route(model, "decode"))


@pytest.fixture
def encode_url(url: str) -> str:
    return url.removesuffix("decode") + "encode"


def test_pt_is_the_local_decode(url: str, model: str) -> None:
    got = remote_decode(url, latent_of(model), do_scaling=False, output_type="pt", return_type="pt")
    assert got.dtype == torch.float32
    assert torch.equal(got, decoded(model, latent_of(model)))


def test_pt_of_a_batch_is_the_local_decode(url: str, model: str) -> None:
    got = remote_decode(url, latent_of(model, 2), do_scaling=False, output_type="pt", return_type="pt")
    assert torch.equal(got, decoded(model, latent_of(model, 2)))


def test_pt_with_a_processor_is_the_local_picture(url: str, model: str) -> None:
    got = remote_decode(url, latent_of(model), processor=PROCESSOR, do_scaling=False, output_type="pt")
    assert same(got, pictures(decoded(model, latent_of(model)))[0])


def test_pt_partial_is_uint8_of_the_local_picture(url: str, model: str) -> None:
    want = pictures(decoded(model, latent_of(model)))[0]
    asked = {"do_scaling": False, "output_type": "pt", "partial_postprocess": True}
    tensor = remote_decode(url, latent_of(model), return_type="pt", **asked)
    assert (tensor.dtype, tuple(tensor.shape)) == (torch.uint8, (1, SIDE, SIDE, 3))
    assert np.array_equal(tensor[0].numpy(), np.asarray(want))
    assert same(remote_decode(url, latent_of(model), **asked), want)


def test_png_is_the_local_picture_and_jpg_as_pillow_makes_it(url: str, model: str) -> None:
    want = pictures(decoded(model, latent_of(model)))[0]
    png = remote_decode(url, latent_of(model), do_scaling=False, image_format="png")
    assert png.format == "png"
    assert same(png, want)
    jpg = remote_decode(url, latent_of(model), do_scaling=False)
    assert (jpg.format, jpg.mode) == ("jpeg", "RGB")
    buffer = io.BytesIO()
    want.save(buffer, "JPEG", quality=95)
    assert same(jpg, Image.open(buffer))


def test_scaling_and_shift_are_applied(url: str, model: str) -> None:
    asked = {"output_type": "pt", "return_type": "pt", "scaling_factor": FACTOR, "shift_factor": SHIFT}
    got = remote_decode(url, latent_of(model), **asked)
    assert torch.equal(got, decoded(model, latent_of(model) / FACTOR + SHIFT))


def test_the_deprecated_form_applies_the_model_s_own_scaling_and_shift(url: str, model: str) -> None:
    spec = ZOO.get(model)
    with pytest.warns(FutureWarning, match="do_scaling"):
        got = remote_decode(url, latent_of(model), do_scaling=True, output_type="pt", return_type="pt")
    assert torch.equal(got, decoded(model, latent_of(model) / spec.scaling_factor + (spec.shift_factor or 0.0)))


def test_packed_latents_are_unpacked(url: str, model: str) -> None:
    latent = latent_of(model)
    batch, channels, rows, columns = latent.shape
    patches = latent.view(batch, channels, rows // 2, 2, columns // 2, 2).permute(0, 2, 4, 1, 3, 5)
    packed = patches.reshape(batch, rows * columns // 4, channels * 4).contiguous()  # as FluxPipeline._pack_latents
    size = 8 * rows  # what a pipeline of this family takes for the image's size
    factor = ZOO.get(model).spatial_factor
    asked = {"do_scaling": False, "output_type": "pt", "return_type": "pt"}
    got = remote_decode(url, packed, height=size * factor // 8, width=size * factor // 8, **asked)
    assert torch.equal(got, decoded(model, latent))


def test_pil_with_a_processor_is_a_float_tensor(url: str, model: str) -> None:
    got = remote_decode(
        url, latent_of(model), processor=PROCESSOR, do_scaling=False, output_type="pil", return_type="pt"
    )
    want = (decoded(model, latent_of(model)).float() * 0.5 + 0.5).clamp(0, 1)
    assert got.dtype == torch.float32
    assert torch.allclose(got, want, atol=4e-3)


def test_mp4_is_refused_in_words(url: str, model: str) -> None:
    with pytest.raises(RuntimeError, match="video"):
        remote_decode(url, latent_of(model), do_scaling=False, output_type="mp4", return_type="mp4")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_a_picture_is_encoded_as_locally(encode_url: str, model: str, mode: str) -> None:
    pixels = ((image_of()[0].permute(1, 2, 0) / 2 + 0.5) * 255).byte().numpy()
    picture = Image.fromarray(pixels).convert(mode)
    got = remote_encode(encode_url, picture)
    assert got.dtype == torch.float32
    assert torch.equal(got, encoded(model, PROCESSOR.preprocess(picture.convert("RGB"))))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_tensor_is_encoded_as_locally(encode_url: str, model: str, dtype: torch.dtype) -> None:
    image = image_of(2).to(dtype)
    assert torch.equal(remote_encode(encode_url, image), encoded(model, image))


def test_an_encoded_latent_is_shifted_and_scaled(encode_url: str, model: str) -> None:
    got = remote_encode(encode_url, image_of(), FACTOR, SHIFT)
    assert torch.equal(got, (encoded(model, image_of()) - SHIFT) * FACTOR)


def test_a_refusal_reaches_diffusers_as_json(child: Child) -> None:
    with pytest.raises(RuntimeError, match="channel"):
        remote_decode(child.route("tiny", "decode"), torch.zeros(1, 16, 4, 4), do_scaling=False)


def raw(child: Child, params: dict[str, object], body: bytes, **headers: str) -> httpx2.Response:
    said = httpx2.post(child.route("tiny", "decode"), params=params, content=body, headers=headers, timeout=300)  # type: ignore[arg-type]
    assert said.status_code == 200, said.text
    return said


def one_address(child: Child) -> str:
    """The address that nearly all clients hold: one a model, with a slash at its end."""
    return f"{child.url}/tiny/"


def test_diffusers_with_one_address_a_model(child: Child) -> None:
    picture = Image.fromarray(((image_of()[0].permute(1, 2, 0) / 2 + 0.5) * 255).byte().numpy())
    latent = remote_encode(one_address(child), picture)
    assert torch.equal(latent, encoded("tiny", PROCESSOR.preprocess(picture)))
    assert torch.equal(remote_encode(one_address(child), image_of()), encoded("tiny", image_of()))
    got = remote_decode(one_address(child), latent, do_scaling=False, output_type="pt", return_type="pt")
    assert torch.equal(got, decoded("tiny", latent))
    assert remote_decode(one_address(child), latent, do_scaling=False).size == (SIDE, SIDE)


@pytest.mark.parametrize("ending", ["", "/", "//"])
def test_an_operation_s_address_with_slashes_at_its_end(child: Child, ending: str) -> None:
    url = child.route("tiny", "decode") + ending
    got = remote_decode(url, latent_of("tiny"), do_scaling=False, output_type="pt", return_type="pt")
    assert torch.equal(got, decoded("tiny", latent_of("tiny")))


def test_a_picture_at_the_decode_address_is_told_where_to_go(child: Child) -> None:
    with pytest.raises(RuntimeError, match="Send it to /tiny/encode"):
        remote_encode(child.route("tiny", "decode"), Image.new("RGB", (SIDE, SIDE)))
    with pytest.raises(RuntimeError, match="Send it to /tiny/decode"):
        remote_decode(child.route("tiny", "encode"), latent_of("tiny"), do_scaling=False)
    with pytest.raises(RuntimeError, match=r"/tiny/encode.*/tiny/decode"):
        remote_decode(one_address(child), torch.zeros(1, 7, 4, 4), do_scaling=False)


@pytest.mark.parametrize(("kind", "accept"), [("jpg", "image/jpeg"), ("png", "image/png")])
def test_sd_next_s_batch_of_packed_latents(child: Child, kind: str, accept: str) -> None:
    """It sends packed latents as three dimensions, the batch among them, in one request."""
    shape = (2, 64, 16)
    side = 16 * ZOO.get("tiny").spatial_factor
    params: dict[str, object] = {
        "input_tensor_type": "binary",
        "shape": list(shape),
        "dtype": "float32",
        "width": side,
        "height": side,
        "scaling_factor": 0.3611,
    }
    body = torch.randn(shape, generator=torch.Generator().manual_seed(3)).numpy().tobytes()
    headers = {"content-type": "tensor/binary", "accept": accept}
    files = httpx2.post(
        one_address(child),
        params={**params, "image_format": kind, "output_type": "pil"},  # type: ignore[arg-type]
        content=body,
        headers=headers,
        timeout=300,
    )
    assert (files.status_code, files.json()["reason"]) == (400, "batch_as_file")
    # Its default, raw, has the whole batch
    tensors = {**params, "output_type": "pt", "partial_postprocess": "False", "output_tensor_type": "binary"}
    said = raw(child, tensors, body, **{**headers, "accept": "tensor/binary"})
    assert json.loads(said.headers["shape"]) == [2, 3, side, side]
    # And one of them is a file
    single = raw(child, {**params, "shape": [1, 64, 16], "image_format": kind}, body[: len(body) // 2], **headers)
    assert Image.open(io.BytesIO(single.content)).size == (side, side)


def test_sd_next_s_call(child: Child) -> None:
    params = {
        "input_tensor_type": "binary",
        "shape": [1, 4, 16, 16],
        "dtype": "float16",
        "output_tensor_type": "binary",
        "scaling_factor": 0.18215,
    }
    body = latent_of("tiny").half().numpy().tobytes()
    headers = {"content-type": "tensor/binary", "accept": "image/jpeg"}
    said = raw(child, {**params, "image_format": "jpg", "output_type": "pil"}, body, **headers)
    assert said.headers["content-type"] == "image/jpeg"
    # And without what it does not use
    assert raw(child, params, body, **headers).content == said.content


def test_comfy_ui_s_call(child: Child) -> None:
    params = {
        "image_format": "png",
        "output_type": "pt",
        "partial_postprocess": "False",
        "shape": [1, 4, 16, 16],
        "dtype": "float32",
        "do_scaling": "False",
        "height": 512,
        "width": 512,
    }
    latent = latent_of("tiny")
    headers = {"content-type": "tensor/binary", "accept": "tensor/binary"}
    said = raw(child, params, latent.numpy().tobytes(), **headers)
    got = torch.frombuffer(bytearray(said.content), dtype=torch.float32).reshape(json.loads(said.headers["shape"]))
    assert torch.equal(got, decoded("tiny", latent))


@pytest.mark.parametrize("draft", ["query", "body"])
def test_the_legacy_base64_forms(child: Child, draft: str) -> None:
    latent = latent_of("tiny")
    about: dict[str, object] = {"shape": [1, 4, 16, 16], "dtype": "float32"}
    said = {"inputs": base64.b64encode(latent.numpy().tobytes()).decode()}
    # The very first draft sent no query, and asked for tensors alone
    params = {**about, "output_type": "pt", "do_scaling": "False"} if draft == "query" else {}
    body = json.dumps(said if draft == "query" else {**said, "parameters": {**about, "output_type": "pt"}}).encode()
    headers = {"content-type": "tensor/base64", "accept": "tensor/base64"}
    answer = raw(child, params, body, **headers).json()
    got = torch.frombuffer(bytearray(base64.b64decode(answer["inputs"])), dtype=torch.float32)
    assert answer["parameters"]["shape"] == [1, 3, SIDE, SIDE]
    assert torch.equal(got.reshape(1, 3, SIDE, SIDE), decoded("tiny", latent))
