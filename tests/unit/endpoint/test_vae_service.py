"""The services against local calls of the same weights, every mode bit for bit; and what goes wrong."""

from __future__ import annotations

import base64
import dataclasses
import gc
import importlib
import io
import json
import logging
import math
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import a_case
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.endpoint.shapes import Limits
from bench.errors import ConfigError
from bench.record import Tile
from bench.wire.messages import Answer, Message, RefusedError
from bench.workloads.base import weights_bytes
from bench.workloads.vae_classes.autoencoder_kl import levels

torch = pytest.importorskip("torch")
vae = pytest.importorskip("bench.workloads.vae_classes.module")
processor = pytest.importorskip("bench.device.cpu.processor")
vae_service = pytest.importorskip("bench.endpoint.vae_service")
processing = pytest.importorskip("diffusers.image_processor")
CPU = torch.device("cpu")
HELD = processor.Processor(CPU, None, lambda _: None)
PROCESSOR = processing.VaeImageProcessor(vae_scale_factor=2)


@pytest.fixture(scope="module")
def tiny() -> Any:
    """The tiny VAE as it is served."""
    return vae_service.load("tiny", "random", HELD, None, Limits())


@pytest.fixture(scope="module")
def local() -> Any:
    """The same VAE, built once more and called directly."""
    return vae.VaeOnDevice(a_case(), CPU)


def _random(*shape: int, dtype: str = "float32") -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(11)).to(getattr(torch, dtype))


def _message(tensor: Any, accept: str | None = "tensor/binary", **parameters: Any) -> Message:
    """As diffusers' client sends a tensor."""
    query = [*(("shape", str(side)) for side in tensor.shape), ("dtype", str(tensor.dtype).removeprefix("torch."))]
    query += [(name, str(value)) for name, value in parameters.items()]
    body = tensor.contiguous().view(torch.uint8).numpy().tobytes()
    return Message(tuple(query), body, "tensor/binary", accept)


def _ask(service: Any, message: Message) -> Answer:
    answer: Answer = service.write(service.compute(service.read(message)))
    return answer


def _tensor(answer: Answer) -> Any:
    """As diffusers' client reads an answer."""
    kind = getattr(torch, answer.headers["dtype"])
    return torch.frombuffer(bytearray(answer.body), dtype=kind).reshape(json.loads(answer.headers["shape"]))


def _decoded(workload: Any, latent: Any) -> Any:
    with torch.inference_mode():
        workload.set_up(a_case())
        return workload.decode(workload.place(latent)).clone()


def _encoded(workload: Any, image: Any) -> Any:
    with torch.inference_mode():
        workload.set_up(a_case())
        return workload.encode(workload.place(image)).clone()


def _refusal(service: Any, message: Message) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        _ask(service, message)
    return caught.value


# decode


def test_pt_is_the_sample_as_it_is(tiny: Any, local: Any) -> None:
    latent = _random(2, 4, 16, 24)
    answer = _ask(tiny.decode, _message(latent, output_type="pt"))
    assert torch.equal(_tensor(answer), _decoded(local, latent))
    assert answer.media_type == "tensor/binary"
    assert answer.headers == {"shape": "[2, 3, 32, 48]", "dtype": "float32", "x-weights": "random"}


def test_partial_postprocess_is_the_pixels_of_every_picture(tiny: Any, local: Any) -> None:
    latent = _random(2, 4, 16, 24)
    got = _tensor(_ask(tiny.decode, _message(latent, output_type="pt", partial_postprocess=True)))
    want = PROCESSOR.postprocess(_decoded(local, latent), output_type="pil")
    assert got.dtype == torch.uint8
    assert [Image.fromarray(image.numpy()).tobytes() for image in got] == [picture.tobytes() for picture in want]


def test_pil_as_a_tensor_is_between_zero_and_one(tiny: Any, local: Any) -> None:
    latent = _random(2, 4, 16, 16)
    got = _tensor(_ask(tiny.decode, _message(latent, output_type="pil")))
    assert torch.equal(got, PROCESSOR.postprocess(_decoded(local, latent), output_type="pt"))


