"""Calls with tensors of more than 2^31 - 1 elements: predicted, but said to be unsure."""

from __future__ import annotations

import json

import pytest
from factories import a_case

from bench.cli import main
from bench.record import Case, Prediction, Tile
from bench.traces import indexing, tracing
from bench.vram.cudnn import backend
from bench.vram.verdict import Card, predict

GIB = 2**30
CONTEXT = (300 * 2**20, 700 * 2**20)


def a_decode(size: int, **fields: object) -> Case:
    return a_case(model="sd-v1", operation="decode", size=size, dtype="float16", **fields)


def predicted(case: Case, gib: int) -> Prediction:
    return predict(case, backend("ampere", "8.6", 2), Card(gib * GIB, CONTEXT))[0]


@pytest.mark.parametrize(
    ("case", "elements"),
    [
        (a_decode(1024), 256 * 1024 * 1024),  # the last but one level is upsampled to the whole size
        (a_decode(4096), 256 * 4096 * 4096),
        (a_decode(1024, batch=8), 8 * 256 * 1024 * 1024),
        (a_decode(1024, batch=8, variant="sliced"), 256 * 1024 * 1024),
        (a_decode(4096, tiling=Tile.of(1024)), 256 * 1024 * 1024),
        (a_case(model="sd-v1", size=4096), 128 * 4097 * 4097),  # padded by a row and a column before it is halved
    ],
    ids=lambda value: (
        str(value) if isinstance(value, int) else f"{value.operation} {value.axes['width']} {value.tiling}"
    ),
)
def test_the_largest_tensor_of_a_call_is_known(case: Case, elements: int) -> None:
    assert tracing.trace_of(case).largest_elements == elements


def test_the_limit_is_that_of_a_signed_32_bit_index() -> None:
    assert not indexing.caveat(2**31 - 1)
    assert f"{2**31:,}" in indexing.caveat(2**31)


def test_a_call_beyond_it_fits_with_low_confidence_alone() -> None:
    # Given an image of 4096x4096 on a card with plenty of memory
    beyond, within = predicted(a_decode(4096), 400), predicted(a_decode(2048), 400)
    # Then it fits, but that is not sure, and the reason says why
    assert (beyond.verdict, beyond.confidence) == ("fits", "low")
    assert "32-bit" in beyond.reason
    assert f"{2**32:,}" in beyond.reason
    # And a smaller one is as sure as before
    assert (within.verdict, within.confidence) == ("fits", "high")
    assert "32-bit" not in within.reason


def test_that_it_is_out_of_memory_stays_sure() -> None:
    beyond = predicted(a_decode(4096), 8)
    assert (beyond.verdict, beyond.confidence) == ("out_of_memory", "high")
    assert "32-bit" in beyond.reason


def test_tiles_and_slices_bring_it_back_within() -> None:
    for case in (a_decode(4096, tiling=Tile.of(1024)), a_decode(1024, batch=8, variant="sliced")):
        assert "32-bit" not in predicted(case, 400).reason
    assert "32-bit" in predicted(a_decode(1024, batch=8), 400).reason


def test_the_command_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    arguments = ["predict", "docs", "--model", "sd-v1", "--operation", "decode", "--resolution", "4096"]
    assert main([*arguments, "--vram-limit", "400GiB", "--set", "tiling=off"]) == 0
    shown = capsys.readouterr().out
    assert "??" in shown
    assert "32-bit indices" in shown
    assert main([*arguments, "--vram-limit", "400GiB", "--json", "--quiet"]) == 0
    whole, tiled = json.loads(capsys.readouterr().out)
    assert "32-bit" in whole["prediction"]["reason"]
    assert "32-bit" not in tiled["prediction"]["reason"]


def test_advice_does_not_recommend_it_as_sure(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--model", "sd-v1", "--resolution", "4096", "--operation", "decode", "--json"]
    assert main(["advise", "--gpu", "H200", *arguments]) == 0
    assert "32-bit" in capsys.readouterr().out
