"""What is shown of one metric: each case's medians, change, interval, test and verdict.

Imports `record`, `significance` and `units`.

Three things can be compared. The raw samples of one run a side (time only: all else is one figure a run). The medians
of several runs, as soon as a side has more than one of a case: an offset from run to run is then no change. Or two
figures without a test, where the metric is exact or there is but one of a noisy one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.analysis.compare.metric_values import Figures, figures
from bench.analysis.compare.outcomes import Pair, any_measured
from bench.core import significance
from bench.core.significance import ALPHA, LEAST_RUNS
from bench.core.units import METRICS
from bench.record import Case

Verdict = Literal["better", "worse", "same", "too few samples", "too few runs"]
#: exact: any difference counts. figure: one noisy figure a side, held against the practical factor alone. constant:
#: several runs that do not vary, held against it as well.
Test = Literal["exact", "figure", "constant", "mann-whitney", "welch"]
_Compared = Literal["exact", "figure", "constant", "samples", "runs"]

UNTESTED: tuple[Test, ...] = ("exact", "figure", "constant")


@dataclass(frozen=True, slots=True)
class Row:
    """One case of a table, or one stage of it.

    `change` is head over base less 1, None where the base is not above zero.
    `p` is None where nothing was tested, `p_holm` is it adjusted for all tested cases of the metric. `needed` is how
    many samples or runs a side would do, where there are too few.
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
    def rises(self) -> bool:
        """Whether head's median is above base's."""
        return self.head.median > self.base.median

    @property
    def of_runs(self) -> bool:
        """Whether figures of runs are compared, not the samples of one run a side."""
        return max(self.base.runs, self.head.runs) > 1

    @property
    def remedy(self) -> str:
        """How many would do, where there are too few: `7 samples a side would do`."""
        what = self.verdict.removeprefix("too few ")
        return f"{self.needed} {what} a side would do{', 5 or more are better' if what == 'runs' else ''}"


@dataclass(frozen=True, slots=True)
class Table:
    """One metric of all cases that have it on both sides.

    `one_sided` counts those that were measured on both and have it on one.
    """

    metric: str
    factor: float
    rows: tuple[Row, ...]
    one_sided: int

    @property
    def ratio(self) -> float | None:
        """The geometric mean of head over base; None where no case has both above zero."""
        both = [(row.base.median, row.head.median) for row in self.rows if row.stage is None]
        ratios = [head / base for base, head in both if base > 0 and head > 0]
        return significance.geometric_mean([ratio for ratio in ratios if 0 < ratio < math.inf])

    @property
    def is_identical(self) -> bool:
        """Whether each case has the same figure on both sides, and there is nothing else to say of it."""
        return all(row.verdict == "same" and row.base.median == row.head.median for row in self.rows)

    def count(self, *verdicts: Verdict) -> int:
        """How many rows have one of these verdicts."""
        return sum(row.verdict in verdicts for row in self.rows)


@dataclass(frozen=True, slots=True)
class _Draft:
    """A row before it is judged."""

    case: Case
    stage: str | None
    base: Figures
    head: Figures
    by: _Compared

    @property
    def least_p(self) -> float:
        """The least p that its number of values can give."""
        counts = len(self.base.values), len(self.head.values)
        return 0.0 if self.by == "runs" and min(counts) >= LEAST_RUNS else significance.least_p(*counts)


@dataclass(frozen=True, slots=True)
class _Tested:
    test: Test
    p: float
    p_holm: float


def table(metric: str, pairs: Sequence[Pair], factor: float) -> Table:
    """Judge one metric of all cases. `factor` is the relative change below which none is shown.

    Whole calls and stages are adjusted apart for how many are tested: how many stages a call has makes it no harder to
    show a change of the whole.
    """
    drafts: list[_Draft] = []
    one_sided = 0
    for pair in pairs:
        base, head = figures(metric, pair.base), figures(metric, pair.head)
        if base is None or head is None:
            tried = pair.stage is None and all(map(any_measured, (pair.base, pair.head)))
            one_sided += tried and (base is None) != (head is None)
        else:
            drafts.append(_Draft(pair.case, pair.stage, base, head, _compared(metric, base, head)))
    rows: dict[int, Row] = {}
    for of_stages in (False, True):
        family = {place: draft for place, draft in enumerate(drafts) if (draft.stage is not None) == of_stages}
        asked = sum(draft.by in {"samples", "runs"} for draft in family.values())
        for (place, draft), done in zip(family.items(), _test(list(family.values())), strict=True):
            rows[place] = _row(draft, done, metric, factor, asked)
    return Table(metric, factor, tuple(rows[place] for place in range(len(drafts))), one_sided)


