"""A comparison on a terminal, in markdown and as JSON: golden files, and what must hold whatever is compared."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from factories import GIB, a_case, a_record, a_run, measured, out_of_memory, rewritten
from rich.console import Console

from bench.analysis.compare import Comparison, Request, compare, request
from bench.analysis.compare.sides import side
from bench.core.units import format_change, format_relative
from bench.record import Failed, Memory, Record, Timing
from bench.report.pages import compare_page
from bench.report.pages.compare_figures import ComparisonFigures
from bench.report.render import console, json_text, markdown
from bench.workloads.labels import label_of

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


def _terminal(comparison: Comparison, width: int = 100, *, wraps: bool = False) -> str:
    text = io.StringIO()
    terminal = Console(file=text, width=width, force_terminal=wraps, color_system=None)
    console.draw(compare_page.terminal(comparison))(terminal)
    return "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())


def _markdown(comparison: Comparison) -> str:
    return markdown.render(compare_page.page(comparison))


def _fields(comparison: Comparison) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(json_text.render(ComparisonFigures.model_validate(comparison)))
    return fields


def test_the_terminal_report_is_the_golden_one(golden: Callable[[str, str], None]) -> None:
    golden("compare.txt", _terminal(_every_kind()))


def test_the_markdown_report_is_the_golden_one(golden: Callable[[str, str], None]) -> None:
    golden("compare.md", _markdown(_every_kind()))


def test_the_json_report_is_the_golden_one(golden: Callable[[str, str], None]) -> None:
    golden("compare.json", json_text.render(ComparisonFigures.model_validate(_every_kind())))


def test_the_headline_counts_each_case_once() -> None:
    assert compare_page.headline(_every_kind()) == (
        "2 worse, 0 better, 1 mixed, 1 unchanged, 1 with too few samples or runs (5 cases)"
    )


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_narrow_terminal_folds_cells_and_cuts_nothing(width: int) -> None:
    # given a case with a long name, one that is not tested, and twelve samples a side, so that no column is missing
    long = a_case(size=1024, tiling={"tile": 512, "overlap": 128}, batch=16, variant="channels-last-compiled")
    sides = []
    for run, centre in (("before", 0.05), ("after", 0.06)):
        few = _case_record(64, run, centre, GIB, count=3)
        many = _case_record(1024, run, centre, GIB, count=12).model_copy(update={"case": long})
        sides.append([many, few])
    # when it is printed
    lines = _terminal(_one(*sides), width, wraps=True).splitlines()
    # then no line is too long, and in the tables names, intervals and verdicts are whole
    assert all(len(line) <= width for line in lines)
    table = lines[: next(n for n, line in enumerate(lines) if line.startswith("Change is"))]
    assert "…" not in "".join(lines)
    words = [word.strip(";") for word in " ".join(table).split()]
    assert {"worse", "too", "few", "samples", "<0.001"} <= set(words)
    assert sum((word[0] == "[") + (word[-1] == "]") for word in words) == 2
    assert set(label_of(long).split()) <= set(words)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/models/__v2__", "/models/\\_\\_v2\\_\\_"),
        ("a\\|b", "a\\\\&#124;b"),
        ("*x* ~y~ `z` !", "\\*x\\* \\~y\\~ \\`z\\` !"),
        ("gpu_spec a__b", "gpu_spec a__b"),
        ("- a", "\\- a"),
        ("1. a", "1\\. a"),
        ("1.5 s -5%", "1.5 s -5%"),
        ("[l](http://x)", "\\[l\\](http:\\//x)"),
        ("www.example.org", "www\\.example.org"),
        ("@torch #12", "\\@&#8203;torch \\#&#8203;12"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("two\nlines \x1b[2J", "two lines ?\\[2J"),
    ],
)
def test_what_github_takes_for_markup_is_shown_as_it_is(text: str, shown: str) -> None:
    assert markdown.safe(text) == shown


def test_markdown_takes_no_markup_from_a_file() -> None:
    # given a case and an exception whose names are markup, over several lines
    case = a_case(variant="__init__|\n# 2 better")
    nasty = a_record(case=case, outcome=Failed(exception="ValueError", message="<script>|\n`x`", phase="run"))
    text = _markdown(_one([measured(case=case)], [nasty]))
    # then it is text in one cell each
    assert "<script>" not in text
    (row,) = [line for line in text.splitlines() if "ValueError" in line]
    assert row.replace("\\|", "").count("|") == 5
    assert "&lt;script&gt;&#124; \\`x\\`" in row
    assert "\\_\\_init\\_\\_&#124;?\\#" in row


def test_each_list_of_a_page_stands_under_its_name() -> None:
    text = _markdown(_every_kind())
    lines = text.splitlines()
    starts = [n for n, line in enumerate(lines) if line.startswith("- ") and not lines[n - 1].startswith("- ")]
    assert {lines[n - 2] for n in starts if "summary" not in lines[n - 2]} == {"**Gates**", "**Failures**"}
    same = [measured(run=a_run(cases=9))]
    assert "**Notes**\n\n- base: run run-1 is unfinished: 1 of 9 cases." in _markdown(_one(same, same))


def test_the_gate_line_says_how_much_was_judged() -> None:
    # given a case of one side only
    asked = request(fail_on=["time>50%"])
    base = [_case_record(size, "before", 0.05, GIB) for size in (64, 128)]
    sides = side("base", [("base.jsonl", base)]), side("head", [("head.jsonl", base[:1])])
    # then the line says so, as does the JSON
    comparison = compare(*sides, asked)
    words = "time>50%: holds for 1 figure; 1 not judged (1 case only on the base side)"
    assert compare_page.gate_line(comparison.gates[0]) == words
    assert _fields(comparison)["gates"] == [
        {
            "gate": "time>50%",
            "holds": True,
            "compared": 1,
            "without_test": [],
            "not_judged": [{"why": "only on the base side", "cases": 1}],
            "failures": [],
        }
    ]


def test_how_a_metric_was_judged_is_said_under_its_table() -> None:
    lines = [compare_page.summary(table) for table in _every_kind().machines[0].metrics]
    assert "5 samples" in lines[0]
    assert "exact" in lines[1]


@pytest.mark.parametrize(
    ("change", "text"),
    [(0.0, "0%"), (0.0814, "+8.1%"), (-0.0003, "-0.03%"), (6e-8, "+0.000006%"), (249.0, "x 250"), (1e300, "x 1e+300")],
)
def test_a_change_is_told_in_two_or_three_digits(change: float, text: str) -> None:
    assert format_relative(change) == text


def test_a_change_without_a_ratio_is_told_from_where() -> None:
    assert format_change("peak_rss", 0, None) == "from 0"
    assert format_change("peak_rss", -8 * MIB, None) == "from -8 MiB"


def test_one_run_a_side_is_a_warning_to_the_reader() -> None:
    runs = [measured(run=a_run(id=f"run-{n}")) for n in range(2)]
    assert "Give several runs" in _markdown(_one(runs[:1], runs[:1]))
    assert "Give several runs" not in _markdown(_one(runs, runs))


def test_json_has_null_for_what_there_is_not() -> None:
    # given a change from zero, with one sample a side
    row = _fields(_one([measured(0.0)], [measured(0.05)]))["machines"][0]["metrics"][0]["rows"][0]
    assert [row[name] for name in ("change", "interval", "test", "p")] == [None] * 4
    assert "stage" not in row


def test_a_metric_that_is_the_same_in_all_cases_is_told_in_one_line_and_kept_in_json() -> None:
    # given 32 cases whose weights are the same on both sides, and whose times are not
    sides = [
        [
            rewritten(_case_record(64 + 8 * n, run, slow * (1 + n), GIB), memory=Memory(weights_bytes=GIB))
            for n in range(32)
        ]
        for run, slow in (("before", 0.05), ("after", 0.051))
    ]
    comparison = _one(*sides)
    # then each form tells of the weights in one line, and the JSON has every row
    for text in (_terminal(comparison), _markdown(comparison)):
        lines = [line for line in text.splitlines() if "Weights" in line]
        assert lines == ["Weights: the same in all 32 cases."]
        assert "1.00 GiB" not in text
        assert "64x64" in text
    (machine,) = _fields(comparison)["machines"]
    assert {table["metric"]: len(table["rows"]) for table in machine["metrics"]} == {"time": 32, "weights": 32}


def test_a_metric_that_differs_in_one_case_keeps_its_table() -> None:
    both = [
        [_case_record(size, run, 0.05, GIB * (2 if (run, size) == ("after", 128) else 1)) for size in (64, 128)]
        for run in ("before", "after")
    ]
    assert "Peak reserved: the same" not in _terminal(_one(*both))
    assert "Peak reserved: the same in all 2 cases." in _terminal(_one(both[0], both[0]))


def test_smaller_cases_come_first_within_their_model_and_operation() -> None:
    # given runs whose cases come in no order, of two operations
    shapes = [("encode", 512), ("encode", 64), ("decode", 1024), ("encode", 256), ("decode", 128)]
    records = [measured(case=a_case(operation=operation, size=size)) for operation, size in shapes]
    # when they are compared, then the sizes of each operation are in natural order
    table = next(
        compare_page.terminal(_one(records, [measured(0.06, case=record.case) for record in records])).tables()
    )
    assert [str(row[0].value).split()[1:3] for row in table.rows] == [
        ["encode", "64x64"],
        ["encode", "256x256"],
        ["encode", "512x512"],
        ["decode", "128x128"],
        ["decode", "1024x1024"],
    ]
