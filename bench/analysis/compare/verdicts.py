"""Compare one metric: each case's medians, change, interval, test and verdict.

Three things can be compared. With one run a side, its raw samples (of time only: everything else is one figure a run).
With several runs on a side, their medians, so that an offset between runs is not taken for a change. Or two figures
without a test, if the metric is exact or there is only one figure a side.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from bench.analysis.compare.outcomes import Pair, any_measured
from bench.core import significance
from bench.core.significance import ALPHA, LEAST_RUNS
from bench.core.units import METRICS, Metric
from bench.record import Case, Record, metrics
from bench.workloads.labels import label_of

Verdict = Literal["better", "worse", "same", "too few samples", "too few runs"]
#: exact: any difference counts. figure: one noisy figure per side, judged by the practical factor alone. constant:
#: several runs that do not vary, also judged by the factor alone.
Test = Literal["exact", "figure", "constant", "mann-whitney", "welch"]
_Method = Literal["exact", "figure", "constant", "samples", "runs"]

#: A row asks twice for its test: for p, and for the interval.
_t_test = lru_cache(maxsize=1 << 14)(significance.t_test)

UNTESTED: tuple[Test, ...] = ("exact", "figure", "constant")


@dataclass(frozen=True, slots=True)
class Figures:
    """One side of one case and metric, in the metric's unit.

    `values` are what is compared: the raw samples of a single run (none in a published row), else one figure a run.
    `median` is that of the values, or the recorded one if there are none.
    """

    median: float
    values: tuple[float, ...]
    runs: int

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def spread(self) -> tuple[float, ...]:
        """The values, or the median if there are none: never empty."""
        return self.values or (self.median,)


@dataclass(frozen=True, slots=True)
class Row:
    """A metric of one case, or of one stage of it.

    Attributes:
        change: head over base minus 1; None if the base is not above zero.
        p: None if nothing was tested. `p_holm` is adjusted for all tested cases of the metric.
        needed: how many samples or runs a side are enough, if there are too few.
    """

    case: Case
    base: Figures
    head: Figures
    change: float | None
    interval: tuple[float, float] | None
    test: Test | None
    p: float | None
    p_holm: float | None
    verdict: Verdict
    needed: int | None = None
    stage: str | None = None

    @property
    def label(self) -> str:
        return label_of(self.case, self.stage)

    @property
    def of_runs(self) -> bool:
        """Whether the figures of runs are compared, not the samples of one run a side."""
        return max(self.base.runs, self.head.runs) > 1

    @property
    def remedy(self) -> str:
        """How many are needed, if there are too few: `needs 7 samples a side`."""
        what = self.verdict.removeprefix("too few ")
        return f"needs {self.needed} {what} a side{', 5 or more are better' if what == 'runs' else ''}"


@dataclass(frozen=True, slots=True)
class MetricComparison:
    """One metric of all cases that have it on both sides.

    `one_sided` counts the cases that both sides measured but for which only one side has this metric.
    """

    metric: str
    factor: float
    rows: tuple[Row, ...]
    one_sided: int

    @property
    def about(self) -> Metric:
        """The metric's unit and better direction."""
        return METRICS[self.metric]

    @property
    def ratio(self) -> float | None:
        """The geometric mean of head over base; None if no case has both above zero."""
        both = [(row.base.median, row.head.median) for row in self.rows if row.stage is None]
        ratios = [head / base for base, head in both if base > 0 and head > 0]
        return significance.geometric_mean([ratio for ratio in ratios if 0 < ratio < math.inf])

    @property
    def is_identical(self) -> bool:
        """Whether every case has the same figure on both sides."""
        return all(row.verdict == "same" and row.base.median == row.head.median for row in self.rows)

    def count(self, *verdicts: Verdict) -> int:
        """How many rows have one of these verdicts."""
        return sum(row.verdict in verdicts for row in self.rows)


@dataclass(frozen=True, slots=True)
class _Draft:
    """A row that is not judged yet."""

    case: Case
    stage: str | None
    base: Figures
    head: Figures
    method: _Method

    @property
    def least_p(self) -> float:
        """The lowest p that this many values can give."""
        if self.method == "runs" and min(self.base.n, self.head.n) >= LEAST_RUNS:
            return 0.0
        return significance.least_p(self.base.n, self.head.n)


def figures(metric: str, records: Sequence[Record]) -> Figures | None:
    """The figures of one case's records, one record a run; None if no record has the metric."""
    runs = [(median, record) for record in records if (median := _median(metric, record)) is not None]
    if not runs:
        return None
    if len(runs) > 1:
        medians = tuple(median for median, _ in runs)
        return Figures(significance.middle(medians), medians, len(runs))
    median, record = runs[0]
    return Figures(median, _samples(record) if metric == "time" else (median,), 1)


def _median(metric: str, record: Record) -> float | None:
    """The figure of one run."""
    value = metrics.value(metric, record)
    if value is None or metric != "time":
        return value
    samples = _samples(record)
    return significance.middle(samples) if samples else value


