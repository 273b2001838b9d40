"""`bench predict --weights`: predictions for a checkpoint, of which only the config.json is read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from checkpoint_folders import SDXL, SMALL, checkpoint

from bench import store
from bench.cli import main
from bench.workloads import models
from bench.workloads.image_vae.zoo import ZOO

ARGUMENTS = ("--gpu", "3070", "--resolution", "128", "--operation", "decode")


@pytest.fixture(autouse=True)
def only_the_zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget the models of checkpoints after each test, and keep their traces in a folder of the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield
    ZOO.forget()
    for remembered in (models._all, models.zoo, models.aliases):
        remembered.cache_clear()


def predicted(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    """The records that `bench predict` prints."""
    assert main(["predict", "docs", *ARGUMENTS, "--json", "--quiet", *arguments]) == 0
    records: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return records


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["predict", "docs", *ARGUMENTS, *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


def figures(records: list[dict[str, Any]]) -> list[Any]:
    """What was predicted, without model, weights and times."""
    return [(record["case"]["axes"], record["prediction"], record["stages"]) for record in records]


def test_a_checkpoint_of_a_zoo_s_model_is_predicted_as_that_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = checkpoint(tmp_path / "vae-fix", SDXL)
    records = predicted(capsys, "--weights", source)
    # Then the records are of this model, and of these weights
    assert {record["case"]["model"] for record in records} == {"sdxl"}
    assert {record["case"]["weights"] for record in records} == {source}
    # And say what they say of the model's random weights
    assert figures(records) == figures(predicted(capsys, "--model", "sdxl"))


def test_another_checkpoint_is_a_model_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = predicted(capsys, "--weights", checkpoint(tmp_path / "small-one", SMALL))
    assert [record["case"]["model"] for record in records] == ["small-one"] * 2
    whole, tiled = records
    assert whole["case"]["tiling"] == "off"
    assert tiled["case"]["tiling"] == {"tile": 64, "overlap": 16}
    assert whole["prediction"]["verdict"] == "fits"
    assert whole["prediction"]["taken_allocated_bytes"] > tiled["prediction"]["taken_allocated_bytes"] > 0


def test_keys_of_the_sweep_apply_to_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = checkpoint(tmp_path / "set-one", SMALL)
    records = predicted(
        capsys, "--weights", source, "--set", "dtypes=float16", "--set", "tiling=off", "--set", "batch=2"
    )
    assert [(record["case"]["dtype"], record["case"]["axes"]["batch"]) for record in records] == [("float16", 2)]


def test_a_key_that_is_ignored_is_said_on_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = checkpoint(tmp_path / "typo", SDXL, a_later_key=1)
    assert main(["predict", "docs", *ARGUMENTS, "--json", "--weights", source]) == 0
    out, err = capsys.readouterr()
    assert "a_later_key" in err
    assert {record["case"]["model"] for record in json.loads(out)} == {"sdxl"}


def test_a_copy_in_the_hub_s_cache_is_predicted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a pipeline in the cache of the hub
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--owner--pipeline"
    checkpoint(repository / "snapshots" / ("1" * 40) / "vae", SDXL)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("1" * 40)
    # Then its VAE is predicted without a network
    records = predicted(capsys, "--weights", "hub:owner/pipeline")
    assert {(record["case"]["model"], record["case"]["weights"]) for record in records} == {
        ("sdxl", "hub:owner/pipeline")
    }


def test_offline_a_checkpoint_that_is_not_in_the_cache_is_a_usage_error(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "predict", "docs", *ARGUMENTS, "--weights", "hub:owner/name"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
    )
    assert done.returncode == 2
    assert "HF_HUB_OFFLINE" in done.stderr.splitlines()[-1]  # a slow machine says before that it takes its time
    assert "Traceback" not in done.stderr


def test_its_records_can_be_written_and_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, file = checkpoint(tmp_path / "written", SMALL), tmp_path / "records.jsonl"
    assert main(["predict", "docs", *ARGUMENTS, "--weights", source, "--out", str(file)]) == 0
    assert "written decode" in capsys.readouterr().out
    # And in a process that does not know the model
    ZOO.forget()
    for remembered in (models._all, models.zoo, models.aliases):
        remembered.cache_clear()
    ((read,), _warnings) = store.read([file])
    assert {record.case.weights for record in read.records} == {source}
    assert main(["report", str(file), "--out", str(tmp_path / "pages")]) == 0


def test_a_named_model_says_how_the_checkpoint_is_called(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Given SDXL's architecture with the scaling of none
    source = checkpoint(tmp_path / "renamed", SDXL, scaling_factor=0.5)
    assert {record["case"]["model"] for record in predicted(capsys, "--weights", source, "--model", "sdxl")} == {"sdxl"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "flux"], "`latent_channels` is 4, not 16"),
        (["--model", "sdxl", "--model", "sd-v1"], "--model"),
        (["--model", "no-such-model"], "no-such-model"),
    ],
    ids=["another architecture", "two models", "unknown"],
)
def test_a_model_that_it_is_not_of_is_refused(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = checkpoint(tmp_path / "vae-fix", SDXL)
    assert words in refused(capsys, "--weights", source, *arguments)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("/no/such/folder", "hub:OWNER/NAME"),
        ("random", "folder"),
        ("hub", "hub:OWNER/NAME"),
        ("hub:", "hub:OWNER/NAME"),
    ],
)
def test_no_checkpoint_is_a_usage_error(source: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    message = refused(capsys, "--weights", source)
    assert words in message
    assert "--weights" in message


def test_a_contradicting_config_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "norm_num_groups" in refused(capsys, "--weights", checkpoint(tmp_path, SDXL, norm_num_groups=48))


def test_a_resolution_that_its_levels_can_t_take_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Given five halvings: sides are multiples of 32
    levels = {
        "block_out_channels": [8] * 6,
        "down_block_types": ["DownEncoderBlock2D"] * 6,
        "up_block_types": ["UpDecoderBlock2D"] * 6,
    }
    source = checkpoint(tmp_path / "deep", SMALL, **levels)
    assert "32" in refused(capsys, "--weights", source, "--resolution", "136")


_WATCHED = """
import sys
from bench.cli import main
status = main(sys.argv[1:])
print(sorted({"torch", "diffusers"} & set(sys.modules)), file=sys.stderr)
sys.exit(status)
"""


def _loaded(*arguments: str, cache: Path) -> tuple[list[dict[str, Any]], str]:
    """The records of a command in a process of its own, and which heavy packages it loaded."""
    done = subprocess.run(
        [sys.executable, "-c", _WATCHED, "predict", "docs", *ARGUMENTS, "--json", "--quiet", *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"XDG_CACHE_HOME": str(cache)},
    )
    return json.loads(done.stdout), done.stderr.strip().splitlines()[-1]


def test_torch_is_loaded_for_the_first_prediction_of_an_unknown_architecture_alone(tmp_path: Path) -> None:
    source, cache = checkpoint(tmp_path / "small-one", SMALL), tmp_path / "warm"
    first, heavy = _loaded("--weights", source, cache=cache)
    assert heavy == "['diffusers', 'torch']"
    second, heavy = _loaded("--weights", source, cache=cache)
    assert heavy == "[]"
    assert figures(first) == figures(second)
    # And neither for another checkpoint with this architecture, or with one of the zoo
    renamed = checkpoint(tmp_path / "copy", SMALL, scaling_factor=1.0)
    assert figures(_loaded("--weights", renamed, cache=cache)[0]) == figures(first)
    for folder, config in (("copy", SMALL), ("sdxl-copy", SDXL), ("rescaled", SDXL | {"scaling_factor": 0.7})):
        assert _loaded("--weights", checkpoint(tmp_path / folder, config), cache=cache)[1] == "[]"


_WITHOUT = """
import sys
sys.modules[sys.argv[1]] = None
from bench.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("package", ["torch", "diffusers"])
def test_without_torch_or_diffusers_it_is_said_what_to_install(package: str, tmp_path: Path) -> None:
    # Given an installation without one of them, and a checkpoint whose traces neither come with it nor were kept
    source = checkpoint(tmp_path / "small-one", SMALL)

    def run(source: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", _WITHOUT, package, "predict", "docs", *ARGUMENTS, "--quiet", "--weights", source],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cold")},
        )

    done = run(source)
    assert done.returncode == 2
    assert "hybrid-bench[measure]" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    # But a checkpoint of the zoo's architecture needs neither
    assert run(checkpoint(tmp_path / "vae-fix", SDXL)).returncode == 0
