"""Tensors on the wire against the expressions of diffusers' own client, pipelines and image processor, bit for bit."""

from __future__ import annotations

import pytest
from PIL import Image

from bench.endpoint.request_format import Scaling
from bench.endpoint.shapes import Packed
from bench.wire.messages import RefusedError

torch = pytest.importorskip("torch")
tensors = pytest.importorskip("bench.endpoint.tensors")
processing = pytest.importorskip("diffusers.image_processor")
DTYPES = ("float16", "float32", "bfloat16")


def _random(*shape: int, dtype: str = "float32", scale: float = 1.0) -> torch.Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(3)) * scale
    return values.to(getattr(torch, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_bytes_of_every_precision_come_back_as_they_were(dtype: str) -> None:
    # given a tensor with a NaN and an infinity in it
    values = _random(2, 3, 5, dtype=dtype)
    values[0, 0, :2] = torch.tensor([float("nan"), float("inf")])
    # when it goes to bytes and back
    payload = tensors.to_bytes(values)
    back = tensors.from_bytes(payload, (2, 3, 5), dtype)
    # then every bit is the same
    assert len(payload) == values.nbytes
    assert torch.equal(back.view(torch.uint8), values.view(torch.uint8))
    assert tensors.name_of(back.dtype) == dtype


@pytest.mark.parametrize("channels", [4, 16])
def test_packed_latents_of_any_model_are_unpacked(channels: int) -> None:
    # given a latent packed as FluxPipeline._pack_latents does
    latent = _random(2, channels, 6, 10)
    packed = latent.view(2, channels, 3, 2, 5, 2).permute(0, 2, 4, 1, 3, 5).reshape(2, 15, 4 * channels)
    # when it is unpacked, then it is the latent again
    assert torch.equal(tensors.unpack(packed, Packed(3, 5)), latent)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shift", [None, 0.1159])
def test_scaling_is_that_of_the_pipelines(dtype: str, shift: float | None) -> None:
    latent = _random(1, 4, 8, 8, dtype=dtype)
    scaling = Scaling(0.3611, shift)
    assert torch.equal(tensors.from_wire(latent, scaling), latent / 0.3611 + (shift or 0.0))
    assert torch.equal(tensors.to_wire(latent, scaling), (latent - (shift or 0.0)) * 0.3611)


def test_without_a_factor_or_shift_the_latent_is_left_as_it_is() -> None:
    latent = _random(1, 4, 2, 2)
    assert torch.equal(tensors.from_wire(latent, Scaling()), latent)
    assert torch.equal(tensors.to_wire(latent, Scaling()), latent)


@pytest.mark.parametrize("dtype", DTYPES)
def test_pixels_are_those_of_diffusers_image_processor(dtype: str) -> None:
    sample = _random(2, 3, 64, 64, dtype=dtype, scale=1.5)
    processor = processing.VaeImageProcessor()
    pictures = processor.postprocess(sample, output_type="pil")
    got = tensors.rendered(sample, "uint8").numpy()
    assert [Image.fromarray(array).tobytes() for array in got] == [picture.tobytes() for picture in pictures]
    assert torch.equal(tensors.rendered(sample, "unit"), processor.postprocess(sample, output_type="pt").float())


def test_every_pixel_value_becomes_what_diffusers_preprocesses_it_to() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).repeat_interleave(3).reshape(1, 16, 16, 3)
    want = processing.VaeImageProcessor().preprocess(Image.fromarray(pixels[0].numpy()))
    assert torch.equal(tensors.from_pixels(pixels), want)


@pytest.mark.parametrize("form", ["uint8", "unit", "jpeg"])
def test_a_value_that_overflowed_in_the_vae_becomes_black_or_full(form: str) -> None:
    sample = torch.tensor([float("nan"), float("inf"), float("-inf")]).reshape(1, 3, 1, 1)
    assert [round(float(value)) for value in tensors.rendered(sample, form).flatten()] in ([0, 1, 0], [0, 255, 0])


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e30"])
def test_a_value_that_is_not_finite_in_the_model_s_precision_is_refused(value: str) -> None:
    latent = torch.tensor([0.0, float(value)]).to(torch.float16)
    with pytest.raises(RefusedError, match=r"latent .*float16") as caught:
        tensors.check_finite(latent, "the latent")
    assert (caught.value.status, caught.value.reason) == (422, "not_finite")