@pytest.mark.parametrize(
    ("accept", "image_format", "media_type"),
    [("image/png", "png", "image/png"), ("image/jpeg", "jpg", "image/jpeg"), ("*/*", "png", "image/png")],
)
def test_pil_is_an_image_file(tiny: Any, local: Any, accept: str, image_format: str, media_type: str) -> None:
    # given a latent and the picture that it is locally
    latent = _random(1, 4, 16, 24)
    picture = PROCESSOR.postprocess(_decoded(local, latent), output_type="pil")[0]
    # when it is asked for as a file
    answer = _ask(tiny.decode, _message(latent, accept, output_type="pil", image_format=image_format))
    # then a PNG has its pixels, and a JPEG is what Pillow writes at 95
    if image_format == "png":
        want = picture
    else:
        buffer = io.BytesIO()
        picture.save(buffer, format="JPEG", quality=95)
        want = Image.open(buffer)
    assert Image.open(io.BytesIO(answer.body)).tobytes() == want.tobytes()
    assert answer.media_type == media_type
    assert answer.headers == {"x-weights": "random"}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_latent_of_another_precision_is_cast_to_the_model_s(tiny: Any, local: Any, dtype: str) -> None:
    latent = _random(1, 4, 16, 16, dtype=dtype)
    got = _tensor(_ask(tiny.decode, _message(latent, output_type="pt")))
    assert torch.equal(got, _decoded(local, latent.float()))


def test_a_factor_and_a_shift_are_applied_before_decoding(tiny: Any, local: Any) -> None:
    latent = _random(1, 4, 16, 16)
    message = _message(latent, output_type="pt", scaling_factor=0.3611, shift_factor=0.1159)
    assert torch.equal(_tensor(_ask(tiny.decode, message)), _decoded(local, latent / 0.3611 + 0.1159))


@pytest.mark.parametrize("do_scaling", [True, False])
def test_do_scaling_without_a_factor_means_the_checkpoint_s_own(tmp_path: Path, do_scaling: bool) -> None:
    # given a checkpoint with a factor and shift of its own
    module = vae.build(vae_service.models.get("tiny"))
    module.register_to_config(scaling_factor=0.25, shift_factor=0.5)
    module.save_pretrained(tmp_path)
    loaded = vae_service.load("tiny", str(tmp_path), HELD, None, Limits())
    workload = vae.VaeOnDevice(a_case(weights=str(tmp_path)), CPU)
    latent = _random(1, 4, 8, 8)
    # when scaling is asked for, or refused
    answer = _ask(loaded.decode, _message(latent, output_type="pt", do_scaling=do_scaling))
    # then the latent is scaled by those, or not at all
    assert torch.equal(_tensor(answer), _decoded(workload, latent / 0.25 + 0.5 if do_scaling else latent))
    assert answer.headers["x-weights"] == "local"


def test_a_packed_latent_of_a_four_channel_model_is_unpacked(tiny: Any, local: Any) -> None:
    latent = _random(2, 4, 16, 24)
    packed = latent.view(2, 4, 8, 2, 12, 2).permute(0, 2, 4, 1, 3, 5).reshape(2, 96, 16)
    got = _tensor(_ask(tiny.decode, _message(packed, output_type="pt", height=32, width=48)))
    assert torch.equal(got, _decoded(local, latent))


def test_height_and_width_of_an_unpacked_latent_change_nothing(tiny: Any, local: Any) -> None:
    latent = _random(1, 4, 16, 16)
    got = _tensor(_ask(tiny.decode, _message(latent, output_type="pt", height=1024, width=3)))
    assert torch.equal(got, _decoded(local, latent))


def test_the_legacy_form_is_answered_in_kind(tiny: Any, local: Any) -> None:
    # given the first draft's request: all of it in JSON
    latent = _random(1, 4, 8, 8)
    inputs = base64.b64encode(latent.numpy().tobytes()).decode()
    parameters = {"shape": [1, 4, 8, 8], "dtype": "float32", "output_type": "pt"}
    body = json.dumps({"inputs": inputs, "parameters": parameters}).encode()
    # when it is asked
    answer = _ask(tiny.decode, Message((), body, "tensor/base64", "tensor/base64"))
    # then the tensor lies in JSON as well
    inside = json.loads(answer.body)
    values = np.frombuffer(base64.b64decode(inside["inputs"]), np.float32).reshape(inside["parameters"]["shape"])
    assert torch.equal(torch.from_numpy(values.copy()), _decoded(local, latent))
    assert inside["parameters"]["dtype"] == "float32"
    assert answer.headers["shape"] == "[1, 3, 16, 16]"


