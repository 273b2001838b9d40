"""`bench predict --fits`: what it prints, and which options do not go together."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from factories import a_case

from bench.analysis.advise.card import Place
from bench.analysis.planning.largest_image import Largest, LargestImages
from bench.cli import main
from bench.config import load_gpus
from bench.core.boundary import Boundary
from bench.predictions import largest_images
from bench.record import Axes, Case
from bench.report.pages import largest_page
from bench.report.render import console

FITS = ["predict", "--fits"]
SMALL = ["--model", "sd-v1", "--operation", "encode", "--vram-limit", "2GiB"]


def printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main([*FITS, *arguments]) == 0
    return capsys.readouterr().out


def test_json_has_the_largest_sizes_and_batches(capsys: pytest.CaptureFixture[str]) -> None:
    (call,) = json.loads(printed([*SMALL, "--json"], capsys))["calls"]
    assert (call["model"], call["operation"], call["dtype"]) == ("sd-v1", "encode", "float16")
    assert call["card"] is None
    assert call["vram_limit_bytes"] == 2 * 2**30
    assert call["tile"] == {"tile": 512, "overlap": 128}
    untiled, tiled = call["untiled_px"], call["tiled_px"]
    assert 512 < untiled["fits"]["largest"] < untiled["runs"]["largest"] < 2048
    assert untiled["fits"]["largest"] % 8 == 0
    assert tiled["fits"]["largest"] > untiled["runs"]["largest"]
    assert call["batch_at_px"]["512"]["fits"]["largest"] >= 1
    assert not call["batch_at_px"]["512"]["fits"]["nothing_larger_tried"]


def test_json_states_the_allocator_that_was_searched_for(capsys: pytest.CaptureFixture[str]) -> None:
    stated = json.loads(printed([*SMALL, "--allocator", "expandable", "--json"], capsys))["assumptions"]
    assert "with expandable segments" in stated


def test_a_precision_that_a_card_emulates_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    case = ["--model", "tiny", "--operation", "encode", "--gpu", "T4"]
    (emulated,) = json.loads(printed([*case, "--dtype", "bfloat16", "--json"], capsys))["calls"]
    assert "bfloat16" in emulated["lacks"]
    assert "Not in bfloat16 on Tesla T4" in printed([*case, "--dtype", "bfloat16"], capsys)
    (usual,) = json.loads(printed([*case, "--dtype", "float16", "--json"], capsys))["calls"]
    assert usual["lacks"] is None


def test_what_fits_is_what_predict_says_fits(capsys: pytest.CaptureFixture[str]) -> None:
    # Given the largest image of a card
    (call,) = json.loads(printed([*SMALL, "--json"], capsys))["calls"]
    edge = call["untiled_px"]["fits"]["largest"]
    # When it and the next larger one are predicted
    sizes = ["--resolution", str(edge), "--resolution", str(edge + 8)]
    assert main(["predict", *SMALL, "--set", "tiling=off", *sizes, "--json"]) == 0
    last, larger = (record["prediction"] for record in json.loads(capsys.readouterr().out))
    # Then only the first fits with more than low confidence
    assert last["verdict"] == "fits"
    assert last["confidence"] != "low"
    assert larger["verdict"] != "fits" or larger["confidence"] == "low"


@pytest.mark.parametrize("cards", [["--gpu", "3070"], ["--gpu", "3070", "--gpu", "4090"]])
def test_a_table_fits_80_columns_and_names_cards_and_calls(
    cards: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = printed(["--model", "sdxl", *cards], capsys)
    tables = text[: text.index("Edges of square images")]
    assert max(map(len, tables.splitlines())) <= 80
    for name in ("SDXL encode, float32", "SDXL decode, float32", "NVIDIA GeForce RTX 3070"):
        assert name in tables
    assert "8192+ (1024)" in tables


def test_the_legend_of_prompts_speaks_of_no_images() -> None:
    # Given calls of text encoders alone, and of images too
    place, largest = Place("NVIDIA Test", None, 2**33, None, (0, 0)), Largest(Boundary(9), Boundary(9), 99, False)
    prompt = Case(model="clip-l", operation="encode-text", axes=Axes({"tokens": 77, "batch": 1}), dtype="float16")
    prompts = LargestImages(place, prompt, None, prompts={77: largest})
    picture = LargestImages(place, a_case(), None, untiled=largest)
    # When their tables are printed
    alone, both = (console.render(largest_page.terminal(each)) for each in ([prompts], [prompts, picture]))
    # Then images and tiles are explained only where there are some
    assert "Numbers of prompts in a batch. Before the slash" in alone
    assert "image" not in alone
    assert "Tiled" not in alone
    assert "numbers of prompts in a batch" in both
    assert "Edges of square images" in both


def test_a_card_without_torch_is_named_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    output = printed(["--gpu", "P40", "--model", "sd-v1"], capsys)
    assert "no torch" in output
    assert "compute capability 6.1" in output


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["--resolution", "512"], "--resolution"),
        (["--set", "batch=2"], "--set"),
        (["--out", "x.jsonl"], "--out"),
        (["--format", "docs"], "--format"),
        (["smoke"], "CONFIG"),
        (["--dtype", "int8"], "--dtype"),
        (["--model", "nope"], "--model"),
        (["--gpu", "9999"], "--gpu"),
        (["--vram-limit", "8"], "--vram-limit"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    arguments: list[str], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*FITS, *arguments]) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert option in errors


def test_every_card_is_searched_where_none_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(largest_images, "BATCH_EDGES", ())
    monkeypatch.setattr(largest_images, "MOST_EDGE_PX", 64)
    calls = json.loads(printed(["--model", "tiny", "--operation", "encode", "--json"], capsys))["calls"]
    assert {each["card"] for each in calls} == set(load_gpus().cards)


def test_an_interrupted_search_prints_nothing_and_ends_with_130(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(largest_images, "_Grader", interrupted)
    assert main([*FITS, *SMALL]) == 130
    assert capsys.readouterr().out == ""


def test_quiet_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed([*SMALL, "--quiet"], capsys) == ""


def test_it_needs_no_torch() -> None:
    blocked = "import sys; sys.modules['torch'] = sys.modules['diffusers'] = None; from bench.cli import main; "
    code = f"{blocked}sys.exit(main({[*FITS, *SMALL]!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path.cwd())
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("model", "dtype", "told"),
    [
        ("clip-l", "nf4", "Leave out --fits"),
        ("t5-xxl", "float16", "keeps a part of T5EncoderModel in float32"),
        ("tiny", "nf4", "Valid: model, float32"),
    ],
)
def test_a_precision_that_is_not_searched_is_refused_with_the_reason(
    model: str, dtype: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*FITS, "--model", model, "--dtype", dtype, "--gpu", "3070"]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(("option", "value"), [("--dtype", "int5"), ("--set", "dtypes=int5")])
def test_a_wrong_precision_names_the_option_that_gave_it(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "--gpu", "3070", option, value]) == 2
    assert f"error: {option}" in capsys.readouterr().err


@pytest.mark.parametrize("dtype", ["float16", "model"])
def test_a_precision_can_be_chosen_for_sweeps_too(dtype: str, capsys: pytest.CaptureFixture[str]) -> None:
    case = ["--model", "sdxl", "--operation", "encode", "--resolution", "64", "--gpu", "3070"]
    assert main(["predict", *case, "--dtype", dtype, "--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert {record["case"]["dtype"] for record in records} == {"float32" if dtype == "model" else dtype}
