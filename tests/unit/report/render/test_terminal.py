"""Tables and prose of every command at the widths that terminals have."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from factories import a_case, a_run, measured, rewritten
from predictions import a_predicted_record
from rich.console import Console
from sides import NETWORKS
from timelines import a_timeline
from ways import IMAGE, a_place, a_way, away

from bench.analysis.advise.ranking import rank
from bench.analysis.compare import compare, request
from bench.analysis.compare.sides import SideName, side
from bench.analysis.cost import image_costs
from bench.commands import comparisons
from bench.commands.files import table_records
from bench.config import load_prices
from bench.core.units import GIB, MIB
from bench.doctor import Finding
from bench.predictions import over_networks
from bench.record import Failed, Memory, Timing
from bench.report.document import Column
from bench.report.pages import (
    advice_page,
    compare_page,
    cost_page,
    diagnosis,
    hybrid_page,
    models_page,
    predicted_page,
    profile_page,
)
from bench.report.render import console as render_console
from bench.report.render.terminal import Draw, plain, print_table, say
from bench.run.run_summary import print_summary
from bench.run.scheduler import RunSummary
from bench.vram.call_profile import Profiled, profile
from bench.workloads.models import zoo

PUBLISHED = Path(__file__).parents[4] / "results" / "published"
WIDTHS = (40, 60, 80, 120)
REMEDY = "Set a power limit that the card can hold: `nvidia-smi --query-gpu=power.max_limit --format=csv` says which."


def drawn(draw: Draw, width: int) -> str:
    """What a terminal of that width shows."""
    text = io.StringIO()
    draw(Console(file=text, width=width, force_terminal=True, color_system=None))
    return text.getvalue()


def _advice(count: int) -> Draw:
    ways = [a_way(0, 0.5, "out_of_memory"), a_way(1, 1.5), a_way(2, 2.25, "tight", confidence="low")]
    advice = [rank(IMAGE, a_place(), ways, away(2.0)) for _ in range(count)]
    return render_console.draw(advice_page.terminal(advice, None, NETWORKS))


def _comparison() -> Draw:
    case = a_case(size=1024, tiling={"tile": 512, "overlap": 128}, batch=16)
    sides = []
    names: tuple[tuple[SideName, float], ...] = (("base", 0.05), ("head", 0.06))
    for run, centre in names:
        samples = tuple(centre + i / 9999 for i in range(12))
        record = measured(centre, case=case, run=a_run(id=run), memory=Memory(peak_allocated_bytes=GIB))
        timing = Timing(clock="cuda_event", median_s=samples[6], samples_s=samples, first_call_s=1)
        sides.append(side(run, [(f"{run}.jsonl", [rewritten(record, timing=timing)])]))
    comparison = compare(*sides, request(fail_on=["time>5%"]))
    return render_console.draw(compare_page.terminal(comparison))


def _profile() -> Draw:
    whole = profile(a_timeline(MIB))
    shown = Profiled(a_case(model="sdxl"), "cuda", "tensors, and a rule", whole, measured=whole, measured_on="A GPU")
    return render_console.draw(profile_page.terminal(shown))


def _predictions() -> Draw:
    tilings = ("off", {"tile": 256, "overlap": 64})
    cases = [a_case(model="sdxl", size=size, tiling=tiling) for size in (512, 1024, 2048, 4096) for tiling in tilings]
    cards = ("NVIDIA A100-SXM4-80GB", "NVIDIA GeForce RTX 4070 Ti SUPER", "NVIDIA RTX PRO 6000 Blackwell Edition")
    records = [
        a_predicted_record(
            (number + 1) * 1111 * MIB, case=case, device={"kind": "cuda", "name": card, "total_bytes": 8 * GIB}
        )
        for card in cards
        for number, case in enumerate(cases)
    ]
    return render_console.draw(predicted_page.terminal(records))


def _diagnosis() -> Draw:
    findings = [
        Finding(level="ok", subject="device", said="NVIDIA H100 80GB HBM3, 79.6 GiB, capability 9.0"),
        Finding(level="warning", subject="power limit", said="350 W of 700 W: clocks fall under load", remedy=REMEDY),
    ]
    return render_console.draw(diagnosis.document(findings, diagnosis.verdict(findings)))


def _hybrid() -> Draw:
    wanted = comparisons.wanted_of(["sdxl"], ["encode"], [], ["3070"])
    return render_console.draw(hybrid_page.terminal(*over_networks.compare_ways(table_records([PUBLISHED]), wanted)))


def _cost() -> Draw:
    wanted = comparisons.wanted_of(["sdxl"], ["encode"], ["1024"], [])
    records = table_records([PUBLISHED])
    comparison, _ = over_networks.compare_ways(records, wanted)
    return render_console.draw(
        cost_page.terminal(image_costs.compare(records, comparison, load_prices(None), image_costs.VOLUMES))
    )


DRAWN: dict[str, Callable[[], Draw]] = {
    "advise": lambda: _advice(1),
    "advise, many images": lambda: _advice(5),
    "predict": _predictions,
    "doctor": _diagnosis,
    "models": lambda: render_console.draw(models_page.page(list(zoo().values()))),
    "profile": _profile,
    "compare": _comparison,
    "hybrid": _hybrid,
    "cost": _cost,
}


def _words(text: str) -> set[str]:
    """The words and figures, without the marks of a block and the lines of a table."""
    return {word.strip(";:") for word in text.split() if set(word) != {"─"}} - {""}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", sorted(DRAWN))
def test_a_table_fits_the_terminal_with_every_word_and_number_whole(name: str, width: int) -> None:
    # given what a command shows, and the same where there is room for all of it
    draw = DRAWN[name]()
    wide = drawn(draw, 400)
    # when it is drawn on a narrower terminal
    narrow = drawn(draw, width)
    # then no line is wider than that, nothing is cut, and no word or number is missing or broken
    assert max(len(line.rstrip()) for line in narrow.splitlines()) <= width
    assert "…" not in narrow
    short = {word for word in _words(wide) if len(word) <= width - 4}
    assert not short - _words(narrow)
    assert not set(re.findall(r"\d[\d.,]*", wide)) - set(re.findall(r"\d[\d.,]*", narrow))


def test_the_last_columns_text_goes_under_its_row_before_rows_become_blocks() -> None:
    # given a table whose figures have room and whose text has not
    columns = [
        Column("Way", in_heading=True),
        Column("Peak", right=True),
        Column("Verdict"),
        Column("Reason", may_wrap=True),
    ]
    rows = [["untiled", "5.31 GiB", "fits", "the quickest that fits"], ["tile 512/128", "1.02 GiB", "fits", ""]]
    # when it is drawn
    shown = drawn(lambda console: print_table(console, columns, rows), 40)
    # then the header is there, and a row that has a text has it below
    assert [line.rstrip() for line in shown.splitlines()] == [
        "",
        " Way                Peak   Verdict",
        " ─────────────────────────────────",
        " untiled        5.31 GiB   fits",
        "   Reason: the quickest that fits",
        " tile 512/128   1.02 GiB   fits",
        "",
    ]


def test_a_run_on_a_terminal_breaks_no_word_of_its_lines() -> None:
    # given a case that failed with a long reason, and a terminal of 40 columns
    reason = "the process ended unexpectedly while the convolution was computed"
    record = measured(outcome=Failed(exception="RuntimeError", message=reason, phase="run"))
    summary = RunSummary(Path("results/cpu/run.jsonl"), (record,))
    # when the summary is printed there
    shown = drawn(lambda console: print_summary(summary, console), 40)
    # then it has all words of it, in lines that fit
    assert set(reason.split()) <= set(shown.split())
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= 40


def test_rows_become_blocks_where_columns_do_not_fit() -> None:
    # given a table of numbers, whose cells can't wrap
    columns = [Column("Card"), *(Column(name, right=True) for name in ("Peak", "Share")), Column("")]
    rows = [["NVIDIA GeForce RTX 3070", "5.31 GiB", "66%", "predicted"]]

    def draw(console: Console) -> None:
        print_table(console, columns, rows)

    # when there is room, then there is a header; when there is none, then names stand beside the values
    assert "Card" in drawn(draw, 60)
    assert [line.rstrip() for line in drawn(draw, 40).splitlines()] == [
        "Card",
        "────",
        "NVIDIA GeForce RTX 3070",
        "  Peak: 5.31 GiB; Share: 66% predicted",
        "",
    ]


def test_a_value_that_has_no_room_beside_its_name_is_whole_in_the_next_line() -> None:
    columns = [Column("Size"), Column("With the CUDA context", right=True)]
    shown = drawn(lambda console: print_table(console, columns, [["2048x2048", "4.10 GiB to 15.20 GiB"]]), 30)
    assert [line.rstrip() for line in shown.splitlines()][2:5] == [
        "2048x2048",
        "  With the CUDA context:",
        "    4.10 GiB to 15.20 GiB",
    ]


@pytest.mark.parametrize("columns", ["", "40"])  # CI sets COLUMNS too, and its logs are searched
def test_prose_wraps_on_a_terminal_and_is_one_line_in_a_pipe(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    sentence = "a sentence of many words " * 20

    def draw(console: Console) -> None:
        say(console, sentence.strip())

    assert max(map(len, drawn(draw, 40).splitlines())) <= 40
    assert len(plain(draw).splitlines()) == 1


@pytest.mark.parametrize(("columns", "width"), [(None, 120), ("60", 60), ("200", 200), ("", 120), ("0", 120)])
def test_a_pipe_is_as_wide_as_columns_says_and_else_120(
    columns: str | None, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    seen: list[int] = []
    plain(lambda console: seen.append(console.width))
    assert seen == [width]
