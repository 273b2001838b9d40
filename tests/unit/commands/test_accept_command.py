"""`bench accept`: exit codes, output, and what it never loads."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
import record_edits
from sent_bundles import bundled, records_of

from bench.cli import main


@pytest.fixture
def good(tmp_path: Path) -> str:
    return str(bundled(tmp_path / "good", records_of()).path)


@pytest.fixture
def edited(tmp_path: Path) -> str:
    records = record_edits.times_of_a_case(records_of(), random.Random(0))
    return str(bundled(tmp_path / "edited", records).path)


def test_an_accepted_bundle_ends_with_0_and_is_added(
    good: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results"
    assert main(["accept", good, "--out", str(out)]) == 0
    assert str(out) in capsys.readouterr().out
    assert len(list(out.rglob("*.jsonl"))) == 1


def test_of_several_bundles_the_good_ones_are_added_and_the_worst_decides(
    good: str, edited: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results"
    assert main(["accept", edited, good, "--out", str(out), "--json"]) == 1
    verdicts = [answer["judgement"]["verdict"] for answer in json.loads(capsys.readouterr().out)]
    assert verdicts == ["refused", "accepted"]
    assert main(["accept", str(tmp_path / "none.tar.gz"), edited, "--out", str(out)]) == 2


def test_each_finding_names_figure_bound_and_source(
    edited: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["accept", edited, "--out", str(tmp_path / "results"), "--json"]) == 1
    (answer,) = json.loads(capsys.readouterr().out)
    findings = answer["judgement"]["findings"]
    assert findings[0]["severity"] == "refused"
    assert all(all(finding[name] for name in ("where", "figure", "bound", "source")) for finding in findings)
    assert answer["added"] is None


def test_quiet_prints_only_what_refuses(
    good: str, edited: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["accept", good, "--out", str(tmp_path / "results"), "--quiet"]) == 0
    assert capsys.readouterr().out.strip() == ""
    assert main(["accept", edited, "--out", str(tmp_path / "results"), "--quiet"]) == 1
    assert "clock" in capsys.readouterr().out


def test_a_dry_run_adds_nothing(good: str, tmp_path: Path) -> None:
    assert main(["accept", good, "--out", str(tmp_path / "results"), "--dry-run"]) == 0
    assert not (tmp_path / "results").exists()


def test_a_digest_is_of_one_bundle(good: str, edited: str, tmp_path: Path) -> None:
    assert main(["accept", good, edited, "--digest", "0" * 64, "--out", str(tmp_path / "results")]) == 2


def test_the_output_fits_80_columns(
    edited: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    main(["accept", edited, "--out", str(tmp_path / "results")])
    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert [line for line in lines if len(line) > 80 and str(tmp_path) not in line] == []


def test_torch_is_never_loaded(good: str, tmp_path: Path) -> None:
    blocked = "; ".join(f"sys.modules[{name!r}] = None" for name in ("torch", "diffusers", "transformers", "scipy"))
    arguments = ["accept", good, "--out", str(tmp_path / "results")]
    code = f"import sys; {blocked}; from bench.cli import main; sys.exit(main({arguments!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
