"""The command line in-process: the docs' tables from file to file, reports, and errors as one paragraph."""

from __future__ import annotations

import gc
import json
import os
import shutil
from pathlib import Path

import pytest
from factories import a_case, measured, write_lines

from bench import cli
from bench.cli import main
from bench.record import SCHEMA_VERSION

GOLDEN = Path(__file__).parents[1] / "golden"
TABLES = GOLDEN / "vae_encode_tables.md"
DECODE_TABLES = GOLDEN / "vae_decode_tables.md"
PUBLISHED = Path(__file__).parents[2] / "results" / "published"


@pytest.mark.parametrize("page", ["vae_encode_tables.md", "seed_vae_encode.md"])
def test_a_page_imported_and_rendered_is_the_docs_own_bytes(
    page: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.jsonl"
    assert main(["docs", "import", str(GOLDEN / page), "--out", str(out), "--quiet"]) == 0
    assert main(["docs", "render", str(out), "--operation", "encode"]) == 0
    assert capsys.readouterr().out == TABLES.read_text()


def test_the_decode_page_imported_and_rendered_is_the_docs_own_bytes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.jsonl"
    arguments = ["docs", "import", str(DECODE_TABLES), "--operation", "decode", "--out", str(out), "--quiet"]
    assert main(arguments) == 0
    assert main(["docs", "render", str(out), "--operation", "decode"]) == 0
    assert capsys.readouterr().out == DECODE_TABLES.read_text()


@pytest.mark.parametrize(("operation", "page"), [("encode", TABLES), ("decode", DECODE_TABLES)])
def test_the_committed_published_results_are_the_docs_tables(
    operation: str, page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["docs", "render", str(PUBLISHED), "--operation", operation]) == 0
    assert capsys.readouterr().out == page.read_text()
    assert main(["docs", "check", str(page), str(PUBLISHED), "--operation", operation]) == 0


def test_the_encode_tables_in_the_decode_dialect_import_to_the_same_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["docs", "render", str(PUBLISHED), "--operation", "encode", "--dialect", "decode"]) == 0
    page = tmp_path / "page.md"
    page.write_text(capsys.readouterr().out)
    out = tmp_path / "out.jsonl"
    assert main(["docs", "import", str(page), "--operation", "encode", "--out", str(out), "--quiet"]) == 0
    assert main(["docs", "render", str(out), "--operation", "encode", "--dialect", "decode"]) == 0
    assert capsys.readouterr().out == page.read_text()


def test_the_docs_tables_of_predicted_records_are_refused_as_predicted(capsys: pytest.CaptureFixture[str]) -> None:
    # Given a file that has only predicted records
    predicted = PUBLISHED.parent / "predicted" / "docs.jsonl"
    # When / then
    assert main(["docs", "render", str(predicted), "--operation", "encode"]) == 2
    error = capsys.readouterr().err
    assert "predicted" in error
    assert "bench predict --format docs" in error


def test_check_passes_a_page_that_says_the_same_and_fails_another_with_a_diff(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(PUBLISHED), "--operation", "encode"]
    assert main(["docs", "check", str(GOLDEN / "seed_vae_encode.md"), *arguments]) == 0
    other = tmp_path / "vae_encode.md"
    other.write_text(TABLES.read_text().replace("0.402", "0.403"))
    assert main(["docs", "check", str(other), *arguments]) == 1
    shown = capsys.readouterr()
    assert "0.403" in shown.out
    assert "differ" in shown.err


def test_report_writes_both_pages(tmp_path: Path) -> None:
    out = tmp_path / "reports"
    assert main(["report", str(PUBLISHED), "--out", str(out), "--quiet"]) == 0
    assert "| published " in (out / "vae_encode.md").read_text()
    assert "| published " in (out / "vae_decode.md").read_text()


def test_report_says_which_operation_has_no_results(tmp_path: Path) -> None:
    out = tmp_path / "reports"
    assert main(["report", str(PUBLISHED / "vae_encode.jsonl"), "--out", str(out), "--quiet"]) == 0
    assert "no results of VAE decode" in (out / "vae_decode.md").read_text()


