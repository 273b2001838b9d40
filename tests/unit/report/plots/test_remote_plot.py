"""The plot of an endpoint: a picture with bars in it, the same each time."""

from __future__ import annotations

import io

import numpy as np
import pytest
from endpoint_records import an_endpoint_record, endpoint_device, endpoint_records
from PIL import Image

from bench.report.plots import remote_plot


@pytest.fixture(scope="module")
def drawn() -> bytes:
    image = remote_plot.draw(
        [*endpoint_records(), an_endpoint_record(case={"operation": "encode", "transport": "png"})]
    )
    assert image is not None
    return image


def test_the_plot_is_a_png_with_the_colours_of_the_parts(drawn: bytes) -> None:
    image = Image.open(io.BytesIO(drawn))
    assert image.format == "PNG"
    colours = {tuple(pixel) for pixel in np.asarray(image.convert("RGB")).reshape(-1, 3)}
    parts = ("endpoint computes", "your files", "network")
    wanted = {tuple(bytes.fromhex(remote_plot._COLOURS[part].lstrip("#"))) for part in parts}
    assert wanted <= colours


def test_its_background_is_white(drawn: bytes) -> None:
    image = Image.open(io.BytesIO(drawn)).convert("RGB")
    assert image.getpixel((0, 0)) == (255, 255, 255)


def test_the_same_records_give_the_same_bytes_in_any_order(drawn: bytes) -> None:
    records = [an_endpoint_record(case={"operation": "encode", "transport": "png"}), *reversed(endpoint_records())]
    assert remote_plot.draw(records) == drawn


def test_the_file_says_nothing_of_when_or_by_what_it_was_made(drawn: bytes) -> None:
    assert set(Image.open(io.BytesIO(drawn)).info) <= {"dpi", "Drawn"}


def test_a_user_s_own_settings_of_matplotlib_change_nothing(drawn: bytes) -> None:
    import matplotlib as mpl

    with mpl.rc_context({"figure.facecolor": "black", "font.size": 30.0, "text.usetex": True}):
        records = [*endpoint_records(), an_endpoint_record(case={"operation": "encode", "transport": "png"})]
        assert remote_plot.draw(records) == drawn


def test_a_name_out_of_a_file_is_no_formula() -> None:
    assert remote_plot.draw([an_endpoint_record(device=endpoint_device(r"$\frac{$"))]) is not None


def test_nothing_is_drawn_where_nothing_was_split() -> None:
    assert remote_plot.draw([an_endpoint_record(remote=None, timing=None)]) is None


@pytest.mark.parametrize(("median_s", "said"), [(0.02, "20 ms"), (12.0, "12 s")])
def test_numbers_are_the_requests_own_medians_in_the_unit_of_the_axis(
    median_s: float, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.axes import Axes

    written: list[str] = []
    annotate = Axes.annotate

    def noted(axes: Axes, text: str, *args: object, **kwargs: object) -> object:
        written.append(text)
        return annotate(axes, text, *args, **kwargs)

    monkeypatch.setattr(Axes, "annotate", noted)
    remote_plot.draw([an_endpoint_record(median_s)])
    assert [text for text in written if text not in remote_plot._COLOURS] == [said]


def test_bars_that_are_left_out_are_counted() -> None:
    assert remote_plot._titled("Tiny decode", 60) == "Tiny decode"
    assert remote_plot._titled("Tiny decode", 63) == "Tiny decode (3 more are left out)"
