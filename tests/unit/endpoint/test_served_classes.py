"""A tiny model of each of diffusers' VAE classes as it is served, against local calls of the same weights."""

from __future__ import annotations

import json
import math
from functools import cache
from typing import Any

import pytest

from bench.endpoint.limits import Bounds
from bench.endpoint.routing import elsewhere
from bench.endpoint.shapes import Limits
from bench.endpoint.state import Endpoint, LoadedModel, Offer
from bench.record import Case
from bench.wire.messages import Answer, Message, RefusedError
from bench.workloads import models
from bench.workloads.vae_classes import zoo
from bench.workloads.vae_classes.vae_class import VaeSpec
from bench.workloads.video_vae import workload as video_workload

torch = pytest.importorskip("torch")
module = pytest.importorskip("bench.workloads.vae_classes.module")
processor = pytest.importorskip("bench.device.cpu.processor")
vae_service = pytest.importorskip("bench.endpoint.vae_service")
mp4 = pytest.importorskip("bench.remote.mp4")
CPU = torch.device("cpu")
TINY = [spec for spec in models.zoo().values() if isinstance(spec, VaeSpec) and spec.key.startswith("tiny")]
IMAGES = [spec.key for spec in TINY if not spec.geometry.is_video]
VIDEOS = [spec.key for spec in TINY if spec.geometry.is_video]


@cache
def served(key: str) -> Any:
    return vae_service.load(key, "random", processor.Processor(CPU, None, lambda _: None), None, Limits())


@cache
def local(key: str) -> Any:
    return module.VaeOnDevice(case_of(key), CPU)


def case_of(key: str) -> Case:
    height, width = sides_of(key)
    axes = models.sized(key, width, height, frames=frames_of(key))
    return Case(model=key, operation="decode", axes=axes, dtype="float32")


def sides_of(key: str) -> tuple[int, int]:
    """Height and width in pixels: at least two and three latent pixels."""
    return (64, 96) if zoo.get(key).geometry.factor > 16 else (32, 48)


def frames_of(key: str) -> int:
    """Frames of two latent frames; 1 of images."""
    spec = zoo.get(key)
    return spec.vae_class.video_frames(spec, 2) if spec.geometry.is_video else 1


@cache
def latent_of(key: str) -> Any:
    shape = zoo.get(key).latent_shape(case_of(key))
    return torch.randn(shape, generator=torch.Generator().manual_seed(5))


def decoded(key: str, latent: Any) -> Any:
    with torch.inference_mode():
        local(key).set_up(case_of(key))
        return local(key).decode(local(key).place(latent)).clone()


def ask(service: Any, tensor: Any, accept: str = "tensor/binary", **parameters: object) -> Answer:
    query = [*(("shape", str(side)) for side in tensor.shape), ("dtype", "float32")]
    query += [(name, str(value)) for name, value in parameters.items()]
    request = service.read(Message(tuple(query), tensor.contiguous().numpy().tobytes(), "tensor/binary", accept))
    size = service.size(request)
    answer: Answer = service.write(service.compute(request))
    assert size.flops > 0
    assert len(answer.body) <= size.held_bytes
    return answer


def tensor_of(answer: Answer) -> Any:
    kind = getattr(torch, answer.headers["dtype"])
    return torch.frombuffer(bytearray(answer.body), dtype=kind).reshape(json.loads(answer.headers["shape"]))


@pytest.mark.parametrize("key", IMAGES)
def test_latents_of_an_image_come_plain_packed_or_with_their_only_frame(key: str) -> None:
    # given a latent in its three forms
    latent, (height, width) = latent_of(key), sides_of(key)
    patches = torch.nn.functional.pixel_unshuffle(latent, 2)
    packed = patches.flatten(2).transpose(1, 2)
    # when each is decoded
    asked = {"output_type": "pt"}
    plain = tensor_of(ask(served(key).decode, latent, **asked))
    of_packed = tensor_of(ask(served(key).decode, packed, height=height, width=width, **asked))
    of_one_frame = tensor_of(ask(served(key).decode, latent.unsqueeze(2), **asked))
    # then all are the image that it is locally
    assert plain.shape == (1, 3, height, width)
    assert torch.allclose(plain, decoded(key, latent), atol=1e-5)
    assert torch.equal(of_packed, plain)
    assert torch.equal(of_one_frame, plain)


def test_what_each_address_takes_is_said_for_videos_and_for_images() -> None:
    for key, shape, takes in (
        ("tiny-wan", (1, 4, 3, 4, 4), "[batch, 3, frames, height, width]"),
        ("tiny-qwen-image", (1, 4, 4, 4), "[batch, 3, height, width]"),
    ):
        services = {"encode": served(key).encode, "decode": served(key).decode}
        query = (*(("shape", str(side)) for side in shape), ("dtype", "float32"))
        message = Message(query, bytes(4 * math.prod(shape)), "tensor/binary", "tensor/binary")
        refusal = RefusedError(400, "not three channels")

        said = elsewhere(refusal, key, "encode", services, message)

        assert said.reason == "wrong_address"
        assert takes in str(said)