# encode


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_tensor_is_encoded_to_the_mode(tiny: Any, local: Any, dtype: str) -> None:
    image = _random(2, 3, 32, 48, dtype=dtype).tanh()
    answer = _ask(tiny.encode, _message(image, "*/*"))
    assert torch.equal(_tensor(answer), _encoded(local, image.float()))
    assert answer.headers == {"shape": "[2, 4, 16, 24]", "dtype": "float32", "x-weights": "random"}


def test_an_encoded_latent_is_shifted_and_scaled_where_asked(tiny: Any, local: Any) -> None:
    image = _random(1, 3, 32, 32).tanh()
    answer = _ask(tiny.encode, _message(image, "*/*", scaling_factor=0.3611, shift_factor=0.1159))
    assert torch.equal(_tensor(answer), (_encoded(local, image) - 0.1159) * 0.3611)


@pytest.mark.parametrize(("mode", "size"), [("RGB", (48, 32)), ("RGBA", (48, 32)), ("L", (48, 32)), ("RGB", (49, 33))])
def test_an_image_file_is_encoded_as_diffusers_preprocesses_it(
    tiny: Any, local: Any, mode: str, size: tuple[int, int]
) -> None:
    values = np.random.default_rng(5).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    picture = Image.fromarray(values).convert(mode)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    answer = _ask(tiny.encode, Message((), buffer.getvalue(), None, "*/*"))
    assert torch.equal(_tensor(answer), _encoded(local, PROCESSOR.preprocess(picture.convert("RGB"))))


# large images


@pytest.mark.parametrize("operation", ["encode", "decode"])
def test_a_side_above_2048_px_is_computed_in_the_zoo_s_tiles(tiny: Any, local: Any, operation: str) -> None:
    # given an image that is 2056 px wide
    values = _random(1, 3, 8, 2056).tanh() if operation == "encode" else _random(1, 4, 4, 1028)
    local.set_up(a_case(operation=operation, tiling=Tile(tile=64, overlap=16)))
    with torch.inference_mode():
        want = getattr(local, operation)(values)
    # when it is sent
    answer = _ask(getattr(tiny, operation), _message(values, output_type="pt"))
    # then it is what tiles of 64 px with a quarter's overlap make, and the answer says how many there were
    assert torch.equal(_tensor(answer), want)
    assert answer.headers["x-tiles"] == str(math.ceil(2056 / 48))


@pytest.mark.parametrize(("operation", "shape"), [("decode", (5, 4, 8, 8)), ("encode", (5, 3, 16, 16))])
def test_a_batch_of_many_pixels_is_computed_in_slices_with_the_same_result(
    tiny: Any, local: Any, operation: str, shape: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a limit of two images of 16 px
    core = importlib.import_module("bench.endpoint.vae_core")
    monkeypatch.setattr(core, "PIXELS_AT_ONCE", 2 * 16 * 16)
    values, batches = _random(*shape).tanh(), []
    workload = tiny.decode._core.vae
    call = getattr(workload, operation)
    monkeypatch.setattr(workload, operation, lambda part: (batches.append(len(part)), call(part))[1])
    # when five come
    got = _tensor(_ask(getattr(tiny, operation), _message(values, output_type="pt")))
    # then they go two by two, and make what each makes alone
    assert batches == [2, 2, 1]
    each = _decoded if operation == "decode" else _encoded
    assert torch.allclose(got, torch.cat([each(local, values[i : i + 1]) for i in range(5)]), atol=1e-5)


def test_the_operations_of_a_request_grow_with_attention_and_with_the_batch(tiny: Any) -> None:
    def flops(*shape: int) -> int:
        return int(tiny.encode.size(tiny.encode.read(_message(_random(*shape)))).flops)

    single = flops(1, 3, 128, 128)
    assert flops(3, 3, 128, 128) == 3 * single
    # four times the pixels is sixteen times the attention
    assert flops(1, 3, 256, 256) > 8 * single
    assert tiny.encode.flops(1, 128, 128) == single
    # tiles above 2048 px bound the attention
    assert tiny.encode.flops(1, 2056, 2056) < tiny.encode.flops(1, 2048, 2048)


def test_a_file_a_tensor_and_a_packed_latent_count_as_what_they_are(tiny: Any) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (67, 33)).save(buffer, "PNG")
    picture = tiny.encode.size(tiny.encode.read(Message((), buffer.getvalue())))
    assert picture.flops == tiny.encode.size(tiny.encode.read(_message(_random(1, 3, 32, 66)))).flops
    packed = tiny.decode.size(tiny.decode.read(_message(_random(1, 16, 16), height=16, width=16)))
    assert packed.flops == tiny.decode.size(tiny.decode.read(_message(_random(1, 4, 8, 8)))).flops


