"""What messages of diffusers' client, of other clients and of nobody in particular are read as."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.endpoint import shapes
from bench.endpoint.request_format import DecodeRequest, EncodeRequest, Scaling, decode_request, encode_request
from bench.endpoint.shapes import Layout, Limits
from bench.wire.messages import Message, RefusedError
from bench.workloads.vae_classes import zoo

SD = zoo.get("sd-v1")
LATENT = (*(("shape", side) for side in ("1", "4", "8", "8")), ("dtype", "float16"))


def _decode(*query: tuple[str, str], accept: str | None = "*/*") -> DecodeRequest:
    return decode_request(Message((*LATENT, *query), b"", "tensor/binary", accept))[0]


def _refusal(*query: tuple[str, str], accept: str | None = None) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        _decode(*query, accept=accept)
    return caught.value


def test_a_request_of_diffusers_client_is_read_as_it_was_meant() -> None:
    # given the query that remote_decode sends
    query = (
        *(("image_format", "jpg"), ("output_type", "pt"), ("partial_postprocess", "False")),
        *(("shape", "1"), ("shape", "4096"), ("shape", "64"), ("dtype", "bfloat16")),
        *(("scaling_factor", "0.3611"), ("shift_factor", "0.1159"), ("height", "1024"), ("width", "768")),
    )
    # when it is read
    request, payload = decode_request(Message(query, b"body", "tensor/binary", "tensor/binary"))
    # then nothing is lost
    assert request == DecodeRequest(
        (1, 4096, 64), "bfloat16", Scaling(0.3611, 0.1159), "raw", base64=False, size=(1024, 768)
    )
    assert payload == b"body"


@pytest.mark.parametrize(
    ("output", "partial", "image_format", "accept", "form"),
    [
        ("pil", "False", "jpg", "image/jpeg", "jpeg"),
        ("pil", "False", "png", "image/png", "png"),
        ("pil", "False", "jpg", "tensor/binary", "unit"),
        ("pt", "False", "jpg", "tensor/binary", "raw"),
        ("pt", "True", "jpg", "tensor/binary", "uint8"),
        ("pt", "true", "jpg", "tensor/base64", "uint8"),
        ("pil", "0", "png", "*/*", "png"),
        ("pil", "False", "png", None, "png"),
        ("pt", "1", "png", "*/*", "uint8"),
        ("pt", "False", "jpg", "image/jpeg", "jpeg"),
        ("pil", "False", "png", "application/json, text/plain, */*", "png"),
        ("pil", "False", "jpg", "text/html, image/png;q=0.9", "png"),
    ],
)
def test_accept_decides_the_form_and_else_output_type_does(
    output: str, partial: str, image_format: str, accept: str | None, form: str
) -> None:
    query = (("output_type", output), ("partial_postprocess", partial), ("image_format", image_format))
    assert _decode(*query, accept=accept).form == form


def test_absent_parameters_have_the_client_s_defaults() -> None:
    assert _decode() == DecodeRequest((1, 4, 8, 8), "float16", Scaling(), "jpeg")


@pytest.mark.parametrize(
    ("query", "scaling"),
    [
        ([("scaling_factor", "0.5"), ("shift_factor", "-1e-1")], Scaling(0.5, -0.1)),
        ([("do_scaling", "True")], Scaling(own=True)),
        ([("do_scaling", "False")], Scaling()),
        ([("do_scaling", "True"), ("scaling_factor", "2")], Scaling(2.0)),
        ([("do_scaling", "False"), ("scaling_factor", "2")], Scaling(2.0)),
        ([("shift_factor", "0.25")], Scaling(shift=0.25)),
        ([], Scaling()),
    ],
)
def test_latents_are_scaled_as_asked_and_by_the_model_s_own_only_where_no_factor_is_given(
    query: list[tuple[str, str]], scaling: Scaling
) -> None:
    assert _decode(*query).scaling == scaling


def test_height_and_width_of_an_unpacked_latent_are_not_even_read() -> None:
    assert _decode(("height", "wrong"), ("width", "-1"), ("width", "2")).size is None


def test_parameters_of_other_names_are_ignored() -> None:
    assert _decode(("input_tensor_type", "binary"), ("output_tensor_type", "binary"), ("x", ""), ("x", "")) == _decode()


@pytest.mark.parametrize(
    ("name", "value", "valid"),
    [
        ("output_type", "np", "pil, pt, mp4"),
        ("output_type", "", "pil, pt, mp4"),
        ("image_format", "webp", "jpg, png"),
        ("partial_postprocess", "yes", "True, False"),
        ("do_scaling", "None", "True, False"),
        ("shape", "-1", "whole number"),
        ("shape", "1.0", "whole number"),
        ("shape", "", "whole number"),
        ("shape", "\u0661", "whole number"),
        ("shape", "9" * 5000, "whole number"),
        *(("scaling_factor", text, "from 1e-06 to 1e+06") for text in ("0", "-0.1", "nan", "inf", "", "1_0", "1e999")),
        *(("shift_factor", text, "from -1e+06 to 1e+06") for text in ("NaN", "-inf", "x", " 1", "1e7")),
    ],
)
def test_a_value_that_is_not_valid_is_refused_with_its_name_and_what_is(name: str, value: str, valid: str) -> None:
    error = _refusal((name, value))
    assert error.status == 400
    assert name in error.message
    assert valid in error.message
    assert len(error.message) < 200


@pytest.mark.parametrize("value", ["float64", "uint8", "torch.float16", "", "FLOAT16"])
def test_an_unknown_dtype_is_refused_with_the_known_ones(value: str) -> None:
    with pytest.raises(RefusedError, match="Valid: float16, float32, bfloat16") as caught:
        decode_request(Message((*LATENT[:4], ("dtype", value)), b""))
    assert caught.value.status == 400


@pytest.mark.parametrize("name", ["dtype", "output_type", "image_format", "scaling_factor", "do_scaling"])
def test_a_parameter_given_twice_is_refused(name: str) -> None:
    assert f"{name} is given" in _refusal((name, "1"), (name, "1")).message


@pytest.mark.parametrize("missing", ["shape", "dtype"])
def test_a_latent_without_its_shape_or_dtype_is_refused(missing: str) -> None:
    with pytest.raises(RefusedError, match=f"{missing} is missing"):
        decode_request(Message(tuple(pair for pair in LATENT if pair[0] != missing), b""))


@pytest.mark.parametrize(
    ("query", "accept"), [([("output_type", "mp4")], "*/*"), ([], "text/plain"), ([], "video/mp4")]
)
def test_a_video_file_is_asked_for_by_output_type_or_accept(query: list[tuple[str, str]], accept: str) -> None:
    assert _decode(*query, accept=accept).form == "mp4"


# encode


def test_only_the_query_distinguishes_an_image_file_from_a_tensor() -> None:
    image = encode_request(Message((("scaling_factor", "0.5"),), b"png"))[0]
    tensor = encode_request(Message((("shape", "3"), ("dtype", "float32")), b"bytes"))[0]
    assert image == EncodeRequest(None, None, Scaling(0.5))
    assert (tensor.shape, tensor.dtype) == ((3,), "float32")


@pytest.mark.parametrize("given", [("shape", "1"), ("dtype", "float16")])
def test_half_of_what_a_tensor_needs_is_refused(given: tuple[str, str]) -> None:
    with pytest.raises(RefusedError, match="is given without"):
        encode_request(Message((given,), b""))


# legacy JSON


def _legacy(parameters: Any = None, inputs: Any = "Ym9keQ==", query: tuple[tuple[str, str], ...] = ()) -> Message:
    body = {"inputs": inputs} | ({} if parameters is None else {"parameters": parameters})
    return Message(query, json.dumps(body).encode(), "tensor/base64; charset=utf-8", "tensor/base64")


def test_base64_with_a_query_is_read_and_answered_in_base64() -> None:
    request, payload = decode_request(_legacy(query=LATENT))
    assert payload == b"body"
    assert request.base64
    assert request.form == "unit"


def test_the_first_draft_s_parameters_inside_the_body_are_read() -> None:
    parameters = {
        "shape": [1, 256, 64],
        "dtype": "float16",
        "height": 256,
        "width": 256,
        "do_scaling": True,
        "scaling_factor": None,
    }
    request, _ = decode_request(_legacy(parameters))
    assert request == DecodeRequest((1, 256, 64), "float16", Scaling(own=True), "unit", base64=True, size=(256, 256))


def test_base64_of_many_pieces_with_json_s_spelling_of_slashes_is_read() -> None:
    content = b"\xff" * 3_000_001
    text = base64.b64encode(content).replace(b"/", b"\\/")
    query = (("shape", "1"), ("dtype", "float32"))
    _, payload = decode_request(Message(query, b'{"inputs": "' + text + b'"}', "application/json"))
    assert payload == content


def test_the_query_wins_over_the_body_s_parameters() -> None:
    request, _ = decode_request(_legacy({"shape": [9, 9], "dtype": "float32", "output_type": "pt"}, query=LATENT))
    assert (request.shape, request.dtype, request.form) == ((1, 4, 8, 8), "float16", "raw")


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe\xff", "not JSON"),
        (b"[" * 100_000, "65536"),
        (b"[" * 60_000, "not JSON"),
        (b'{"inputs": "YQ==", "x": [' + b"[]," * 30_000 + b"0]}", "65536"),
        (b'{"x": [' + b"[]," * 30_000 + b'0], "inputs": "YQ=="}', "65536"),
        (b'{"inputs": "YQ==', "does not end"),
        (b'{"inputs": "YQ==YQ=="}', "not base64"),
        (b'{"parameters": {"inputs": "YQ=="}}', '"inputs"'),
        (b"[]", "must be an object"),
        (b"{}", '"inputs"'),
        (b'{"inputs": 5}', '"inputs"'),
        (b'{"inputs": "a"}', "not base64"),
        ('{"inputs": "é"}'.encode(), "not base64"),
        (b'{"inputs": "YQ==", "parameters": []}', '"parameters"'),
        (b'{"inputs": "YQ==", "parameters": {"shape": [[1]]}}', "'shape'"),
        (b'{"inputs": "YQ==", "parameters": {"shape": [1e400]}}', "shape"),
        (b'{"inputs": "YQ==", "parameters": {"shape": 1' + b"0" * 4000 + b"}}", "shape"),
    ],
)
def test_a_broken_legacy_body_is_refused_with_what_is_wrong(body: bytes, what: str) -> None:
    with pytest.raises(RefusedError) as caught:
        decode_request(Message((), body, "application/json"))
    assert caught.value.status == 400
    assert what in caught.value.message


# shapes


def test_a_latent_s_own_layout_needs_no_size() -> None:
    assert shapes.latent_layout((2, 4, 64, 96), None, SD, Limits()) == Layout(None, 64, 96)


def test_a_latent_of_an_image_may_have_its_only_frame_as_a_dimension() -> None:
    # pipelines of Qwen-Image have such latents
    assert shapes.latent_layout((2, 4, 1, 64, 96), None, SD, Limits()) == Layout(None, 64, 96, "one_frame")


def test_patches_as_channels_are_for_models_whose_pipelines_keep_them() -> None:
    shape = (1, 16, 32, 48)
    assert shapes.latent_layout(shape, None, SD, Limits(), in_patches=True) == Layout(None, 64, 96, "patches")
    with pytest.raises(RefusedError, match="16 channels"):
        shapes.latent_layout(shape, None, SD, Limits())


@pytest.mark.parametrize("size", [(1024, 768), (1024 + 15, 768 + 15)])
def test_a_packed_latent_is_laid_out_by_the_size_rounded_down_to_whole_patches(size: tuple[int, int]) -> None:
    assert shapes.latent_layout((1, 64 * 48, 16), size, SD, Limits()) == Layout(None, 128, 96, "packed")


@pytest.mark.parametrize(
    ("shape", "size", "status", "what"),
    [
        ((4,), None, 400, r"\[4\]"),
        ((1, 4, 1, 8, 8, 8), None, 400, r"\[batch, 4, height, width\]"),
        ((1, 16, 3, 40, 64), None, 422, "video"),
        ((1, 16, 8, 8), None, 400, "16 channels"),
        ((0, 4, 8, 8), None, 400, "at least 1"),
        ((1, 4, 0, 8), None, 400, "at least 1"),
        ((1, 16, 16), None, 400, "height and width"),
        ((1, 16, 64), (64, 64), 400, "64 channels"),
        ((1, 17, 16), (64, 64), 400, "17 patches"),
        ((1, 0, 16), (8, 8), 400, "at least 1"),
        ((17, 4, 8, 8), None, 413, "at most 16"),
        ((1, 4, 1, 2049), None, 413, "at most 16384 px"),
        ((1, 4, 999_999_999, 999_999_999), None, 413, "at most 16384 px"),
        ((2, 4, 512, 512), None, 413, "at most 16,777,216"),
        ((1, 16, 16), (999_999, 64), 413, "at most 16384 px"),
    ],
)
def test_a_latent_that_can_t_be_decoded_is_refused(
    shape: tuple[int, ...], size: tuple[int, int] | None, status: int, what: str
) -> None:
    with pytest.raises(RefusedError, match=what) as caught:
        shapes.latent_layout(shape, size, SD, Limits())
    assert caught.value.status == status


def test_the_largest_request_is_within_the_limits() -> None:
    shapes.latent_layout((1, 4, 512, 512), None, SD, Limits())
    shapes.check_image_tensor((16, 3, 1024, 1024), SD, Limits())


@pytest.mark.parametrize(
    ("shape", "status", "what"),
    [
        ((3, 64, 64), 400, r"Send \[batch, 3, height, width\]"),
        ((1, 4, 64, 64), 400, r"\[1, 4, 64, 64\]"),
        ((1, 3, 1, 64, 64), 422, "video"),
        ((1, 3, 65, 64), 400, "height: 65 px .* 64 or 72"),
        ((1, 3, 64, 4), 400, "width: 4 px .* 8"),
        ((1, 3, 0, 64), 400, "at least 1"),
        ((1, 3, 4096, 4104), 413, "16,777,216"),
    ],
)
def test_an_image_tensor_that_can_t_be_encoded_is_refused(shape: tuple[int, ...], status: int, what: str) -> None:
    with pytest.raises(RefusedError, match=what) as caught:
        shapes.check_image_tensor(shape, SD, Limits())
    assert caught.value.status == status


def test_a_body_of_the_wrong_length_is_refused_with_both_lengths() -> None:
    with pytest.raises(RefusedError, match=r"7 bytes.* 8"):
        shapes.check_length(bytes(7), (1, 4), "float16")


def test_the_longest_bodies_hold_what_the_limits_allow_even_in_base64() -> None:
    limits = Limits(max_pixels=1024)
    image = json.dumps({"inputs": base64.b64encode(bytes(1024 * 3 * 4)).decode()})
    latent = json.dumps({"inputs": base64.b64encode(bytes(16 * 4 * 4)).decode()})
    assert len(image) <= shapes.max_image_bytes(SD, limits) < 2 * len(image) + 64 * 1024
    assert len(latent) <= shapes.max_latent_bytes(SD, limits)


# whatever comes

_NAMES = st.sampled_from(
    [
        *("shape", "shape", "shape", "shape", "dtype", "output_type", "image_format", "partial_postprocess"),
        *("scaling_factor", "shift_factor", "do_scaling", "height", "width", "other"),
    ]
)
_VALUES = st.one_of(
    st.sampled_from(["1", "4", "8", "float16", "float32", "pil", "pt", "True", "jpg", "0.5", "nan", "", "-1"]),
    st.integers().map(str),
    st.floats().map(str),
    st.text(max_size=20),
)
_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=8,
)
_BODIES = st.one_of(
    st.binary(max_size=64),
    st.fixed_dictionaries(
        {"inputs": st.just("YQ==") | _JSON, "parameters": st.dictionaries(_NAMES, _JSON) | _JSON}
    ).map(lambda body: json.dumps(body).encode()),
)
_KINDS = st.sampled_from([None, "", "tensor/binary", "tensor/base64", "application/json", "image/png", "*/*", ",;="])
_MESSAGES = st.builds(Message, st.lists(st.tuples(_NAMES, _VALUES), max_size=8).map(tuple), _BODIES, _KINDS, _KINDS)


def _refused(call: Callable[[], Any]) -> RefusedError | None:
    try:
        call()
    except RefusedError as error:
        return error
    return None


@settings(max_examples=300, deadline=None)
@given(_MESSAGES)
def test_whatever_comes_is_read_or_refused(message: Message) -> None:
    for read in (decode_request, encode_request):
        error = _refused(lambda read=read: read(message))
        assert error is None or (error.status in {400, 422} and error.message.isprintable())


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.integers(0, 10**9), max_size=6).map(tuple),
    st.none() | st.tuples(st.integers(1, 10**9), st.integers(1, 10**9)),
)
def test_whatever_shape_comes_is_within_the_limits_or_refused(
    shape: tuple[int, ...], size: tuple[int, int] | None
) -> None:
    for check in (
        lambda: shapes.latent_layout(shape, size, SD, Limits()),
        lambda: shapes.check_image_tensor(shape, SD, Limits()),
    ):
        error = _refused(check)
        assert error is None or error.status in {400, 413, 422}


@pytest.mark.parametrize("start", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"])
def test_an_image_file_where_a_latent_belongs_is_named_as_one(start: bytes) -> None:
    with pytest.raises(RefusedError, match="image file") as refused:
        decode_request(Message((), start + bytes(100)))
    assert refused.value.status == 400