def _samples(record: Record) -> tuple[float, ...]:
    return record.timing.samples_s if record.timing else ()


def compare_metric(metric: str, pairs: Sequence[Pair], factor: float) -> MetricComparison:
    """Judge one metric of all cases. No relative change below `factor` is shown.

    Whole calls and stages are adjusted separately for how many are tested, so that the stages of a call do not make it
    harder to show a change of the whole.
    """
    drafts: list[_Draft] = []
    one_sided = 0
    for pair in pairs:
        base, head = figures(metric, pair.base), figures(metric, pair.head)
        if base is None or head is None:
            tried = pair.stage is None and all(map(any_measured, (pair.base, pair.head)))
            one_sided += tried and (base is None) != (head is None)
        else:
            drafts.append(_Draft(pair.case, pair.stage, base, head, _method(metric, base, head)))
    rows: dict[int, Row] = {}
    for of_stages in (False, True):
        family = {place: draft for place, draft in enumerate(drafts) if (draft.stage is not None) == of_stages}
        count = sum(draft.method in {"samples", "runs"} for draft in family.values())
        for (place, draft), result in zip(family.items(), _test(list(family.values())), strict=True):
            rows[place] = _row(draft, result, metric, factor, count)
    return MetricComparison(metric, factor, tuple(rows[place] for place in range(len(drafts))), one_sided)


def _method(metric: str, base: Figures, head: Figures) -> _Method:
    if METRICS[metric].exact:
        return "exact"
    if base.runs == head.runs == 1:
        return "samples" if metric == "time" else "figure"
    if min(base.runs, head.runs) > 1 and significance.constant(base.values, head.values):
        return "constant"
    return "runs"


def _test(drafts: Sequence[_Draft]) -> list[tuple[Test, float, float] | None]:
    """For each row the test, its p, and p adjusted for the number of tests; None for rows that can't be tested."""
    places = [place for place, draft in enumerate(drafts) if draft.method in {"samples", "runs"}]
    testable = significance.within_reach([drafts[place].least_p for place in places])
    places = list(itertools.compress(places, testable))
    by_rank = [place for place in places if _is_by_rank(drafts[place], len(places))]
    sides = [(drafts[place].base.values, drafts[place].head.values) for place in by_rank]
    results: dict[int, tuple[Test, float]] = {
        place: ("mann-whitney", p) for place, p in zip(by_rank, significance.mann_whitney_each(sides), strict=True)
    }
    for place in places:
        if place not in results:
            results[place] = "welch", _t_test(drafts[place].base.values, drafts[place].head.values).p
    adjusted = significance.holm([results[place][1] for place in places])
    tested: list[tuple[Test, float, float] | None] = [None] * len(drafts)
    for place, p_holm in zip(places, adjusted, strict=True):
        tested[place] = (*results[place], p_holm)
    return tested


def _is_by_rank(draft: _Draft, cases: int) -> bool:
    """Whether a rank test can show a change of a case if so many cases are tested."""
    return draft.method == "samples" or significance.least_p(draft.base.n, draft.head.n) < ALPHA / cases


def _row(draft: _Draft, result: tuple[Test, float, float] | None, metric: str, factor: float, count: int) -> Row:
    """A judged row. `result` is that of its test, if it was tested; `count` says how many rows could be tested."""
    untested = next((test for test in UNTESTED if test == draft.method), None)
    test, p, p_holm = result or (untested, None, None)
    few: Verdict | None = None
    needed = None
    if test is None and draft.method == "runs":
        few, needed = "too few runs", LEAST_RUNS
    elif test is None:
        few, needed = "too few samples", significance.samples_needed(count)
    is_change = significance.separated(draft.base.spread, draft.head.spread) if p_holm is None else p_holm < ALPHA
    return Row(
        case=draft.case,
        base=draft.base,
        head=draft.head,
        change=significance.change(draft.base.median, draft.head.median),
        interval=_interval(draft),
        test=test,
        p=p,
        p_holm=p_holm,
        verdict=few or (_direction(draft, metric) if is_change and _matters(draft, metric, factor) else "same"),
        needed=needed,
        stage=draft.stage,
    )


def _matters(draft: _Draft, metric: str, factor: float) -> bool:
    """Whether the change reaches the practical factor and the metric's least difference."""
    base, head = draft.base.median, draft.head.median
    change = significance.change(base, head)
    if head == base or abs(head - base) < METRICS[metric].least:
        return False
    return change is None or significance.reaches(abs(change), factor)


def _direction(draft: _Draft, metric: str) -> Verdict:
    rises = draft.head.median > draft.base.median
    return "worse" if rises == (METRICS[metric].better == "lower") else "better"


def _interval(draft: _Draft) -> tuple[float, float] | None:
    """The interval by order statistics if there are enough values, else by the t tests if there are enough runs."""
    if draft.method not in {"samples", "runs"}:
        return None
    base, head = draft.base.values, draft.head.values
    interval = significance.interval(base, head)
    if interval is None and draft.method == "runs" and min(len(base), len(head)) >= LEAST_RUNS:
        return _t_test(base, head).interval
    return interval
