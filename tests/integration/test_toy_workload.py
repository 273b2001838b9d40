"""A workload in one file outside `bench`, from a sweep to a page, as docs/adding-a-workload.md has it.

Nothing under `bench/` knows of `length`, of the two stages, or of the models' names.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from processes import bench, records, warm

from bench import store
from bench.record import Crashed, Failed, Measured, OutOfMemory, Record

ROOT = Path(__file__).parents[2]
TOY = ROOT / "tests" / "toy_workload.py"
KNOWN = {"BENCH_WORKLOADS": str(TOY)}
GUIDE = ROOT / "docs" / "adding-a-workload.md"
SWEEP = """\
models: toy
length: [16, 32]
repeats: 7
measure: {min_time: 0, max_time: 2, max_noise: null}
"""


def _toy(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return bench(*arguments, env=KNOWN | dict(env or {}))


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("sweep") / "toy.yaml"
    path.write_text(SWEEP)
    return str(path)


def _measured(sweep: str, folder: Path, *options: str, **env: str) -> tuple[Path, dict[str, Any]]:
    """A run's folder, and what `--json` printed of it."""
    done = _toy("run", sweep, "--device", "cpu", "--out", str(folder), "--json", *options, env=env)
    assert done.stdout, done.stderr
    return folder, json.loads(done.stdout)


