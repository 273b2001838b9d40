"""A comparison as markdown, for a CI summary or a comment on GitHub. Imports `compare` and `units`."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from bench.analysis.compare import Comparison, MachineComparison
from bench.analysis.compare.verdicts import Row, Table
from bench.core.units import METRICS
from bench.report.pages.compare_words import (
    cells,
    gate_line,
    has_p,
    header,
    headline,
    identical,
    legend,
    sides_line,
    summary,
)
from bench.report.render import markdown
from bench.report.render.markdown import prose, safe
from bench.workloads.labels import label_of


def to_markdown(comparison: Comparison) -> str:
    """A page for a CI summary: the verdict in its first line, what changed in sight, the rest folded."""
    parts = [f"**{headline(comparison)}** (base -> head)"]
    parts += _list("Gates", [gate_line(result) for result in comparison.gates])
    parts += _list("Failures", comparison.failures)
    parts += _list("Notes", comparison.notes)
    for part in comparison.machines:
        parts += _machine(part)
    parts.append(" ".join(legend(comparison, "over")))
    return "\n\n".join(parts) + "\n"


def _list(title: str, lines: Sequence[str]) -> list[str]:
    """A list under a bold line: two lists in a row would run together."""
    return [f"**{title}**", markdown.bullets([prose(line) for line in lines])] if lines else []


def _machine(part: MachineComparison) -> list[str]:
    texts = [f"## {safe(sides_line(part))}", *_list("Notes", part.notes)]
    outcomes = [[label_of(one.case), one.base, one.head, one.verdict] for one in part.outcomes]
    if outcomes:
        rows = [[safe(cell) for cell in row] for row in outcomes]
        texts += ["### Outcomes", markdown.table(["Case", "Base", "Head", "Verdict"], rows, "llll")]
    for table in part.tables:
        if table.is_identical:
            texts.append(f"{identical(table)}.")
            continue
        texts += [f"### {METRICS[table.metric].title}", summary(table), *_table(table)]
    for name, cases in (("base", part.matched.only_base), ("head", part.matched.only_head)):
        if cases:
            listed = markdown.bullets([safe(label_of(case)) for case in cases])
            texts.append(markdown.folded(f"{len(cases)} only on the {name} side", listed))
    if part.differences:
        listed = markdown.bullets([safe(one.told) for one in part.differences])
        texts.append(markdown.folded(f"{len(part.differences)} things differ besides", listed))
    return texts


def _table(table: Table) -> list[str]:
    """The changed rows, and behind a click the others."""
    changed = [row for row in table.rows if row.verdict in {"worse", "better"}]
    others = [row for row in table.rows if row.verdict not in {"worse", "better"}]
    texts = [_rows(changed, table)] if changed else []
    if others:
        texts.append(markdown.folded(f"{len(others)} without a change shown", _rows(others, table)))
    return texts


def _rows(rows: Iterable[Row], table: Table) -> str:
    """Only the case's name comes out of a file; of our own figures, `<0.001` alone could be taken for markup."""
    texts = [[safe(name), *(html.escape(cell) for cell in others)] for name, *others in (cells(r, table) for r in rows)]
    return markdown.table(header(table), texts, "lrrr" + ("r" if has_p(table) else "") + "l")