@pytest.mark.parametrize(
    ("shape", "operations"),
    [
        ((1, 4, 8, 8), {"decode"}),
        ((2, 16, 16), {"decode"}),
        ((1, 4, 3, 8, 8), {"decode"}),
        ((1, 3, 16, 16), {"encode"}),
        ((1, 5, 8, 8), set()),
        ((3, 16, 8), set()),
        ((4,), set()),
    ],
)
def test_a_tensor_is_taken_by_the_operation_of_its_channels(
    tiny: Any, shape: tuple[int, ...], operations: set[str]
) -> None:
    services = {"encode": tiny.encode, "decode": tiny.decode}
    message = _message(_random(*shape))
    assert {name for name, service in services.items() if service.takes(message)} == operations


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF"])
def test_an_image_file_is_taken_by_encode_also_in_base64(tiny: Any, form: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, form)
    inside = json.dumps({"inputs": base64.b64encode(buffer.getvalue()).decode()}).encode()
    for message in (Message((), buffer.getvalue()), Message((), inside, "tensor/base64")):
        assert tiny.encode.takes(message) == (form != "GIF")
        assert not tiny.decode.takes(message)


def test_the_size_of_a_request_bounds_its_answer(tiny: Any) -> None:
    for service, message in (
        (tiny.decode, _message(_random(2, 4, 8, 8), output_type="pt")),
        (tiny.decode, _message(_random(2, 4, 8, 8), output_type="pil")),
        (tiny.decode, _message(_random(1, 4, 8, 8), "tensor/base64", output_type="pt")),
        (tiny.encode, _message(_random(2, 3, 16, 16))),
    ):
        request = service.read(message)
        size = service.size(request)
        answer = service.write(service.compute(request))
        assert size.flops > 0
        assert len(message.body) + len(answer.body) <= size.held_bytes <= 3 * (len(message.body) + len(answer.body))


def test_after_a_tiled_image_one_of_2048_px_is_computed_at_once(tiny: Any, local: Any) -> None:
    _ask(tiny.decode, _message(_random(1, 4, 4, 1028), output_type="pt"))
    latent = _random(1, 4, 4, 1024)
    answer = _ask(tiny.decode, _message(latent, output_type="pt"))
    assert "x-tiles" not in answer.headers
    assert torch.equal(_tensor(answer), _decoded(local, latent))


# real models