@pytest.fixture(scope="module")
def quick(sweep: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    return _measured(sweep, tmp_path_factory.mktemp("quick"))


@pytest.fixture(scope="module")
def slow(sweep: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same sweep with a second stage that rests for a twentieth of a second."""
    return _measured(sweep, tmp_path_factory.mktemp("slow"), TOY_REST_S="0.05")[0]


def _plan(sweep: str, *options: str) -> list[dict[str, Any]]:
    done = _toy("run", sweep, "--dry-run", "--json", *options)
    assert done.returncode == 0, done.stderr
    cases: list[dict[str, Any]] = json.loads(done.stdout)["cases"]
    return cases


# The sweep and its plan


def test_the_axis_is_a_key_of_sweeps_and_the_others_have_their_defaults(sweep: str) -> None:
    assert [(case["length"], case["batch"]) for case in _plan(sweep)] == [(16, 1), (32, 1)]


def test_the_axis_can_be_set_by_an_option(sweep: str) -> None:
    chosen = _plan(sweep, "--set", "length=64", "--set", "batch=[1, 2]", "--model", "toy-wide")
    assert [(case["model"], case["length"], case["batch"]) for case in chosen] == [
        ("toy-wide", 64, 1),
        ("toy-wide", 64, 2),
    ]


def test_another_name_of_the_model_is_told_and_is_the_same_case(sweep: str) -> None:
    done = _toy("run", sweep, "--dry-run", "--json", "--model", "toy-base", "--device", "cpu")
    assert json.loads(done.stdout)["cases"] == _plan(sweep)
    told = _toy("run", sweep, "--device", "cpu", "--dry-run", "--model", "toy-base").stderr
    assert "toy-base" in told
    assert "toy" in told.replace("toy-base", "")


def test_a_model_that_lacks_the_axis_is_an_error_that_says_which_have_it(sweep: str) -> None:
    lacking = {"tiny": ("`length`", "toy-wide"), "toy": ("resolutions", "sd-v1")}
    for model, words in lacking.items():
        done = _toy("run", sweep, "--dry-run", "--set", f"models={model}", "--set", "resolutions=64")
        assert done.returncode == 2
        assert all(word in done.stderr for word in words)


def test_a_value_that_the_model_can_t_take_is_an_error_with_the_nearest(sweep: str) -> None:
    done = _toy("run", sweep, "--dry-run", "--set", "length=20")
    assert done.returncode == 2
    assert "length" in done.stderr
    assert "try 16" in done.stderr


def test_a_sweep_without_a_value_that_the_model_needs_names_the_key(tmp_path: Path) -> None:
    path = tmp_path / "bare.yaml"
    path.write_text("models: toy\n")
    done = _toy("run", str(path), "--dry-run")
    assert done.returncode == 2
    assert "`length`" in done.stderr


def test_an_image_vae_s_sweep_has_no_such_key_where_the_workload_is_not_named(sweep: str) -> None:
    done = bench("run", sweep, "--dry-run", "--set", "models=tiny")
    assert done.returncode == 2
    assert "length" in done.stderr


# The run and its records


def test_each_stage_has_its_time_and_its_peak(quick: tuple[Path, dict[str, Any]]) -> None:
    for record in records(quick[0]):
        assert [stage.name for stage in record.stages] == ["look-up", "attend"]
        for stage in record.stages:
            assert stage.timing is not None
            assert len(stage.timing.samples_s) == 7
            assert stage.memory is not None
            assert stage.memory.peak_bytes is not None


def test_a_call_s_time_is_the_sum_of_its_stages_and_its_operations_are_theirs(
    quick: tuple[Path, dict[str, Any]],
) -> None:
    for record in records(quick[0]):
        assert record.timing is not None
        parts = [stage.timing.samples_s for stage in record.stages if stage.timing]
        assert record.timing.samples_s == pytest.approx([sum(call) for call in zip(*parts, strict=True)])
        assert record.flops == 4 * record.case.axes["length"] ** 2 * 64


def test_a_line_of_the_file_is_read_back_as_it_was(quick: tuple[Path, dict[str, Any]]) -> None:
    for record in records(quick[0]):
        assert Record.model_validate_json(record.to_json()) == record


def test_the_summary_has_the_stages_as_text_and_as_json(sweep: str, quick: tuple[Path, dict[str, Any]]) -> None:
    folder, summary = quick
    assert summary["counts"] == {"measured": 2}
    assert [[stage["name"] for stage in case["stages"]] for case in summary["cases"]] == [["look-up", "attend"]] * 2
    # And the line of a case, in a run of its own
    told = _toy("run", sweep, "--device", "cpu", "--out", str(folder.parent / "told"))
    assert re.search(r"toy embed length 16 tokens float32: .*look-up .*attend ", told.stderr)


def test_what_goes_wrong_is_an_outcome_and_the_rest_of_the_sweep_goes_on(sweep: str, tmp_path: Path) -> None:
    faults = {"toy-oom": OutOfMemory, "toy-crash": Crashed, "toy-raise": Failed, "toy": Measured}
    folder, summary = _measured(sweep, tmp_path, "--set", f"models=[{', '.join(faults)}]", "--set", "length=16")
    found = {record.case.model: record.outcome for record in records(folder)}
    assert {model: type(outcome) for model, outcome in found.items()} == faults
    assert len(summary["cases"]) == len(faults)
    in_stages = [outcome.stage for outcome in found.values() if isinstance(outcome, (OutOfMemory, Failed))]
    assert in_stages == ["attend", "attend"]


def test_cases_that_take_turns_have_stages_as_well(sweep: str, tmp_path: Path) -> None:
    folder, _ = _measured(sweep, tmp_path, "--interleave", "--set", "dtypes=[float32, bfloat16]", "--set", "length=16")
    first, second = records(folder)
    assert first.interleaved_with == (second.case.id,)
    for record in (first, second):
        assert [len(stage.timing.samples_s) for stage in record.stages if stage.timing] == [7, 7]


def test_a_run_that_was_killed_goes_on_where_it_was(sweep: str, tmp_path: Path) -> None:
    # Given a run of many cases, killed once the first of them is on disk
    lengths = [8 * count for count in range(1, 13)]
    program, environment = warm({**os.environ, **KNOWN})
    command = [*program, "run", sweep, "--device", "cpu", "--out", str(tmp_path), "--quiet"]
    command += ["--set", f"length={lengths}"]
    with subprocess.Popen(command, env=environment | {"TOY_REST_S": "0.05"}) as process:
        give_up = time.monotonic() + 120
        while not (files := list(tmp_path.rglob("*.jsonl"))) and process.poll() is None:
            assert time.monotonic() < give_up
            time.sleep(0.01)
        process.kill()
    kept = store.read_file(files[0]).records
    assert 0 < len(kept) < len(lengths)
    # When the same command is given again
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    # Then the file has every case once, those that were there unchanged
    assert done.returncode == 0, done.stderr
    whole = records(tmp_path)
    assert tuple(whole[: len(kept)]) == kept
    assert [record.case.axes["length"] for record in whole] == lengths


# What is made of the records


def test_a_gate_fails_by_the_stage_that_became_slower(quick: tuple[Path, dict[str, Any]], slow: Path) -> None:
    done = _toy("compare", str(quick[0]), str(slow), "--fail-on", "time>1000%", "--json")
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    (gate,) = told["gates"]
    assert {failure.get("stage") for failure in gate["failures"]} == {None, "attend"}
    (machine,) = told["machines"]
    (times,) = [table for table in machine["metrics"] if table["metric"] == "time"]
    assert [row.get("stage") for row in times["rows"]] == [None, "look-up", "attend"] * 2


def test_a_gate_holds_for_a_run_beside_itself(quick: tuple[Path, dict[str, Any]]) -> None:
    done = _toy("compare", str(quick[0]), str(quick[0]), "--fail-on", "time>1%")
    assert done.returncode == 0, done.stderr
    assert "fails" not in done.stdout


def test_the_page_has_a_table_of_cases_and_one_of_stages(quick: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    done = _toy("report", str(quick[0]), "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "toy_embed.md").read_text()
    rows = [line.split("|") for line in page.splitlines() if line.startswith("|")]
    sizes = [row[4].strip() for row in rows if "measured" in row[2]]
    assert sizes == ["length 16 tokens", "length 32 tokens"]
    assert {row[4].strip() for row in rows if row[3].strip() == "length 16 tokens"} == {"look-up", "attend"}
    assert "Tile" not in page
    assert "px/s" not in page


def test_where_the_workload_is_not_known_its_records_are_read_and_have_a_page(
    quick: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    done = bench("report", str(quick[0]), "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.glob("toy*"))
    page = (tmp_path / "other.md").read_text()
    rows = [line.split("|") for line in page.splitlines() if line.startswith("|")]
    assert [row[4].strip() for row in rows if "measured" in row[2]] == ["length 16", "length 32"]
    assert {row[4].strip() for row in rows if row[3].strip() == "length 16"} == {"look-up", "attend"}


@pytest.mark.parametrize("command", ["predict", "run"])
def test_a_workload_that_can_t_be_had_is_one_sentence(command: str, tmp_path: Path, sweep: str) -> None:
    gone = bench(command, sweep, env={"BENCH_WORKLOADS": str(tmp_path / "gone.py")})
    assert gone.returncode == 2
    assert "BENCH_WORKLOADS" in gone.stderr
    assert "Traceback" not in gone.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("predict", "{sweep}"),
        ("advise", "--model", "toy", "--gpu", "rtx-4090"),
        ("calibrate", "--model", "toy"),
        ("remote", "{sweep}", "--endpoint", "http://127.0.0.1:9"),
        ("profile", "--model", "toy", "--operation", "embed"),
        ("serve", "--model", "toy", "--weights", "random"),
        ("docs", "render", "{results}", "--operation", "embed"),
    ],
)
def test_what_the_workload_does_not_say_is_refused_in_a_sentence(
    arguments: tuple[str, ...], sweep: str, quick: tuple[Path, dict[str, Any]]
) -> None:
    done = _toy(*(argument.format(sweep=sweep, results=quick[0]) for argument in arguments))
    assert done.returncode == 2, done.stdout
    assert done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr


# The guide


def test_the_guide_s_sweep_is_a_sweep(tmp_path: Path) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    path = tmp_path / "guide.yaml"
    path.write_text(text)
    assert len(_plan(str(path))) == 2
