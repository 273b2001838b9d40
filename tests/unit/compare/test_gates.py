"""Gates: their spelling, and what fails them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from factories import a_case, refusal

from bench.compare import gates
from bench.compare.gates import Gate
from bench.compare.outcomes import OutcomeChange
from bench.compare.verdicts import Figures, Row, Table
from bench.errors import BenchError

GATE = Gate("time", 0.05)


def _row(base: float, head: float, verdict: str = "same", test: str | None = "mann-whitney") -> Row:
    """A row of 20 equal samples a side."""
    sides = (Figures(value, (value,) * 20, 1) for value in (base, head))
    change = None if not base else head / base - 1
    return Row(a_case(), *sides, change, None, test, 0.5, 0.5, verdict)  # type: ignore[arg-type]


def _failures(row: Row, gate: Gate = GATE) -> list[str]:
    return [one.why for one in gates.check(gate, [Table(gate.metric, 0.02, (row,), 0)], ()).failures]


@pytest.mark.parametrize("text", ["time>5%", " time > 5 % ", "time>5.0%"])
def test_a_gate_is_a_metric_and_a_percentage(text: str) -> None:
    assert gates.parse_gate(text) == GATE


@pytest.mark.parametrize(
    ("gate", "text"), [(GATE, "time>5%"), (Gate("energy", 0.0025), "energy>0.25%"), (Gate("time", 0.0), "time>0%")]
)
def test_a_gate_is_told_as_it_is_written(gate: Gate, text: str) -> None:
    assert gate.text == text


@pytest.mark.parametrize("text", ["time", "time>5", "time>=5%", "time<5%", "time>-5%", "time>nan%", "", "time>5%>6%"])
def test_a_gate_spelt_otherwise_is_refused_with_the_form(text: str) -> None:
    assert "write METRIC>N%, like 'time>5%'" in refusal(BenchError, gates.parse_gate, text)


@pytest.mark.parametrize(
    ("parse", "text"), [(gates.parse_gate, "tiem>5%"), (gates.parse_factor, "tiem=5%"), (gates.parse_gate, ">5%")]
)
def test_an_unknown_metric_is_refused_with_the_valid_ones(parse: Callable[[str], object], text: str) -> None:
    message = refusal(BenchError, parse, text)
    assert "there is no metric" in message
    assert "peak_reserved" in message


def test_the_nearest_metric_is_named() -> None:
    assert "Did you mean 'time'?" in refusal(BenchError, gates.parse_gate, "tiem>5%")


@pytest.mark.parametrize("text", ["time", "time=5", "time=x%"])
def test_a_factor_is_a_metric_and_a_percentage(text: str) -> None:
    assert gates.parse_factor("time=5%") == ("time", 0.05)
    assert "like time=5%" in refusal(BenchError, gates.parse_factor, text)


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
    # given two peaks that lie 1 and 9 MiB apart: two runs of one case differ by as much as 7
    gate, mib = Gate("peak_rss", 0.05), 2**20
    assert _failures(_row(10 * mib, 11 * mib, "same", "figure"), gate) == []
    assert len(_failures(_row(10 * mib, 19 * mib, "worse", "figure"), gate)) == 1


def test_from_zero_is_more_than_any_limit() -> None:
    assert _failures(_row(0.0, 8 * 2**20, "worse", "figure"), Gate("peak_rss", 9.0)) == ["from 0 (0 B -> 8 MiB)"]


def test_an_outcome_that_got_worse_fails_every_gate() -> None:
    lost = OutcomeChange(a_case(), "worse", "measured", "out of memory (device, run)")
    result = gates.check(GATE, [], (lost,))
    assert result.lines == (
        "time>5%: tiny encode 64x64 float32 untiled: its outcome got worse: measured -> out of memory (device, run)",
    )


def test_a_gate_with_nothing_to_judge_is_an_error_and_no_pass() -> None:
    better = OutcomeChange(a_case(), "better", "failed", "measured")
    assert "nothing to gate on" in refusal(BenchError, gates.check, GATE, [Table("energy", 0.05, (), 0)], (better,))


@pytest.mark.parametrize(
    ("change", "text"),
    [(0.0, "0%"), (0.0814, "+8.1%"), (-0.0003, "-0.03%"), (6e-8, "+0.000006%"), (249.0, "x 250"), (1e300, "x 1e+300")],
)
def test_a_change_is_told_in_two_or_three_digits(change: float, text: str) -> None:
    assert gates.format_relative(change) == text