@pytest.mark.parametrize("key", VIDEOS)
def test_a_video_comes_as_a_sample_as_frames_or_as_a_file(key: str) -> None:
    latent, decode = latent_of(key), served(key).decode
    frames, (height, width) = frames_of(key), sides_of(key)
    sample = tensor_of(ask(decode, latent, output_type="pt"))
    assert sample.shape == (1, 3, frames, height, width)
    assert torch.allclose(sample, decoded(key, latent), atol=1e-5)
    pixels = tensor_of(ask(decode, latent, output_type="pt", partial_postprocess=True))
    assert (pixels.shape, pixels.dtype) == ((frames, height, width, 3), torch.uint8)
    file = ask(decode, latent, "text/plain", output_type="mp4")
    assert file.media_type == "video/mp4"
    assert mp4.facts(file.body) == mp4.Facts(width, height, frames)


@pytest.mark.parametrize("key", [*IMAGES, *VIDEOS])
def test_images_and_videos_are_encoded_to_the_latents_shape(key: str) -> None:
    spec, case = zoo.get(key), case_of(key)
    values = torch.rand(spec.image_shape(case), generator=torch.Generator().manual_seed(4)) * 2 - 1
    assert tensor_of(ask(served(key).encode, values, "*/*")).shape == spec.latent_shape(case)


@pytest.mark.parametrize("key", [*IMAGES, *VIDEOS])
def test_scaling_by_the_model_s_own_values_is_what_they_say(key: str) -> None:
    # tiny models have means of 0 and deviations of 1, but FLUX.2's norm divides by a little more than 1
    latent, eps = latent_of(key), 1e-4 if key == "tiny-flux2" else 0.0
    factors = zoo.get(key).usual_scaling
    got = tensor_of(ask(served(key).decode, latent, output_type="pt", do_scaling=True))
    unscaled = latent / factors.get("scaling_factor", 1.0) + factors.get("shift_factor", 0.0)
    assert torch.allclose(got, decoded(key, unscaled * (1 + eps) ** 0.5), atol=1e-4)


def test_patches_of_flux2_may_come_as_channels() -> None:
    latent = latent_of("tiny-flux2")
    patches, asked = torch.nn.functional.pixel_unshuffle(latent, 2), {"output_type": "pt"}
    got = ask(served("tiny-flux2").decode, patches, **asked)
    assert got.body == ask(served("tiny-flux2").decode, latent, **asked).body


def test_flux2_can_t_scale_half_a_patch() -> None:
    latent = latent_of("tiny-flux2")[..., :-1]
    with pytest.raises(RefusedError, match="odd") as caught:
        ask(served("tiny-flux2").decode, latent, output_type="pt", do_scaling=True)
    assert caught.value.status == 400
    assert ask(served("tiny-flux2").decode, latent, output_type="pt", do_scaling=False).body


def test_what_is_too_slow_is_answered_with_the_longest_video_that_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a request for 17 frames, an operation for each pixel, and a limit of 12 frames of this size
    service = served("tiny-hunyuan-video").decode
    monkeypatch.setattr(service, "flops", lambda frames, height, width: frames * height * width, raising=True)
    latent = torch.zeros(1, 16, 5, 8, 12)
    query = (*(("shape", str(side)) for side in latent.shape), ("dtype", "float32"), ("output_type", "pt"))
    job = service.read(Message(query, latent.numpy().tobytes()))
    most = 12 * 64 * 96
    # then the answer is 9 frames; or none, if not even one is quick enough
    assert service.largest(job, lambda flops: flops <= most).figures == {"largest_frames": 9}
    assert service.largest(job, lambda _: False).figures == {"largest_frames": 0}


def test_a_video_that_takes_longer_than_the_limit_is_refused_with_the_frames_that_do_not() -> None:
    # given an endpoint with a limit of 60 s, on which 9 frames of 32x48 px took 40 s
    key = "tiny-hunyuan-video"
    service, endpoint = served(key).decode, Endpoint(Offer((key,), ("decode",), "random"), Bounds(time_limit_s=60))
    try:
        nine = service.flops(9, 32, 48)
        endpoint.add(LoadedModel(key, "float32", 1, {"decode": service}, {"decode": [(40.0, nine)]}))
        latent = torch.zeros(1, 16, 9, 4, 6)
        query = (*(("shape", str(side)) for side in latent.shape), ("dtype", "float32"), ("output_type", "pt"))
        job = service.read(Message(query, latent.numpy().tobytes()))
        flops = service.size(job).flops
        # when 33 frames come, then they take too long, and nine do not
        assert endpoint.is_too_slow(key, "decode", 12 * nine)
        assert not endpoint.is_too_slow(key, "decode", nine)
        refusal = endpoint.too_slow(key, "decode", job, flops)
        assert (refusal.status, refusal.reason) == (413, "too_slow")
        assert 9 <= refusal.figures["largest_frames"] < 33
    finally:
        endpoint.close(5)


def test_a_video_of_many_pixels_is_computed_in_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    # given an endpoint that tiles every video
    monkeypatch.setattr(video_workload, "SERVED_UNTILED_VOLUME", 0)
    # when one of 64x96 px is decoded, whose width is more than a tile of 64 px
    answer = ask(served("tiny-hunyuan-video").decode, torch.zeros(1, 16, 1, 8, 12), output_type="pt")
    # then the answer says how many tiles it has
    assert answer.headers["x-tiles"] == "4"
