"""A call's profile in words, as a picture and as JSON, of a timeline made by hand."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from factories import a_case
from PIL import Image
from timelines import a_timeline

from bench.core.units import MIB
from bench.report.pages import profile_figures, profile_page
from bench.report.plots import profile_plot
from bench.report.plots.figure import PALETTE
from bench.report.render import console, json_text
from bench.vram.call_profile import Profiled, profile
from bench.vram.timeline import Builder, Owner


def a_profiled(*, measured: bool = False) -> Profiled:
    """A decode whose peak is 470 MiB, predicted; measured it is 3 MiB more."""
    predicted = profile(a_timeline(MIB))
    shown = Profiled(a_case(model="sdxl", operation="decode", size=512), "cuda", "tensors, and a rule", predicted)
    if not measured:
        return shown
    more = a_timeline(MIB)
    more = replace(more, sizes=(more.sizes[0] + 3 * MIB, *more.sizes[1:]))
    return replace(shown, measured=profile(more), measured_on="Test GPU", allocated_bytes=474 * MIB)


def _said(profiled: Profiled) -> str:
    return console.render(profile_page.terminal(profiled))


def test_words_say_where_the_peak_is_and_what_it_is_made_of() -> None:
    said = _said(a_profiled())
    assert said.startswith("SDXL decode 512x512 float32 untiled\n")
    assert "Predicted (tensors, and a rule): 470 MiB at the peak, in decoder.up_blocks.0.conv" in said
    assert "weights 100 MiB (21%), input 10 MiB (2.1%), activations 280 MiB (60%), workspaces 80 MiB (17%)" in said
    assert "2 tensors" in said
    assert "Measured" not in said


def test_words_of_a_measurement_say_whether_it_agrees() -> None:
    said = _said(a_profiled(measured=True))
    assert "Measured (on Test GPU): 473 MiB at the peak" in said
    assert "Prediction and measurement agree: the predicted peak is off by -0.6% from the measured one." in said
    assert "max_memory_allocated, which counts whole blocks: 474 MiB" in said


def test_a_part_that_only_one_side_has_has_a_dash_on_the_other() -> None:
    builder = Builder()
    builder.call_begins()
    builder.allocate(MIB, Owner("quant_conv", "convolution", "activation"))
    said = _said(replace(a_profiled(), measured=profile(builder.done()), measured_on="x"))
    (row,) = [line.split() for line in said.splitlines() if line.startswith(" quant_conv")]
    assert row == ["quant_conv", "-", "1", "MiB"]


def test_what_kernels_take_is_one_part_whatever_its_kind() -> None:
    builder = Builder()
    for kind in ("workspace", "buffer", "library"):
        builder.allocate(MIB, Owner("a", "b", kind))  # type: ignore[arg-type]
    assert "Of that: workspaces 3 MiB (100%)." in _said(replace(a_profiled(), predicted=profile(builder.done())))


@pytest.fixture(scope="module")
def drawn() -> bytes:
    return profile_plot.draw(a_profiled(measured=True))


def test_the_plot_is_a_png_with_the_colours_of_its_layers(drawn: bytes) -> None:
    image = Image.open(io.BytesIO(drawn))
    assert image.format == "PNG"
    assert set(image.info) <= {"dpi", "Drawn"}
    colours = {tuple(pixel) for pixel in np.asarray(image.convert("RGB")).reshape(-1, 3)}
    wanted = ("#999999", PALETTE[6], *PALETTE[:3], "#D00000")
    assert {tuple(bytes.fromhex(colour.lstrip("#"))) for colour in wanted} <= colours


def test_the_plot_is_the_same_bytes_each_time(drawn: bytes) -> None:
    assert profile_plot.draw(a_profiled(measured=True)) == drawn


def test_the_plot_says_the_case_the_unit_and_the_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.text import Text

    said: list[str] = []
    draw = Text.draw

    def noted(self: Text, *args: object, **kwargs: object) -> None:
        said.append(self.get_text())
        draw(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Text, "draw", noted)
    profile_plot.draw(a_profiled())
    assert "SDXL decode 512x512 float32 untiled: live memory by part" in said
    assert "live memory (MiB)" in said
    assert any(text.startswith("470 MiB\ndecoder.up_blocks.0.conv") for text in said)
    assert {"weights", "workspaces", "predicted, all", "predicted peak", "decoder.up_blocks.0"} <= set(said)
    assert "measured, all" not in said


def test_a_call_of_many_passes_is_told_in_per_cent() -> None:
    builder = Builder()
    builder.call_begins()
    for number in range(40):
        builder.free(builder.allocate(MIB, Owner(f"decoder.{'ab'[number % 2]}", "add", "activation")))
    assert profile_plot.draw(replace(a_profiled(), predicted=profile(builder.done())))


def test_json_of_a_profile_is_what_it_shows() -> None:
    shown = json.loads(json_text.render(profile_figures.figures(a_profiled(measured=True))))
    assert shown["predicted"]["peak_bytes"] == 470 * MIB
    assert shown["predicted"]["peak_at"] == {
        "change": 6,
        "module": "decoder.up_blocks.0.conv",
        "operator": "convolution",
        "kind": "workspace",
    }
    assert shown["predicted"]["before_the_call_bytes"] == 110 * MIB
    assert sum(shown["predicted"]["kinds_bytes"].values()) == 470 * MIB
    assert shown["predicted"]["parts"][0] == {"part": "decoder.conv_in", "peak_bytes": 140 * MIB}
    assert shown["agree"] is True
    assert "trace" not in shown["predicted"]
    assert not {"files", "stand_in"} & shown.keys()


def test_the_trace_as_data_gives_every_allocation_its_life() -> None:
    trace = profile_figures.figures(a_profiled(), has_trace=True).model_dump()["predicted"]["trace"]
    allocations, timeline = trace["allocations"], trace["timeline"]
    assert timeline["before_the_call"] == 3
    assert [size // MIB for size in timeline["live_bytes"]] == [60, 100, 110, 140, 340, 390, 470, 390, 190, 160, 180]
    # The output of conv_in: born at change 3, died at the 10th, 9 from 0; the last allocation outlives the call
    assert (allocations["born"][3], allocations["died"][3]) == (3, 9)
    assert allocations["died"][-1] is None
    assert trace["owners"][allocations["owner"][3]]["module"] == "decoder.conv_in"
    # A free leaves at work who was
    assert timeline["at_work"][9] == timeline["at_work"][6]
