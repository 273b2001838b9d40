"""Whether two pictures show the same."""

from __future__ import annotations

import io

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from bench.report.plots import drawn
from bench.report.plots.figure import drawing


def picture(*, last: float = 3.0, label: str = "RTX 3070", bar: float = 1.0, color: str = "red") -> bytes:
    """A picture with a line, bars, points and texts."""
    with drawing(4, 3) as made:
        axes = made.figure.subplots()
        axes.plot([1, 2, 3], [1, 2, last], label=label, color=color)
        axes.bar([1, 2], [bar, 2])
        axes.scatter([1, 2], [1.5, 1.5])
        axes.set_yscale("log")
        axes.annotate("OOM", (2, 2))
        axes.legend()
    return made.png


def drawn_elsewhere(png: bytes) -> bytes:
    """The same picture as another version of matplotlib might write it: in other pixels."""
    image = Image.open(io.BytesIO(png))
    text = PngInfo()
    text.add_text(drawn.KEY, image.info[drawn.KEY])
    written = io.BytesIO()
    image.resize((image.width // 2, image.height // 2)).save(written, "PNG", pnginfo=text)
    return written.getvalue()


def test_pictures_of_the_same_data_show_the_same_whatever_their_bytes() -> None:
    assert drawn.is_same(picture(), picture())
    assert drawn_elsewhere(picture()) != picture()
    assert drawn.is_same(drawn_elsewhere(picture()), picture())


def test_each_change_of_what_is_drawn_is_another_picture() -> None:
    others = [picture(last=3.1), picture(label="RTX 4090"), picture(bar=1.1), picture(color="blue")]
    assert [drawn.is_same(picture(), other) for other in others] == [False] * len(others)


def test_a_damaged_picture_or_one_without_a_digest_is_another_one() -> None:
    plain = io.BytesIO()
    Image.new("RGB", (4, 4)).save(plain, "PNG")
    assert not drawn.is_same(plain.getvalue(), plain.getvalue())
    for damaged in (b"", b"no picture", picture()[:-200], picture()[:60]):
        assert not drawn.is_same(damaged, picture())
