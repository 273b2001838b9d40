"""diffusers' own client against `bench serve` with a video VAE: the calls of diffusers' HunyuanVideo remote tests."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Iterator
from functools import cache
from typing import Any

import av
import httpx2
import numpy as np
import pytest
import torch
from diffusers.utils.remote_utils import remote_decode, remote_encode
from diffusers.video_processor import VideoProcessor
from endpoints import Child, serving
from PIL import Image

from bench.record import Case
from bench.workloads import models
from bench.workloads.vae_classes.module import VaeOnDevice

MODEL = "tiny-hunyuan-video"
#: As in diffusers' tests, but for an eighth of the height and width.
SHAPE, SIZE, FRAMES, FACTOR = (1, 16, 3, 5, 8), (40, 64), 9, 0.476986


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    folder = tmp_path_factory.mktemp("video")
    limits = ("--max-frames", "9", "--max-batch", "2")
    with serving(folder, "--model", MODEL, "--model", "tiny", "--device", "cpu", "--quiet", *limits) as made:
        yield made


@pytest.fixture(scope="module")
def url(child: Child) -> str:
    return child.route(MODEL, "decode")


def latent(*shape: int) -> torch.Tensor:
    return torch.randn(shape or SHAPE, dtype=torch.float16, generator=torch.Generator().manual_seed(13))


@cache
def sample(scaled: bool = True) -> torch.Tensor:
    """What the model makes of the latent in this process: random weights come from one seed."""
    axes = models.sized(MODEL, 64, 40, frames=FRAMES)
    model = VaeOnDevice(Case(model=MODEL, operation="decode", axes=axes, dtype="float32"), torch.device("cpu"))
    values = model.place(latent())
    with torch.inference_mode():
        return model.decode(values / FACTOR if scaled else values).clone()


@cache
def pictures() -> list[Image.Image]:
    made: list[Image.Image] = VideoProcessor().postprocess_video(sample(), output_type="pil")[0]
    return made


def same(images: object, most: int = 0) -> bool:
    """Whether these are the pictures, but for so many steps of a pixel's 256."""
    assert isinstance(images, list)
    assert [image.size for image in images] == [(SIZE[1], SIZE[0])] * FRAMES
    pairs = zip(images, pictures(), strict=True)
    return all(np.abs(np.array(one, int) - np.array(other, int)).max() <= most for one, other in pairs)


def test_pt_without_scaling_and_with_a_processor_is_a_list_of_pictures(url: str) -> None:
    scaled = (latent() / FACTOR).to(torch.float16)
    images = remote_decode(
        url, scaled, processor=VideoProcessor(), do_scaling=False, output_type="pt", height=None, width=None
    )
    assert same(images, most=3)  # the latent was rounded to float16 after scaling


def test_pt_with_a_processor_is_a_list_of_pictures(url: str) -> None:
    assert same(remote_decode(url, latent(), processor=VideoProcessor(), scaling_factor=FACTOR, output_type="pt"))


@pytest.mark.parametrize("image_format", ["jpg", "png"])
def test_pil_with_a_processor_is_a_list_of_pictures(url: str, image_format: Any) -> None:
    images = remote_decode(
        url, latent(), processor=VideoProcessor(), scaling_factor=FACTOR, output_type="pil", image_format=image_format
    )
    assert same(images)


def test_pil_as_a_tensor_has_a_frame_each_between_zero_and_one(url: str) -> None:
    got = remote_decode(
        url, latent(), processor=VideoProcessor(), scaling_factor=FACTOR, output_type="pil", return_type="pt"
    )
    assert (got.shape, got.dtype) == ((FRAMES, 3, *SIZE), torch.float32)
    assert 0 <= got.min() <= got.max() <= 1


def test_partial_postprocess_is_a_list_of_pictures(url: str) -> None:
    assert same(remote_decode(url, latent(), scaling_factor=FACTOR, output_type="pt", partial_postprocess=True))


def test_partial_postprocess_as_a_tensor_has_a_frame_each(url: str) -> None:
    got = remote_decode(
        url, latent(), scaling_factor=FACTOR, output_type="pt", partial_postprocess=True, return_type="pt"
    )
    assert (got.shape, got.dtype) == ((FRAMES, *SIZE, 3), torch.uint8)
    assert same([Image.fromarray(frame.numpy()) for frame in got])


