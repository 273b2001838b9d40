"""`bench profile` in-process, with the tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from calibrations import calibrate
from factories import a_case

from bench.cli import main
from bench.predictions import profiled_call

TINY = ["profile", "--model", "tiny", "--resolution", "64"]


def test_a_prediction_writes_plot_and_trace_and_says_where_the_peak_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*TINY, "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "Predicted (tensors, and CUDA workspaces of Ada cards, fitted to the docs' figures):" in said
    assert "at the peak, in decoder." in said
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"tiny-decode-64x64-float32-untiled-cuda.{ending}" for ending in ("png", "json")}
    trace = json.loads((tmp_path / "tiny-decode-64x64-float32-untiled-cuda.json").read_text())
    assert max(trace["predicted"]["trace"]["timeline"]["live_bytes"]) == trace["predicted"]["peak_bytes"]
    assert trace["measured"] is None


def test_a_measurement_on_the_cpu_agrees_with_the_prediction(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*TINY, "--measured", "--device", "cpu", "--out", str(tmp_path), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["measured"]["peak_bytes"] == pytest.approx(shown["predicted"]["peak_bytes"], rel=0.02)
    assert shown["agree"] is True
    assert shown["measured_allocated_bytes"] is None
    assert [Path(name).suffix for name in shown["files"]] == [".png", ".json"]


def test_a_card_is_named_as_in_gpus_yaml_and_quiet_says_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*TINY, "--gpu", "4090", "--operation", "encode", "--tiling", "32/8", "-o", str(tmp_path)]) == 0
    assert "RTX 4090" in capsys.readouterr().out
    assert main([*TINY, "--dtype", "bfloat16", "--batch", "2", "-o", str(tmp_path), "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert {path.stem for path in tmp_path.iterdir()} == {
        "tiny-encode-64x64-float32-tiled-32-8-cuda",
        "tiny-decode-64x64-bfloat16-untiled-batch-2-cuda",
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "sdxxl"], "Did you mean 'sdxl'"),
        (["--operation", "decod"], "Did you mean 'decode'"),
        (["--resolution", "513"], "multiple of 8"),
        (["--tiling", "100"], "--tiling: tile 100 px is not a multiple of 8"),
        (["--tiling", "64/64"], "--tiling: overlap"),
        (["--dtype", "float61"], "Did you mean 'float16'"),
        (["--dtype", "float16", "--device", "cpu"], "on the CPU only float32"),
        (["--dtype", "float16", "--device", "cpu", "--measured"], "on the CPU only float32"),
        (["--device", "gpu"], "Valid: auto, cpu, cuda"),
        (["--gpu", "RTX 9999"], "unknown card"),
        (["--gpu", "4091"], "Or leave --gpu out."),
        (["--gpu", "4090", "--measured"], "--measured"),
        (["--gpu", "4090", "--device", "cpu"], "--measured"),
    ],
)
def test_what_can_t_be_profiled_is_one_paragraph_and_exit_code_2(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*TINY, *arguments, "--out", str(tmp_path)]) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert shown.startswith("error: ")
    assert not list(tmp_path.iterdir())


def test_a_call_that_the_host_can_t_hold_is_refused_before_it_is_tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a host with 1 MiB left
    monkeypatch.setattr(profiled_call.host, "free_bytes", lambda: 2**20)
    # When the call is to be measured there
    assert main([*TINY, "--measured", "--device", "cpu", "--out", str(tmp_path)]) == 2
    # Then the need is told, and what to do
    said = capsys.readouterr().err
    assert "Not measured: the call needs 6 MiB by prediction, and 1 MiB" in said.replace("1.00 MiB", "1 MiB")
    assert "--tiling on" in said
    assert not list(tmp_path.iterdir())


def test_a_folder_that_can_t_be_written_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main([*TINY, "--out", str(tmp_path / "file")]) == 2
    assert "can't be written" in capsys.readouterr().err


def test_an_interruption_ends_with_130_and_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(profiled_call, "profiled", interrupt)
    assert main([*TINY, "--out", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "Interrupted.\n"


def test_workspaces_of_a_named_card_are_as_they_were_calibrated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    calibrate(tmp_path / "results", workspace_bytes=30 * 2**20)
    assert main([*TINY, "--gpu", "4090", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["workspaces_of"] == "tensors, and CUDA workspaces of NVIDIA GeForce RTX 4090, calibrated"
    assert shown["predicted"]["kinds_bytes"]["workspace"] == 30 * 2**20


@pytest.mark.parametrize(
    ("capability", "words"),
    [((8, 9), "Ada cards, calibrated"), ((8, 6), "Ampere cards, fitted"), ((9, 9), "capability 9.9, by rule")],
)
def test_workspaces_of_the_device_here_are_as_they_were_calibrated_on_such_a_one(
    capability: tuple[int, int], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given workspaces of compute capability 8.9, and a device
    monkeypatch.chdir(tmp_path)
    calibrate(tmp_path / "results")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "NVIDIA Here")
    # When its workspaces are asked for
    case = a_case(model="tiny", operation="decode", size=64)
    kernels = profiled_call.kernels_of(case, profiled_call.Place(torch.device("cuda", 0)), Path("results"))
    assert words in kernels.label


def test_of_a_batch_on_the_cpu_it_says_that_the_peak_is_another() -> None:
    place = profiled_call.Place(torch.device("cpu"))
    single, batched = (
        profiled_call.kernels_of(a_case(model="tiny", size=64, batch=batch), place, Path("results")).label
        for batch in (1, 2)
    )
    assert "layouts" not in single
    assert "layouts" in batched


def test_a_measurement_on_a_stand_in_is_refused_below_results_and_marked_in_its_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The CPU computes; that it is a stand-in is said by the test
    monkeypatch.setattr(profiled_call, "stand_in_of", lambda place: "a test")
    arguments = [*TINY, "--measured", "--device", "cpu"]
    assert main([*arguments, "--out", str(tmp_path / "results")]) == 2
    assert not (tmp_path / "results").exists()
    assert main([*arguments, "--out", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["stand_in"] == "a test"
    (trace,) = tmp_path.glob("*.json")
    assert json.loads(trace.read_text())["stand_in"] == "a test"


@pytest.mark.parametrize(("model", "kind"), [("clip-l", "text encoder"), ("sdxl-txt2img", "pipeline")])
def test_what_is_no_vae_is_refused_with_the_commands_that_take_it(
    model: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["profile", "--model", model, "--gpu", "3070"]) == 2
    errors = capsys.readouterr().err
    assert f"--model {model}: a {kind} can't be profiled" in errors
    assert "bench predict" in errors
