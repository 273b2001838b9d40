"""Writes video files: H.264 in MP4, by PyAV, whose wheels contain FFmpeg's libraries. Runs on codec threads."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
#: x264's options. At this quality its artefacts are smaller than the VAE's own loss (its default is 23, and 0 is
#: lossless); slower presets take twice the time and save no bytes at this quality.
_OPTIONS = {"crf": "17", "preset": "veryfast"}
#: BT.709 for all of a stream's properties of colour, in the numbers of ITU-T H.273; players assume it for HD.
_BT709 = 1


def write(frames: Pixels, rate: float) -> bytes:
    """Return the MP4 file of uint8 frames [count, height, width, 3], of which `rate` are shown per second.

    Height and width must be even, because the colours of each 2x2 pixels are stored once.
    """
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as file:
        stream = file.add_stream("libx264", rate=Fraction(rate).limit_denominator(1001), options=_OPTIONS)
        _, stream.height, stream.width, _ = frames.shape
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = ColorRange.MPEG
        for pixels in frames:
            file.mux(stream.encode(_in_yuv(pixels)))
        file.mux(stream.encode(None))
    return buffer.getvalue()


def _in_yuv(pixels: Pixels) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
        format="yuv420p",
        src_colorspace=Colorspace.ITU709,
        dst_colorspace=Colorspace.ITU709,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
    )
