"""The list of models that `bench models` prints, and the same in other formats."""

from __future__ import annotations

import csv
import io
import json

import pytest
from documents import shown

from bench.cli import main
from bench.report.document import Document, Text
from bench.report.pages import models_page
from bench.workloads import models
from bench.workloads.models import zoo


def _rows(document: Document) -> dict[str, dict[str, str]]:
    """What all tables say of each model, by the column's name."""
    rows: dict[str, dict[str, str]] = {}
    for table in document.tables():
        for row in shown(table):
            rows[row["Model"]] = rows.get(row["Model"], {}) | row
    return rows


def test_each_model_has_a_row_with_its_other_names_precision_tile_and_weights() -> None:
    rows = _rows(models_page.page(list(zoo().values())))
    assert list(rows) == list(zoo())
    for key, spec in zoo().items():
        tile = models.workload(key).default_tile(key)
        assert rows[key]["Title"] == spec.title
        assert rows[key]["Precision"] == spec.dtype
        assert rows[key]["Tile (px)"].startswith(str(tile.tile) if tile else "-")
        assert rows[key]["Weights"] == (spec.hub_id or "")
        assert all(name in rows[key]["Other names"] for name in spec.aliases)


def test_a_vae_has_its_class_parameters_weights_and_latents() -> None:
    row = _rows(models_page.page(list(zoo().values())))["flux"]
    assert row["Class"] == "AutoencoderKL"
    assert (row["Parameters"], row["16 bits"], row["32 bits"]) == ("83.8 M", "160 MiB", "320 MiB")
    assert (row["Latent"], row["Latent space"]) == ("16 x 1/8", "flux")


def test_a_video_vae_has_its_frames_and_an_image_vae_has_none(toy_video: str) -> None:
    rows = _rows(models_page.page(list(zoo().values())))
    assert rows[toy_video]["Size"] == "512x320"
    assert (rows[toy_video]["Frames"], rows[toy_video]["Per second"], rows[toy_video]["Per latent"]) == ("17", "8", "4")
    assert rows[toy_video]["In time by default"] == "8/4 frames"
    assert "Frames" not in rows["flux"]


def test_each_kind_of_workload_is_told_once_with_its_operations_and_axes() -> None:
    page = models_page.page(list(zoo().values()))
    kinds = [block.text for block in page.blocks if isinstance(block, Text)]
    assert len(kinds) == len({type(models.workload(key)) for key in zoo()})
    assert all(word in kinds[0] for word in ("encode", "decode", "width", "height", "frames", "batch"))


@pytest.mark.parametrize("columns", ["40", "80", "120"])
def test_the_command_fits_the_terminal(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert main(["models"]) == 0
    tables, _, _ = capsys.readouterr().out.partition("image VAE")
    assert all(key in tables for key in zoo())
    assert max(len(line) for line in tables.splitlines()) <= int(columns)


def test_as_json_each_model_has_its_fields_and_its_workload(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0
    listed = {model["key"]: model for model in json.loads(capsys.readouterr().out)}
    assert list(listed) == list(zoo())
    assert listed["tiny"]["kind"] == "image VAE"
    assert listed["tiny"]["axes"] == ["width", "height", "frames", "batch"]
    assert listed["tiny"]["class_name"] == "AutoencoderKL"
    assert listed["tiny"]["weights_bytes"]["float32"] == 4 * listed["tiny"]["parameters"]
    assert listed["tiny"]["latents"] == {"space": "tiny", "channels": 4, "factor": 2, "frames": 0}
    assert set(listed["tiny"]) >= {"title", "aliases", "hub_id", "dtype", "operations"}
    assert listed["tiny"]["tile"] == {"tile": 64, "overlap": 16}


def test_as_csv_each_model_is_one_row_of_plain_values(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--format", "csv"]) == 0
    listed = {row["model"]: row for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    assert list(listed) == list(zoo())
    assert int(listed["flux"]["parameters (count)"]) == 83_819_683
    assert listed["flux"]["latent_space"] == "flux"


@pytest.mark.parametrize(("form", "begin"), [("markdown", "| Model"), ("html", "<!doctype html>"), ("json", "[")])
def test_the_other_formats_name_every_model(form: str, begin: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--format", form]) == 0
    text = capsys.readouterr().out
    assert text.lower().startswith(begin.lower())
    assert all(key in text for key in zoo())