def _compared(metric: str, base: Figures, head: Figures) -> _Compared:
    if METRICS[metric].exact:
        return "exact"
    if base.runs == head.runs == 1:
        return "samples" if metric == "time" else "figure"
    if min(base.runs, head.runs) > 1 and significance.constant(base.values, head.values):
        return "constant"
    return "runs"


def _test(drafts: Sequence[_Draft]) -> list[_Tested | None]:
    """Test what can be tested, and adjust for the number of those; None for the others."""
    places = [place for place, draft in enumerate(drafts) if draft.by in {"samples", "runs"}]
    reach = significance.within_reach([drafts[place].least_p for place in places])
    places = [place for place, within in zip(places, reach, strict=True) if within]
    found = [_p(drafts[place], len(places)) for place in places]
    adjusted = significance.holm([p for _, p in found])
    tested: list[_Tested | None] = [None] * len(drafts)
    for place, (test, p), p_holm in zip(places, found, adjusted, strict=True):
        tested[place] = _Tested(test, p, p_holm)
    return tested


def _p(draft: _Draft, cases: int) -> tuple[Test, float]:
    """The test that can show a change of one case among that many, and its p."""
    base, head = draft.base.values, draft.head.values
    if draft.by == "samples" or significance.least_p(len(base), len(head)) < ALPHA / cases:
        return "mann-whitney", significance.mann_whitney(base, head)
    return "welch", significance.t_test(base, head).p


def _row(draft: _Draft, tested: _Tested | None, metric: str, factor: float, asked: int) -> Row:
    test = tested.test if tested else _untested(draft.by)
    few: Verdict | None = None
    if test is None:
        few = "too few runs" if draft.by == "runs" else "too few samples"
    apart = significance.separated(draft.base.spread, draft.head.spread)
    shown = tested.p_holm < ALPHA if tested else apart
    return Row(
        case=draft.case,
        base=draft.base,
        head=draft.head,
        change=significance.change(draft.base.median, draft.head.median),
        interval=_interval(draft),
        test=test,
        p=tested.p if tested else None,
        p_holm=tested.p_holm if tested else None,
        verdict=few or (_direction(draft, metric) if shown and _matters(draft, metric, factor) else "same"),
        needed=_needed(few, asked),
        stage=draft.stage,
    )


def _matters(draft: _Draft, metric: str, factor: float) -> bool:
    """Whether the change is as large as the practical factor and the metric's least difference ask for."""
    base, head = draft.base.median, draft.head.median
    change = significance.change(base, head)
    if head == base or abs(head - base) < METRICS[metric].least:
        return False
    return change is None or significance.reaches(abs(change), factor)


def _untested(by: _Compared) -> Test | None:
    match by:
        case "exact" | "figure" | "constant":
            return by
        case _:
            return None


def _direction(draft: _Draft, metric: str) -> Verdict:
    rises = draft.head.median > draft.base.median
    return "worse" if rises == (METRICS[metric].better == "lower") else "better"


def _interval(draft: _Draft) -> tuple[float, float] | None:
    """By order statistics where there are enough values for them, else of few runs by the t tests."""
    if draft.by not in {"samples", "runs"}:
        return None
    base, head = draft.base.values, draft.head.values
    found = significance.interval(base, head)
    if found is None and draft.by == "runs" and min(len(base), len(head)) >= LEAST_RUNS:
        return significance.t_test(base, head).interval
    return found


def _needed(few: Verdict | None, cases: int) -> int | None:
    match few:
        case "too few samples":
            return significance.samples_needed(cases)
        case "too few runs":
            return LEAST_RUNS
        case _:
            return None
