"""What a person sees of several runs at once."""

from __future__ import annotations

import io
import json
from pathlib import Path

from factories import a_case, a_device, a_run, an_environment, failed, measured
from rich.console import Console

from bench.errors import DeviceError
from bench.plan import Plan
from bench.record import MeasureSettings
from bench.run.many_progress import ManyReporter, print_summaries, summaries_json
from bench.run.many_runs import beside_text
from bench.run.messages import Ready
from bench.run.scheduler import RunSummary

CASES = (a_case(size=64), a_case(size=128))
PLAN = Plan(config="test", cases=CASES, measure=MeasureSettings(), timeout_s=5)
READY = Ready(device=a_device(), environment=an_environment())
TITLES = ("cuda:0", "cuda:10")


def shown(*, terminal: bool = False, quiet: bool = False) -> tuple[ManyReporter, io.StringIO]:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=160)
    return ManyReporter(PLAN, TITLES, console, quiet=quiet), text


def begin(reporter: ManyReporter, title: str, earlier: int = 0) -> None:
    records = [measured(case=case) for case in CASES[:earlier]]
    reporter.observer(title).begun(a_run(cases=2), Path(f"results/{title}.jsonl"), records, READY)


def measure(reporter: ManyReporter, title: str, number: int, *warnings: str) -> None:
    observer = reporter.observer(title)
    observer.case_begun(number, CASES[number - 1])
    observer.phase_begun("run")
    observer.case_done(number, measured(0.25, case=CASES[number - 1], warnings=warnings))


def test_every_line_begins_with_its_card() -> None:
    reporter, text = shown()
    for title in TITLES:
        begin(reporter, title)
    measure(reporter, "cuda:10", 1, "the card was hot")
    measure(reporter, "cuda:0", 1)
    lines = text.getvalue().splitlines()
    assert all(line.startswith(("cuda:0   ", "cuda:10  ")) for line in lines)
    assert any(line.startswith("cuda:10  [1/2]") and "250 ms" in line for line in lines)
    assert any(line.startswith("cuda:10  ") and line.endswith("warning: the card was hot") for line in lines)


def test_that_cards_are_measured_at_the_same_time_is_not_repeated_for_each_case() -> None:
    reporter, text = shown()
    begin(reporter, "cuda:0")
    measure(reporter, "cuda:0", 1, beside_text(1))
    assert "same time" not in text.getvalue()


def test_a_terminal_has_a_live_line_for_each_card() -> None:
    reporter, text = shown(terminal=True)
    with reporter:
        for title in TITLES:
            begin(reporter, title)
        measure(reporter, "cuda:0", 1)
        reporter._bar.refresh()
        live = text.getvalue()
    assert "1/2" in live
    assert "0/2" in live
    assert all(title in live for title in TITLES)


def test_quiet_leaves_errors_and_warnings() -> None:
    reporter, text = shown(quiet=True)
    begin(reporter, "cuda:0")
    measure(reporter, "cuda:0", 1)
    reporter.tell("cuda:0", "Waiting.")
    assert text.getvalue() == ""
    reporter.warn("cuda:0", "line 3 is no record")
    reporter.failed("cuda:10", DeviceError("it fell off the bus"))
    warning, error = text.getvalue().splitlines()
    assert warning.startswith("cuda:0 ")
    assert error.startswith("cuda:10 ")
    assert "it fell off the bus" in error


def test_what_is_kept_of_each_card(tmp_path: Path) -> None:
    reporter, _ = shown()
    begin(reporter, "cuda:0", earlier=1)
    assert list(reporter.kept()) == [("cuda:0", 1, Path("results/cuda:0.jsonl")), ("cuda:10", 0, None)]


def summaries() -> dict[str, RunSummary | DeviceError]:
    records = (measured(case=CASES[0], device=a_device(identity="sha256:00")), failed(case=CASES[1]))
    return {"cuda:0": RunSummary(Path("a.jsonl"), records), "cuda:10": DeviceError("it fell off the bus")}


def test_the_summary_has_each_card_with_its_file_or_its_error() -> None:
    text = io.StringIO()
    print_summaries(summaries(), Console(file=text, width=160))
    assert "cuda:0 (NVIDIA Test)" in text.getvalue()
    assert "a.jsonl" in text.getvalue()
    assert "1 failed" in text.getvalue()
    assert "cuda:10: error: it fell off the bus" in text.getvalue()


def test_the_summary_as_json_has_the_worst_exit_code() -> None:
    data = json.loads(json.dumps(summaries_json(summaries())))
    assert data["exit_code"] == 2
    first, second = data["runs"]
    assert (first["title"], first["device"]["identity"], first["file"]) == ("cuda:0", "sha256:00", "a.jsonl")
    assert (first["exit_code"], first["counts"]) == (1, {"measured": 1, "failed": 1})
    assert second == {"title": "cuda:10", "error": "it fell off the bus", "exit_code": 2}
