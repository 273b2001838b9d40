"""Tensors on the wire against the expressions of diffusers' own client, pipelines and image processor, bit for bit."""

from __future__ import annotations

import pytest
from PIL import Image

from bench.endpoint.request_format import Scaling
from bench.endpoint.shapes import Layout
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
    assert torch.equal(tensors.laid_out(packed, Layout(None, 6, 10, "packed")), latent)


def test_patches_as_channels_are_put_beside_each_other() -> None:
    # given a latent in patches as Flux2Pipeline._patchify_latents makes them
    latent = _random(2, 8, 6, 10)
    patches = latent.view(2, 8, 3, 2, 5, 2).permute(0, 1, 3, 5, 2, 4).reshape(2, 32, 3, 5)
    assert torch.equal(tensors.laid_out(patches, Layout(None, 6, 10, "patches")), latent)


def test_the_only_frame_of_an_image_loses_its_dimension() -> None:
    latent = _random(2, 4, 6, 10)
    assert torch.equal(tensors.laid_out(latent.unsqueeze(2), Layout(None, 6, 10, "one_frame")), latent)
    assert torch.equal(tensors.laid_out(latent, Layout(None, 6, 10)), latent)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_video_is_rendered_frame_by_frame_as_diffusers_video_processor_does(dtype: str) -> None:
    # given two videos of five frames
    sample = _random(2, 3, 5, 8, 6, dtype=dtype)
    processor = pytest.importorskip("diffusers.video_processor").VideoProcessor(vae_scale_factor=8)
    pictures = [picture for video in processor.postprocess_video(sample, output_type="pil") for picture in video]
    # when they are rendered
    pixels, unit = tensors.rendered(sample, "uint8"), tensors.rendered(sample, "unit")
    # then each form but the raw one has ten images, those that the processor makes
    assert (pixels.shape, pixels.dtype) == ((10, 8, 6, 3), torch.uint8)
    assert [Image.fromarray(frame.numpy()).tobytes() for frame in pixels] == [image.tobytes() for image in pictures]
    assert (unit.shape, unit.dtype) == ((10, 3, 8, 6), torch.float32)
    assert torch.equal(tensors.rendered(sample, "mp4"), pixels)
    assert torch.equal(tensors.rendered(sample, "raw"), sample)


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
