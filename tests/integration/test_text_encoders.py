"""The small sibling of each text encoder from a sweep to records, pages, a comparison, predictions and advice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from processes import bench, peak_kib, records

from bench.record import Measured, Skipped
from bench.workloads.text_encoder import zoo

SMALL = [spec.key for spec in zoo.listed() if spec.key.startswith("tiny-")]
QUICK = (
    *("--set", "tokens=16", "--set", "repeats=2", "--set", "measure.max_time=0.05", "--set", "measure.few_samples=2"),
    *("--device", "cpu"),
)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text-encoders")
    done = bench("run", "text-encoders-cpu", *QUICK, "--out", str(folder), "--quiet")
    assert done.returncode == 0, done.stderr
    return folder


def test_each_small_encoder_is_measured_with_its_time_its_peak_and_its_operations(results: Path) -> None:
    measured = records(results)
    assert [record.case.model for record in measured] == SMALL
    for record in measured:
        assert isinstance(record.outcome, Measured)
        assert record.timing is not None
        assert record.memory is not None
        assert [stage.name for stage in record.stages] == ["encode-text"]
        assert record.flops is not None
        assert record.flops > 10**6


def test_a_run_that_was_stopped_is_continued(results: Path, tmp_path: Path) -> None:
    # Given a run that lacks its last record
    (file,) = results.rglob("*.jsonl")
    copy = tmp_path / file.relative_to(results)
    copy.parent.mkdir()
    copy.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    # When the same command runs
    done = bench("run", "text-encoders-cpu", *QUICK, "--out", str(tmp_path), "--quiet")
    assert done.returncode == 0, done.stderr
    # Then only that is measured
    assert [record.case.model for record in records(tmp_path)] == SMALL
    assert copy.read_text().startswith(file.read_text().splitlines()[0])


def test_a_run_is_like_itself(results: Path) -> None:
    done = bench("compare", str(results), str(results), "--json")
    assert done.returncode == 0, done.stderr
    verdicts = json.loads(done.stdout)["verdicts"]
    assert sum(verdicts.values()) == len(SMALL)
    assert (verdicts["worse"], verdicts["better"]) == (0, 0)


def test_the_page_has_a_table_for_each_encoder_with_tokens_as_size(results: Path, tmp_path: Path) -> None:
    assert bench("report", str(results), "--out", str(tmp_path), "--quiet").returncode == 0
    page = (tmp_path / "text_encoder_encode-text.md").read_text()
    for key in SMALL:
        assert f"## {zoo.get(key).title}\n" in page
    assert page.count("| 16 tokens |") == len(SMALL)


def test_each_small_encoder_is_served_and_measured_over_both_protocols(tmp_path: Path) -> None:
    chosen = [word for key in SMALL for word in ("--model", key)]
    few = ("--set", "repeats=1", "--set", "measure.few_samples=1", "--set", "measure.max_time=0.01")
    done = bench(
        "remote", "loopback-text", "--loopback", *chosen, *few, "--set", "batch=1", "--set", "remote.load=null",
        "--out", str(tmp_path), "--quiet",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    measured = records(tmp_path)
    assert {(record.case.model, record.case.transport) for record in measured} == {
        (key, transport) for key in SMALL for transport in ("tensor", "predict")
    }
    for record in measured:
        assert isinstance(record.outcome, Measured), record.outcome
        assert record.remote is not None
        assert record.remote.checked > 0


def test_t5_in_float16_is_skipped_with_the_reason(tmp_path: Path) -> None:
    models = ("--model", "tiny-t5-xxl", "--model", "tiny-clip-l")
    done = bench(
        "run", "text-encoders-cpu", *models, *QUICK, "--set", "dtypes=float16", "--out", str(tmp_path), "--quiet"
    )
    assert done.returncode == 0, done.stderr
    skipped = next(record for record in records(tmp_path) if record.case.model == "tiny-t5-xxl")
    assert isinstance(skipped.outcome, Skipped)
    assert "float32" in skipped.outcome.reason


# Predictions


def _predicted(*arguments: str) -> list[dict[str, Any]]:
    done = bench("predict", "text-encoders", *arguments, "--set", "batch=1", "--json")
    assert done.returncode == 0, done.stderr
    made: list[dict[str, Any]] = json.loads(done.stdout)
    return made


def _peak_kib(cache_folder: Path, *models: str) -> int:
    """The most memory that predicting these models takes, in KiB; of all if none is named."""
    chosen = [word for model in models for word in ("--model", model)]
    return peak_kib(
        cache_folder, "predict", "text-encoders", *chosen, "--set", "batch=1", "--gpu", "RTX 4090", "--quiet"
    )


def test_the_largest_encoder_is_predicted_in_full_size_within_3_gib(tmp_path: Path) -> None:
    assert _peak_kib(tmp_path, "mistral-small-24b") < 3 * 2**20


@pytest.mark.full_size
def test_all_encoders_are_predicted_in_full_size_within_3_gib(tmp_path: Path) -> None:
    assert _peak_kib(tmp_path) < 3 * 2**20


def test_quantised_and_offloaded_encoders_are_predicted_with_fewer_bytes() -> None:
    model = ("--model", "t5-xxl", "--gpu", "RTX 4090")
    peaks = [
        made[0]["stages"][0]["memory"]["peak_bytes"]
        for made in (
            _predicted(*model),
            _predicted(*model, "--dtype", "int8"),
            _predicted(*model, "--dtype", "nf4"),
            _predicted(*model, "--set", "variants=sequential-offload"),
        )
    ]
    assert peaks == sorted(peaks, reverse=True)
    assert peaks[0] > 4_762_310_656 * 2
    assert peaks[2] < 4_762_310_656


def test_advice_has_the_ways_of_a_text_encoder() -> None:
    done = bench("advise", "--model", "t5-xxl", "--vram-limit", "8GiB", "--json")
    assert done.returncode == 0, done.stderr
    for way in ("sequential-offload", "int8", "nf4"):
        assert f'"{way}"' in done.stdout
