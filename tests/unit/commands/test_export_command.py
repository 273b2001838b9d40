"""`bench export`: what it prints and writes, and what it refuses."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

import pytest
from factories import a_case, a_run, measured, write_lines

import bench
from bench.cli import main
from bench.report.export.record_columns import record_columns

ROOT = Path(__file__).parents[3]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two finished runs of one case."""
    runs = [(0.5, "2026-01-01T12:00:00.000000Z"), (0.25, "2026-01-02T12:00:00.000000Z")]
    for median_s, begun in runs:
        run = a_run(id=begun[:10], started_at=begun)
        write_lines(tmp_path / "results" / f"{begun[:10]}.jsonl", [measured(median_s, run=run)])
    return tmp_path / "results"


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("arguments", [[], ["--csv"]])
def test_csv_is_printed_with_the_latest_run_of_each_case(
    arguments: list[str], results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(results), *arguments]) == 0
    (row,) = rows(capsys.readouterr().out)
    assert (row["model"], row["time_s"], row["run"]) == ("tiny", "0.25", "2026-01-02")


def test_all_runs_are_exported_if_asked_for(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(results), "--all-runs"]) == 0
    assert [row["time_s"] for row in rows(capsys.readouterr().out)] == ["0.5", "0.25"]


def test_without_results_the_docs_figures_are_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export"]) == 0
    exported = rows(capsys.readouterr().out)
    assert {row["kind"] for row in exported} == {"published"}
    assert len(exported) == 130


def test_files_are_written_in_the_format_of_their_name(results: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow comes with the extra parquet")
    for arguments in (["--out", "a.csv"], ["--csv", "--out", "b"], ["--out", "c.parquet"], ["--parquet", "--out", "d"]):
        assert main(["export", str(results), "--quiet", *arguments[:-1], str(tmp_path / arguments[-1])]) == 0
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "c.parquet").read_bytes() == (tmp_path / "d").read_bytes()
    assert parquet.read_table(tmp_path / "c.parquet").column("time_s").to_pylist() == [0.25]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--csv", "--parquet", "--out", "a.parquet"], "--parquet"),
        (["--csv", "--out", "a.parquet"], "a.parquet"),
        (["--parquet", "--out", "a.csv"], "a.csv"),
        (["--parquet"], "--out"),
        (["--out", "a.jsonl"], "a.jsonl"),
        (["a.csv"], "--out a.csv"),
        (["nowhere"], "nowhere"),
    ],
)
def test_what_can_t_be_written_is_refused_and_nothing_is(
    arguments: list[str], named: str, results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(results.parent)
    assert main(["export", *arguments]) == 2
    shown = capsys.readouterr()
    assert named in shown.err
    assert not shown.out
    assert [path.name for path in results.parent.iterdir()] == ["results"]


def test_parquet_without_pyarrow_is_refused_with_what_to_install(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main(["export", str(results), "--out", str(tmp_path / "a.parquet")]) == 2
    assert "pip install 'hybrid-bench[parquet]'" in capsys.readouterr().err
    assert not (tmp_path / "a.parquet").exists()


def test_an_empty_folder_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(tmp_path)]) == 2
    assert "bench run" in capsys.readouterr().err


def test_the_columns_are_listed_without_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", "--columns"]) == 0
    words = set(capsys.readouterr().out.split())
    assert {column.name for column in record_columns()} <= words


def test_cases_of_one_run_keep_their_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = [256, 64, 128]
    path = write_lines(tmp_path / "a.jsonl", [measured(case=a_case(size=size), run=a_run(cases=3)) for size in sizes])
    assert main(["export", str(path)]) == 0
    assert [int(row["width"]) for row in rows(capsys.readouterr().out)] == sizes


def test_a_folder_gets_a_dataset_with_the_records_of_all_runs(results: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow comes with the extra parquet")
    # Given a folder that is not there yet, named as one
    out = tmp_path / "dataset"
    assert main(["export", str(results), "--parquet", "--out", f"{out}/", "--quiet"]) == 0
    # When it is written again, then it is as it was, and loads as the results do
    assert main(["export", str(results), "--parquet", "--out", str(out), "--quiet"]) == 0
    assert sorted(path.name for path in out.rglob("*.parquet")) == ["2026-01-01.parquet", "2026-01-02.parquet"]
    assert list(bench.load(out).run) == ["2026-01-02"]
    assert list(bench.load(out, all_runs=True).time_s) == [0.5, 0.25]


@pytest.mark.parametrize("arguments", [["--out", "results/"], ["--csv", "--out", "results"]])
def test_only_parquet_is_written_into_a_folder(
    arguments: list[str], results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(results.parent)
    assert main(["export", *arguments]) == 2
    assert "--parquet" in capsys.readouterr().err
