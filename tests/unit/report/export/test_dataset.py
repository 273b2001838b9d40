"""Parquet datasets of records: which files there are, with which types, and how little of them is in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from factories import a_case, a_device, a_run, measured, out_of_memory, published

pytest.importorskip("pyarrow", reason="pyarrow comes with the extra parquet")

from pyarrow import parquet

from bench.record import Axes, Record
from bench.report.export import dataset, dataset_columns, frame
from bench.report.export.dataset import write_dataset


def record_of_run(number: int, device: str = "NVIDIA Test", **fields: object) -> Record:
    return measured(device=a_device(name=device), run=a_run(id=f"run-{number}"), **fields)


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_each_run_has_a_file_in_its_device_s_folder(tmp_path: Path) -> None:
    records = [record_of_run(1), record_of_run(2), record_of_run(1, "Other Card")]
    written = write_dataset(records, tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in written] == [
        "device=nvidia-test/run-1.parquet",
        "device=nvidia-test/run-2.parquet",
        "device=other-card/run-1.parquet",
    ]
    assert names(tmp_path) == [str(path.relative_to(tmp_path)) for path in written]


def test_every_file_has_the_same_schema_whatever_its_records_hold(tmp_path: Path) -> None:
    # Given runs of which one has only texts and counts, one only what was published, and one another kind of model
    text = a_case(model="text-encoder").model_copy(update={"axes": Axes({"tokens": 16})})
    records = [out_of_memory(run=a_run(id="a")), published(run=a_run(id="b")), measured(case=text, run=a_run(id="c"))]
    # When they are written
    schemas = [parquet.read_schema(path) for path in write_dataset(records, tmp_path)]
    # Then all have one schema
    assert all(schema.equals(dataset_columns.file_schema()) for schema in schemas)


def test_a_file_has_the_values_of_the_table_of_records_and_the_whole_record(tmp_path: Path) -> None:
    case = a_case(size=512).model_copy(update={"axes": Axes({"tokens": 16, "batch": 2})})
    record = measured(0.25, case=case)
    (path,) = write_dataset([record], tmp_path)
    read = pd.read_parquet(path)
    row, expected = read.iloc[0], frame.of_records([record]).iloc[0]
    assert (row.time_s, row.batch, row.device_name, row.run_cases) == (0.25, 2, "NVIDIA Test", 1)
    assert row.recorded_at == expected.recorded_at
    assert list(row.other_axes) == [{"name": "tokens", "value": 16}]
    assert Record.model_validate_json(row.record) == record


def test_the_key_is_that_of_the_record(tmp_path: Path) -> None:
    records = [measured(), measured(device=a_device(identity="sha256:0123456789ab"))]
    (path,) = write_dataset(records, tmp_path)
    first, second = pd.read_parquet(path).key
    assert first != second


def test_half_a_character_is_kept_in_the_record(tmp_path: Path) -> None:
    record = measured(device=a_device(name="\ud800 x"))
    (path,) = write_dataset([record], tmp_path)
    row = pd.read_parquet(path).iloc[0]
    assert row.device_name == "? x"
    assert json.loads(row.record)["device"]["name"] == "\ud800 x"


def test_a_run_named_like_a_path_stays_in_the_dataset(tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    for name in ("../../escaped", ".hidden", "a/b", "", "x" * 300):
        (path,) = write_dataset([measured(run=a_run(id=name))], folder)
        assert path.parent == folder / "device=nvidia-test"
        assert path.name.startswith("run-")
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]


def test_runs_that_alternate_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given more runs at once than may be open, and fewer rows than they have
    monkeypatch.setattr(dataset, "_OPEN", 2)
    monkeypatch.setattr(dataset, "_ROWS", 2)
    sizes = [8 * size for size in range(1, 6)]
    records = [record_of_run(run, case=a_case(size=size)) for size in sizes for run in range(3)]
    # When they are written in turns
    written = write_dataset(records, tmp_path)
    # Then each file has its records in their order
    assert [list(pd.read_parquet(path).width) for path in written] == [sizes] * 3
    assert len(names(tmp_path)) == 3


def test_a_stream_is_written_as_it_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a stream that counts the records which nobody has let go
    monkeypatch.setattr(dataset, "_ROWS", 10)
    waiting: list[int] = []
    table_of = dataset.table_of
    monkeypatch.setattr(dataset, "table_of", lambda records, *rest: waiting.append(len(records)) or table_of(records))
    # When one run of many records is written
    stream = (record_of_run(1, case=a_case(size=size)) for size in range(8, 8 * 96, 8))
    (path,) = write_dataset(stream, tmp_path)
    # Then none of its tables was larger than the limit
    assert len(pd.read_parquet(path)) == sum(waiting) == 95
    assert max(waiting) == 10


def test_a_file_is_replaced_and_others_stay(tmp_path: Path) -> None:
    write_dataset([record_of_run(1), record_of_run(2)], tmp_path)
    write_dataset([record_of_run(1, median_s=0.5)], tmp_path)
    assert [pd.read_parquet(tmp_path / name).time_s[0] for name in names(tmp_path)] == [0.5, 0.05]


def test_a_stream_that_fails_leaves_no_half_written_file(tmp_path: Path) -> None:
    def broken() -> Iterator[Record]:
        yield record_of_run(1)
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        write_dataset(broken(), tmp_path)
    assert names(tmp_path) == []


def test_pandas_and_pyarrow_read_the_folder(tmp_path: Path) -> None:
    write_dataset([record_of_run(1), record_of_run(2, "Other Card")], tmp_path)
    for read in (pd.read_parquet(tmp_path), parquet.read_table(tmp_path).to_pandas()):
        assert list(read.device) == ["nvidia-test", "other-card"]
        assert list(read.device_name) == ["NVIDIA Test", "Other Card"]


def test_the_same_records_make_the_same_bytes(tmp_path: Path) -> None:
    one, other = (write_dataset([measured()], tmp_path / name)[0].read_bytes() for name in ("a", "b"))
    assert one == other
