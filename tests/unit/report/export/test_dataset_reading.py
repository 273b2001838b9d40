"""Reading Parquet datasets: what is read is what results files say, and no more than was asked for is opened."""

from __future__ import annotations

import warnings
from pathlib import Path

import pandas as pd
import pytest
from factories import a_case, a_device, a_run, measured, out_of_memory, published, refusal, write_lines

pytest.importorskip("pyarrow", reason="pyarrow comes with the extra parquet")

import bench
from bench import store
from bench.record import Axes, Memory, Record, Stage, Timing
from bench.report.export.dataset import write_dataset

EARLY, LATE = "2026-01-01T12:00:00.000000Z", "2026-01-02T12:00:00.000000Z"


def a_pipeline_record() -> Record:
    timing = Timing(clock="cuda_event", median_s=0.5, samples_s=(0.5,) * 3)
    stages = (Stage(name="text", timing=timing), Stage(name="decode", timing=timing, memory=Memory(peak_bytes=5)))
    case = a_case(model="a-pipeline").model_copy(
        update={"axes": Axes({"tokens": 16, "width": 64, "height": 64, "batch": 1})}
    )
    return measured(case=case, run=a_run(id="pipeline")).model_copy(update={"stages": stages})


def some_records() -> list[Record]:
    """Records of finished and unfinished runs of several devices and kinds, in the order of their files."""
    old, new = (a_run(id=name, cases=2, started_at=begun) for name, begun in (("old", EARLY), ("new", LATE)))
    small, large = a_case(), a_case(size=128)
    other = a_device(name="Other Card", kind="cpu")
    return [
        measured(0.125, case=small, run=new),
        measured(0.25, case=small, run=old),
        measured(0.5, case=large, run=old),
        published(run=a_run(id="page")),
        a_pipeline_record(),
        out_of_memory(device=other, run=a_run(id="other", cases=1)),
        measured(device=other, run=a_run(id="other-limited"), vram_limit_bytes=2**30),
    ]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    write_dataset(some_records(), tmp_path / "dataset")
    return tmp_path / "dataset"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Results files with the same records, a run each, in the same order."""
    for record in some_records():
        path = tmp_path / "results" / f"{'a' if record.device.kind == 'cuda' else 'b'}" / f"{record.run.id}.jsonl"
        earlier = store.read_file(path).records if path.exists() else ()
        write_lines(path, [*earlier, record])
    return tmp_path / "results"


@pytest.mark.parametrize("all_runs", [False, True])
def test_a_dataset_loads_as_the_results_it_was_made_of(all_runs: bool, dataset: Path, results: Path) -> None:
    with warnings.catch_warnings(record=True) as of_results:
        warnings.simplefilter("always")
        expected = bench.load(results, all_runs=all_runs)
    with warnings.catch_warnings(record=True) as of_dataset:
        warnings.simplefilter("always")
        loaded = bench.load(dataset, all_runs=all_runs)
    assert set(loaded.columns) == set(expected.columns)
    order = ["device_kind", "run", "width"]
    pd.testing.assert_frame_equal(
        loaded.sort_values(order, ignore_index=True)[list(expected.columns)],
        expected.sort_values(order, ignore_index=True),
    )
    assert {str(warning.message) for warning in of_dataset} == {str(warning.message) for warning in of_results}


def test_only_the_files_of_the_chosen_devices_are_opened(dataset: Path) -> None:
    # Given a dataset in which the files of one device are garbage
    for path in (dataset / "device=nvidia-test").iterdir():
        path.write_bytes(b"garbage")
    # When another device is loaded by its slug or its name, then it is, and all of them can't be
    for name in ("cpu-other-card", "Other Card"):
        rows = bench.load(dataset, device=name)
        assert set(rows.device) == {"Other Card"}
        assert len(rows) == 2
    assert "nvidia-test" in refusal(bench.BenchError, bench.load, dataset)


def test_only_the_chosen_columns_are_read(dataset: Path) -> None:
    rows = bench.load(dataset, columns=["time_s", "device"], all_runs=True)
    assert list(rows.columns) == ["time_s", "device"]
    assert len(rows) == 7
    assert list(bench.load(dataset, columns="stage_decode_peak_bytes").stage_decode_peak_bytes.dropna()) == [5]
    assert list(bench.load(dataset, columns=["tokens", "model"]).tokens.dropna()) == [16]


def test_the_whole_record_is_there_for_who_asks(dataset: Path) -> None:
    rows = bench.load(dataset, columns="record", all_runs=True)
    assert sorted(rows.record) == sorted(record.to_json() for record in some_records())


@pytest.mark.parametrize("folder", ["dataset", "results"])
@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"device": "Other Crad"}, "Did you mean 'Other Card'"), ({"columns": "time"}, "time_s")],
    ids=["device", "column"],
)
def test_a_wrong_name_is_named_with_the_nearest(
    folder: str, arguments: dict[str, str], named: str, dataset: Path, results: Path
) -> None:
    message = refusal(bench.BenchError, lambda: bench.load(dataset.parent / folder, **arguments))
    assert named.lower().replace(" ", "-")[-8:] in message.lower().replace(" ", "-")


def test_results_files_are_loaded_by_device_and_column_too(results: Path) -> None:
    rows = bench.load(results, device="Other Card", columns=["device", "outcome"], all_runs=True)
    assert list(rows.columns) == ["device", "outcome"]
    assert sorted(rows.outcome) == ["measured", "out_of_memory"]
    assert set(rows.device) == {"Other Card"}


def test_a_dataset_and_results_files_are_not_loaded_at_once(dataset: Path, results: Path) -> None:
    assert str(results) in refusal(bench.BenchError, bench.load, [dataset, results])


def test_two_datasets_are_loaded_as_one(tmp_path: Path, dataset: Path) -> None:
    write_dataset([measured(device=a_device(name="Third Card"))], tmp_path / "more")
    assert set(bench.load([dataset, tmp_path / "more"]).device) == {"NVIDIA Test", "Other Card", "Third Card"}
