"""A comparison on a terminal of any width. Imports `compare`, `record` and `units`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from rich.console import Console
from rich.text import Text

from bench.analysis.compare import Comparison
from bench.analysis.compare.verdicts import Table
from bench.core.units import METRICS, one_line
from bench.record import Case
from bench.report.pages.compare_words import cells, gate_line, header, headline, identical, legend, sides_line, summary
from bench.report.render.terminal import Column, print_table, say
from bench.workloads.labels import label_of

_STYLES = {"worse": "red", "better": "green", "same": "dim"}
#: The columns of text: to which side they are set, and that they wrap.
_KINDS: dict[str, tuple[Literal["left", "right"], bool]] = {
    "Case": ("left", True),
    "Change": ("right", True),
    "Verdict": ("left", True),
}


def print_terminal(comparison: Comparison, console: Console) -> None:
    """Notes, then per machine its tables, outcomes and one-sided cases, then gates and the headline."""
    _say(console, (f"note: {note}" for note in comparison.notes), "yellow")
    for part in comparison.machines:
        _say(console, [sides_line(part)], "bold")
        _say(console, (f"note: {note}" for note in part.notes), "yellow")
        _say(console, (f"differs: {one.told}" for one in part.differences), "dim")
        for table in part.tables:
            if table.is_identical:
                _say(console, [f"{identical(table)}."], "dim")
            else:
                _print_table(table, console)
        _say(console, (f"{one.verdict}: {label_of(one.case)}: {one.base} -> {one.head}" for one in part.outcomes))
        _say(console, _one_sided("base", part.matched.only_base) + _one_sided("head", part.matched.only_head))
    _say(console, legend(comparison, "under"), "dim")
    _say(console, (f"gate {gate_line(result)}" for result in comparison.gates))
    _say(console, [headline(comparison)], "bold")


def _say(console: Console, lines: Iterable[str], style: str = "") -> None:
    for line in lines:
        say(console, one_line(line), style)


def _one_sided(name: str, cases: Sequence[Case]) -> list[str]:
    return [f"only on the {name} side: {label_of(case)}" for case in cases]


def _print_table(table: Table, console: Console) -> None:
    columns = [Column(name, *_KINDS.get(name, ("right", False))) for name in header(table)]
    rows: list[list[str | Text]] = []
    for row in table.rows:
        *figures, verdict = cells(row, table)
        rows.append([*figures, Text(verdict, style=_STYLES.get(row.verdict, "yellow"))])
    print_table(console, columns, rows, METRICS[table.metric].title)
    _say(console, [summary(table)], "dim")
