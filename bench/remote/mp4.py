"""Size and number of frames of an MP4 file, read from its boxes (ISO/IEC 14496-12) without decoding it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

#: Boxes of one level; FFmpeg's files have fewer than ten.
_MOST_BOXES = 1000


@dataclass(frozen=True, slots=True)
class Facts:
    """Size in pixels and frames of a video; `frames` is None if the file does not list them (a fragmented one)."""

    width: int
    height: int
    frames: int | None


def facts(file: bytes) -> Facts | None:
    """Return the facts of the file's first video; None if it is not an MP4 file, is damaged, or has no video."""
    try:
        if file[4:8] != b"ftyp":
            return None
        movie = next((content for name, content in _boxes(memoryview(file)) if name == b"moov"), None)
        if movie is None:
            return None
        is_fragmented = any(name == b"mvex" for name, _ in _boxes(movie))
        for name, track in _boxes(movie):
            if name == b"trak" and bytes(_inside(track, b"mdia", b"hdlr")[8:12]) == b"vide":
                return _facts_of(track, is_fragmented=is_fragmented)
    except (struct.error, LookupError):
        pass
    return None


def _facts_of(track: memoryview, *, is_fragmented: bool) -> Facts:
    width, height = struct.unpack(">II", _inside(track, b"tkhd")[-8:])  # in 65536ths of a pixel
    _, _, count = struct.unpack(">III", _inside(track, b"mdia", b"minf", b"stbl", b"stsz")[:12])
    return Facts(width >> 16, height >> 16, None if is_fragmented and not count else count)


def _inside(box: memoryview, *path: bytes) -> memoryview:
    """The content of the box at a path of names. Raises LookupError if there is none."""
    for wanted in path:
        box = dict(_boxes(box))[wanted]
    return box


def _boxes(content: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield name and content of each box. Raises struct.error or LookupError if one is damaged."""
    position = 0
    for _ in range(_MOST_BOXES):
        if position == len(content):
            return
        size, name = struct.unpack(">I4s", content[position : position + 8])
        begin = position + 8
        if size == 1:
            size, begin = struct.unpack(">Q", content[begin : begin + 8])[0], begin + 8
        end = len(content) if size == 0 else position + size
        if not begin <= end <= len(content):
            raise LookupError(name)
        yield name, content[begin:end]
        position = end
