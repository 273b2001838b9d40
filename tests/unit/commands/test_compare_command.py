"""`bench compare` from the command line: what it prints, its exit codes, and what it makes of bad input."""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from factories import a_case, a_device, a_record, a_run, measured, out_of_memory, published, write_lines

from bench import cli
from bench.analysis.compare.settings import FROM_TIME
from bench.analysis.compare.whole import DEFAULT_METRICS
from bench.commands.compare import compare
from bench.core.units import METRICS, format_percent
from bench.record import SCHEMA_VERSION, Record, Timing
from bench.store import read_file

Run = Callable[..., tuple[int, str, str]]
SIZES = (64, 128, 256)


@pytest.fixture
def bench(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `bench compare` with these arguments: exit code, standard output, standard error. Any warning is an error."""
    app = typer.Typer(pretty_exceptions_enable=False)
    app.callback()(lambda: None)
    app.command()(compare)
    monkeypatch.setattr(cli, "app_for", lambda _arguments: app)

    def run(*arguments: object) -> tuple[int, str, str]:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            code = cli.main(["compare", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


def _run_file(path: Path, slower: float = 1.0, seed: int = 0, **fields: Any) -> Path:
    """A run of three cases with 12 samples each, the second of them slower by a factor."""
    draw, records = random.Random(f"{path.stem}{seed}"), []
    for size in SIZES:
        centre = size / 1000 * (slower if size == SIZES[1] else 1)
        samples = tuple(centre * (1 + draw.gauss(0, 0.01)) for _ in range(12))
        timing = Timing(clock="cuda_event", median_s=sorted(samples)[6], samples_s=samples)
        run = a_run(id=path.stem, cases=len(SIZES))
        records.append(a_record(**{"case": a_case(size=size), "timing": timing, "run": run} | fields))
    return write_lines(path, records)


def _records(path: Path) -> list[Record]:
    return list(read_file(path).records)


def _lines(path: Path, *records: Record) -> Path:
    return write_lines(path, records)


@pytest.fixture
def before(tmp_path: Path) -> Path:
    return _run_file(tmp_path / "before.jsonl")


@pytest.fixture
def after(tmp_path: Path) -> Path:
    return _run_file(tmp_path / "after.jsonl")


@pytest.fixture
def slowed(tmp_path: Path) -> Path:
    return _run_file(tmp_path / "slowed.jsonl", slower=1.5)


def test_two_runs_alike_pass_a_gate(bench: Run, before: Path, after: Path) -> None:
    code, out, err = bench(before, after, "--fail-on", "time>25%")
    assert (code, err) == (0, "")
    assert "time>25%: holds for 3 figures" in out
    assert "0 worse, 0 better, 3 unchanged (3 cases)" in out


def test_a_slowed_run_fails_the_gate_with_the_case_named(bench: Run, before: Path, slowed: Path) -> None:
    code, out, err = bench(before, slowed, "--fail-on", "time>25%")
    assert code == 1
    assert "1 worse" in out
    (line, error) = err.splitlines()
    assert line.startswith("time>25%: tiny encode 128x128 float32 untiled: +")
    assert error == "error: 1 case failed --fail-on time>25%."


def test_quiet_prints_failed_gates_and_nothing_else(bench: Run, before: Path, slowed: Path) -> None:
    assert bench(before, slowed, "--quiet") == (0, "", "")
    code, out, err = bench(before, slowed, "--quiet", "--fail-on", "time>25%")
    assert (code, out) == (1, "")
    assert "128x128" in err


@pytest.mark.parametrize("option", [("--format", "json"), ("--json",)])
def test_json_is_json_also_where_a_gate_fails(bench: Run, before: Path, slowed: Path, option: tuple[str, ...]) -> None:
    code, out, _ = bench(before, slowed, *option, "--fail-on", "time>25%")
    assert code == 1
    (gate,) = json.loads(out)["gates"]
    assert [one["case"] for one in gate["failures"]] == ["tiny encode 128x128 float32 untiled"]


def test_what_a_gate_did_not_judge_is_said_even_where_all_else_is_quiet(
    bench: Run, before: Path, tmp_path: Path
) -> None:
    # given a head that has one of three cases
    head = _lines(tmp_path / "head.jsonl", *_records(before)[:1])
    # then a gate that holds says for how much
    assert bench(before, head, "--quiet", "--fail-on", "time>25%") == (
        0,
        "",
        "gate time>25%: holds for 1 figure; 2 not judged (2 cases only on the base side)\n",
    )


def test_quiet_does_not_hide_that_a_line_was_lost(bench: Run, before: Path, tmp_path: Path) -> None:
    torn = write_lines(tmp_path / "torn.jsonl", _records(before), tail=b'{"schema')
    code, out, err = bench(before, torn, "--quiet")
    assert (code, out) == (0, "")
    assert "last line" in err


def test_several_machines_are_named_in_the_gate_s_lines_and_their_cases_counted_each(
    bench: Run, tmp_path: Path
) -> None:
    # given two machines on which the same case is slower
    files = []
    for name, time in (("base", 0.05), ("head", 0.1)):
        run = a_run(id=name, cases=2)
        devices = (a_device(name="NVIDIA A"), a_device(name="NVIDIA B"))
        files.append(_lines(tmp_path / f"{name}.jsonl", *(measured(time, device=one, run=run) for one in devices)))
    # then both fail
    code, _, err = bench(*files, "--quiet", "--fail-on", "time>25%")
    assert code == 1
    assert [line.split(": ")[1] for line in err.splitlines()] == [
        "NVIDIA A",
        "NVIDIA B",
        "2 cases failed --fail-on time>25%.",
    ]


def test_the_report_is_not_written_over_what_was_read(bench: Run, before: Path, after: Path, tmp_path: Path) -> None:
    # given a results file under another name, too
    (tmp_path / "link.jsonl").symlink_to(after)
    content = after.read_bytes()
    for out in (after, tmp_path / "link.jsonl"):
        code, _, err = bench(before, after, "-o", out)
        assert code == 2
        assert "is a results file of the head side" in err
    assert after.read_bytes() == content


def test_the_help_lists_every_metric_with_its_factor() -> None:
    words = " ".join((compare.__doc__ or "").split())
    for name, metric in METRICS.items():
        if name not in FROM_TIME:
            assert (name if metric.exact else f"{name} {format_percent(metric.factor)}") in words
    exact = words.partition(": exact")[0].rpartition(" - ")[2]
    assert exact.split(", ") == ["peak_allocated", "weights", "flops"]
    without = words.partition("Without --metric: ")[2]
    assert without.partition(";")[0].replace(" and ", ", ") == ", ".join(DEFAULT_METRICS)


def test_markdown_goes_to_a_file(bench: Run, before: Path, slowed: Path, tmp_path: Path) -> None:
    page = tmp_path / "new" / "summary.md"
    assert bench(before, slowed, "--format", "markdown", "-o", page) == (0, "", "")
    assert page.read_text().startswith("**1 worse, 0 better, 2 unchanged (3 cases)**")


def test_several_runs_a_side_are_given_by_options_or_in_folders(bench: Run, tmp_path: Path) -> None:
    # given four runs a side, three of the base in a folder
    base = [_run_file(tmp_path / name, seed=1) for name in ("b/1.jsonl", "b/2.jsonl", "b/3.jsonl", "b4.jsonl")]
    head = [_run_file(tmp_path / f"h{n}.jsonl", slower=1.5, seed=2) for n in range(4)]
    # when the folder is of the base, and all others are added
    options = [part for one in head for part in ("--head", one)]
    code, out, _ = bench("--base", base[0].parent, "--base", base[3], *options, "--json")
    # then there are four units a side
    (machine,) = json.loads(out)["machines"]
    assert code == 0
    assert machine["runs"] == {"base": 4, "head": 4}
    assert [row["verdict"] for row in machine["metrics"][0]["rows"]] == ["same", "worse", "same"]


def test_unlike_machines_are_refused_and_compared_on_demand(bench: Run, before: Path, tmp_path: Path) -> None:
    other = _run_file(tmp_path / "other.jsonl", device=a_device(name="NVIDIA Other"))
    code, out, err = bench(before, other)
    assert (code, out) == (2, "")
    assert "device: base NVIDIA Test, head NVIDIA Other" in err
    code, out, _ = bench(before, other, "--across-machines")
    assert code == 0
    assert "device: base NVIDIA Test, head NVIDIA Other" in out


def test_published_rows_of_the_docs_compare_without_an_exception(bench: Run, tmp_path: Path) -> None:
    one, other = _lines(tmp_path / "1.jsonl", published(0.05)), _lines(tmp_path / "2.jsonl", published(0.07))
    code, out, err = bench(one, other, "--fail-on", "time>25%")
    assert code == 1
    assert "too few samples" in out
    assert "judged without a test" in err


def test_a_case_that_newly_runs_out_of_memory_fails_a_gate(bench: Run, tmp_path: Path) -> None:
    base, head = _lines(tmp_path / "1.jsonl", measured()), _lines(tmp_path / "2.jsonl", out_of_memory())
    code, out, err = bench(base, head, "--fail-on", "time>25%")
    assert code == 1
    (line,) = [line for line in out.splitlines() if "out of memory (device, warm-up" in line]
    assert {"worse", "64x64", "measured"} <= set(line.replace(":", "").split())
    assert "its outcome got worse" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{before}", "{before}", "--fail-on", "tiem>5%"), "Did you mean 'time'?"),
        (("{before}", "{before}", "--fail-on", "time>fast"), "write METRIC>N%"),
        (("{before}", "{before}", "--fail-on", "energy>5%"), "nothing to gate on"),
        (("{before}", "{before}", "--metric", "speed"), "unknown metric 'speed'"),
        (("{before}", "{before}", "--factor", "time"), "write METRIC=N%"),
        (("{before}", "{before}", "--json", "--format", "markdown"), "--format"),
        (("{before}",), "head side"),
        (("{before}", "{before}", "--fail-on", "pixel_rate>5%"), "pixel_rate follows from time"),
        (("{before}", "{before}", "--metric", "achieved"), "achieved follows from time"),
        (("--base", "{before}", "--head", "{before}", "{before}"), "either side"),
        (("{before}", "{huge}"), "huge.jsonl, line 1 has the number 9223372036854775808,"),
        (("{before}", "{digits}"), "digits.jsonl, line 1 has the number 111111111111111111111111,"),
        (("{before}", "{small}"), "small.jsonl, line 1 has the number -9223372036854775809,"),
        ((), "base side"),
        (("{before}", "{empty}"), "head side"),
        (("{folder}", "{before}"), "base side"),
        (("{before}", "{missing}"), "There is no file or folder"),
        (("{before}", "{nan}"), "is not a record of this program: `stages.0.timing.samples_s"),
        (("{before}", "{negative}"), "is not a record of this program: `stages.0.timing.samples_s"),
        (("{before}", "{newer}"), "schema version 99"),
        (("{before}", "{apart}"), "no case in common"),
    ],
)
def test_bad_input_is_one_paragraph_and_exit_code_2(
    bench: Run, before: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    # given files of every bad kind
    text = _lines(tmp_path / "good.jsonl", measured(0.05)).read_text()
    samples = '"samples_s":[0.05,'
    assert samples in text
    files = {
        "empty": "",
        "nan": text.replace(samples, '"samples_s":[NaN,'),
        "negative": text.replace(samples, '"samples_s":[-1,'),
        "newer": text.replace(f'"schema_version":{SCHEMA_VERSION}', '"schema_version":99'),
        "huge": text.replace('"cases":1', f'"cases":{2**63}'),
        "digits": text.replace('"cases":1', f'"cases":{"1" * 5000}'),
        "small": text.replace('"cases":1', f'"cases":{-(2**63) - 1}'),
        "apart": measured(case=a_case(size=4096)).to_json() + "\n",
    }
    for name, content in files.items():
        (tmp_path / f"{name}.jsonl").write_text(content)
    (tmp_path / "folder").mkdir()
    places = {name: tmp_path / f"{name}.jsonl" for name in files} | {
        "before": before, "missing": tmp_path / "missing.jsonl", "folder": tmp_path / "folder"
    }  # fmt: skip
    # when they are compared
    code, out, err = bench(*(argument.format(**places) for argument in arguments))
    # then it is an error in words
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


def test_an_unknown_format_is_exit_code_2(bench: Run, before: Path) -> None:
    assert bench(before, before, "--format", "yaml")[0] == 2


def test_versions_of_the_schema_mix(bench: Run, tmp_path: Path) -> None:
    new = _lines(tmp_path / "new.jsonl", measured(0.05))
    old = tmp_path / "old.jsonl"
    old.write_text(new.read_text().replace(f'"schema_version":{SCHEMA_VERSION}', '"schema_version":1'))
    code, out, _ = bench(old, new)
    assert code == 0
    assert "too few samples" in out


@pytest.mark.parametrize(("base", "head"), [((0.05,), (0.06,)), ((0.05,) * 9, (0.05,) * 9), ((0.0,) * 9, (0.05,) * 9)])
def test_one_sample_equal_samples_and_zeros_have_an_answer(
    bench: Run, tmp_path: Path, base: tuple[float, ...], head: tuple[float, ...]
) -> None:
    files = []
    for name, samples in (("base", base), ("head", head)):
        timing = Timing(clock="perf_counter", median_s=samples[0], samples_s=samples)
        files.append(_lines(tmp_path / f"{name}.jsonl", a_record(timing=timing)))
    for form in ("terminal", "markdown", "json"):
        code, out, _ = bench(*files, "--format", form)
        assert code == 0
        assert "nan" not in out.lower()
