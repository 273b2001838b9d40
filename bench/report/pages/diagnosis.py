"""What `bench doctor` shows: findings as lines for a terminal, and all of it as JSON. Pure but for rich's printing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from bench.core.units import format_bytes, format_count, format_metric, format_seconds, one_line
from bench.doctor import ClientFacts, Facts, Finding, Level, sound
from bench.record import Ceiling
from bench.report.render.terminal import Column, print_table, say

_STYLES: dict[Level, str] = {"ok": "green", "note": "cyan", "warning": "yellow", "problem": "bold red"}
_QUIET: tuple[Level, ...] = ("warning", "problem")
#: Level, subject, and what was found.
_COLUMNS = (Column(""), Column("", heads=True), Column("", wraps=True))


def to_json(facts: Facts | ClientFacts, findings: Sequence[Finding]) -> dict[str, Any]:
    """`facts`, `findings` and `sound`, ready for json.dumps."""
    return {
        "sound": sound(findings),
        "findings": [finding.model_dump(mode="json") for finding in findings],
        "facts": facts.model_dump(mode="json"),
    }


def print_findings(findings: Sequence[Finding], console: Console, verdict: str, *, quiet: bool = False) -> None:
    """A row a finding, its remedy under it, and the verdict; when quiet only warnings and problems, and no verdict."""
    shown = [finding for finding in findings if not quiet or finding.level in _QUIET]
    if shown:
        print_table(console, _COLUMNS, [_row(finding) for finding in shown], header=False)
    if not quiet:
        console.print()
        say(console, verdict)


def verdict(findings: Sequence[Finding]) -> str:
    """`A run here would be sound (2 warnings, 1 note).`"""
    if not sound(findings):
        return f"A run here would not be sound{_counts(findings)}: put the problems right first."
    return f"A run here would be sound{_counts(findings)}."


def client_verdict(findings: Sequence[Finding]) -> str:
    """The same of what the installed diffusers sends to an endpoint."""
    if not sound(findings):
        return (
            f"What the installed diffusers sends can't be relied on{_counts(findings)}: put the problems right first."
        )
    if any(finding.level == "warning" for finding in findings):
        return f"The installed diffusers corrupts what it is passed as it is{_counts(findings)}; the remedy holds."
    return f"What the installed diffusers sends is what the tensors hold{_counts(findings)}."


def _counts(findings: Iterable[Finding]) -> str:
    """` (2 warnings, 1 note)`; nothing where there is none."""
    counts = Counter(finding.level for finding in findings)
    levels: tuple[Level, ...] = ("problem", "warning", "note")
    parts = [format_count(counts[level], level) for level in levels if counts[level]]
    return f" ({', '.join(parts)})" if parts else ""


def ceiling_line(ceiling: Ceiling) -> str:
    """`matmul float16    668 TFLOP/s   8192 x 8192, median of 381 calls 1.65 ms`."""
    if ceiling.what == "copy":
        rate = f"{_gigabytes(ceiling.per_second)} GB/s"
        size = f"{format_bytes(ceiling.size)} read and written"
    else:
        rate, size = format_metric("achieved", ceiling.per_second), f"{ceiling.size} x {ceiling.size}"
    name = "copy" if ceiling.what == "copy" else f"matmul {ceiling.dtype}"
    calls = f"median of {len(ceiling.samples_s)} calls {format_seconds(ceiling.median_s)}"
    return f"{name:<16} {rate:>14}   {size}, {calls}"


def _gigabytes(per_second: float) -> str:
    """Three digits; 10^9 bytes, as data sheets count bandwidth."""
    value = per_second / 1e9
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _row(finding: Finding) -> tuple[Text, ...]:
    """The level, the subject, and what was found with its remedy in a line of its own."""
    text = Text(one_line(finding.said))
    if finding.remedy:
        text.append(f"\n-> {one_line(finding.remedy)}", style="bold" if finding.level in _QUIET else "dim")
    return Text(finding.level, style=_STYLES[finding.level]), Text(one_line(finding.subject)), text
