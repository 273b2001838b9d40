"""A comparison for people and programs: terminal tables, markdown for a CI summary, JSON.

Reads a finished `Comparison` and judges nothing; imports `compare`, `record` and `units`.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from bench.compare import CASE_VERDICTS, Comparison, MachineComparison
from bench.compare.gates import GateResult, format_change, format_percent, format_relative
from bench.compare.sides import told
from bench.compare.verdicts import Row, Table
from bench.record import Case
from bench.report import markdown
from bench.units import METRICS, format_metric

_WORDS = {"undecided": "with too few samples or runs"}
_STYLES = {"worse": "red", "better": "green", "same": "dim"}
_HOW = {
    "mann-whitney": "Mann-Whitney U",
    "welch": "Welch's t on the logarithms of run medians",
    "exact": "exact, any difference is a change",
    "figure": "one figure a run, no test",
    "constant": "the same in all runs of a side, no test",
}
_LEGEND = (
    "Change is head over base. [ ]: its 95% interval. p: adjusted for all tested cases of the metric (Holm). "
    "~: nothing is shown, because p is 0.05 or more, the interval holds 0, or the change is too small to matter."
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
    total = sum(counts.values())
    return f"{', '.join(said)} ({total} case{'s' if total != 1 else ''})"


def summary(table: Table) -> str:
    """A metric in one line: counts, geometric mean, and how it was judged."""
    few = table.count("too few samples", "too few runs")
    said = [f"{table.count('worse')} worse", f"{table.count('better')} better", f"{table.count('same')} ~"]
    said += [f"{few} too few ({_needed(table)})"] if few else []
    ratio = table.ratio
    mean = f"geometric mean {format_relative(ratio - 1)}" if ratio is not None else "no geometric mean"
    how = [_HOW[test] for test in dict.fromkeys(row.test for row in table.rows) if test]
    least = METRICS[table.metric].least
    factor = f"changes from {format_percent(table.factor)}" if table.factor else ""
    factor += f" and {format_metric(table.metric, least)}" if factor and least else ""
    return "; ".join(part for part in (", ".join(said), mean, *how, factor) if part)


def _needed(table: Table) -> str:
    needed = {
        row.verdict.removeprefix("too few "): row.needed for row in table.rows if row.verdict.startswith("too few")
    }
    return ", ".join(f"{count} {what} a side would do" for what, count in needed.items())


def sides_line(part: MachineComparison) -> str:
    """`NVIDIA H100: 1 run against 5`."""
    where = part.base.label if part.base == part.head else f"{part.base.label} against {part.head.label}"
    base, head = part.runs
    return f"{where}: {base} run{'s' if base != 1 else ''} against {head}"


def legend(comparison: Comparison) -> list[str]:
    """How to read the tables, and how far to trust them."""
    return [_LEGEND, *([_ONE_RUN] if any(part.runs == (1, 1) for part in comparison.machines) else [])]


def gate_line(result: GateResult) -> str:
    """`time>5%: holds (40 figures)`."""
    count = len({failure.case for failure in result.failures})
    if count:
        return f"{result.gate.text}: fails in {count} case{'s' if count != 1 else ''}"
    return f"{result.gate.text}: holds ({result.compared} figure{'s' if result.compared != 1 else ''} compared)"


def _header(table: Table) -> list[str]:
    return ["Case", "Base", "Head", "Change", *(["p"] if _has_p(table) else []), "Verdict"]


def _has_p(table: Table) -> bool:
    return any(row.p_holm is not None for row in table.rows)


def _cells(row: Row, table: Table) -> list[str]:
    """A row's cells, in the order of `_header`."""
    base, head = (format_metric(table.metric, side.median) for side in (row.base, row.head))
    change = format_change(row, table.metric)
    if row.interval:
        change += f" [{', '.join(format_relative(end) for end in row.interval)}]"
    p = [] if not _has_p(table) else ["-" if row.p_holm is None else _p(row.p_holm)]
    return [row.case.label, base, head, change, *p, "~" if row.verdict == "same" else row.verdict]


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"


# terminal


