"""Image files as clients send them: every mode, the sizes that are rounded, and files made to break a reader."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.endpoint.shapes import Limits
from bench.wire.messages import RefusedError

pytest.importorskip("torch")
images = pytest.importorskip("bench.endpoint.images")
processing = pytest.importorskip("diffusers.image_processor")


def _picture(mode: str = "RGB", width: int = 48, height: int = 32) -> Image.Image:
    values = np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values).convert(mode)


def _file(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **options)
    return buffer.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG whose header claims that size, with no more behind it than `chunks`."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + b"".join(chunks) + _chunk(b"IEND", b"")


def _refusal(payload: bytes, limits: Limits | None = None) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        images.read(payload, limits or Limits(), 8)
    return caught.value


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_a_png_of_any_mode_is_what_pillow_makes_of_it_in_rgb(mode: str) -> None:
    picture = _picture(mode)
    assert np.array_equal(images.read(_file(picture), Limits(), 8)[0], np.asarray(picture.convert("RGB")))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_jpeg_is_what_pillow_makes_of_it_in_rgb(mode: str) -> None:
    payload = _file(_picture(mode), "JPEG")
    want = np.asarray(Image.open(io.BytesIO(payload)).convert("RGB"))
    assert np.array_equal(images.read(payload, Limits(), 8)[0], want)


def test_gray_of_sixteen_bits_keeps_its_upper_eight() -> None:
    values = (np.arange(16 * 16, dtype=np.uint16) * 257).reshape(16, 16)
    got = images.read(_file(Image.fromarray(values)), Limits(), 8)
    assert np.array_equal(got[0, :, :, 0], values >> 8)


@pytest.mark.parametrize(("size", "factor"), [((49, 39), 8), ((50, 33), 2), ((48, 32), 8)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_size_that_is_no_multiple_is_brought_to_one_as_diffusers_does(
    mode: str, size: tuple[int, int], factor: int
) -> None:
    picture = _picture(mode, *size)
    processor = processing.VaeImageProcessor(vae_scale_factor=factor, do_convert_rgb=True, do_normalize=False)
    want = (processor.preprocess(picture) * 255).round().numpy().astype(np.uint8).transpose(0, 2, 3, 1)
    got = images.read(_file(picture), Limits(), factor)
    assert np.array_equal(got, want)
    assert got.shape[1] % factor == got.shape[2] % factor == 0


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"not an image",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        _file(_picture(), "BMP"),
        _file(_picture(), "GIF"),
        _file(_picture(), "TIFF"),
        _file(_picture(), "WEBP"),
    ],
    ids=["empty", "text", "png magic", "jpeg magic", "bmp", "gif", "tiff", "webp"],
)
def test_a_file_that_is_not_png_or_jpeg_is_refused(payload: bytes) -> None:
    error = _refusal(payload)
    assert error.status == 400
    assert "PNG or JPEG" in error.message


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_truncated_file_is_refused(kind: str) -> None:
    payload = _file(_picture(), kind)
    assert _refusal(payload[: len(payload) // 2]).status == 400


@pytest.mark.parametrize(
    ("size", "status"),
    [((16385, 8), 413), ((8, 2**31 - 1), 413), ((5000, 5000), 413), ((20_000, 20_000), 413), ((7, 64), 400)],
)
def test_a_size_that_is_too_large_or_too_small_is_refused_by_the_header_alone(
    size: tuple[int, int], status: int
) -> None:
    assert _refusal(_png(*size, _chunk(b"IDAT", b""))).status == status


def test_the_limits_of_this_endpoint_count() -> None:
    payload = _file(_picture())
    assert images.read(payload, Limits(max_pixels=48 * 32), 8).shape == (1, 32, 48, 3)
    assert _refusal(payload, Limits(max_pixels=48 * 32 - 1)).reason == "too_large"


@pytest.mark.parametrize(
    "payload",
    [
        _png(64, 64, _chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(50_000_000), 9)), _chunk(b"IDAT", b"")),
        _png(64, 64, _chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(50_000_000), 9)), _chunk(b"IDAT", b"")),
        _png(64, 64, _chunk(b"tEXt", b"") * 70_000),
        _png(64, 64, _chunk(b"IDAT", zlib.compress(bytes(100)))),
        _png(64, 64, b"\xff\xff\xff\xffIDAT"),
        _png(0, 0),
        _file(_picture(), "JPEG") + b"\xff\xda" * 101,
    ],
    ids=["text bomb", "profile bomb", "chunks", "too few rows", "absurd chunk", "no size", "scans"],
)
def test_a_file_made_to_hurt_is_refused(payload: bytes) -> None:
    assert _refusal(payload).status == 400


def test_a_picture_survives_a_png_and_nearly_a_jpeg() -> None:
    # given a smooth picture, as JPEG is made for
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    pixels = np.stack([np.tile(ramp, (64, 1))] * 3, axis=-1)
    # when it is written and read
    png, jpeg = (images.read(images.write(pixels, form), Limits(), 8)[0] for form in ("png", "jpeg"))
    # then the PNG is the same and the JPEG close
    assert np.array_equal(png, pixels)
    assert np.abs(jpeg.astype(int) - pixels).max() <= 3


_VALID = (
    _file(_picture()),
    _file(_picture("P")),
    _file(_picture(), "JPEG"),
    _file(_picture(), "JPEG", progressive=True),
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(_VALID),
    st.lists(st.tuples(st.integers(0, 4000), st.binary(min_size=1, max_size=6)), min_size=1, max_size=4),
)
def test_a_file_with_bytes_changed_is_read_or_refused(payload: bytes, changes: list[tuple[int, bytes]]) -> None:
    damaged = bytearray(payload)
    for position, values in changes:
        start = position % len(damaged)
        damaged[start : start + len(values)] = values
    try:
        shape = images.read(bytes(damaged), Limits(max_pixels=256 * 256), 8).shape
    except RefusedError:
        return
    assert shape[0] == 1
    assert shape[3] == 3
