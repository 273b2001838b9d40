"""Tiny pipelines from a run to their page: stages, steps, loading, resume, compare, predict, export, hybrid."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from processes import bench, peak_kib, records

from bench.record import Measured, Skipped
from bench.workloads import models

FULL = [key for key in models.zoo() if not key.startswith("tiny-") and models.is_pipeline(key)]
SMALL = [key for key in models.zoo() if key.startswith("tiny-") and models.is_pipeline(key)]
MODEL = "tiny-flux-txt2img"
SWEEP = f"""\
models: {MODEL}
variants: [default, denoise-only, model-offload]
tiling: "off"
repeats: 3
measure: {{min_time: 0, max_time: 1, max_noise: null}}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A sweep, and the folder of its results on the CPU."""
    folder = tmp_path_factory.mktemp("pipeline")
    sweep = folder / "pipeline.yaml"
    sweep.write_text(SWEEP)
    done = bench("run", str(sweep), "--device", "cpu", "--out", str(folder / "results"), "--quiet")
    assert done.returncode == 0, done.stderr
    return sweep, folder / "results"


def test_each_stage_has_its_time_and_peak_and_the_denoiser_its_steps(run: tuple[Path, Path]) -> None:
    whole, denoise_only, offloaded = records(run[1])
    assert [(stage.name, stage.steps) for stage in whole.stages] == [("text", None), ("denoise", 2), ("decode", None)]
    assert [stage.name for stage in denoise_only.stages] == ["denoise"]
    for record in (whole, denoise_only):
        assert isinstance(record.outcome, Measured)
        assert all(stage.timing and stage.memory and stage.memory.peak_bytes for stage in record.stages)
        assert record.loading is not None
        assert record.loading.peak_bytes
    assert isinstance(offloaded.outcome, Skipped)
    assert "host" in offloaded.outcome.reason


def test_a_part_left_out_is_not_loaded(run: tuple[Path, Path]) -> None:
    whole, denoise_only, _ = records(run[1])
    weights = [record.stages[0].memory.weights_bytes for record in (whole, denoise_only) if record.stages[0].memory]
    assert weights[0] > 2 * weights[1] > 0


def test_the_run_is_complete_so_that_the_same_command_measures_nothing(run: tuple[Path, Path]) -> None:
    sweep, folder = run
    before = records(folder)
    done = bench("run", str(sweep), "--device", "cpu", "--out", str(folder), "--dry-run", "--json")
    assert [case["id"] for case in json.loads(done.stdout)["cases"]] == [record.case.id for record in before]
    compared = bench("compare", str(folder), str(folder), "--json")
    assert compared.returncode == 0, compared.stderr
    assert "denoise" in compared.stdout


def test_its_pages_have_the_stages_and_the_ways(run: tuple[Path, Path], tmp_path: Path) -> None:
    done = bench("report", str(run[1]), "--out", str(tmp_path), "--quiet")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "pipeline_generate.md").read_text()
    assert all(word in page for word in ("loading", "text", "denoise", "decode", "largest", "A step"))
    assert "local or hybrid" in (tmp_path / "hybrid.md").read_text()


def test_its_table_has_a_column_for_each_stage(run: tuple[Path, Path], tmp_path: Path) -> None:
    done = bench("export", str(run[1]), "--out", str(tmp_path / "records.csv"))
    assert done.returncode == 0, done.stderr
    with (tmp_path / "records.csv").open() as file:
        first: dict[str, Any] = next(iter(csv.DictReader(file)))
    assert float(first["stage_denoise_s"]) > 0
    assert int(first["stage_decode_peak_bytes"]) > 0
    assert int(first["loading_peak_bytes"]) > 0


def test_a_pipeline_that_needs_its_vae_is_refused_before_anything_is_loaded(run: tuple[Path, Path]) -> None:
    done = bench("run", str(run[0]), "--set", "models=tiny-sdxl-img2img", "--set", "variants=without-vae")
    assert done.returncode == 2
    assert "vae=None" in done.stderr


# Each sibling


@pytest.fixture(scope="module")
def siblings(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A sweep of a case of each tiny pipeline, and the folder of its results on the CPU."""
    folder = tmp_path_factory.mktemp("siblings")
    sweep = folder / "siblings.yaml"
    sweep.write_text(
        f"models: {json.dumps(SMALL)}\ntiling: 'off'\nrepeats: 1\n"
        "measure: {min_time: 0, max_time: 0.05, few_samples: 1, max_noise: null}\n"
    )
    done = bench("run", str(sweep), "--device", "cpu", "--out", str(folder / "results"), "--quiet")
    assert done.returncode == 0, done.stderr
    return sweep, folder / "results"


def test_each_small_pipeline_is_measured_stage_by_stage(siblings: tuple[Path, Path]) -> None:
    measured = records(siblings[1])
    assert [record.case.model for record in measured] == SMALL
    for record in measured:
        assert isinstance(record.outcome, Measured), record.outcome
        names = [stage.name for stage in record.stages]
        assert names == (["text", "encode"] if "img2img" in record.case.model else ["text"]) + ["denoise", "decode"]
        assert all(stage.timing and stage.memory for stage in record.stages)


def test_each_small_pipeline_has_a_table_and_is_like_itself(siblings: tuple[Path, Path], tmp_path: Path) -> None:
    folder = siblings[1]
    assert bench("report", str(folder), "--out", str(tmp_path), "--quiet").returncode == 0
    page = (tmp_path / "pipeline_generate.md").read_text()
    assert all(f"## {models.title(key)}" in page for key in SMALL)
    compared = bench("compare", str(folder), str(folder), "--json")
    assert compared.returncode == 0, compared.stderr
    verdicts = json.loads(compared.stdout)["verdicts"]
    assert (sum(verdicts.values()), verdicts["worse"], verdicts["better"]) == (len(SMALL), 0, 0)


def test_the_stages_that_are_predicted_are_those_that_are_measured(siblings: tuple[Path, Path]) -> None:
    done = bench("predict", str(siblings[0]), "--gpu", "RTX 3070", "--json")
    assert done.returncode == 0, done.stderr
    predicted = {made["case"]["id"]: [stage["name"] for stage in made["stages"]] for made in json.loads(done.stdout)}
    assert predicted == {record.case.id: [stage.name for stage in record.stages] for record in records(siblings[1])}


def test_all_full_sizes_are_predicted_within_3_gib(tmp_path: Path) -> None:
    chosen = [word for key in FULL for word in ("--model", key)]
    arguments = ("predict", "pipelines", *chosen, "--set", "variants=default", "--gpu", "3070", "--quiet")
    assert peak_kib(tmp_path, *arguments) < 3 * 2**20