def print_terminal(comparison: Comparison, console: Console) -> None:
    """Notes, then per machine its tables, outcomes and one-sided cases, then gates and the headline."""
    _say(console, (f"note: {note}" for note in comparison.notes), "yellow")
    for part in comparison.machines:
        _say(console, [sides_line(part)], "bold")
        _say(console, (f"note: {note}" for note in part.notes), "yellow")
        _say(console, (f"differs: {told(one)}" for one in part.differences), "dim")
        for table in part.tables:
            _print_table(table, console)
        _say(console, (f"{one.verdict}: {one.case.label}: {one.base} -> {one.head}" for one in part.outcomes))
        _say(console, _one_sided("base", part.only_base) + _one_sided("head", part.only_head))
    _say(console, legend(comparison), "dim")
    _say(console, (f"gate {gate_line(result)}" for result in comparison.gates))
    _say(console, [headline(comparison)], "bold")


def _say(console: Console, lines: Iterable[str], style: str = "") -> None:
    for line in lines:
        console.print(Text(line, style=style), soft_wrap=True)


def _print_table(table: Table, console: Console) -> None:
    shown = RichTable(
        box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left", title=Text(METRICS[table.metric].title)
    )
    for name in _header(table):
        if name == "Case":
            shown.add_column(name, overflow="fold", min_width=20)
        else:
            shown.add_column(name, justify="left" if name == "Verdict" else "right", no_wrap=True)
    for row in table.rows:
        style = _STYLES.get(row.verdict, "yellow")
        *others, verdict = _cells(row, table)
        shown.add_row(*(Text(cell) for cell in others), Text(verdict, style=style))
    console.print(shown)
    _say(console, [summary(table)], "dim")


def _one_sided(name: str, cases: Sequence[Case]) -> list[str]:
    return [f"only on the {name} side: {case.label}" for case in cases]


# markdown


def to_markdown(comparison: Comparison) -> str:
    """A page for a CI summary: the verdict in its first line, what changed in sight, the rest folded."""
    parts = [f"**{headline(comparison)}** (base -> head)"]
    parts += [markdown.bullets([_safe(f"gate {gate_line(result)}") for result in comparison.gates])]
    parts += [markdown.bullets([_safe(line) for line in comparison.failures])]
    parts += [markdown.bullets([f"Note: {_safe(note)}" for note in comparison.notes])]
    for part in comparison.machines:
        parts += _machine_markdown(part)
    parts.append(" ".join(legend(comparison)))
    return "\n\n".join(part for part in parts if part) + "\n"


def _machine_markdown(part: MachineComparison) -> list[str]:
    texts = [f"## {_safe(sides_line(part))}", markdown.bullets([f"Note: {_safe(note)}" for note in part.notes])]
    outcomes = [[one.case.label, one.base, one.head, one.verdict] for one in part.outcomes]
    if outcomes:
        texts += ["### Outcomes", _table(["Case", "Base", "Head", "Verdict"], outcomes, "llll")]
    for table in part.tables:
        texts += [f"### {METRICS[table.metric].title}", _safe(summary(table)), *_table_markdown(table)]
    for name, cases in (("base", part.only_base), ("head", part.only_head)):
        if cases:
            listed = markdown.bullets([_safe(case.label) for case in cases])
            texts.append(markdown.folded(f"{len(cases)} only on the {name} side", listed))
    if part.differences:
        listed = markdown.bullets([_safe(told(one)) for one in part.differences])
        texts.append(markdown.folded(f"{len(part.differences)} things differ besides", listed))
    return texts


def _table_markdown(table: Table) -> list[str]:
    """The changed rows, and behind a click the others."""
    align = "lrrr" + ("r" if _has_p(table) else "") + "l"
    changed = [row for row in table.rows if row.verdict in {"worse", "better"}]
    others = [row for row in table.rows if row not in changed]
    texts = [_table(_header(table), [_cells(row, table) for row in changed], align)] if changed else []
    if others:
        body = _table(_header(table), [_cells(row, table) for row in others], align)
        texts.append(markdown.folded(f"{len(others)} without a change shown", body))
    return texts


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> str:
    return markdown.table(header, [[_safe(cell) for cell in row] for row in rows], align)


def _safe(text: str) -> str:
    """Text that GitHub does not take for markup: names and messages come out of files."""
    return html.escape(" ".join(text.split()), quote=False).replace("`", "'")
