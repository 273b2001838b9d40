"""`bench hybrid` and `bench cost`: what they write, what they say, and how they refuse."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from endpoint_records import endpoint_records
from factories import a_case, a_device, published, write_lines

from bench import config
from bench.cli import main

PUBLISHED = Path(__file__).parents[3] / "results" / "published"
CARDS = ("NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 3070")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two of the docs' cards at two sizes."""
    records = [
        published(
            0.015 * (n + 1) * (size / 512) ** 2,
            device=a_device(name=name, total_bytes=None),
            case=a_case(model="sd-v1", size=size, dtype="float16"),
        )
        for n, name in enumerate(CARDS)
        for size in (512, 1024)
    ]
    return write_lines(tmp_path / "published" / "docs.jsonl", records)


@pytest.mark.parametrize(("command", "page"), [("hybrid", "hybrid"), ("cost", "cost")])
def test_published_rows_and_a_loopback_endpoint_are_enough_and_torch_is_not_loaded(
    tmp_path: Path, command: str, page: str
) -> None:
    # Given the docs' rows, an endpoint on loopback, and a process that can't import torch
    loopback = write_lines(tmp_path / "loopback.jsonl", endpoint_records())
    arguments = [command, str(PUBLISHED), str(loopback), "--out", str(tmp_path / "reports")]
    blocked = "import sys; sys.modules['torch'] = sys.modules['diffusers'] = sys.modules['pynvml'] = None\n"
    code = f"{blocked}from bench.cli import main; sys.exit(main({arguments!r}))"
    # When the command runs
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    # Then page and plot are there, and the page shows the plot
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "reports").iterdir()} == {f"{page}.md", f"{page}.png"}
    assert f"]({page}.png)" in (tmp_path / "reports" / f"{page}.md").read_text()
    assert f"Wrote {tmp_path / 'reports' / page}.md" in done.stdout


