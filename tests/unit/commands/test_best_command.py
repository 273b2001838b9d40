"""`bench best` around an executor that computes nothing."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from made_up_executor import MadeUpExecutor

from bench.cli import main
from bench.run import executor as executors
from bench.workloads import models

ARGUMENTS = ["best", "--model", "sdxl", "--operation", "decode", "--resolution", "1024"]


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A function that puts a made-up device in the worker's place; results go to a folder of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr("bench.packages.require", lambda *_, **__: None)

    def use(**options: Any) -> None:
        monkeypatch.setattr(executors, "SubprocessExecutor", partial(MadeUpExecutor, **options))

    use()
    return use


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_it_prints_the_fastest_setting_the_default_and_the_code(
    device: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*ARGUMENTS, "--json"]) == 0
    result = printed(capsys)
    assert result["best"]["setting"] == "float16, untiled, channels-last+compiled"
    assert result["best"]["compile_s"] == 30
    assert result["best"]["risk"]
    assert result["default"]["setting"] == "float32, untiled"
    assert result["speedup"] == pytest.approx(result["default"]["seconds"] / result["best"]["seconds"])
    assert result["fastest_without_risk"]["case"]["dtype"] == "float32"
    assert result["picture"] is None
    assert "vae.to(memory_format=torch.channels_last)" in result["best"]["code"]
    assert "vae.decoder = torch.compile(vae.decoder, fullgraph=True)" in result["best"]["code"]
    counts = result["settings"]
    assert counts["measured"] <= counts["listed"] // 3
    # and again for people, out of what was measured
    assert main(ARGUMENTS) == 0
    text = capsys.readouterr()
    assert "torch.compile" in text.out
    assert "not known with random weights" in text.out
    assert "--fresh" in text.err


def test_quiet_prints_nothing_and_a_report_has_a_page(device: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ARGUMENTS, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main(["report", "results", "--quiet"]) == 0
    page = Path("reports/best.md").read_text()
    assert "SDXL decode 1024x1024, NVIDIA Made-up" in page
    assert "```py" in page


def test_with_real_weights_the_picture_is_compared_with_the_default_s(
    device: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("vae").mkdir()
    Path("vae/config.json").write_text(json.dumps({"_class_name": models.workload("sdxl").facts("sdxl").class_name}))
    assert main([*ARGUMENTS, "--weights", "vae", "--json"]) == 0
    picture = printed(capsys)["picture"]
    assert picture["figures"]["psnr_db"] == 50
    assert picture["reference"]["dtype"] == "float32"
    assert picture["changed"]["variant"] == "channels-last+compiled"
    assert list(Path("results").rglob("quality-*.json"))
    # and a folder of another class is refused before anything is started
    Path("vae/config.json").write_text(json.dumps({"_class_name": "Other"}))
    assert main([*ARGUMENTS, "--weights", "vae"]) == 2
    assert "Other" in capsys.readouterr().err


def test_what_does_not_fit_the_limit_is_neither_measured_nor_recommended(
    device: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a device on which nothing larger than a tile of 512 fits
    device(fits=lambda case: case.tile is not None and case.tile.tile <= 512)
    assert main([*ARGUMENTS, "--vram-limit", "3GiB", "--json"]) == 0
    result = printed(capsys)
    assert result["best"]["case"]["tiling"]["tile"] <= 512
    assert result["settings"]["ruled_out"] > 0
    assert result["vram_limit_bytes"] == 3 * 2**30
    assert {trial["status"] for trial in result["tried"]} == {"fits", "out_of_memory"}


def test_a_compiler_that_fails_leaves_the_eager_settings_and_its_reason(
    device: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    device(compiles=False)
    assert main(ARGUMENTS) == 0
    text = capsys.readouterr().out
    assert "no compiler" in text
    assert "Fastest that fits: float16, untiled, channels-last:" in text


def test_where_nothing_fits_it_says_so_with_code_1(device: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ARGUMENTS, "--vram-limit", "280MiB"]) == 1
    assert "No setting fits" in capsys.readouterr().out
    assert not list(Path("results").rglob("*.jsonl"))


def test_a_dry_run_measures_nothing(device: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ARGUMENTS, "--dry-run", "--json", "--vram-limit", "2GiB"]) == 0
    result = printed(capsys)
    by_id = {setting["id"]: setting for setting in result["settings"]}
    assert {by_id[case]["forecast"] for case in result["first"]} <= {"fits", "uncertain"}
    assert {"out_of_memory", "fits"} <= {setting["forecast"] for setting in result["settings"]}
    assert result["most_measured"] == len(by_id) // 3
    assert main([*ARGUMENTS, "--dry-run", "--vram-limit", "2GiB"]) == 0
    assert "Predicted not to fit" in capsys.readouterr().out
    assert not Path("results").exists()


def test_an_interrupted_search_keeps_what_it_has_and_is_continued(
    device: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    device(interrupt_after=4)
    assert main(ARGUMENTS) == 130
    assert "4 results are kept" in capsys.readouterr().err
    device()
    assert main([*ARGUMENTS, "--json"]) == 0
    assert printed(capsys)["best"]["setting"] == "float16, untiled, channels-last+compiled"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--model", "sdxl"], ["--resolution", "bench best"]),
        (["--resolution", "512"], ["--model"]),
        (["--model", "sdxll", "--resolution", "512"], ["sdxl"]),
        (["--model", "sdxl", "--resolution", "513"], ["513"]),
        (["--model", "sdxl", "--resolution", "512", "--operation", "generate"], ["generate", "decode"]),
        (["--model", "tiny-sd-v1-txt2img", "--resolution", "128"], ["pipeline", "bench advise"]),
        (["--model", "tiny-clip-l", "--resolution", "128"], ["text encoder", "bench advise"]),
        (["--model", "sdxl", "--resolution", "512", "--dtype", "float8"], ["float8"]),
        (["--model", "tiny", "--resolution", "512", "--weights", "hub"], ["hub", "random"]),
        (["--model", "sdxl", "--resolution", "512", "--vram-limit", "much"], ["--vram-limit"]),
    ],
)
def test_wrong_usage_says_what_to_do(
    device: Any, options: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["best", *options]) == 2
    error = capsys.readouterr().err
    assert all(word in error for word in words)
