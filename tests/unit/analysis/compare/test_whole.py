"""The verdict between two sides: what is tested, what is shown, and how often it is wrong."""

from __future__ import annotations

import importlib.util
import json
import math
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from endpoint_records import an_endpoint_record, exchanges, remote
from factories import a_case, a_device, a_record, a_run, failed, measured, out_of_memory, published, refusal
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.compare import Comparison, Request, compare, gates, request, verdicts
from bench.analysis.compare.outcomes import Pair
from bench.analysis.compare.sides import Side, SideName, side
from bench.analysis.compare.verdicts import Row
from bench.errors import BenchError
from bench.record import Crashed, Failed, Memory, Record, Skipped, Telemetry, TimedOut, Timing
from bench.record.metrics import values
from bench.report.pages.compare_figures import ComparisonFigures

MIB = 2**20
FALSE_ALARMS = Path(__file__).parents[4] / "benchmarks" / "false_alarms.py"


def _noisy(seed: int, centre: float = 0.05, count: int = 20) -> tuple[float, ...]:
    draw = random.Random(seed)
    return tuple(centre * (1 + draw.gauss(0, 0.01)) for _ in range(count))


def _timed(samples: Sequence[float], **fields: Any) -> Record:
    samples = tuple(samples)
    return a_record(
        timing=Timing(clock="cuda_event", median_s=sorted(samples)[len(samples) // 2], samples_s=samples), **fields
    )


def _side(name: SideName, *records: Record) -> Side:
    return side(name, [(f"{name}.jsonl", records)])


def _compare(base: Sequence[Record], head: Sequence[Record], asked: Request | None = None) -> Comparison:
    return compare(_side("base", *base), _side("head", *head), asked or Request())


def _row(base: Sequence[Record], head: Sequence[Record], asked: Request | None = None) -> Row:
    """The one row of the one table."""
    ((row,),) = (table.rows for table in _compare(base, head, asked).machines[0].metrics)
    return row


def _runs(medians: Sequence[float]) -> list[Record]:
    """A record of the same case of each of several runs."""
    return [_timed([one] * 3, run=a_run(id=f"run-{n}")) for n, one in enumerate(medians)]


# one run a side


def test_a_shift_of_four_per_cent_is_shown_with_its_interval() -> None:
    row = _row([_timed(_noisy(1))], [_timed(_noisy(2, centre=0.052))])
    assert (row.verdict, row.test, len(row.base.values)) == ("worse", "mann-whitney", 20)
    assert row.change == pytest.approx(0.04, abs=0.01)
    assert row.interval is not None
    assert row.interval[0] < row.change < row.interval[1]


def test_less_time_is_better() -> None:
    assert _row([_timed(_noisy(1))], [_timed(_noisy(2, centre=0.045))]).verdict == "better"


def test_a_change_below_the_practical_factor_is_not_shown_however_sure() -> None:
    # given samples that lie apart by one per cent
    base, head = [_timed([1.0 + n / 1e5 for n in range(20)])], [_timed([1.01 + n / 1e5 for n in range(20)])]
    # then the test is sure, and the change is shown only where one per cent is asked for
    assert _row(base, head).verdict == "same"
    assert _row(base, head, request(factors=["time=0.5%"])).verdict == "worse"
    assert (_row(base, head).p_holm or 1) < 1e-6


def test_a_change_that_the_test_does_not_show_is_not_one() -> None:
    base, head = [_timed([1.0, 2.0] * 10)], [_timed([1.0, 2.0] * 9 + [2.0, 2.0])]
    row = _row(base, head)
    assert row.change == pytest.approx(1 / 3)
    assert row.verdict == "same"


def test_a_change_that_the_test_shows_is_shown_also_where_its_interval_holds_none() -> None:
    # given sides of which the test says that they differ, and an interval of 95% or more that reaches down to 0
    base, head = [1.0] * 8 + [1.05] * 12, [1.0] * 5 + [1.05] * 4 + [1.2] * 11
    row = _row([_timed(base)], [_timed(head)])
    assert (row.p_holm or 1) < 0.05
    assert row.interval is not None
    assert row.interval[0] <= 0
    assert row.verdict == "worse"


def test_a_change_of_exactly_the_factor_is_shown() -> None:
    # given times whose change is 0.14 but for the last bits, which floating-point numbers make a little less
    base, head = [_timed([50.0] * 20)], [_timed([57.0] * 20)]
    assert _row(base, head, request(factors=["time=14%"])).verdict == "worse"
    assert _row(base, head, request(factors=["time=14.1%"])).verdict == "same"


def test_three_samples_are_too_few_and_how_many_would_do_is_said() -> None:
    row = _row([measured(0.05)], [measured(0.06)], request(["time"]))
    assert (row.verdict, row.test, row.p, row.needed) == ("too few samples", None, None, 4)


def test_with_more_cases_more_samples_are_needed() -> None:
    # given four samples a side, enough for one case and not for two
    sizes = (64, 128)
    base = [_timed(_noisy(size, count=4), case=a_case(size=size)) for size in sizes]
    head = [_timed(_noisy(size, 0.06, count=4), case=a_case(size=size)) for size in sizes]
    # then neither is tested
    rows = _compare(base, head).machines[0].metrics[0].rows
    assert {(row.verdict, row.needed) for row in rows} == {("too few samples", 5)}
    assert _row(base[:1], head[:1]).verdict == "worse"


def test_a_published_median_has_no_samples_and_is_no_exception() -> None:
    row = _row([published(0.05)], [published(0.06)], request(["time"]))
    assert (row.verdict, row.base.values, row.base.median) == ("too few samples", (), 0.05)


@pytest.mark.parametrize("samples", [(0.05,), (0.05,) * 20, (0.0,) * 20])
def test_identical_samples_show_nothing(samples: tuple[float, ...]) -> None:
    row = _row([_timed(samples)], [_timed(samples)])
    assert row.verdict == ("same" if len(samples) > 1 else "too few samples")
    assert row.change == 0


def test_a_peak_on_the_cpu_changes_only_by_more_than_two_runs_differ() -> None:
    # given peaks that grow by a half, of 40 MiB and of 80
    def peak(growth: int) -> Record:
        return a_record(memory=Memory(baseline_rss_bytes=0, peak_rss_bytes=growth))

    assert _row([peak(40 * MIB)], [peak(60 * MIB)]).verdict == "same"
    assert _row([peak(80 * MIB)], [peak(120 * MIB)]).verdict == "worse"


def test_from_zero_there_is_no_ratio_but_a_verdict() -> None:
    row = _row([_timed([0.0] * 20)], [_timed(_noisy(1))])
    assert (row.change, row.interval, row.verdict) == (None, None, "worse")


TIMES = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
#: Whole numbers as far as a results file can hold them.
WHOLE = st.integers(min_value=0, max_value=2**63 - 1)


@given(*[st.lists(TIMES, min_size=1, max_size=9)] * 2)
def test_any_two_lists_of_finite_times_have_a_finite_answer(base: list[float], head: list[float]) -> None:
    row = _row([_timed(base)], [_timed(head)])
    numbers = (row.base.median, row.head.median, row.change, *(row.interval or ()), row.p, row.p_holm)
    assert all(math.isfinite(number) for number in numbers if number is not None)


@given(st.lists(st.tuples(TIMES, WHOLE, WHOLE, WHOLE), min_size=2, max_size=2), st.integers(min_value=1, max_value=4))
def test_figures_of_any_magnitude_have_a_finite_answer(sides: list[tuple[float, int, int, int]], runs: int) -> None:
    # given figures from nothing to the greatest that a file can hold, of one run a side or several
    records = [
        [
            a_record(
                timing=Timing(clock="cuda_event", median_s=time, samples_s=(time,) * 4, first_call_s=time),
                memory=Memory(peak_allocated_bytes=peak, peak_rss_bytes=peak, baseline_rss_bytes=other, percent=time),
                telemetry=Telemetry(readings=9, energy_per_call_j=time),
                flops=flops + n,
                run=a_run(id=f"run-{n}"),
                case=a_case(width=max(1, other)),
            )
            for n in range(runs)
        ]
        for time, peak, other, flops in sides
    ]
    # when each is compared with itself and, as the same case, with the other
    same = [record.model_copy(update={"case": records[0][0].case}) for record in records[1]]
    metrics = request(["time", "first_call", "peak_allocated", "peak_rss", "memory_percent", "flops", "energy"])
    found = _compare(records[0], same, metrics)
    # then all of it is JSON without a NaN, and every derived figure of a record is a number or nothing
    json.dumps(ComparisonFigures.model_validate(found).model_dump(), allow_nan=False)
    for value in values(records[0][0]).values():
        assert value is None or math.isfinite(value)


def test_a_rate_of_next_to_no_time_is_none_and_not_infinite() -> None:
    found = values(_timed([5e-324] * 4, flops=2**62))
    assert found["time"] == 5e-324
    assert (found["achieved"], found["pixel_rate"]) == (None, None)
    huge = values(a_record(memory=Memory(peak_allocated_bytes=10**400)))
    assert huge["peak_allocated"] is None


# several runs a side


def test_medians_of_runs_are_the_units_so_that_an_offset_of_a_run_is_no_change() -> None:
    # given runs with many samples each, offset by up to 3% from one another, on both sides alike
    base = [_timed(_noisy(n, 0.05 * o), run=a_run(id=f"run-{n}")) for n, o in enumerate((1.0, 1.03, 1.01, 1.02))]
    head = [_timed(_noisy(n + 9, 0.05 * o), run=a_run(id=f"run-{n}")) for n, o in enumerate((1.03, 1.0, 1.03, 1.02))]
    # then what their samples would show is not shown
    row = _row(base, head)
    assert (row.base.runs, len(row.base.values), row.test, row.verdict) == (4, 4, "mann-whitney", "same")


def test_five_runs_that_agree_show_a_shift_among_forty_cases() -> None:
    # given a rank test that can't reach 0.05 / 40 with five runs a side, then Welch's is used and can
    base, head = [], []
    for size in range(64, 64 * 41, 64):
        for n in range(5):
            fields = {"run": a_run(id=f"run-{n}"), "case": a_case(size=size)}
            base.append(_timed([1 + n / 500], **fields))
            head.append(_timed([(1.04 if size == 64 else 1) + (4 - n) / 500], **fields))
    rows = _compare(base, head).machines[0].metrics[0].rows
    assert [(row.test, row.verdict) for row in rows] == [("welch", "worse")] + [("welch", "same")] * 39
    assert rows[0].interval is not None


def test_one_case_of_five_runs_is_tested_by_ranks() -> None:
    assert _row(_runs([1, 1.1, 1.2, 1.3, 1.4]), _runs([2, 2.1, 2.2, 2.3, 2.4])).test == "mann-whitney"


@pytest.mark.parametrize("count", [1, 2, 3])
def test_fewer_than_four_runs_are_too_few(count: int) -> None:
    row = _row(_runs([1.0, 1.1, 1.2][:count]), _runs([2.0, 2.1, 2.2]))
    assert (row.verdict, row.needed) == ("too few runs", 4)
    assert "4 runs a side" in row.remedy


@pytest.mark.parametrize(("head", "verdict"), [(1.0, "same"), (1.01, "same"), (1.1, "worse")])
def test_runs_that_do_not_vary_are_held_against_the_factor(head: float, verdict: str) -> None:
    row = _row(_runs([1.0] * 3), _runs([head] * 3))
    assert (row.test, row.p, row.verdict) == ("constant", None, verdict)


def test_one_run_can_t_be_seen_not_to_vary() -> None:
    # given one run against three that agree: of the one nobody knows by how much another would differ
    assert _row(_runs([1.0]), _runs([1.1] * 3)).verdict == "too few runs"


@given(*[st.lists(TIMES, min_size=1, max_size=7)] * 2)
def test_any_two_rows_of_runs_have_a_finite_answer(base: list[float], head: list[float]) -> None:
    row = _row(_runs(base), _runs(head))
    numbers = (row.base.median, row.head.median, row.change, *(row.interval or ()), row.p, row.p_holm)
    assert all(math.isfinite(number) for number in numbers if number is not None)


# figures without a test


def _memory(**fields: Any) -> Record:
    return a_record(memory=Memory(**fields))


@pytest.mark.parametrize(
    ("field", "base", "head", "verdict"),
    [
        ("peak_allocated_bytes", 100 * MIB, 100 * MIB + 512, "worse"),
        ("peak_allocated_bytes", 100 * MIB, 100 * MIB, "same"),
        ("peak_allocated_bytes", 100 * MIB, 99 * MIB, "better"),
        ("peak_reserved_bytes", 1000 * MIB, 1009 * MIB, "same"),
        ("peak_reserved_bytes", 1000 * MIB, 1010 * MIB, "worse"),
        ("peak_allocated_bytes", 0, 512, "worse"),
    ],
)
def test_exact_figures_differ_by_a_byte_and_noisy_ones_by_the_factor(
    field: str, base: int, head: int, verdict: str
) -> None:
    row = _row([_memory(**{field: base})], [_memory(**{field: head})])
    assert row.verdict == verdict
    assert row.p is None


def test_an_exact_figure_that_varies_within_a_side_changes_only_beyond_that() -> None:
    base = [a_record(memory=Memory(peak_allocated_bytes=n), run=a_run(id=f"run-{n}")) for n in (100, 120)]
    head = [a_record(memory=Memory(peak_allocated_bytes=n), run=a_run(id=f"run-{n}")) for n in (110, 130)]
    assert _row(base, head).verdict == "same"


def test_where_more_is_better_less_is_worse() -> None:
    # given a rate that can't be asked for on the command line, and is a figure of a record all the same
    pair = Pair(a_case(), (_timed([0.05] * 3),), (_timed([0.06] * 3),))
    assert verdicts.compare_metric("pixel_rate", [pair], 0.02).rows[0].verdict == "worse"


def _metrics(*records: Record) -> list[str]:
    return [table.metric for table in _compare(records, records).machines[0].metrics]


def test_by_default_there_is_a_percentage_of_the_memory_only_without_a_peak_in_bytes() -> None:
    # given records of the docs' kind, and some with a peak or with weights as well
    assert _metrics(measured()) == ["time", "memory_percent"]
    assert _metrics(measured(memory=Memory(percent=8.4, peak_reserved_bytes=MIB))) == ["time", "peak_reserved"]
    assert _metrics(measured(memory=Memory(percent=8.4, weights_bytes=MIB))) == ["time", "weights", "memory_percent"]


def test_a_figure_on_one_side_only_is_noted_and_not_compared() -> None:
    base = [measured(memory=Memory(peak_reserved_bytes=MIB))]
    part = _compare(base, [measured()]).machines[0]
    assert [table.metric for table in part.metrics] == ["time"]
    assert part.notes[:1] == ("Peak reserved: 1 case has it on one side only and can't be compared.",)


def test_a_metric_that_was_asked_for_and_is_nowhere_is_noted() -> None:
    notes = _compare([measured()], [measured()], request(["energy", "time"])).machines[0].notes
    assert notes == ("Energy per image: no case has it on either side.",)


# cases and outcomes


TIMED_OUT = a_record(outcome=TimedOut(timeout_s=60))
CRASHED = a_record(outcome=Crashed(signal="SIGSEGV"))


@pytest.mark.parametrize(
    ("base", "head", "verdict"),
    [
        ((measured(),), (out_of_memory(),), "worse"),
        ((failed(),), (measured(),), "better"),
        ((out_of_memory(),), (failed(),), "changed"),
        ((TIMED_OUT,), (out_of_memory(),), "changed"),
        ((CRASHED,), (TIMED_OUT,), "changed"),
        ((out_of_memory(),), (out_of_memory(),), None),
        # several runs: whatever the share, a side has some that were not measured or none
        ((measured(),) * 3, (measured(), measured(), out_of_memory()), "worse"),
        ((CRASHED, measured()), (measured(),) * 5, "better"),
        ((out_of_memory(), *(measured(),) * 4), (out_of_memory(), *(measured(),) * 3), None),
        ((out_of_memory(), *(measured(),) * 4), (*(out_of_memory(),) * 4, measured()), None),
        ((TIMED_OUT, measured()), (out_of_memory(), measured()), "changed"),
        ((out_of_memory(), measured()), (out_of_memory(),), "changed"),
    ],
)
def test_a_case_is_worse_that_was_always_measured_and_now_is_not(
    base: tuple[Record, ...], head: tuple[Record, ...], verdict: str | None
) -> None:
    sides = ([one.model_copy(update={"run": a_run(id=f"run-{n}")}) for n, one in enumerate(s)] for s in (base, head))
    found = _compare(*sides, request(["flops"]))
    assert [one.verdict for one in found.machines[0].outcomes] == ([verdict] if verdict else [])
    assert found.verdicts[verdict or "unchanged"] == 1  # type: ignore[index]


def test_the_outcomes_of_several_runs_are_told_with_how_many_there_are_of_each() -> None:
    base = [measured(run=a_run(id=f"run-{n}")) for n in range(3)]
    head = [*base[:2], out_of_memory(run=a_run(id="run-2"))]
    (change,) = _compare(base, head).machines[0].outcomes
    assert change.base == "measured in 3 of 3 runs"
    assert change.head.startswith("measured in 2 of 3 runs, out of memory (device, warm-up")


def test_an_outcome_forges_no_line() -> None:
    nasty = a_record(outcome=Failed(exception="ValueError", message="no\n\x1b[2J2 better", phase="run"))
    (change,) = _compare([measured()], [nasty]).machines[0].outcomes
    assert change.head == "failed (run): ValueError: no ?[2J2 better"


def test_cases_of_one_side_only_are_listed_and_a_skipped_one_is_as_good_as_absent() -> None:
    # given a case of both sides, one of the base, and one that the base skipped
    base = [measured(), measured(case=a_case(size=128)), a_record(case=a_case(size=256), outcome=Skipped(reason="no"))]
    head = [measured(), measured(case=a_case(size=256))]
    # then only the first is compared
    part = _compare(base, head).machines[0]
    assert [case.axes["width"] for case in part.matched.only_base] == [128]
    assert [case.axes["width"] for case in part.matched.only_head] == [256]
    assert sum(part.verdicts.values()) == 1
    assert part.matched.skipped == {a_case(size=256).id}


def test_cases_are_matched_by_id_and_not_by_place() -> None:
    one, other = _timed(_noisy(1)), _timed(_noisy(2, 0.5), case=a_case(size=128))
    rows = _compare([one, other], [other, one]).machines[0].metrics[0].rows
    assert [(row.case.axes["width"], row.change) for row in rows] == [(64, 0), (128, 0)]


def test_sides_without_a_case_in_common_are_an_error() -> None:
    message = refusal(BenchError, _compare, [measured()], [measured(case=a_case(size=128))])
    assert "no case in common" in message


def test_a_machine_without_a_case_in_common_or_of_one_side_only_is_noted() -> None:
    # given three machines: one with a case of both sides, one with other cases on each, one of the base only
    second, third = a_device(name="NVIDIA Second"), a_device(name="NVIDIA Third")
    base = [measured(), measured(device=second), measured(device=third)]
    head = [measured(run=a_run(id="run-2")), measured(device=second, case=a_case(size=128), run=a_run(id="run-2"))]
    # when they are compared with a gate
    found = _compare(base, head, request(fail_on=["memory_percent>5%"]))
    # then the first is, and what becomes of the others is said, by the gate as well
    assert [part.base.name for part in found.machines] == ["NVIDIA Test"]
    assert found.notes == (
        "Only on the base side, and left out: NVIDIA Third (1 run).",
        "NVIDIA Second: the sides have no case in common on it.",
    )
    assert found.gates[0].unjudged == (gates.Count("only on the base side", 2), gates.Count("only on the head side", 1))


def test_a_run_compared_with_itself_is_noted() -> None:
    assert "Run run-1 is on both sides" in _compare([measured()], [measured()]).notes[0]


def test_throttled_samples_are_noted() -> None:
    slowed = measured(telemetry=Telemetry(readings=9, throttled_samples=(1,)))
    (note,) = _compare([measured()], [slowed]).machines[0].notes
    assert note.startswith("head: the GPU was throttled during samples of 1 case")


def test_a_case_that_is_faster_and_takes_more_memory_is_mixed() -> None:
    base = _timed(_noisy(1), memory=Memory(peak_allocated_bytes=100))
    head = _timed(_noisy(1, 0.04), memory=Memory(peak_allocated_bytes=200))
    assert _compare([base], [head]).verdicts["mixed"] == 1


def test_the_geometric_mean_leaves_out_what_has_no_ratio() -> None:
    sizes = (64, 128, 256)
    base = [_timed([s] * 3, case=a_case(size=n)) for s, n in zip((1.0, 4.0, 0.0), sizes, strict=True)]
    head = [_timed([s] * 3, case=a_case(size=n)) for s, n in zip((2.0, 2.0, 1.0), sizes, strict=True)]
    assert _compare(base, head).machines[0].metrics[0].ratio == pytest.approx(1)


def test_a_gate_adds_its_metric_and_one_below_the_factor_is_noted() -> None:
    found = _compare([_timed(_noisy(1))], [_timed(_noisy(2))], request(["first_call"], fail_on=["time>1%"]))
    assert [table.metric for table in found.machines[0].metrics] == ["time"]
    assert any("practical factor of time" in note and "2%" in note for note in found.notes)
    assert found.failures == ()


# how often it is wrong


@pytest.fixture(scope="module")
def false_alarms() -> ModuleType:
    """benchmarks/false_alarms.py, whose 1,000 comparisons a line are a few dozen here."""
    spec = importlib.util.spec_from_file_location("false_alarms", FALSE_ALARMS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("setting", "least", "most"),
    [
        ("false alarms, 1 run a side", 0.0, 0.05),
        ("found, 4% in one case, 1 run a side", 0.95, 1.0),
        ("false alarms, 5 runs a side, offsets of 0.5%", 0.0, 0.05),
        ("found, 4% in one case, 5 runs a side, offsets", 0.95, 1.0),
        ("false alarms, 4 v 10, own offsets, no practical factor", 0.0, 0.13),
    ],
)
def test_false_alarms_are_rare_and_a_shift_is_found(
    false_alarms: ModuleType, setting: str, least: float, most: float
) -> None:
    one = next(one for one in false_alarms.SETTINGS if one.name == setting)
    hits = sum(false_alarms.hit(one, seed) for seed in range(40))
    assert least <= hits / 40 <= most


def test_without_the_practical_factor_holm_alone_holds_the_alarms(false_alarms: ModuleType) -> None:
    one = next(one for one in false_alarms.SETTINGS if one.name == "false alarms, 1 run a side, no practical factor")
    assert sum(false_alarms.hit(one, seed) for seed in range(60)) / 60 <= 0.10  # 5% or less, as 60 can tell


def test_an_endpoint_through_another_client_is_a_note() -> None:
    by_diffusers = an_endpoint_record(remote=remote(exchanges=exchanges(0.05)))
    by_own = an_endpoint_record(remote=remote(exchanges=exchanges(0.05, diffusers=False)))

    (note,) = _compare([by_diffusers], [by_own]).machines[0].notes
    assert "different clients" in note
    assert not _compare([by_own], [by_own]).machines[0].notes
