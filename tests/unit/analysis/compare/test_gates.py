"""Gates: what fails them, what does not, and what they say they could not judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from factories import a_case, a_run, failed, measured, out_of_memory, refusal

from bench.analysis.compare import gates
from bench.analysis.compare.gates import Evidence, GateResult
from bench.analysis.compare.machines import Machine
from bench.analysis.compare.outcomes import Matched, OutcomeChange, Pair
from bench.analysis.compare.settings import Gate
from bench.analysis.compare.verdicts import Figures, MetricComparison, Row
from bench.errors import BenchError
from bench.record import Record

GATE = Gate("time", 0.05)
MACHINE = Machine("cuda", "NVIDIA Test", 2**34, None, "Test CPU", 2, 2**33)
PAIR = Pair(a_case(), (measured(),), (measured(),))


def _row(base: float, head: float, verdict: str = "same", test: str | None = "mann-whitney") -> Row:
    """A row of 20 equal samples a side."""
    sides = (Figures(value, (value,) * 20, 1) for value in (base, head))
    change = None if not base else head / base - 1
    return Row(a_case(), *sides, change, None, test, 0.5, 0.5, verdict)  # type: ignore[arg-type]


def _of_runs(base: Sequence[float], head: Sequence[float], test: str | None = "welch", verdict: str = "same") -> Row:
    """A row of the medians of several runs, in which nothing is shown unless said otherwise."""
    row = _row(sorted(base)[len(base) // 2], sorted(head)[len(head) // 2], verdict, test)
    return replace(
        row, base=replace(row.base, values=tuple(base), runs=9), head=replace(row.head, values=tuple(head), runs=9)
    )


def _check(
    gate: Gate,
    rows: Sequence[Row] = (),
    outcomes: Sequence[OutcomeChange] = (),
    matched: Matched | None = None,
    others: Sequence[Evidence] = (),
) -> GateResult:
    matched = matched or Matched((PAIR,), (), ())
    return gates.check(
        gate,
        [Evidence(MACHINE, matched, (MetricComparison(gate.metric, 0.02, tuple(rows), 0),), tuple(outcomes)), *others],
    )


def _failures(row: Row, gate: Gate = GATE) -> list[str]:
    """Why a row fails a gate; another one beside it holds, so that there is something judged."""
    return [one.why for one in _check(gate, [row, replace(_row(1.0, 1.0), case=a_case(size=8))]).failures]


def test_what_is_shown_worse_by_more_than_the_limit_fails() -> None:
    assert _failures(_row(0.05, 0.06, "worse")) == ["+20.0% (50 ms -> 60 ms)"]
    assert _failures(_row(0.05, 0.06, "worse"), Gate("time", 0.25)) == []


def test_what_a_test_does_not_show_does_not_fail() -> None:
    assert _failures(_row(0.05, 0.06, "same")) == []


def test_a_figure_without_a_test_fails_by_its_change_alone() -> None:
    # given a change below the practical factor, and a gate below that
    assert _failures(_row(100, 101, "same", "figure"), Gate("peak_reserved", 0.005)) == ["+1.0% (100 B -> 101 B)"]


def test_where_more_is_better_less_fails() -> None:
    gate = Gate("achieved", 0.05)
    assert _failures(_row(1e12, 0.9e12, "worse", "figure"), gate) == ["-10.0% (1.00 TFLOP/s -> 900 GFLOP/s)"]
    assert _failures(_row(1e12, 1.2e12, "better", "figure"), gate) == []


def test_too_few_samples_fail_only_where_all_of_head_is_worse_and_say_that_there_was_no_test() -> None:
    # given three samples a side that lie apart, and three that do not
    apart = replace(_row(1.0, 1.2, "too few samples", None), head=Figures(1.2, (1.1, 1.2, 1.3), 1))
    mingled = replace(apart, head=Figures(1.2, (0.9, 1.2, 1.3), 1))
    # then the first fails, in these words, and the second does not
    (why,) = _failures(apart)
    assert "judged without a test (too few samples)" in why
    assert _failures(mingled) == []


def test_too_few_samples_fail_only_where_even_the_nearest_pair_is_beyond_the_limit() -> None:
    # given three samples a side, the best of head 10% worse than the worst of base
    apart = replace(
        _row(1.0, 1.2, "too few samples", None),
        base=Figures(0.95, (0.9, 0.95, 1.0), 1),
        head=Figures(1.2, (1.1, 1.2, 1.3), 1),
    )
    assert _failures(apart, Gate("time", 0.09))
    assert _failures(apart, Gate("time", 0.11)) == []


def test_a_difference_below_the_metric_s_least_fails_no_gate() -> None:
    # given two peaks that lie 20 and 40 MiB apart: two runs of one case have differed by 28
    gate, mib = Gate("peak_rss", 0.05), 2**20
    assert _failures(_row(10 * mib, 30 * mib, "same", "figure"), gate) == []
    assert len(_failures(_row(10 * mib, 50 * mib, "worse", "figure"), gate)) == 1


def test_from_zero_is_more_than_any_limit() -> None:
    assert _failures(_row(0.0, 48 * 2**20, "worse", "figure"), Gate("peak_rss", 9.0)) == ["from 0 (0 B -> 48 MiB)"]


def test_runs_of_which_all_are_worse_fail_although_none_is_shown() -> None:
    # given medians of five runs of which one is far off, so that the t test sees next to nothing
    far = _of_runs([1.0, 1.01, 1.02, 1.03, 1.04], [1.12, 1.13, 1.14, 1.15, 3.0])
    # then the gate fails, in words that say so, as it does with two of those runs; and not beyond the nearest pair
    (why,) = _failures(far)
    assert "although no change is shown: in its runs all of head is worse than all of base by more than 5%" in why
    assert len(_failures(_of_runs([1.0, 1.04], [1.12, 3.0], None, "too few runs"))) == 1
    assert _failures(far, Gate("time", 0.08)) == []


def test_samples_of_one_run_that_a_test_does_not_show_do_not_fail() -> None:
    far = replace(_of_runs([1.0, 1.01], [1.2, 1.3]), base=Figures(1.0, (1.0, 1.01), 1), head=Figures(1.2, (1.2,), 1))
    assert _failures(far) == []


def test_a_figure_fails_only_where_the_sides_lie_apart_as_the_verdict_asks() -> None:
    # given an exact figure of several runs, 20% higher in the median, and in the ranges not
    row = _of_runs([100, 100, 120], [100, 120, 120], "exact")
    assert _failures(row, Gate("peak_allocated", 0.05)) == []
    assert len(_failures(_of_runs([100, 100, 110], [120, 120, 130], "exact", "worse"), GATE)) == 1


def test_a_peak_that_is_worse_by_exactly_the_limit_does_not_fail() -> None:
    assert _failures(_row(1000, 1050, "worse", "exact"), Gate("peak_allocated", 0.05)) == []
    assert len(_failures(_row(10**6, 1_050_001, "worse", "exact"), Gate("peak_allocated", 0.05))) == 1
    assert len(_failures(_row(2**40, 2**40 + 1, "worse", "exact"), Gate("peak_allocated", 0.0))) == 1


def test_a_head_below_zero_is_not_worse_than_a_base_that_reaches_below_it() -> None:
    # given growths of the resident set, some below zero, whose median rises
    mib = 2**20
    row = _of_runs([-100 * mib, -90 * mib, -mib], [-50 * mib, -40 * mib, 3 * mib], None, "too few runs")
    assert _failures(replace(row, change=None), Gate("peak_rss", 0.05)) == []


def test_an_outcome_that_got_worse_fails_every_gate() -> None:
    lost = OutcomeChange(a_case(), "worse", "measured", "out of memory (device, run)")
    assert _check(GATE, outcomes=[lost]).lines == (
        "time>5%: tiny encode 64x64 float32 untiled: its outcome got worse: measured -> out of memory (device, run)",
    )


def test_where_several_machines_are_compared_the_lines_name_them_and_cases_count_on_each() -> None:
    other = replace(MACHINE, name="NVIDIA Other")
    table = MetricComparison("time", 0.02, (_row(1.0, 2.0, "worse"),), 0)
    result = _check(GATE, table.rows, others=[Evidence(other, Matched((PAIR,), (), ()), (table,))])
    assert [line.split(": ")[1] for line in result.lines] == ["NVIDIA Test", "NVIDIA Other"]
    assert result.failed_cases == 2


# what is not judged


def _pair(size: int, base: Record, head: Record) -> Pair:
    return Pair(a_case(size=size), (base,), (head,))


def test_what_a_gate_did_not_judge_is_counted_by_the_reason() -> None:
    # given one case that it judges, and of all others why it can't
    few = replace(_row(1.0, 1.0, "too few samples", None), case=a_case(size=1), needed=5)
    bare = measured(timing=None)
    pairs = (
        PAIR,
        _pair(1, measured(), measured()),
        _pair(2, measured(), bare),
        _pair(3, bare, bare),
        _pair(4, out_of_memory(), measured()),
        _pair(5, failed(), out_of_memory()),
    )
    only = [a_case(size=size) for size in (6, 7, 8)]
    matched = Matched(pairs, tuple(only[:2]), tuple(only[2:]), frozenset({only[1].id}))
    other = Evidence(replace(MACHINE, name="Other"), Matched((), (a_case(),), ()))
    # when it is held against them
    result = _check(GATE, [_row(1.0, 1.0), few], matched=matched, others=[other])
    # then it says so of each, those of a machine of one side among them
    assert result.compared == 2
    assert gates.unjudged_text(result) == (
        "1 judged without a test (too few samples); 8 not judged (1 case without time on the head side, "
        "1 case without time on either side, 1 case not measured on the base side, "
        "1 case not measured on either side, 2 cases only on the base side, 1 case skipped on the head side, "
        "1 case only on the head side)"
    )
    assert result.machines == 1


def test_what_fails_without_a_test_or_by_its_outcome_was_judged() -> None:
    few = replace(_row(1.0, 2.0, "too few samples", None), needed=5)
    assert _check(GATE, [few]).untested == ()
    lost = OutcomeChange(a_case(), "worse", "measured", "failed")
    assert _check(GATE, outcomes=[lost]).unjudged == ()


def test_figures_too_few_for_a_test_are_judged_without_one_and_it_says_so() -> None:
    # given a gate that meets nothing else
    result = _check(GATE, [replace(_row(1.0, 1.0, "too few runs", None), needed=4)])
    assert (result.compared, result.failures) == (1, ())
    assert gates.unjudged_text(result) == "1 judged without a test (too few runs)"


def test_where_all_was_judged_nothing_is_said() -> None:
    assert gates.unjudged_text(_check(GATE, [_row(1.0, 1.0)])) == ""


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        (_pair(64, measured(timing=None), measured()), "no case has time on both sides"),
        (_pair(64, out_of_memory(run=a_run()), failed()), "neither side measured a case that both have"),
    ],
)
def test_a_gate_with_nothing_to_judge_is_an_error_and_no_pass(pair: Pair, words: str) -> None:
    message = refusal(BenchError, lambda: _check(GATE, [], matched=Matched((pair,), (), ())))
    assert "there is nothing to gate on" in message
    assert words in message
