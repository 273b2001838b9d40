"""The words and cells of a comparison, the same on a terminal and in markdown.

Reads a finished `Comparison` and judges nothing; imports `compare` and `units`.
"""

from __future__ import annotations

from bench.analysis.compare import CASE_VERDICTS, Comparison, MachineComparison
from bench.analysis.compare.gates import GateResult, tell_unjudged
from bench.analysis.compare.verdicts import Row, Table
from bench.core.units import (
    METRICS,
    format_change,
    format_count,
    format_metric,
    format_p,
    format_percent,
    format_relative,
)
from bench.workloads.labels import label_of

_WORDS = {"undecided": "with too few samples or runs", "changed": "with other outcomes"}
_HOW = {
    "mann-whitney": "Mann-Whitney U",
    "welch": "Welch's and pooled t on the logarithms of run medians",
    "exact": "exact, no test",
    "figure": "one figure a run, no test",
    "constant": "the same in all runs of a side, no test",
}
_LEGEND = (
    "Change is head over base. [ ]: its interval, at least 95%. p: adjusted for all tested cases of the metric (Holm). "
    "~: nothing is shown: p is 0.05 or more, or the change is below what the line {place} the table asks for."
)
_ONE_RUN = (
    "There is one run a side: an offset from one run to the next can't be told from a change. Give several runs with "
    "--base and --head, and their medians are compared."
)


def headline(comparison: Comparison) -> str:
    """`2 worse, 1 better, 37 unchanged (40 cases)`: each case once, by its outcome and all its figures."""
    counts = comparison.verdicts
    always = ("worse", "better", "unchanged")
    said = [f"{counts[name]} {_WORDS.get(name, name)}" for name in CASE_VERDICTS if counts[name] or name in always]
    return f"{', '.join(said)} ({format_count(sum(counts.values()), 'case')})"


def identical(table: Table) -> str:
    """`Weights: the same in all 32 cases`: what stands in place of a table of which each row is the same."""
    count = len(table.rows)
    return f"{METRICS[table.metric].title}: the same in {f'all {count} cases' if count > 1 else 'the only case'}"


def summary(table: Table) -> str:
    """A metric in one line: counts, geometric mean, and how it was judged."""
    few = [row for row in table.rows if row.test is None]
    said = [f"{table.count('worse')} worse", f"{table.count('better')} better", f"{table.count('same')} ~"]
    said += [f"{len(few)} too few ({'; '.join(dict.fromkeys(row.remedy for row in few))})"] if few else []
    ratio = table.ratio
    mean = f"geometric mean {format_relative(ratio - 1)}" if ratio is not None else "no geometric mean"
    how = [_HOW[test] for test in dict.fromkeys(row.test for row in table.rows) if test]
    least = METRICS[table.metric].least
    factor = f"changes from {format_percent(table.factor)}" if table.factor else ""
    factor += f" and {format_metric(table.metric, least)}" if factor and least else ""
    return "; ".join(part for part in (", ".join(said), mean, *how, factor) if part)


def sides_line(part: MachineComparison) -> str:
    """`NVIDIA H100: 1 run against 5`."""
    base, head = part.base.label, part.head.label
    where = base if base == head else f"{base} against {head}"
    return f"{where}: {format_count(part.runs[0], 'run')} against {part.runs[1]}"


def legend(comparison: Comparison, place: str) -> list[str]:
    """How to read the tables, and how far to trust them. `place`: where the line with the counts is, under or over."""
    one_run = any(part.runs == (1, 1) for part in comparison.machines)
    return [_LEGEND.format(place=place), *([_ONE_RUN] if one_run else [])]


def gate_line(result: GateResult) -> str:
    """`time>5%: holds for 38 figures; 2 not judged (2 cases only on the base side)`."""
    failed = result.failed_cases
    how = (
        f"fails in {format_count(failed, 'case')}" if failed else f"holds for {format_count(result.compared, 'figure')}"
    )
    return "; ".join(part for part in (f"{result.gate.text}: {how}", tell_unjudged(result)) if part)


def header(table: Table) -> list[str]:
    """The names of a table's columns; the first is the case, the last the verdict."""
    return ["Case", "Base", "Head", "Change", *(["p"] if has_p(table) else []), "Verdict"]


def has_p(table: Table) -> bool:
    """Whether something of it was tested."""
    return any(row.p_holm is not None for row in table.rows)


def cells(row: Row, table: Table) -> list[str]:
    """A row's cells, in the order of `header`."""
    base, head = (format_metric(table.metric, side.median) for side in (row.base, row.head))
    change = format_change(table.metric, row.base.median, row.change)
    if row.interval:
        change += f" [{', '.join(format_relative(end) for end in row.interval)}]"
    p = [format_p(row.p_holm)] if has_p(table) else []
    return [label_of(row.case, row.stage), base, head, change, *p, "~" if row.verdict == "same" else row.verdict]
