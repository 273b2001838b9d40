"""The output of `bench doctor`: findings as a document, and everything as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bench.core.units import format_bytes, format_count, format_metric, format_seconds
from bench.doctor import ClientFacts, Facts, Finding, Level, sound
from bench.record import Ceiling
from bench.report.document import Block, Cell, Column, Document, Text, Tone, table

_TONES: dict[Level, Tone] = {"ok": "good", "note": "plain", "warning": "warning", "problem": "bad"}
_QUIET: tuple[Level, ...] = ("warning", "problem")
#: Without names, so that a terminal prints no header.
_COLUMNS = (
    Column("", key="level"),
    Column("", key="subject", in_heading=True),
    Column("", key="finding", may_wrap=True),
)


def to_json(facts: Facts | ClientFacts, findings: Sequence[Finding]) -> dict[str, Any]:
    """`facts`, `findings` and `sound`, ready for json.dumps."""
    return {
        "sound": sound(findings),
        "findings": [finding.model_dump(mode="json") for finding in findings],
        "facts": facts.model_dump(mode="json"),
    }


def document(findings: Sequence[Finding], verdict: str, *, quiet: bool = False) -> Document:
    """A row for each finding, its remedy below it, and the verdict; if quiet only the warnings and problems."""
    shown = [finding for finding in findings if not quiet or finding.level in _QUIET]
    rows = [row for finding in shown for row in _rows(finding)]
    blocks: list[Block] = [table(_COLUMNS, rows)] if rows else []
    return Document("", (*blocks, *([] if quiet else [Text(verdict)])))


def verdict(findings: Sequence[Finding]) -> str:
    """`This machine is fit to measure on (2 warnings, 1 note).`"""
    if not sound(findings):
        return f"This machine is not fit to measure on{_counts(findings)}: fix the problems first."
    return f"This machine is fit to measure on{_counts(findings)}."


def client_verdict(findings: Sequence[Finding]) -> str:
    """Whether the installed diffusers sends to an endpoint what it was given."""
    if findings[0].level == "problem":  # the first finding is that of the client, the others those of layouts
        return f"The installed diffusers can't be checked{_counts(findings)}: fix the problem first."
    if not sound(findings):
        return f"The installed diffusers sends wrong payloads{_counts(findings)}: fix the problems first."
    if any(finding.level == "warning" for finding in findings):
        return f"The installed diffusers sends wrong payloads unless you apply the remedy{_counts(findings)}."
    return f"The installed diffusers sends what the tensors hold{_counts(findings)}."


def _counts(findings: Iterable[Finding]) -> str:
    """` (2 warnings, 1 note)`; empty if there is nothing to count."""
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


def _rows(finding: Finding) -> Iterator[tuple[Cell, ...]]:
    """The level, the subject and the finding; below the finding its remedy."""
    yield Cell(finding.level, tone=_TONES[finding.level]), Cell(finding.subject), Cell(finding.said)
    if finding.remedy:
        tone: Tone = "strong" if finding.level in _QUIET else "quiet"
        yield Cell(""), Cell(""), Cell(f"-> {finding.remedy}", tone=tone)
