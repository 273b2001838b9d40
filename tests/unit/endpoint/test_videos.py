"""Video files as players read them, with the libraries that the encoder's wheel contains."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

av = pytest.importorskip("av")
videos = pytest.importorskip("bench.endpoint.videos")


def _moving(frames: int, height: int, width: int) -> Any:
    """Smooth waves of colour that move."""
    time, rows, columns = np.meshgrid(np.arange(frames), np.arange(height), np.arange(width), indexing="ij")
    waves = (np.sin(columns / 20 + time / 5), np.cos(rows / 15 + time / 7), np.sin((rows + columns) / 25 - time / 3))
    return np.stack([128 + 100 * wave for wave in waves], axis=-1).round().astype(np.uint8)


def _read(file: bytes) -> tuple[Any, Any]:
    """The stream's properties, and its luminance [frames, height, width]."""
    with av.open(io.BytesIO(file)) as container:
        stream = container.streams.video[0]
        luminance = [frame.to_ndarray()[: frame.height] for frame in container.decode(stream)]
        return stream, np.stack(luminance)


@pytest.mark.parametrize(
    ("frames", "height", "width", "rate"), [(9, 64, 96, 24.0), (1, 16, 16, 16.0), (17, 34, 18, 8.0)]
)
def test_a_file_has_the_frames_the_size_and_the_rate(frames: int, height: int, width: int, rate: float) -> None:
    stream, luminance = _read(videos.write(_moving(frames, height, width), rate))
    assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
    assert luminance.shape == (frames, height, width)
    assert stream.average_rate == rate


def test_a_file_loses_next_to_nothing() -> None:
    # given frames and their luminance by BT.709, in the limited range of videos
    frames = _moving(9, 64, 96)
    want = 16 + frames @ np.array([0.2126, 0.7152, 0.0722]) * 219 / 255
    # when they are written and read again
    _, luminance = _read(videos.write(frames, 24.0))
    # then their luminance is nearly the same: 40 dB are hardly visible
    error = float(((luminance - want) ** 2).mean())
    assert 10 * np.log10(255**2 / error) > 40


def test_a_file_says_that_its_colours_are_those_of_bt709() -> None:
    stream, _ = _read(videos.write(_moving(2, 32, 32), 24.0))
    context = stream.codec_context
    assert (context.colorspace, context.color_primaries, context.color_trc) == (1, 1, 1)


def test_noise_takes_fewer_bytes_than_its_pixels() -> None:
    # what a request may take of the memory rests on it
    noise = np.random.default_rng(3).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)
    assert len(videos.write(noise, 24.0)) < noise.nbytes
