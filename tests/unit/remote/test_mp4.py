"""What is read from the boxes of an MP4 file, against files of a real encoder and damaged ones."""

from __future__ import annotations

import numpy as np
import pytest

from bench.remote import mp4

av = pytest.importorskip("av")
videos = pytest.importorskip("bench.endpoint.videos")


def _file(frames: int = 9, height: int = 48, width: int = 64) -> bytes:
    made: bytes = videos.write(np.zeros((frames, height, width, 3), np.uint8), 24.0)
    return made


@pytest.mark.parametrize(("frames", "height", "width"), [(9, 48, 64), (1, 16, 16), (33, 34, 18)])
def test_size_and_frames_are_read(frames: int, height: int, width: int) -> None:
    assert mp4.facts(_file(frames, height, width)) == mp4.Facts(width, height, frames)


def test_a_fragmented_file_has_a_size_but_lists_no_frames(tmp_path: object) -> None:
    # given a file whose header says that frames follow in fragments
    path = f"{tmp_path}/video.mp4"
    with av.open(path, "w", options={"movflags": "frag_keyframe+empty_moov"}) as file:
        stream = file.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(3):
            file.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        file.mux(stream.encode(None))
    with open(path, "rb") as written:
        assert mp4.facts(written.read()) == mp4.Facts(64, 48, None)


def test_the_sound_of_a_file_is_not_its_video(tmp_path: object) -> None:
    path = f"{tmp_path}/video.mp4"
    with av.open(path, "w") as file:
        sound = file.add_stream("aac", rate=44100)
        stream = file.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 44100
        file.mux(sound.encode(silence))
        file.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        file.mux(sound.encode(None))
        file.mux(stream.encode(None))
    with open(path, "rb") as written:
        assert mp4.facts(written.read()) == mp4.Facts(64, 48, 1)


@pytest.mark.parametrize(
    "content", [b"", b"ftyp", b"\x89PNG\r\n\x1a\n" * 4, b"\0\0\0\x08ftyp", b"\0\0\0\x08ftyp" * 3000]
)
def test_what_is_no_video_has_no_facts(content: bytes) -> None:
    assert mp4.facts(content) is None


def test_a_damaged_file_has_no_facts_or_other_ones_but_raises_nothing() -> None:
    file = _file()
    for cut in range(0, len(file), 7):
        mp4.facts(file[:cut])
    # the boxes that say size and frames come last
    assert mp4.facts(file[: len(file) // 2]) is None
    moov = file.index(b"moov")
    for place in range(moov - 4, min(moov + 700, len(file))):
        mp4.facts(file[:place] + b"\xff" + file[place + 1 :])
