"""`bench latents` from the command line: predicted without a device, measured by a stand-in, and its page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from factories import a_case, measured, out_of_memory, write_lines
from processes import STANDIN_BENCH, bench

from bench.cli import main
from bench.report.pages import training_page

SDXL = ("latents", "--model", "sdxl", "--resolution", "1024")


def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    result = json.loads(capsys.readouterr().out)
    assert isinstance(result, dict)
    return result


def test_a_dry_run_predicts_for_a_card_and_a_data_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SDXL, "--gpu", "4090", "--dry-run", "--dataset", "10000", "--json"]) == 0
    result = printed(capsys)
    largest = result["largest_batch"]
    assert isinstance(largest, dict)
    assert largest["predicted"] > 1
    assert largest["measured"] is None
    assert result["data_set"] == {"images": 10000, "seconds": None, "latent_bytes": 10000 * 4 * 128 * 128 * 4}


def test_what_does_not_fit_is_said_without_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SDXL, "--vram-limit", "1GiB", "--dry-run"]) == 0
    assert "4.51 GiB" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--dry-run"], "--gpu"),
        (["--gpu", "4090"], "--dry-run"),
        (["--dry-run", "--gpu", "4090", "--dtype", "float8"], "--dtype"),
        (["--dry-run", "--gpu", "9999"], "--gpu"),
    ],
)
def test_wrong_options_are_refused(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SDXL, *words]) == 2
    assert says in capsys.readouterr().err


def test_batches_are_measured_once_and_kept(tmp_path: Path) -> None:
    # Given a worker that pretends 10 ms for every case
    words = ("latents", "--model", "tiny", "--resolution", "64", "--most", "5", "--device", "cpu", "--json")
    done = bench(*words, "--dataset", "1000", cwd=tmp_path, command=STANDIN_BENCH)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert [each["batch"] for each in result["batches"]] == [1, 2, 4, 5]
    assert [each["images_per_s"] for each in result["batches"]] == pytest.approx([100, 200, 400, 500])
    assert (result["largest_batch"]["measured"], result["fastest_batch"]) == (5, 5)
    assert result["data_set"]["seconds"] == pytest.approx(2)
    (file,) = tmp_path.rglob("*-latents.jsonl")
    assert len(file.read_text().splitlines()) == 4


def test_the_page_has_a_curve_for_each_encode_in_several_batches(tmp_path: Path) -> None:
    curve = [measured(0.1 * batch**0.5, case=a_case(batch=batch)) for batch in (1, 4)]
    records = [*curve, out_of_memory(case=a_case(batch=8)), measured(case=a_case(size=96))]
    write_lines(tmp_path / "results" / "run.jsonl", records)
    assert main(["report", str(tmp_path / "results"), "--out", str(tmp_path / "reports"), "--quiet"]) == 0
    text = (tmp_path / "reports" / "training.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("|") and "--:" not in line]
    assert len(rows) == 1 + 3
    (heading,) = (line for line in text.splitlines() if line.startswith("## ") and "encode" in line)
    assert f", {curve[0].case.dtype}, on " in heading
    assert "20" in rows[2]
    assert "OOM" in rows[3]
    assert "96x96" not in text
    assert "10,000 images take 8 min 20 s" in text


def test_without_several_batches_there_is_no_page() -> None:
    assert training_page.page([measured(), measured(case=a_case(operation="decode", batch=2))]) is None
