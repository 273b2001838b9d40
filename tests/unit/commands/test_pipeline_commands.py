"""`bench predict`, `predict --fits` and `advise` for pipelines: stages, ways and refusals."""

from __future__ import annotations

import json

import pytest

from bench.cli import main
from bench.core.units import MIB

KEY = "tiny-flux-txt2img"


def test_a_prediction_has_the_stages_of_the_pipeline(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "--model", KEY, "--gpu", "4090", "--set", "tiling=off", "--json", "--quiet"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert [stage["name"] for stage in record["stages"]] == ["text", "denoise", "decode"]
    assert all(low <= high for low, high in (stage["reserved_range"] for stage in record["stages"]))
    assert record["prediction"]["verdict"] == "fits"


def test_the_stages_are_shown_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "--model", KEY, "--gpu", "4090", "--set", "tiling=off"]) == 0
    shown = capsys.readouterr().out
    assert all(stage in shown for stage in ("text", "denoise", "decode"))


def test_advice_names_one_way_and_lists_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["advise", "--model", KEY, "--gpu", "3070", "--json"]) == 0
    (advice,) = json.loads(capsys.readouterr().out)["advice"]
    assert advice["recommended"] == {"variant": "default", "is_tiled": False}
    assert {way["variant"] for way in advice["ways"]} == {
        *("default", "model-offload", "sequential-offload"),
        *("without-vae", "without-text", "denoise-only"),
    }
    assert [component["name"] for component in advice["components"]] == [
        *("text_encoder", "text_encoder_2", "transformer", "vae")
    ]


def test_on_the_terminal_the_advice_says_how(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["advise", "--model", KEY, "--gpu", "3070", "--resolution", "256"]) == 0
    shown = capsys.readouterr().out
    assert 'pipe.to("cuda")' in shown
    assert "256x256" in shown


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--model", KEY], "--gpu"),
        (["--model", KEY, "--model", "sdxl", "--gpu", "3070"], "sdxl"),
        (["--model", KEY, "--gpu", "3070", "--operation", "generate"], "--operation"),
        (["--model", KEY, "--gpu", "3070", "--os", "windows"], "--os"),
        (["--model", KEY, "--gpu", "3070", "--resolution", "120"], "112 or 128"),
        (["--model", KEY, "--gpu", "3070", "--dtype", "float8"], "--dtype"),
    ],
)
def test_what_says_nothing_about_a_pipeline_is_refused(
    options: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["advise", *options]) == 2
    assert named in capsys.readouterr().err


def test_the_largest_picture_of_each_way(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    # Given edges up to 512 px, and a card on which 256 px fit but 512 do not
    monkeypatch.setattr("bench.predictions.largest_pipelines.MOST_PX", 512)
    monkeypatch.setattr("bench.predictions.largest_pipelines.STEP_PX", 256)
    monkeypatch.setattr(
        "bench.predictions.largest_pipelines.choice.ORDER", (("default", False), ("without-vae", False))
    )
    assert main(["predict", "--fits", "--model", KEY, "--vram-limit", f"{740 * MIB}", "--json", "--quiet"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    edges = {way["variant"]: (way["fits"], way["runs"], way["is_most"]) for way in found["ways"]}
    assert edges["default"][0] == 256
    assert edges["without-vae"] == (512, 512, True)
