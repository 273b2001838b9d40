"""A comparison as documents: a page for a CI summary or a comment on GitHub, and the terminal's.

Reads a finished `Comparison` and judges nothing. `compare_figures` has its fields for programs.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.analysis.compare import CASE_VERDICTS, Comparison, MachineComparison
from bench.analysis.compare.gates import GateResult, unjudged_text
from bench.analysis.compare.outcomes import OutcomeChange
from bench.analysis.compare.verdicts import MetricComparison, Row
from bench.core.units import (
    METRICS,
    format_change,
    format_count,
    format_metric,
    format_p,
    format_percent,
    format_relative,
)
from bench.record import Case
from bench.report import document
from bench.report.document import Block, Bullets, Cell, Column, Document, Section, Text, Tone, table_of
from bench.report.pages.cells import in_size_order
from bench.workloads.labels import label_of

_WORDS = {"undecided": "with too few samples or runs", "changed": "with other outcomes"}
_TESTS = {
    "mann-whitney": "Mann-Whitney U",
    "welch": "Welch's and pooled t on the logarithms of run medians",
    "exact": "exact, no test",
    "figure": "one figure per run, no test",
    "constant": "the same in all runs of a side, no test",
}
_TONES: dict[str, Tone] = {"worse": "bad", "better": "good", "same": "quiet", "changed": "plain"}
_LEGEND = (
    "Change is head over base. [ ]: its interval, at least 95%. p: adjusted for all tested cases of the metric (Holm). "
    "~: no change is shown, because p is 0.05 or more or the change is smaller than the one given above the table."
)
_ONE_RUN = (
    "Each side has one run, so an offset between runs looks like a change. Give several runs with --base and --head: "
    "their medians are compared."
)


def page(comparison: Comparison) -> Document:
    """The verdict first, then what changed; everything else is folded."""
    return Document(
        "",
        (
            Text(headline(comparison), "strong"),
            *_bullets("Gates", [gate_line(result) for result in comparison.gates]),
            *_bullets("Failures", comparison.failures),
            *_bullets("Notes", comparison.notes),
            *(_machine(part, folds=True) for part in comparison.machines),
            Text(" ".join(_legend(comparison))),
        ),
    )


def terminal(comparison: Comparison) -> Document:
    """The verdict last, where the prompt is, and every case of a metric in one table."""
    return Document(
        "",
        (
            *_bullets("Notes", comparison.notes, "warning"),
            *(_machine(part, folds=False) for part in comparison.machines),
            *(Text(line, "quiet") for line in _legend(comparison)),
            *_bullets("Gates", [gate_line(result) for result in comparison.gates]),
            Text(headline(comparison), "strong"),
        ),
    )


def headline(comparison: Comparison) -> str:
    """`2 worse, 1 better, 37 unchanged (40 cases)`: each case once, by its outcome and all its figures."""
    counts = comparison.verdicts
    always = ("worse", "better", "unchanged")
    parts = [f"{counts[name]} {_WORDS.get(name, name)}" for name in CASE_VERDICTS if counts[name] or name in always]
    return f"{', '.join(parts)} ({format_count(sum(counts.values()), 'case')})"


def gate_line(result: GateResult) -> str:
    """`time>5%: holds for 38 figures; 2 not judged (2 cases only on the base side)`."""
    failed = result.failed_cases
    verdict = (
        f"fails in {format_count(failed, 'case')}" if failed else f"holds for {format_count(result.compared, 'figure')}"
    )
    return "; ".join(filter(None, [f"{result.gate.text}: {verdict}", unjudged_text(result)]))


def summary(metric: MetricComparison) -> str:
    """A metric in one line: counts, geometric mean, and how it was judged."""
    few = [row for row in metric.rows if row.test is None]
    counts = [f"{metric.count('worse')} worse", f"{metric.count('better')} better"]
    counts += [f"{metric.count('same')} unchanged (~)"]
    remedies = "; ".join(dict.fromkeys(row.remedy for row in few))
    counts += [f"{len(few)} {_WORDS['undecided']} ({remedies})"] if few else []
    mean = "no geometric mean" if metric.ratio is None else f"geometric mean {format_relative(metric.ratio - 1)}"
    tests = [_TESTS[test] for test in dict.fromkeys(row.test for row in metric.rows) if test]
    least = METRICS[metric.metric].least
    factor = f"changes below {format_percent(metric.factor)}" if metric.factor else ""
    factor += f" or {format_metric(metric.metric, least)}" if factor and least else ""
    factor += " are not shown" if factor else ""
    return "; ".join(filter(None, [", ".join(counts), mean, *tests, factor]))


def _bullets(title: str, items: Sequence[str], tone: Tone = "plain") -> list[Bullets]:
    return [Bullets(tuple(items), title, tone)] if items else []


def _legend(comparison: Comparison) -> list[str]:
    """How to read the tables, and how far to trust them."""
    one_run = any(set(part.runs.values()) == {1} for part in comparison.machines)
    return [_LEGEND, *([_ONE_RUN] if one_run else [])]


def _machine(part: MachineComparison, *, folds: bool) -> Section:
    """Everything of one machine; `folds`: what did not change is folded."""
    names = dict.fromkeys((part.base.label, part.head.label))
    title = f"{' against '.join(names)}: {format_count(part.runs['base'], 'run')} against {part.runs['head']}"
    return Section(
        title,
        (
            *_bullets("Notes", part.notes, "warning"),
            *([Section("Outcomes", (_outcomes(part.outcomes),))] if part.outcomes else []),
            *(_metric(metric, folds=folds) for metric in part.metrics),
            *_only_on("base", part.matched.only_base, folds=folds),
            *_only_on("head", part.matched.only_head, folds=folds),
            *_differences(part, folds=folds),
        ),
    )


def _only_on(side: str, cases: Sequence[Case], *, folds: bool) -> list[Block]:
    labels = [label_of(case) for case in in_size_order(cases, lambda case: case)]
    return _list(f"{format_count(len(labels), 'case')} only on the {side} side", labels, folds=folds)


def _differences(part: MachineComparison, *, folds: bool) -> list[Block]:
    lines = [difference.text for difference in part.differences]
    return _list(f"{format_count(len(lines), 'other difference')} between the sides", lines, folds=folds)


def _list(title: str, items: Sequence[str], *, folds: bool) -> list[Block]:
    """A list under a title, folded or quiet; nothing without items."""
    if not items:
        return []
    if folds:
        return [Section(title, (Bullets(tuple(items)),), folded=True)]
    return [Bullets(tuple(items), title, "quiet")]


def _outcomes(outcomes: Sequence[OutcomeChange]) -> document.Table:
    return table_of(
        in_size_order(outcomes, lambda change: change.case),
        (Column("Case", may_wrap=True), lambda change: change.label),
        (Column("Base", may_wrap=True), lambda change: change.base),
        (Column("Head", may_wrap=True), lambda change: change.head),
        (Column("Verdict"), lambda change: Cell(change.verdict, tone=_TONES[change.verdict])),
    )


def _metric(metric: MetricComparison, *, folds: bool) -> Block:
    """A metric's table; a sentence if every row has the same figure on both sides."""
    title = METRICS[metric.metric].title
    if metric.is_identical:
        count = len(metric.rows)
        which = f"all {count} cases" if count > 1 else "the only case"
        return Text(f"{title}: the same in {which}.", "quiet")
    if not folds:
        return Section(title, (Text(summary(metric), "quiet"), _rows(metric.rows, metric)))
    changed = [row for row in metric.rows if row.verdict in {"worse", "better"}]
    unchanged = [row for row in metric.rows if row.verdict not in {"worse", "better"}]
    blocks: list[Block] = [Text(summary(metric), "quiet")]
    blocks += [_rows(changed, metric)] if changed else []
    if unchanged:
        blocks.append(Section(f"{len(unchanged)} without a change shown", (_rows(unchanged, metric),), folded=True))
    return Section(title, tuple(blocks))


def _rows(rows: Sequence[Row], metric: MetricComparison) -> document.Table:
    unit = METRICS[metric.metric].unit
    tested = any(row.p_holm is not None for row in metric.rows)
    p = (Column("p", right=True), _p)
    return table_of(
        in_size_order(rows, lambda row: row.case),
        (Column("Case", may_wrap=True), lambda row: row.label),
        (Column("Base", unit), lambda row: row.base.median),
        (Column("Head", unit), lambda row: row.head.median),
        (Column("Change", right=True), lambda row: Cell(row.change, _change(row, metric.metric))),
        *([p] if tested else []),
        (Column("Verdict", may_wrap=True), _verdict),
    )


def _change(row: Row, metric: str) -> str:
    """`+8.1% [+7.9%, +8.3%]`."""
    interval = f" [{', '.join(format_relative(end) for end in row.interval)}]" if row.interval else ""
    return f"{format_change(metric, row.base.median, row.change)}{interval}"


def _p(row: Row) -> Cell:
    return Cell() if row.p_holm is None else Cell(row.p_holm, format_p(row.p_holm))


def _verdict(row: Row) -> Cell:
    return Cell(row.verdict, "~" if row.verdict == "same" else row.verdict, tone=_TONES.get(row.verdict, "warning"))
