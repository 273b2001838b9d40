"""A comparison on a terminal, in markdown and as JSON: golden files, and what must hold whatever is compared."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence

import pytest
from factories import GIB, a_case, a_record, a_run, measured, out_of_memory
from rich.console import Console

from bench.compare import Comparison, Request, compare, request
from bench.compare.sides import side
from bench.record import Failed, Memory, Record, Timing
from bench.report import comparison as report
from bench.report.comparison_json import to_json

MIB = 2**20


def _case_record(size: int, run: str, centre_s: float, reserved: int, count: int = 8) -> Record:
    """`count` samples that lie within 1% around a centre, and a peak."""
    samples = tuple(centre_s * (1 + (n - count / 2) / (100 * count)) for n in range(count))
    return a_record(
        case=a_case(size=size),
        run=a_run(id=run, cases=5),
        timing=Timing(clock="cuda_event", median_s=centre_s, samples_s=samples),
        memory=Memory(peak_allocated_bytes=reserved - 7 * MIB, peak_reserved_bytes=reserved),
    )


def _every_kind(asked: Request | None = None) -> Comparison:
    """Worse, better, unchanged, too few samples, newly out of memory, on one side only; and gates."""
    base = [
        _case_record(64, "before", 0.05, GIB),
        _case_record(128, "before", 0.2, 2 * GIB),
        _case_record(256, "before", 0.8, 3 * GIB),
        _case_record(512, "before", 3.1, 4 * GIB, count=3),
        measured(case=a_case(size=1024), run=a_run(id="before", cases=5)),
    ]
    head = [
        _case_record(64, "after", 0.055, GIB),
        _case_record(128, "after", 0.18, 2 * GIB + 64 * MIB),
        _case_record(256, "after", 0.801, 3 * GIB),
        _case_record(512, "after", 3.2, 4 * GIB, count=3),
        out_of_memory(case=a_case(size=1024), run=a_run(id="after", cases=5)),
        measured(case=a_case(size=2048), run=a_run(id="after", cases=5)),
    ]
    asked = asked or request(fail_on=["time>5%", "peak_reserved>9%"])
    return compare(side("base", [("base.jsonl", base)]), side("head", [("head.jsonl", head)]), asked)


def _one(base: Sequence[Record], head: Sequence[Record]) -> Comparison:
    return compare(side("base", [("base.jsonl", base)]), side("head", [("head.jsonl", head)]), Request())


def _terminal(comparison: Comparison, width: int = 100) -> str:
    text = io.StringIO()
    report.print_terminal(comparison, Console(file=text, width=width, force_terminal=False))
    return "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())


def test_the_terminal_report_is_the_golden_one(golden: Callable[[str, str], None]) -> None:
    golden("compare.txt", _terminal(_every_kind()))


def test_the_markdown_report_is_the_golden_one(golden: Callable[[str, str], None]) -> None:
    golden("compare.md", report.to_markdown(_every_kind()))


def test_the_json_report_is_the_golden_one(golden: Callable[[str, str], None]) -> None:
    golden("compare.json", json.dumps(to_json(_every_kind()), indent=2, allow_nan=False) + "\n")


def test_the_headline_counts_each_case_once() -> None:
    assert report.headline(_every_kind()) == (
        "2 worse, 0 better, 1 mixed, 1 unchanged, 1 with too few samples or runs (5 cases)"
    )


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_narrow_terminal_folds_case_names_and_cuts_nothing(width: int) -> None:
    # given a case with a long name
    long = a_case(size=1024, tiling={"tile": 512, "overlap": 128}, batch=16, variant="channels-last-compiled")
    text = _terminal(_one([measured(case=long)], [measured(case=long)]), width)
    # then all of its words are there, and no ellipsis
    assert "…" not in text
    column = "".join(line[:45].split("  ")[0].strip() for line in text.splitlines())
    assert long.label.replace(" ", "")[:20] in column.replace(" ", "")
    assert "too few samples" in text


def test_markdown_takes_no_markup_from_a_file() -> None:
    # given an exception whose message is markup over several lines
    nasty = a_record(outcome=Failed(exception="ValueError", message="<script>|\n`x`", phase="run"))
    text = report.to_markdown(_one([measured()], [nasty]))
    # then it is text in one cell
    assert "<script>" not in text
    assert "&lt;script&gt;\\| 'x'" in text


def test_one_run_a_side_is_a_warning_to_the_reader() -> None:
    runs = [measured(run=a_run(id=f"run-{n}")) for n in range(2)]
    assert "There is one run a side" in report.to_markdown(_one(runs[:1], runs[:1]))
    assert "There is one run a side" not in report.to_markdown(_one(runs, runs))


def test_json_has_null_for_what_there_is_not() -> None:
    # given a change from zero, with one sample a side
    row = to_json(_one([measured(0.0)], [measured(0.05)]))
    text = json.dumps(row, allow_nan=False)
    assert '"change": null, "interval": null, "test": null, "p": null' in text
