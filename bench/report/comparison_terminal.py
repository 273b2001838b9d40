"""A comparison on a terminal of any width: cells fold, none is cut. Imports `compare`, `record` and `units`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from bench.compare import Comparison
from bench.compare.verdicts import Table
from bench.record import Case
from bench.report.comparison import cells, gate_line, header, headline, identical, legend, sides_line, summary
from bench.units import METRICS, one_line

_STYLES = {"worse": "red", "better": "green", "same": "dim"}
#: Under this width a case's name is hard to read, and under the second its longer words are broken.
_NAME, _LEAST_NAME = 24, 12


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
        _say(console, (f"{one.verdict}: {one.case.label}: {one.base} -> {one.head}" for one in part.outcomes))
        _say(console, _one_sided("base", part.matched.only_base) + _one_sided("head", part.matched.only_head))
    _say(console, legend(comparison, "under"), "dim")
    _say(console, (f"gate {gate_line(result)}" for result in comparison.gates))
    _say(console, [headline(comparison)], "bold")


def _say(console: Console, lines: Iterable[str], style: str = "") -> None:
    for line in lines:
        console.print(Text(one_line(line), style=style), soft_wrap=True)


def _one_sided(name: str, cases: Sequence[Case]) -> list[str]:
    return [f"only on the {name} side: {case.label}" for case in cases]


def _print_table(table: Table, console: Console) -> None:
    names, rows = header(table), [cells(row, table) for row in table.rows]
    widths, padding = fit([names, *rows], console.width)
    shown = RichTable(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, padding),
        title_justify="left",
        title=Text(METRICS[table.metric].title),
    )
    for name, width in zip(names, widths, strict=True):
        side = "left" if name in {"Case", "Verdict"} else "right"
        shown.add_column(name, justify=side, overflow="fold", width=width)  # type: ignore[arg-type]
    for row, texts in zip(table.rows, rows, strict=True):
        *others, verdict = texts
        shown.add_row(*(Text(text) for text in others), Text(verdict, style=_STYLES.get(row.verdict, "yellow")))
    console.print(shown)
    _say(console, [summary(table)], "dim")


def fit(rows: Sequence[Sequence[str]], room: int) -> tuple[list[int], int]:
    """The width of each column, and the blanks on both sides of the lines between them.

    Columns are as wide as their widest cell where there is room. Else, as far as it takes: the case's name folds to a
    width at which it can be read, change and verdict fold between words, the blanks go, and the name folds further.
    """
    widths = [max(cell_len(row[place]) for row in rows) for place in range(len(rows[0]))]
    words = [max(cell_len(word) for row in rows for word in row[place].split()) for place in range(len(rows[0]))]
    padding = 1

    def missing() -> int:
        return sum(widths) + 2 + (len(widths) - 1) * (1 + 2 * padding) - room

    name, change, verdict = 0, 3, len(widths) - 1
    for place, least in ((name, _NAME), (change, words[change]), (verdict, words[verdict])):
        widths[place] -= max(0, min(missing(), widths[place] - least))
    if missing() > 0:
        padding = 0
    widths[name] -= max(0, min(missing(), widths[name] - _LEAST_NAME))
    return widths, padding