def test_pt_as_a_tensor_is_the_sample(url: str) -> None:
    got = remote_decode(url, latent(), scaling_factor=FACTOR, output_type="pt", return_type="pt")
    assert got.shape == (1, 3, FRAMES, *SIZE)
    assert torch.allclose(got, sample(), atol=1e-5)


def test_mp4_is_the_video(url: str) -> None:
    file = remote_decode(url, latent(), scaling_factor=FACTOR, output_type="mp4", return_type="mp4")
    assert isinstance(file, bytes)
    with av.open(io.BytesIO(file)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert [frame.shape for frame in frames] == [(*SIZE, 3)] * FRAMES
    # noise loses detail, not its mean
    for frame, picture in zip(frames, pictures(), strict=True):
        assert np.abs(frame.mean(axis=(0, 1)) - np.array(picture).mean(axis=(0, 1))).max() < 12


def test_do_scaling_applies_the_model_s_own_factor(url: str) -> None:
    with pytest.warns(FutureWarning, match="do_scaling"):
        got = remote_decode(url, latent(), output_type="pt", return_type="pt")
    assert models.get(MODEL).scaling_factor == 1.0
    assert torch.allclose(got, sample(scaled=False), atol=1e-5)


@pytest.mark.parametrize("name", ["input_tensor_type", "output_tensor_type"])
def test_base64_as_diffusers_deprecated_it_is_binary(url: str, name: str) -> None:
    options = {name: "base64", "scaling_factor": FACTOR, "partial_postprocess": True}
    with pytest.warns(FutureWarning, match=name):
        assert same(remote_decode(url, latent(), output_type="pt", **options))


def test_height_and_width_that_clients_send_wrongly_change_nothing(url: str) -> None:
    got = remote_decode(url, latent(), scaling_factor=FACTOR, output_type="pt", return_type="pt", height=24, width=4096)
    assert torch.allclose(got, sample(), atol=1e-5)


def test_a_batch_has_the_frames_of_all_videos_one_video_after_another(url: str) -> None:
    both = torch.cat([latent(), latent()])
    asked = {"scaling_factor": FACTOR, "output_type": "pt", "return_type": "pt"}
    whole = remote_decode(url, both, **asked)
    frames = remote_decode(url, both, partial_postprocess=True, **asked)
    assert whole.shape == (2, 3, FRAMES, *SIZE)
    assert frames.shape == (2 * FRAMES, *SIZE, 3)
    assert same([Image.fromarray(frame.numpy()) for frame in frames[FRAMES:]], most=1)


def test_a_latent_of_rank_5_travels_in_json_as_well(url: str) -> None:
    inputs = base64.b64encode(latent().numpy().tobytes()).decode()
    parameters = {"shape": SHAPE, "dtype": "float16", "output_type": "pt", "scaling_factor": FACTOR}
    headers = {"content-type": "tensor/base64", "accept": "tensor/base64"}
    response = httpx2.post(url, json={"inputs": inputs, "parameters": parameters}, headers=headers, timeout=60)
    inside = response.json()
    assert inside["parameters"] == {"shape": [1, 3, FRAMES, *SIZE], "dtype": "float32"}
    values = np.frombuffer(base64.b64decode(inside["inputs"]), np.float32).reshape(inside["parameters"]["shape"])
    assert torch.allclose(torch.from_numpy(values.copy()), sample(), atol=1e-5)


# what is refused


def asked(url: str, tensor: torch.Tensor, accept: str = "tensor/binary", **query: str) -> httpx2.Response:
    pairs = [*(("shape", str(side)) for side in tensor.shape), ("dtype", "float16"), *query.items()]
    headers = {"accept": accept, "content-type": "tensor/binary"}
    return httpx2.post(url, params=pairs, content=tensor.numpy().tobytes(), headers=headers, timeout=60)


@pytest.mark.parametrize(
    ("accept", "query", "shape", "status", "reason", "what"),
    [
        ("image/jpeg", {}, SHAPE, 400, "video_as_image", "mp4"),
        ("image/png", {"image_format": "png"}, SHAPE, 400, "video_as_image", "output_type=pt"),
        ("*/*", {}, SHAPE, 400, "video_as_image", "VideoProcessor"),
        ("tensor/binary", {"output_type": "pt"}, (1, 4, 3, 5, 8), 400, "bad_request", "16"),
        ("tensor/binary", {"output_type": "pt"}, (1, 16, 5, 8), 400, "bad_request", "latent frames"),
        (
            "tensor/binary",
            {"output_type": "pt", "height": "40", "width": "64"},
            (1, 20, 64),
            400,
            "bad_request",
            "[batch",
        ),
        ("tensor/binary", {"output_type": "pt"}, (1, 16, 4, 5, 8), 413, "too_large", "at most 9"),
        ("tensor/binary", {"output_type": "pt"}, (3, 16, 1, 5, 8), 413, "too_large", "at most 2"),
        ("text/plain", {"output_type": "mp4"}, (2, 16, 1, 5, 8), 400, "batch_as_file", "one video"),
    ],
)
def test_what_a_video_model_can_t_answer_is_an_error_in_json(
    url: str, accept: str, query: dict[str, str], shape: tuple[int, ...], status: int, reason: str, what: str
) -> None:
    response = asked(url, latent(*shape), accept, **query)
    assert (response.status_code, response.json()["reason"]) == (status, reason)
    assert what in response.json()["error"]


def test_an_image_model_makes_no_video(child: Child) -> None:
    tiny = child.route("tiny", "decode")
    with pytest.raises(RuntimeError, match="tiny is a model of images"):
        remote_decode(tiny, latent(1, 4, 8, 8), do_scaling=False, output_type="mp4", return_type="mp4")
    with pytest.raises(RuntimeError, match="tiny is a model of images"):
        remote_decode(tiny, latent(1, 4, 3, 8, 8), do_scaling=False, output_type="pt", return_type="pt")


def test_an_image_model_takes_a_latent_of_one_frame(child: Child) -> None:
    tiny, options = child.route("tiny", "decode"), {"do_scaling": False, "output_type": "pt", "return_type": "pt"}
    got = remote_decode(tiny, latent(1, 4, 1, 8, 8), **options)
    assert torch.equal(got, remote_decode(tiny, latent(1, 4, 8, 8), **options))


# encode, and what is said of the model


def test_a_video_and_an_image_are_encoded(child: Child) -> None:
    encode = child.route(MODEL, "encode")
    video = torch.rand((1, 3, 5, *SIZE), generator=torch.Generator().manual_seed(2)) * 2 - 1
    assert remote_encode(encode, video).shape == (1, 16, 2, 5, 8)
    # an image is a video of one frame
    picture = Image.fromarray(((video[0, :, 0].permute(1, 2, 0) + 1) * 127.5).byte().numpy())
    assert remote_encode(encode, picture).shape == (1, 16, 1, 5, 8)


@pytest.mark.parametrize(
    ("shape", "what"), [((1, 3, 4, 40, 64), "1 or 5"), ((1, 3, 5, 44, 64), "40 or 48"), ((1, 3, 40, 64), "frames")]
)
def test_a_video_that_can_t_be_encoded_is_an_error_in_json(child: Child, shape: tuple[int, ...], what: str) -> None:
    response = asked(child.route(MODEL, "encode"), latent(*shape))
    assert response.status_code == 400
    assert what in response.json()["error"]


def test_health_has_the_geometry_of_each_model(child: Child) -> None:
    served = httpx2.get(f"{child.url}/health").json()
    assert served["models"][MODEL]["geometry"] == {"factor": 8, "channels": 16, "frames": 4}
    assert served["models"]["tiny"]["geometry"] == {"factor": 2, "channels": 4, "frames": 0}
    assert served["limits"]["max_frames"] == 9


def test_one_address_serves_both_operations_of_a_video_model(child: Child) -> None:
    base = f"{child.url}/{MODEL}"
    response = asked(base, latent(), output_type="pt")
    assert json.loads(response.headers["shape"]) == [1, 3, FRAMES, *SIZE]
    response = asked(base, latent(1, 3, 1, *SIZE))
    assert json.loads(response.headers["shape"]) == [1, 16, 1, 5, 8]
    assert len(response.content) == math.prod((1, 16, 1, 5, 8)) * 4
