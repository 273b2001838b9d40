"""The list of models that `bench models` prints, and the same as JSON."""

from __future__ import annotations

import json

import pytest
from documents import shown

from bench.cli import main
from bench.report.document import Text
from bench.report.pages import models_page
from bench.workloads import models
from bench.workloads.models import zoo


def test_each_model_has_a_row_with_its_other_names_precision_tile_and_weights() -> None:
    (table,) = models_page.page(list(zoo().values())).tables()
    rows = {row["Model"]: row for row in shown(table)}
    assert list(rows) == list(zoo())
    for key, spec in zoo().items():
        tile = models.workload(key).default_tile(key)
        assert rows[key]["Title"] == spec.title
        assert rows[key]["Precision"] == spec.dtype
        assert rows[key]["Tile (px)"] == (str(tile.tile) if tile else "-")
        assert rows[key]["Weights"] == (spec.hub_id or "-")
        assert all(name in rows[key]["Other names"] for name in spec.aliases)


def test_each_kind_of_workload_is_told_once_with_its_operations_and_axes() -> None:
    page = models_page.page(list(zoo().values()))
    (kind,) = [block.text for block in page.blocks if isinstance(block, Text)]
    assert all(word in kind for word in ("encode", "decode", "width", "height", "frames", "batch"))


@pytest.mark.parametrize("columns", ["40", "80", "120"])
def test_the_command_fits_the_terminal(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert main(["models"]) == 0
    table, _, _ = capsys.readouterr().out.partition("image VAE")
    assert all(key in table for key in zoo())
    assert max(len(line) for line in table.splitlines()) <= int(columns)


def test_as_json_each_model_has_its_fields_and_its_workload(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0
    listed = {model["key"]: model for model in json.loads(capsys.readouterr().out)}
    assert list(listed) == list(zoo())
    assert listed["tiny"]["kind"] == "image VAE"
    assert listed["tiny"]["axes"] == ["width", "height", "frames", "batch"]
    assert set(listed["tiny"]) >= {"title", "aliases", "hub_id", "dtype", "operations"}