def _shrink(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a model of the zoo few channels and layers: on a CPU, 16 bits take ten times as long as 32."""
    entry = vae_service.models._all()[model]
    spec = dataclasses.replace(
        entry.spec,
        arguments={**entry.spec.arguments, **levels(8, 8, 8, 8), "layers_per_block": 1, "norm_num_groups": 4},
    )
    monkeypatch.setitem(vae_service.models._all(), model, dataclasses.replace(entry, spec=spec))


@pytest.mark.parametrize("shrink", [True, pytest.param(False, marks=pytest.mark.full_size)])
@pytest.mark.parametrize(
    ("model", "dtype", "channels"), [("sd-v1", "float16", 4), ("sdxl", "float32", 4), ("flux", "bfloat16", 16)]
)
def test_a_model_of_the_zoo_computes_in_its_own_precision(
    model: str, dtype: str, channels: int, shrink: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given the model, or a small one of its kind, and a packed latent of 32 px
    if shrink:
        _shrink(model, monkeypatch)
    loaded = vae_service.load(model, "random", HELD, None, Limits())
    latent = _random(1, channels, 4, 4, dtype=dtype)
    packed = latent.view(1, channels, 2, 2, 2, 2).permute(0, 2, 4, 1, 3, 5).reshape(1, 4, 4 * channels)
    # when it is decoded with the model's own scaling
    message = _message(packed, output_type="pt", do_scaling=True, height=32, width=32)
    answer = _ask(loaded.decode, message)
    # then it is what the zoo's factor and shift make of it
    spec = vae_service.models.get(model)
    scaled = latent / spec.scaling_factor + (spec.shift_factor or 0.0)
    assert (loaded.dtype, answer.headers["dtype"]) == (dtype, dtype)
    assert torch.equal(_tensor(answer), _decoded(loaded.decode._core.vae, scaled))


# what is refused


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(("operation", "shape"), [("decode", (1, 4, 8, 8)), ("encode", (1, 3, 16, 16))])
def test_values_that_are_not_finite_are_refused(tiny: Any, operation: str, shape: Any, value: float) -> None:
    values = _random(*shape)
    values[0, 0, 0, 0] = value
    error = _refusal(getattr(tiny, operation), _message(values))
    assert (error.status, error.reason) == (422, "not_finite")


def test_a_value_that_overflows_in_the_model_s_precision_is_refused() -> None:
    half = vae_service.load("tiny", "random", HELD, "float16", Limits())
    latent = torch.full((1, 4, 8, 8), 1e30)
    assert _refusal(half.decode, _message(latent)).status == 422


@pytest.mark.parametrize("accept", ["image/jpeg", "image/png", "*/*"])
def test_a_batch_as_an_image_file_is_refused_with_the_way_out(tiny: Any, accept: str) -> None:
    error = _refusal(tiny.decode, _message(_random(2, 4, 8, 8), accept))
    assert error.status == 400
    assert "output_type=pt" in error.message


@pytest.mark.parametrize("difference", [-1, 1])
@pytest.mark.parametrize(("operation", "shape"), [("decode", (1, 4, 8, 8)), ("encode", (1, 3, 16, 16))])
def test_a_body_of_the_wrong_length_is_refused(tiny: Any, operation: str, shape: Any, difference: int) -> None:
    right = _message(_random(*shape))
    body = right.body[:-1] if difference < 0 else right.body + b"x"
    error = _refusal(getattr(tiny, operation), Message(right.query, body, right.content_type, right.accept))
    assert error.status == 400
    assert str(len(body)) in error.message
    assert str(len(right.body)) in error.message


def test_the_limits_of_this_endpoint_count_for_both_operations() -> None:
    small = vae_service.load("tiny", "random", HELD, None, Limits(max_pixels=32 * 32, max_batch=1))
    assert _tensor(_ask(small.decode, _message(_random(1, 4, 16, 16)))).shape == (1, 3, 32, 32)
    assert _refusal(small.decode, _message(_random(1, 4, 16, 17))).status == 413
    assert _refusal(small.encode, _message(_random(1, 3, 32, 34))).status == 413
    assert _refusal(small.encode, _message(_random(2, 3, 8, 8))).status == 413


@pytest.mark.parametrize(
    "text", ["CUDA out of memory. Tried to allocate 20.00 GiB", "DefaultCPUAllocator: can't allocate memory"]
)
def test_want_of_memory_is_refused_and_what_was_held_is_freed(
    tiny: Any, local: Any, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    # given a VAE that runs out of memory with a large tensor in hand
    held: list[weakref.ref[Any]] = []

    def exhausted(latent: Any) -> Any:
        activations = latent * 2
        held.append(weakref.ref(activations))
        raise torch.OutOfMemoryError(text)

    latent = _random(1, 4, 8, 8)
    with monkeypatch.context() as patch:
        patch.setattr(tiny.decode._core.vae, "decode", exhausted)
        gc.disable()
        try:
            # when it is asked
            with pytest.raises(RefusedError) as caught:
                tiny.decode.compute(tiny.decode.read(_message(latent)))
        finally:
            gc.enable()
    # then the client is told so, nothing is held, and the next request is served
    assert (caught.value.status, caught.value.reason) == (507, "out_of_memory")
    assert held[0]() is None
    assert torch.equal(_tensor(_ask(tiny.decode, _message(latent, output_type="pt"))), _decoded(local, latent))


def test_a_refusal_of_values_holds_none_of_them(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[weakref.ref[Any]] = []
    place = tiny.decode._core.vae.place

    def placed(values: Any) -> Any:
        tensor = place(values) * 1
        held.append(weakref.ref(tensor))
        return tensor

    monkeypatch.setattr(tiny.decode._core.vae, "place", placed)
    gc.disable()
    try:
        with pytest.raises(RefusedError) as caught:
            tiny.decode.compute(tiny.decode.read(_message(torch.full((1, 4, 8, 8), math.nan))))
        assert caught.value.status == 422
        assert held[0]() is None
    finally:
        gc.enable()


def test_any_other_error_of_the_device_is_not_passed_off_as_want_of_memory(
    tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Any) -> Any:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(tiny.decode._core.vae, "decode", broken)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        tiny.decode.compute(tiny.decode.read(_message(_random(1, 4, 8, 8))))


def test_a_sample_that_overflowed_is_a_black_picture(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        tiny.decode._core.vae, "decode", lambda latent: torch.full((1, 3, 16, 16), math.nan, dtype=latent.dtype)
    )
    answer = _ask(tiny.decode, _message(_random(1, 4, 8, 8), "image/png"))
    assert set(Image.open(io.BytesIO(answer.body)).tobytes()) == {0}


@pytest.mark.parametrize(
    ("model", "weights", "dtype", "what"),
    [
        ("tiiny", "random", None, "Did you mean 'tiny'"),
        ("tiny", "hub", None, "--weights random"),
        ("tiny", "random", "float8", "Valid: float16, float32, bfloat16"),
    ],
)
def test_what_can_t_be_loaded_is_an_error_for_the_operator(
    model: str, weights: str, dtype: str | None, what: str
) -> None:
    with pytest.raises(ConfigError, match=what):
        vae_service.load(model, weights, HELD, dtype, Limits())


def test_building_a_model_in_16_bits_warns_of_nothing() -> None:
    messages: list[str] = []
    logger = logging.getLogger("diffusers.models.modeling_utils")
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(handler)
    try:
        loaded = vae_service.load("tiny", "random", HELD, "bfloat16", Limits())
    finally:
        logger.removeHandler(handler)
    assert (loaded.dtype, messages) == ("bfloat16", [])


def test_a_loaded_model_says_what_it_is(tiny: Any, local: Any) -> None:
    assert (tiny.dtype, tiny.weights_bytes) == ("float32", weights_bytes(local))


# whatever comes

_SIDES = st.integers(0, 9).map(str)
_QUERIES = st.lists(
    st.one_of(
        st.tuples(st.just("shape"), _SIDES),
        st.tuples(st.just("dtype"), st.sampled_from(["float16", "float32", "bfloat16"])),
        st.tuples(st.sampled_from(["height", "width"]), _SIDES),
        st.tuples(st.just("output_type"), st.sampled_from(["pt", "pil"])),
        st.tuples(st.sampled_from(["scaling_factor", "shift_factor"]), st.floats().map(str)),
    ),
    max_size=8,
).map(tuple)


def _fits(query: tuple[tuple[str, str], ...]) -> int:
    """How many bytes the shape and dtype of a query ask for, if they do."""
    sides = [int(value) for name, value in query if name == "shape"]
    item = 4 if ("dtype", "float32") in query else 2
    return math.prod(sides) * item if sides and math.prod(sides) < 10**6 else 0


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_QUERIES, st.binary(max_size=64), st.booleans(), st.sampled_from(["tensor/binary", "image/png", None]))
def test_whatever_comes_is_answered_or_refused(
    tiny: Any, query: tuple[tuple[str, str], ...], body: bytes, right_length: bool, accept: str | None
) -> None:
    if right_length:
        body = (body or b"\0") * (_fits(query) + 1)
        body = body[: _fits(query)]
    steps: list[Callable[[], Answer]] = [
        lambda: _ask(tiny.decode, Message(query, body, None, accept)),
        lambda: _ask(tiny.encode, Message(query, body, None, accept)),
    ]
    for step in steps:
        try:
            answer = step()
        except RefusedError:
            continue
        assert answer.headers["x-weights"] == "random"
