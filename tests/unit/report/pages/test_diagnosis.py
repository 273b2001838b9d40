"""What `bench doctor` shows of its findings, on a terminal and as JSON."""

from __future__ import annotations

import io
import json

import pytest
from machines import cpu_machine, gpu_machine
from rich.console import Console

from bench.doctor import Facts, Finding, examine
from bench.record import Ceiling
from bench.report.pages import diagnosis
from bench.report.render import console

OK = Finding(level="ok", subject="machine", said="a machine")
NOTE = Finding(level="note", subject="device", said="the CPU [1] is measured", remedy="get a GPU")
WARNING = Finding(level="warning", subject="load", said="busy", remedy="stop it")
PROBLEM = Finding(level="problem", subject="results", said="no room", remedy="make room")


def shown(*findings: Finding, width: int = 80, quiet: bool = False) -> list[str]:
    """The lines on a terminal of that width, without the blanks at their ends."""
    terminal = Console(file=io.StringIO(), width=width)
    console.draw(diagnosis.document(findings, diagnosis.verdict(findings), quiet=quiet))(terminal)
    return [line.rstrip() for line in terminal.file.getvalue().splitlines()]


def test_each_finding_is_a_row_with_its_remedy_under_it_and_the_verdict_last() -> None:
    *rows, verdict = shown(OK, NOTE, WARNING)
    assert rows == [
        "ok       machine  a machine",
        "note     device   the CPU [1] is measured",
        "                  -> get a GPU",
        "warning  load     busy",
        "                  -> stop it",
        "",
    ]
    assert "(1 warning, 1 note)" in verdict


def test_quiet_shows_warnings_and_problems_alone() -> None:
    assert shown(OK, NOTE, WARNING, PROBLEM, quiet=True) == [
        "warning  load     busy",
        "                  -> stop it",
        "problem  results  no room",
        "                  -> make room",
    ]
    assert shown(OK, NOTE, quiet=True) == []


@pytest.mark.parametrize(
    ("findings", "is_sound", "counts"),
    [((OK,), True, ""), ((NOTE, NOTE), True, "(2 notes)"), ((PROBLEM, WARNING), False, "(1 problem, 1 warning)")],
)
def test_the_verdict_counts_what_was_found(findings: tuple[Finding, ...], is_sound: bool, counts: str) -> None:
    verdict = diagnosis.verdict(findings)
    assert (" not " in verdict) != is_sound
    assert counts in verdict
    assert ("(" in verdict) == bool(counts)


def test_the_verdict_on_the_client_depends_on_the_worst_finding() -> None:
    verdicts = [diagnosis.client_verdict((OK, worst)) for worst in (NOTE, WARNING, PROBLEM)]
    assert ["1 note" in verdicts[0], "1 warning" in verdicts[1], "1 problem" in verdicts[2]] == [True] * 3
    assert len({verdict.partition(" (")[0] for verdict in verdicts}) == 3
    assert "remedy" in verdicts[1]


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("machine", [cpu_machine(), gpu_machine()])
def test_nothing_is_cut_off_however_narrow_the_terminal(machine: Facts, width: int) -> None:
    findings = examine(machine)
    lines = shown(*findings, width=width)
    words = " ".join(lines).split()
    assert all(word in words for finding in findings for word in finding.said.split() if len(word) < 30)


def test_json_has_the_facts_the_findings_and_the_verdict() -> None:
    facts = gpu_machine()
    said = json.loads(json.dumps(diagnosis.to_json(facts, (OK, PROBLEM))))
    assert said["sound"] is False
    assert said["findings"][1] == {"level": "problem", "subject": "results", "said": "no room", "remedy": "make room"}
    assert Facts.model_validate(said["facts"]) == facts


def test_a_ceiling_is_one_line_with_its_unit() -> None:
    product = Ceiling(
        what="matmul", dtype="float16", size=8192, median_s=0.00165, samples_s=(0.00165,) * 300, per_second=6.66e14
    )
    copy = Ceiling(what="copy", dtype="float32", size=2**30, median_s=0.001, samples_s=(0.001,) * 10, per_second=2.1e12)
    assert diagnosis.ceiling_line(product) == (
        "matmul float16      666 TFLOP/s   8192 x 8192, median of 300 calls 1.65 ms"
    )
    assert diagnosis.ceiling_line(copy) == (
        "copy                 2,100 GB/s   1.00 GiB read and written, median of 10 calls 1 ms"
    )