def test_hybrid_says_which_way_is_the_quickest(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["hybrid", str(results), "-o", str(tmp_path), "--gpu", "3070"]) == 0
    said = capsys.readouterr().out
    assert "SD v1.5 encode on NVIDIA GeForce RTX 3070: untiled (published) at 512x512, 1024x1024" in said
    assert "on NVIDIA GeForce RTX 4090" not in said


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that the command runs in."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    "options",
    [
        ["hybrid", "--json", "--network", "4g", "--network", "fibre"],
        ["hybrid", "--json"],
        ["cost", "--json", "--volume", "50"],
        ["cost", "--json"],
        ["hybrid", "--gpu", "3070"],
        ["hybrid", "--model", "sd-v1"],
        ["hybrid", "--operation", "encode"],
        ["hybrid", "--resolution", "1024"],
        ["hybrid", "--network", "cable"],
        ["hybrid", "--server", "3070"],
        ["hybrid", "--transport", "pt"],
        ["cost", "--gpu", "3070"],
        ["cost", "--resolution", "1024"],
        ["cost", "--volume", "50"],
    ],
    ids=" ".join,
)
def test_a_choice_and_json_are_printed_and_written_only_to_out(
    results: Path, here: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    command, *given = options
    # When a choice is made, then nothing is written
    assert main([command, str(results), *given]) == 0
    told = capsys.readouterr().out
    assert told
    assert list(here.iterdir()) == []
    # but to the folder that is named, beside what is printed
    assert main([command, str(results), *given, "-o", "mine"]) == 0
    assert (here / "mine" / f"{command}.md").exists()
    again = capsys.readouterr().out
    assert again.startswith(told)
    if "--json" in given:
        assert json.loads(again) == json.loads(told)


@pytest.mark.parametrize("command", ["hybrid", "cost"])
def test_without_a_choice_the_page_is_written_to_reports(results: Path, here: Path, command: str) -> None:
    assert main([command, str(results), "--quiet"]) == 0
    assert (here / "reports" / f"{command}.md").exists()


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_figures_of_a_choice_are_printed_with_times_and_memory(
    tmp_path: Path, columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given the docs' rows, and a terminal of so many columns
    monkeypatch.setattr("bench.report.render.terminal._PIPED_WIDTH", columns)
    options = [str(PUBLISHED), "--gpu", "3070", "--model", "sdxl", "--operation", "encode"]
    assert main(["hybrid", *options]) == 0
    told = " ".join(capsys.readouterr().out.split())
    # Then time and memory of the card are there, out of memory too, and the simulated remote time
    for figure in ("443 ms", "55.78%", "2.67 s", "OOM", "remote", "simulated"):
        assert figure in told
    assert main(["cost", *options, "--resolution", "1024"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    for figure in ("443 ms†", "55.78%†", "J§", "100/h", "aws-l40s"):
        assert figure in told


@pytest.mark.parametrize("command", ["hybrid", "cost"])
def test_a_choice_that_the_results_lack_is_told_with_what_to_run(
    results: Path, here: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--model", "sd-v1", "--operation", "decode", "--resolution", "1920x1080"]
    assert main([command, str(results), *options]) == 0
    told = capsys.readouterr().out
    assert "SD v1.5 decode 1920x1080" in told
    assert f"`bench run {' '.join(options)}`" in told
    assert f"`bench advise --gpu NAME {' '.join(options)}`" in told
    assert "─" not in told  # no table
    assert list(here.iterdir()) == []


def test_quiet_prints_nothing(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hybrid", str(results), "-o", str(tmp_path), "--quiet"]) == 0
    assert main(["cost", str(results), "-o", str(tmp_path), "--quiet"]) == 0
    assert capsys.readouterr().out == ""


def test_only_what_was_asked_for_is_on_the_page_and_all_of_that(results: Path, tmp_path: Path) -> None:
    options = ["--model", "sd-v1", "--operation", "encode", "--resolution", "1024", "--transport", "pt"]
    assert main(["hybrid", str(results), "-o", str(tmp_path), *options, "--quiet"]) == 0
    text = (tmp_path / "hybrid.md").read_text()
    assert "1024x1024" in text
    assert "512x512" not in text
    assert "6.29 MB" in text  # a detail, which the page of everything leaves out
    assert main(["hybrid", str(results), "-o", str(tmp_path), "--quiet"]) == 0
    assert " MB" not in (tmp_path / "hybrid.md").read_text()


@pytest.mark.parametrize("given", [["png", "jpg"], ["jpg", "png"], ["pt", "jpg"], ["pt", "pt-partial"]])
def test_each_operation_can_have_a_transport_of_its_own(
    results: Path, given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    options = [part for name in given for part in ("--transport", name)]
    assert main(["hybrid", str(results), "--json", *options]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {way["service"]["transport"] for way in told["remote"]} <= set(given)


def test_a_model_without_figures_is_a_gap_and_no_error(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["hybrid", str(results), "-o", str(tmp_path), "--model", "flux"]) == 0
    assert "neither local nor remote: Flux encode, Flux decode" in capsys.readouterr().out


def edited(tmp_path: Path, name: str, old: str, new: str) -> str:
    """A copy of a shipped file with one thing changed."""
    shipped = Path(config.__file__).parents[2] / "configs" / f"{name}.yaml"
    text = shipped.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / f"{name}.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["hybrid", "--network", "fiber"], "Did you mean 'fibre'?"),
        (["hybrid", "--server", "RTX 5090"], "Known: "),
        (["hybrid", "--gpu", "RTX"], "--gpu RTX: "),
        (["hybrid", "--transport", "gif"], "--transport: unknown transport 'gif'."),
        (["hybrid", "--transport", "jpg", "--operation", "encode"], "--transport jpg: encode "),
        (["hybrid", "--transport", "pt", "--transport", "png"], " png and pt"),
        (["hybrid", "--gpu", "H200"], "`bench advise --gpu NAME`"),
        (["cost", "--gpu", "H200"], "`bench run`"),
        (["hybrid", "--model", "sd-v9"], "--model: unknown model 'sd-v9'. Did you mean 'sd-v1'?"),
        (["hybrid", "--operation", "encod"], "Did you mean 'encode'?"),
        (["hybrid", "--resolution", "513"], "--resolution: width 513 px is not a multiple of 8"),
        (["cost", "--volume", "-5"], "--volume -5: give images per hour, more than 0"),
        (["cost", "--volume", "0"], "--volume 0: give images per hour, more than 0"),
        (["cost", "--prices", "nowhere.yaml"], "nowhere.yaml: No such file"),
    ],
)
def test_what_can_t_be_done_is_refused_with_exit_code_2(
    results: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *options = arguments
    assert main([command, str(results), *options]) == 2
    assert said in capsys.readouterr().err


def test_a_file_of_the_user_s_own_that_is_wrong_is_refused(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    no_rate = edited(tmp_path, "networks", "down_mbit_s: 171", "down_mbit_s: 0")
    assert main(["hybrid", str(results), "--networks", no_rate]) == 2
    assert "key `networks.fibre.down_mbit_s`: must be at least 0.001" in capsys.readouterr().err
    no_unit = edited(tmp_path, "prices", "  unit: USD/kWh\n", "")
    assert main(["cost", str(results), "--prices", no_unit]) == 2
    assert "`electricity.unit` is missing" in capsys.readouterr().err


def test_a_file_of_networks_or_prices_is_no_sweep(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "networks", "--dry-run"]) == 2
    assert "'networks'" in capsys.readouterr().err