def test_report_warns_of_a_torn_line_and_shows_the_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_lines(tmp_path / "a.jsonl", [measured()], tail=b'{"schema_ver')
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "r")]) == 0
    assert "torn" in capsys.readouterr().err
    assert "| measured |" in (tmp_path / "r" / "vae_encode.md").read_text()


def test_two_cases_for_one_cell_of_the_docs_are_an_error_that_names_both(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_lines(tmp_path / "a.jsonl", [measured(case=a_case(dtype=dtype)) for dtype in ("float32", "bfloat16")])
    assert main(["docs", "render", str(path), "--operation", "encode"]) == 2
    said = capsys.readouterr().err
    assert "float32" in said
    assert "bfloat16" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["report", "nowhere"], "nowhere"),
        (["docs", "import", "nowhere.md", "--out", "x.jsonl"], "nowhere.md"),
        (["docs", "render", "nowhere", "--operation", "encode"], "nowhere"),
        (["docs", "render", str(PUBLISHED), "--operation", "enode"], "Did you mean 'encode'"),
        (["docs", "render", str(PUBLISHED / "vae_encode.jsonl"), "--operation", "decode"], "decode"),
        (["run", "docs", "--resolution", "513"], "multiple of 8"),
        (["run", "smoke", "--vram-limit", "lots"], "--vram-limit: 'lots' is not an amount of memory"),
        (["run", "smoke", "--vram-limit", "8"], "Did you mean 8GiB"),
        (["report", "x" * 300], "File name too long"),
        (["run", "smoke", "--model", "sdlx"], "Did you mean 'sdxl'"),
        (["run", "smoke", "--model", "sd-v1,sdxl"], "--model sd-v1 --model sdxl"),
        (["predict", "--model", "sdlx"], "Did you mean 'sdxl'"),
        (["remote", "--loopback", "--model", "sdlx"], "Did you mean 'sdxl'"),
        (["profile", "--model", "sdlx"], "Did you mean 'sdxl'"),
        (["advise", "--model", "sd-v1,sdxl"], "--model sd-v1 --model sdxl"),
        (["run", "nothing.yaml"], "no sweep"),
        (["run", "smoke", "--set", "repeat=3"], "Did you mean 'repeats'"),
        (["run", "smoke", "--set", "models=tinny"], "Did you mean 'tiny'"),
    ],
)
def test_bad_input_is_one_paragraph_and_exit_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert shown.splitlines()[-1].startswith("error: ")  # after a notice, where it took a while


