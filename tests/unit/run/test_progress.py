"""What a person sees of a run, on a fake clock and a console that writes to a string."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from endpoint_records import a_load, an_endpoint_record, an_overlap, remote
from factories import a_case, a_device, a_run, an_environment, failed, measured, out_of_memory
from rich.console import Console

from bench.core.units import GIB
from bench.plan import Plan
from bench.record import Crashed, GpuSettings, MeasureSettings, Neighbours, Record, TimedOut, Timing
from bench.report.render.terminal import Draw
from bench.run.messages import Ready
from bench.run.progress import Estimate, Reporter
from bench.run.run_summary import describe_case, print_summary, summary_json
from bench.run.scheduler import RunSummary
from bench.workloads.labels import size_of

CASES = (a_case(size=64), a_case(size=128), a_case(size=256))
PLAN = Plan(config="test", cases=CASES, measure=MeasureSettings(), timeout_s=5)
READY = Ready(device=a_device(), environment=an_environment(may_spill="WSL: it may"), note="A note.")


def console(text: io.StringIO, *, terminal: bool = False) -> Console:
    return Console(file=text, force_terminal=terminal, width=200)


def drawn(records: Sequence[Record]) -> Draw:
    """A table that only names the sizes of its records."""
    return lambda shown: shown.print("table of", *(size_of(record.case) for record in records))


def reporter_on(text: io.StringIO, plan: Plan = PLAN, *, quiet: bool = False) -> Reporter:
    return Reporter(plan, console(text), drawn, quiet=quiet)


def say(reporter: Reporter, *records: Record, earlier: Sequence[Record] = ()) -> None:
    reporter.begun(a_run(cases=3), Path("results/x.jsonl"), earlier, READY)
    for number, record in enumerate(records, start=1 + len(earlier)):
        reporter.case_begun(number, record.case)
        reporter.phase_begun("run")
        reporter.case_done(number, record)


def test_plain_lines_name_each_case_its_outcome_and_the_time_left() -> None:
    text = io.StringIO()
    say(reporter_on(text), measured(0.25, case=CASES[0]), out_of_memory(case=CASES[1]))
    lines = text.getvalue().splitlines()
    figures = "250 ms (median of 3), peak 2.00 GiB (8.40%)"
    assert any(f"[1/3] tiny encode 64x64 float32 untiled: {figures}" in line for line in lines)
    assert any("[2/3]" in ln and "out of memory (device, warm-up, asked for 2.00 GiB)" in ln for ln in lines)
    assert any("left)" in ln for ln in lines)


def test_notes_on_the_device_are_printed_at_the_start() -> None:
    text = io.StringIO()
    say(reporter_on(text))
    assert "A note." in text.getvalue()
    assert "WSL: it may" in text.getvalue()


@pytest.mark.parametrize(
    ("config", "size", "kind", "instead"),
    [
        ("docs", 1024, "cpu", "bench run cpu"),
        ("models", 512, "cpu", "bench run models-cpu"),
        ("docs", 64, "cpu", None),
        ("cpu", 1024, "cpu", None),
        ("docs", 1024, "cuda", None),
    ],
)
def test_a_sweep_for_gpus_names_the_one_for_a_cpu(config: str, size: int, kind: str, instead: str | None) -> None:
    text = io.StringIO()
    plan = Plan(config=config, cases=(a_case(size=64), a_case(size=size)), measure=MeasureSettings(), timeout_s=5)
    ready = READY.model_copy(update={"device": a_device().model_copy(update={"kind": kind})})
    reporter_on(text, plan).begun(a_run(cases=2), Path("results/x.jsonl"), (), ready)
    assert re.findall(r"bench run \S+", text.getvalue()) == ([instead] if instead else [])


def test_a_long_wait_is_in_hours() -> None:
    text = io.StringIO()
    cases = (a_case(size=64), a_case(size=8192))
    reporter = reporter_on(text, Plan(config="test", cases=cases, measure=MeasureSettings(), timeout_s=5))
    reporter.begun(a_run(cases=2), Path("results/x.jsonl"), (), READY)
    reporter._estimate = Estimate(cases, iter([0.0, *[10.0] * 20]).__next__)
    reporter.case_done(1, measured(0.25, case=cases[0]))
    assert "about 46 h left" in text.getvalue()


def _begun_beside(neighbours: Neighbours) -> str:
    text = io.StringIO()
    ready = READY.model_copy(update={"environment": an_environment(gpu=GpuSettings(neighbours=neighbours))})
    reporter_on(text).begun(a_run(cases=3), Path("results/x.jsonl"), (), ready)
    return text.getvalue()


def test_other_programs_on_the_gpu_are_a_warning_with_advice() -> None:
    output = _begun_beside(Neighbours(count=2, bytes=6 * GIB, utilization=0.4))

    assert "Warning: 2 other processes; 6.00 GiB (25%)" in output
    assert "nvidia-smi" in output


def test_a_desktop_s_own_use_of_the_gpu_is_not_warned_of() -> None:
    assert "Warning" not in _begun_beside(Neighbours(count=1, bytes=GIB // 2, utilization=0.0))


def test_a_continued_run_shows_how_many_cases_are_finished() -> None:
    text = io.StringIO()
    reporter = reporter_on(text)
    say(reporter, measured(case=CASES[2]), earlier=[measured(case=case) for case in CASES[:2]])
    assert "results/x.jsonl" in text.getvalue()
    assert "2 of 3 cases" in text.getvalue()
    assert reporter.finished == 3


def test_a_terminal_has_a_bar_and_the_same_lines() -> None:
    text = io.StringIO()
    with Reporter(PLAN, console(text, terminal=True), drawn) as reporter:
        say(reporter, measured(case=CASES[0]))
    assert "1/3" in text.getvalue()
    assert "tiny encode 64x64" in text.getvalue()


def test_quiet_prints_nothing() -> None:
    text = io.StringIO()
    with reporter_on(text, quiet=True) as reporter:
        say(reporter, *(measured(case=case) for case in CASES))
    assert text.getvalue() == ""


TWO_CALLS = Plan(config="test", cases=(*CASES[:2], a_case(operation="decode")), measure=MeasureSettings(), timeout_s=5)


def test_a_model_and_operation_are_a_table_as_soon_as_all_their_cases_are_finished() -> None:
    # given a plan of two encodes and a decode, and a run in which one encode is finished
    text = io.StringIO()
    reporter = reporter_on(text, TWO_CALLS)
    say(reporter, measured(case=CASES[0]))
    assert "table of" not in text.getvalue()
    # when the other one is finished, out of memory
    reporter.case_done(2, out_of_memory(case=CASES[1]))
    # then both are a table, before the decode has begun
    assert text.getvalue().splitlines()[-1] == "table of 64x64 128x128"
    # and a decode that is alone has no table, because its line says the same
    reporter.case_done(3, measured(case=TWO_CALLS.cases[2]))
    assert text.getvalue().count("table of") == 1


def test_the_table_of_a_continued_run_has_what_an_earlier_session_measured() -> None:
    text = io.StringIO()
    say(reporter_on(text, TWO_CALLS), measured(case=CASES[1]), earlier=[measured(case=CASES[0])])
    assert text.getvalue().splitlines()[-1] == "table of 64x64 128x128"


def test_what_an_earlier_session_finished_is_not_shown_again() -> None:
    text = io.StringIO()
    say(reporter_on(text, TWO_CALLS), earlier=[measured(case=case) for case in CASES[:2]])
    assert "table of" not in text.getvalue()


def test_the_estimate_goes_by_pixels() -> None:
    # Given a clock on which the first case (1 of 21 parts of the pixels) took two seconds
    now = [0.0]
    estimate = Estimate(CASES, clock=lambda: now[0])
    assert estimate.remaining_s is None
    now[0] = 2.0
    estimate.finish(CASES[0])
    # Then 4 + 16 parts are left, at two seconds a part
    assert estimate.remaining_s == 40.0
    # And what an earlier session has done is no part of it
    estimate.skip(CASES[2])
    assert estimate.remaining_s == 8.0


def test_cases_that_several_cards_have_begun_count_as_long_as_they_are_not_finished() -> None:
    # Given two cards that have begun a case each
    text = io.StringIO()
    reporter = reporter_on(text)
    reporter.begun(a_run(cases=3), Path("results/x.jsonl"), (), READY)
    for number in (1, 2):
        reporter.case_begun(number, CASES[number - 1])
    # When the first one is finished
    reporter.case_done(1, measured(case=CASES[0]))
    # Then the time that is left is known
    assert "left)" in text.getvalue()


def test_every_outcome_has_its_words() -> None:
    assert describe_case(measured(outcome=TimedOut(timeout_s=5, phase="load"))) == "timed out after 5 s (load)"
    assert describe_case(measured(outcome=Crashed(signal="SIGSEGV", phase="run"))) == "crashed (SIGSEGV, run)"
    assert describe_case(measured(outcome=Crashed(exit_code=3, phase="run"))) == "crashed (exit code 3, run)"
    assert describe_case(failed()) == "failed (run): ValueError: no"


def test_the_summary_counts_and_names_what_was_not_measured() -> None:
    text = io.StringIO()
    summary = RunSummary(Path("results/x.jsonl"), (measured(case=CASES[0]), failed(case=CASES[1])))
    print_summary(summary, console(text))
    assert "2 cases: 1 measured, 1 failed" in text.getvalue()
    assert "tiny encode 128x128 float32 untiled: failed (run): ValueError: no" in text.getvalue()
    assert "results/x.jsonl" in text.getvalue()
    assert summary_json(summary)["counts"] == {"measured": 1, "failed": 1}


def test_a_median_says_how_far_it_can_be_trusted() -> None:
    # given six samples, whose interval is from the least to the greatest
    samples = (0.24, 0.25, 0.25, 0.25, 0.25, 0.26)
    timing = Timing(clock="perf_counter", median_s=0.25, samples_s=samples, interval_s=(0.24, 0.26), noise=0.025)
    assert "250 ms (median of 6 ±4.0%)" in describe_case(measured(timing=timing))
    # and fewer, which have noise alone
    few = Timing(clock="perf_counter", median_s=0.25, samples_s=samples[:3], noise=0.023)
    assert "250 ms (median of 3, noise 2.3%)" in describe_case(measured(timing=few))


def test_each_load_is_a_line_and_part_of_the_summary() -> None:
    text = io.StringIO()
    record = an_endpoint_record(remote=remote(loads=(a_load(),)))
    say(reporter_on(text), record)
    assert (
        "    load, open, 12.5 /s (80% of capacity): 370 of 375 good, 12.3 /s, p50 61 ms, p99 300 ms" in text.getvalue()
    )

    (case,) = summary_json(RunSummary(Path("x.jsonl"), (record,)))["cases"]
    assert [entry["client"] for entry in case["exchanges"]] == ["diffusers", "bench", "bench"]
    assert case["request_bytes"] == 32768
    assert case["loads"][0]["percentiles_s"]["p99"] == 0.3
    assert case["loads"][0]["errors"] == {"503 busy": 4, "timed out": 1}


def test_each_overlap_is_a_line_and_part_of_the_summary() -> None:
    text = io.StringIO()
    record = an_endpoint_record(remote=remote(overlaps=(an_overlap(), an_overlap(share=None, workers=2))))
    say(reporter_on(text), record)
    assert (
        "    overlap, 3 images of 0.05 s (100% of a request): 300 ms in turn, 200 ms overlapped\n"
        "    overlap, 3 images of 0.05 s, 2 workers: 300 ms in turn, 200 ms overlapped\n"
    ) in text.getvalue()

    (case,) = summary_json(RunSummary(Path("x.jsonl"), (record,)))["cases"]
    assert [entry["overlapped_s"] for entry in case["overlaps"]] == [0.2, 0.2]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_the_live_line_names_count_and_case_at_every_width(width: int) -> None:
    # given a case with a long name
    case = a_case(model="sdxl", operation="decode", size=2048, tiling={"tile": 512, "overlap": 128}, batch=16)
    text = io.StringIO()
    terminal = Console(file=text, force_terminal=True, width=width, color_system=None)
    # when it runs
    plan = Plan(config="test", cases=(*CASES, case), measure=MeasureSettings(), timeout_s=5)
    with Reporter(plan, terminal, drawn) as bar:
        say(bar, measured(0.25, case=CASES[0]))
        bar.case_begun(4, case)
        bar.phase_begun("run")
    # then the last live line has the count, the time, what is left and the case, in one line that fits
    live = [line for line in re.split(r"[\r\n]|\x1b\[[0-9;?]*[A-Za-z]", text.getvalue()) if line.startswith("1/4 ")]
    assert live
    assert "sdxl decode 2048x2048" in live[-1]
    assert ("left" in live[-1]) == (width >= 60)
    assert max(map(len, live)) <= width
    assert ("━" in live[-1]) == (width >= 80)
