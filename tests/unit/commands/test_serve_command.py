"""What `bench serve` refuses before it serves."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import pytest

from bench import cli
from bench.commands.serve import _say_ready, serve
from bench.endpoint.limits import Bounds
from bench.endpoint.offered import pixels_of
from bench.endpoint.shapes import Limits
from bench.endpoint.state import LoadedModel, Machine, Offer
from bench.record import Device, Environment


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--weights", "random"], "--model is required"),
        (["--model", "tiny"], "--weights is required"),
        (["--model", "tny", "--weights", "random"], "--model: unknown model 'tny'. Did you mean 'tiny'"),
        (["--model", "tiny", "--weights", "hub"], "tiny. Use --weights random"),
        (["--model", "tiny", "--weights", "/no/such/folder"], "there is no folder"),
        (["--model", "tiny", "--weights", "random", "--dtype", "float61"], "Did you mean 'float16'"),
        (["--model", "tiny", "--weights", "random", "--operation", "encod"], "Did you mean 'encode'"),
        (["--model", "tiny", "--weights", "random", "--max-pixels", "big"], "--max-pixels big"),
        (["--model", "tiny", "--weights", "random", "--max-pixels", "9x64x64"], "--max-pixels 9x64x64"),
        (["--model", "tiny", "--weights", "random", "--max-video-pixels", "9x"], "--max-video-pixels 9x"),
        (["--model", "tiny", "--weights", "random", "--max-frames", "0"], "--max-frames"),
        (["--model", "tiny", "--weights", "random", "--host", "no.such.host.invalid"], "--host no.such.host.invalid"),
    ],
)
def test_what_can_t_be_served_ends_in_2_with_what_to_do(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["serve", *arguments]) == 2
    said = capsys.readouterr()
    assert told in said.err
    assert said.out == ""


def test_several_models_need_a_folder_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tiny").mkdir()
    models = ["--model", "tiny", "--model", "sdxl"]
    assert cli.main(["serve", *models, "--weights", str(tmp_path)]) == 2
    assert f"there is no folder {tmp_path / 'sdxl'}" in capsys.readouterr().err


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "starlette", None)
    assert cli.main(["serve", "--model", "tiny", "--weights", "random"]) == 2
    assert "pip install 'hybrid-bench[endpoint]'" in capsys.readouterr().err


def test_a_token_that_no_header_can_carry_is_not_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MY_TOKEN", "not a token")
    assert cli.main(["serve", "--model", "tiny", "--weights", "random", "--token-env", "MY_TOKEN"]) == 2
    said = capsys.readouterr().err
    assert "MY_TOKEN" in said
    assert "not a token" not in said


@pytest.mark.parametrize("value", [None, ""])
def test_a_token_that_was_asked_for_and_is_not_there_is_an_error(
    value: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MY_TOKEN", raising=False)
    if value is not None:
        monkeypatch.setenv("MY_TOKEN", value)
    assert cli.main(["serve", "--model", "tiny", "--weights", "random", "--token-env", "MY_TOKEN"]) == 2
    assert "--token-env MY_TOKEN: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("dtype", "kind", "warned"), [("bfloat16", "cpu", True), ("float32", "cpu", False), ("bfloat16", "cuda", False)]
)
def test_16_bits_on_a_cpu_are_warned_of(
    dtype: str, kind: Literal["cpu", "cuda"], warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = Environment(python="3", packages={}, os="", host_cpu="", host_cores=1, host_ram_bytes=1)
    machine = Machine(Device(kind=kind, name="fake"), environment, lambda: None)
    models = {"tiny": LoadedModel("tiny", dtype, 4, {})}
    endpoint = SimpleNamespace(machine=machine, models=models, offer=Offer(("tiny",), ("decode",), "random"))
    _say_ready(endpoint, "http://127.0.0.1:1", as_json=False, quiet=True)  # type: ignore[arg-type]
    said = capsys.readouterr()
    assert ("--dtype float32" in said.err, said.out) == (warned, "")


@pytest.mark.parametrize("quiet", [True, False])
def test_float32_in_place_of_a_model_s_own_precision_is_told(quiet: bool, capsys: pytest.CaptureFixture[str]) -> None:
    environment = Environment(python="3", packages={}, os="", host_cpu="", host_cores=1, host_ram_bytes=1)
    machine = Machine(Device(kind="cpu", name="fake"), environment, lambda: None)
    models = {
        "tiny": LoadedModel("tiny", "float32", 4, {}),
        "sdxl": LoadedModel("sdxl", "float32", 4, {}, {}, "its own is other"),
    }
    endpoint = SimpleNamespace(machine=machine, models=models, offer=Offer(("tiny", "sdxl"), ("decode",), "random"))
    _say_ready(endpoint, "http://127.0.0.1:1", as_json=False, quiet=quiet)  # type: ignore[arg-type]
    assert capsys.readouterr().err == "sdxl: its own is other\n"


@pytest.mark.parametrize("origin", ["page.example", "https://page.example/path"])
def test_an_invalid_origin_is_an_error(origin: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["serve", "--model", "tiny", "--weights", "random", "--cors", origin]) == 2
    assert "--cors" in capsys.readouterr().err


def test_the_options_are_by_default_what_the_server_s_bounds_are() -> None:
    option = {name: parameter.default for name, parameter in inspect.signature(serve).parameters.items()}
    assert Bounds() == Bounds(
        queue=option["queue"], time_limit_s=option["time_limit"], body_timeout_s=option["body_timeout"]
    )
    assert Limits() == Limits(
        max_pixels=pixels_of(option["max_pixels"]),
        max_batch=option["max_batch"],
        max_frames=option["max_frames"],
        max_video_pixels=pixels_of(option["max_video_pixels"], "--max-video-pixels", "128x1024x1024"),
    )