def test_an_import_never_writes_over_measurements(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = write_lines(tmp_path / "mine.jsonl", [measured()])
    before = mine.read_bytes()
    assert main(["docs", "import", str(TABLES), "--out", str(mine)]) == 2
    assert mine.read_bytes() == before
    assert "not published records" in capsys.readouterr().err


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_lines(tmp_path / "a.jsonl", [measured()])
    path.write_text(path.read_text().replace(f'"schema_version":{SCHEMA_VERSION}', '"schema_version":99'))
    kept = shutil.copy(path, tmp_path / "copy")
    assert main(["report", str(path), "--out", str(tmp_path / "r")]) == 2
    assert "schema version 99" in capsys.readouterr().err
    assert path.read_bytes() == Path(kept).read_bytes()


def test_version_and_help_end_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert main(["--help"]) == 0
    assert "run" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "smoke", "--" + "x" * 10_000],
        ["profile", "--batch", "9" * 10_000],
        ["advise", "--batch", "9" * 4_000],
        ["cost", "--volume", "z" * 10_000],
        ["y" * 10_000],
        ["docs", "y" * 10_000],
        ["run", "smoke", *("argument" for _ in range(2_000))],
        ["predict", "--format", "f" * 10_000],
    ],
    ids=lambda arguments: f"{arguments[0][:8]} {arguments[-1][:8]}",
)
def test_a_usage_error_repeats_little_of_what_was_typed(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr().err
    assert "Error" in shown
    assert len(shown) < 4_000


def test_a_usage_error_escapes_what_a_terminal_would_act_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "smoke", "--\x1b[31mred"]) == 2
    assert "\x1b[31m" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [["compare", "PIPE", "PIPE"], ["report", "PIPE"], ["docs", "import", "PIPE", "--out", "x.jsonl"]],
    ids=lambda arguments: arguments[0],
)
def test_a_named_pipe_is_refused_before_it_is_waited_for(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = tmp_path / "results.jsonl"
    os.mkfifo(pipe)
    assert main([argument.replace("PIPE", str(pipe)) for argument in arguments]) == 2
    assert str(pipe) in capsys.readouterr().err


def test_results_of_a_shells_own_pipe_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # given what `<(cat file)` is: a pipe that somebody has written to
    reader, writer = os.pipe()
    os.write(writer, write_lines(tmp_path / "results.jsonl", [measured()]).read_bytes())
    os.close(writer)
    # then it is as good as a file
    assert main(["report", f"/dev/fd/{reader}", "--out", str(tmp_path / "reports"), "--quiet"]) == 0
    os.close(reader)


@pytest.mark.parametrize("command", [["run"], ["remote", "--loopback"]])
def test_a_set_value_has_to_suit_only_the_models_that_are_chosen(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # given a sweep of two models, one of which can't have 17 frames
    path = tmp_path / "mine.yaml"
    path.write_text("models: [tiny-wan, tiny-mochi]\nresolutions: 64\n")
    chosen = [*command, str(path), "--dry-run", "--json", "--set", "frames=17"]
    # then it is refused for both, and planned for the other
    assert main(chosen) == 2
    assert "tiny-mochi takes 6k + 1 frames" in capsys.readouterr().err
    assert main([*chosen, "--model", "tiny-wan"]) == 0
    assert {case["frames"] for case in json.loads(capsys.readouterr().out)["cases"]} == {17}
    # and frames that the chosen model can't have are still refused
    assert main([*chosen, "--set", "frames=18", "--model", "tiny-wan"]) == 2
    assert "tiny-wan takes 4k + 1 frames: try 17 or 21" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["run", "smoke", "--dry-run"], ["doctor"], ["calibrate"]])
@pytest.mark.parametrize("device", ["gpu", "cuda:x", "mps"])
def test_a_device_that_does_not_exist_is_wrong_usage(
    command: list[str], device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--device", device]) == 2
    assert "--device" in capsys.readouterr().err


def test_several_errors_of_a_file_are_a_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("models: sdx\nresolutions: 64\nrepeat: 5\n")

    assert main(["run", str(path), "--dry-run"]) == 2

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("error: ")
    assert lines[1].startswith(f"  {path}")


def test_a_value_that_an_option_does_not_have_is_said_without_pydantic_s_prefix(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["predict", "--format", "xml"]) == 2
    said = capsys.readouterr().err
    assert "'xml'" in said
    assert "Value error" not in said


@pytest.mark.parametrize(("arguments", "code"), [(["cost", "TORN", "--quiet"], 0), (["cost", "missing"], 2)])
@pytest.mark.parametrize("is_open_at_first", [True, False])
def test_a_reader_that_closes_standard_error_does_not_change_the_exit_code(
    arguments: list[str], code: int, is_open_at_first: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given results with a warning, and a standard error that nobody reads, or that was closed from the start
    monkeypatch.chdir(tmp_path)
    results = tmp_path / "results.jsonl"
    write_lines(results, [measured()])
    with results.open("a") as file:
        file.write("{torn")
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as unread:
        monkeypatch.setattr("sys.stderr", unread if is_open_at_first else None)

        # when a command warns or fails, then it ends as if somebody had read that
        assert main([argument.replace("TORN", str(results)) for argument in arguments]) == code


@pytest.mark.parametrize(("name", "collects"), [("predict", False), ("advise", False), ("serve", True), ("run", True)])
def test_brief_commands_alone_pause_the_garbage_collector_until_they_end(
    name: str, collects: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    monkeypatch.setattr(cli, "app_for", lambda _arguments: lambda _again: seen.append(gc.isenabled()))
    assert main([name]) == 0
    assert seen == [collects]
    assert gc.isenabled()
