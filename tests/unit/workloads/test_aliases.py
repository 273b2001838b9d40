"""Models by other names: those of models that have the same VAE."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import load_sweep

from bench.cli import main
from bench.errors import ConfigError
from bench.workloads import models


@pytest.mark.parametrize(
    ("alias", "key"),
    [
        ("sd2", "sd-v1"),
        ("pixart", "sd-v1"),
        ("sdxl-turbo", "sdxl"),
        ("kolors", "sdxl"),
        ("hunyuan-dit", "sdxl"),
        ("z-image", "flux"),
        ("chroma", "flux"),
        ("hidream", "flux"),
        ("sd3.5", "sd3"),
        ("flux2-klein", "flux2"),
        ("qwen-image-edit", "qwen-image"),
        ("hunyuan-image-2.1", "hunyuan-image"),
        ("sana-sprint", "sana"),
    ],
)
def test_a_name_of_the_same_vae_is_the_model(alias: str, key: str) -> None:
    assert models.get(alias) is models.get(key)
    assert models.workload(alias) is models.workload(key)


def test_a_sweep_keeps_the_key_and_what_it_was_called(tmp_path: Path) -> None:
    sweep = load_sweep(tmp_path, "models: [kolors, tiny]\nresolutions: 64\n")
    assert sweep.models == ("sdxl", "tiny")
    assert sweep.aliases == ("kolors",)


def test_no_alias_is_the_name_of_something_else() -> None:
    assert not models.aliases().keys() & models.zoo().keys()


def test_an_unknown_name_is_told_the_nearest_alias_too() -> None:
    with pytest.raises(ConfigError, match="kolors"):
        models.get("kolor")


@pytest.mark.parametrize("how", [["--model", "kolors"], ["--set", "models=kolors"]])
def test_the_command_says_which_model_it_is_unless_it_shall_be_quiet(
    how: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["run", "smoke", "--device", "cpu", "--dry-run", *how]
    assert main(command) == 0
    said = capsys.readouterr().err
    assert "kolors" in said
    assert "sdxl" in said
    assert main([*command, "--quiet"]) == 0
    assert "kolors" not in capsys.readouterr().err
