"""`bench.load`, `bench.predict` and `bench.advise`: the figures of the commands, as DataFrames."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from factories import GIB, a_case, a_device, a_run, measured, write_lines

import bench
from bench.cli import main
from bench.traces import tracing

ROOT = Path(__file__).parents[3]
STUB = ROOT / "bench" / "__init__.pyi"
FUNCTIONS = (bench.load, bench.predict, bench.advise)
PREDICT = ["predict", "--model", "sdxl", "--operation", "decode", "--resolution", "1024", "--gpu", "3070", "--json"]
ADVISE = ["advise", *PREDICT[1:]]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without results, in which each test runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_results_are_loaded_from_a_file_a_folder_or_several(tmp_path: Path) -> None:
    one = write_lines(tmp_path / "one.jsonl", [measured(0.5)])
    other = write_lines(tmp_path / "folder" / "other.jsonl", [measured(0.25, run=a_run(id="run-2"))])
    assert list(bench.load(one).time_s) == [0.5]
    assert list(bench.load(str(other.parent)).time_s) == [0.25]
    assert list(bench.load([one, str(other)], all_runs=True).time_s) == [0.5, 0.25]
    assert len(bench.load([one, other])) == 1


def test_without_results_the_docs_figures_are_loaded() -> None:
    rows = bench.load()
    assert set(rows.kind) == {"published"}
    assert len(rows) == 130


def test_a_torn_line_is_a_warning_of_the_caller_s_line(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [measured()], tail=b'{"schema_ver')
    with pytest.warns(UserWarning, match=r"a\.jsonl") as warned:
        assert len(bench.load(path)) == 1
    assert warned[0].filename == __file__


def test_a_prediction_is_that_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    # Given what the command prints
    assert main(PREDICT) == 0
    records = json.loads(capsys.readouterr().out)
    # When the function is asked for the same
    rows = bench.predict("sdxl", operation="decode", resolution=1024, gpu="3070")
    # Then it has the same cases, verdicts and peaks
    assert list(rows.case) == [record["case"]["id"] for record in records]
    assert list(rows.verdict) == [record["prediction"]["verdict"] for record in records]
    assert list(rows.peak_bytes) == [record["stages"][0]["memory"]["peak_bytes"] for record in records]
    assert "expandable segments" in rows.attrs["assumptions"]


def test_a_prediction_takes_several_values_of_each_argument() -> None:
    rows = bench.predict(
        ["tiny", "sd-v1"],
        gpu=["3070", "4090"],
        operation="encode",
        resolution=[256, "512x256"],
        batch=[1, 2],
        dtype="float16",
        tiling=["off", "256/64"],
    )
    assert len(rows) == 2 * 2 * 2 * 2 * 2
    assert set(rows.dtype) == {"float16"}
    assert set(rows.tiling) == {"off", "256/64"}
    assert set(zip(rows.width, rows.height, strict=True)) == {(256, 256), (512, 256)}
    assert rows.verdict.notna().all()


def test_advice_is_that_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    # Given what the command prints
    assert main(ADVISE) == 0
    (told,) = json.loads(capsys.readouterr().out)["advice"]
    # When the function is asked for the same
    rows = bench.advise("sdxl", operation="decode", resolution=1024, gpu="3070")
    # Then it has the same ways in the same order, with their peaks and times
    ways = told["ways"]
    assert list(rows.way) == [way["way"] for way in ways]
    assert list(rows["rank"]) == list(range(1, len(ways) + 1))
    assert list(rows.recommended) == [True] + [False] * (len(ways) - 1)
    assert list(rows.verdict) == [way["verdict"] for way in ways]
    peaks = [way["peak"]["reserved_bytes"] if "peak" in way else None for way in ways]
    assert [
        None if missing else peak for peak, missing in zip(rows.peak_bytes, rows.peak_bytes.isna(), strict=True)
    ] == peaks
    seconds = [way["time"] and way["time"]["seconds"] for way in ways]
    assert [None if missing else time for time, missing in zip(rows.time_s, rows.time_s.isna(), strict=True)] == seconds


def test_a_text_encoder_s_tokens_are_an_argument_and_a_column(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given traces of a text encoder, which would need torch
    trace = tracing.trace_of(a_case(model="sd-v1"))
    monkeypatch.setattr(tracing, "_kept_or_live", lambda case: trace)
    # When it is predicted and advised on for prompts of other lengths
    predicted = bench.predict("tiny-clip-l", gpu="3070", tokens=[8, 16])
    advised = bench.advise("tiny-clip-l", gpu="3070", tokens=8)
    # Then the rows say which
    assert list(predicted.tokens) == [8, 16]
    assert set(advised.tokens) == {8}
    assert set(advised.operation) == {"encode-text"}


def test_a_measured_time_is_preferred_in_advice(tmp_path: Path) -> None:
    # Given a case that was measured on a card
    case = a_case(model="sdxl", operation="decode", size=512)
    card = a_device(name="NVIDIA GeForce RTX 3070", total_bytes=8 * GIB)
    path = write_lines(tmp_path / "a.jsonl", [measured(0.375, case=case, device=card)])
    # When advice rests on it, and on the docs' figures
    of_results, of_docs = (
        bench.advise("sdxl", operation="decode", resolution=512, gpu="3070", results=results)
        for results in (path, None)
    )
    # Then its time is that of the untiled way
    untiled = of_results[of_results.way == "untiled"].iloc[0]
    assert (untiled.time_s, untiled.time_kind, untiled.peak_kind) == (0.375, "measured", "measured")
    assert of_docs[of_docs.way == "untiled"].time_kind.iloc[0] == "published"


def test_a_card_is_limited_and_may_be_partly_free() -> None:
    least, most = (
        bench.advise("sdxl", operation="decode", resolution=1024, **card)
        for card in ({"gpu": "4090", "vram_limit": "8GiB", "free": "6GiB"}, {"vram_limit": "48GiB"})
    )
    assert least[least.way == "untiled"].verdict.iloc[0] != "fits"
    assert most[most.way == "untiled"].verdict.iloc[0] == "fits"


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: bench.predict("sdlx"), "Did you mean 'sdxl'"),
        (lambda: bench.predict("sdxl", tiling="x"), "tiling: "),
        (lambda: bench.predict("sdxl", dtype="int5"), "dtype: "),
        (lambda: bench.predict("sdxl", frames="many"), "frames: "),
        (lambda: bench.predict("sdxl", batch=0), "batch: "),
        (lambda: bench.predict(sweep="nope"), "nope"),
        (lambda: bench.advise("sdxl", vram_limit="8"), "vram_limit 8: "),
        (lambda: bench.advise("sdxl", gpu="3070", free="9GiB"), "free 9GiB: "),
        (lambda: bench.advise("sdxl", gpu="3070", os="mac"), "os: "),
        (lambda: bench.advise("sdxl", gpu="3070", batch=0), "batch: "),
        (lambda: bench.advise("sdxl", gpu="3070", frames=1.5), "frames: "),
        (lambda: bench.advise("clip-l", gpu="3070", tokens=7.5), "tokens: "),
        (lambda: bench.advise("clip-l", gpu="3070", tokens=78), "at most 77"),
        (
            lambda: bench.advise("clip-l", gpu="3070", operation="decode"),
            "operation decode: clip-l has only encode-text",
        ),
        (lambda: bench.advise("sdxl", gpu=9999), "gpu 9999: "),
        (lambda: bench.advise("sdxl", gpu="3070", allocator="best"), "allocator: "),
        (lambda: bench.load("nowhere"), "nowhere"),
    ],
)
def test_an_error_names_the_argument_and_not_an_option(call: Callable[[], object], named: str) -> None:
    with pytest.raises(bench.BenchError) as refused:
        call()
    assert named in str(refused.value)
    assert "--" not in str(refused.value)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_argument_is_described(function: Callable[..., object]) -> None:
    signature = inspect.signature(function)
    described = inspect.getdoc(function) or ""
    assert all(f"    {name}: " in described for name in signature.parameters)
    assert signature.return_annotation == "pd.DataFrame"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_type_checkers_see_the_function_s_own_signature(function: Callable[..., object]) -> None:
    stub, module = (ast.parse(Path(path).read_text()) for path in (STUB, inspect.getfile(function)))
    declared, own = (
        next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function.__name__)
        for tree in (stub, module)
    )
    assert ast.dump(declared.args) == ast.dump(own.args)


def test_the_package_lists_its_functions_and_loads_them_when_they_are_used() -> None:
    code = (
        "import sys, bench; before = set(sys.modules); names = dir(bench); bench.BenchError; "
        "print(*{'pandas', 'pydantic', 'bench.api', 'torch'} & before); print(*names)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded, names = done.stdout.splitlines()
    assert not loaded
    assert {"load", "predict", "advise", "BenchError"} <= set(names.split())
    assert not hasattr(bench, "no_such_name")
