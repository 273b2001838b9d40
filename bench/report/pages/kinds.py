"""Figures with the word for what they are: measured, published, simulated, predicted. For the pages that mix them."""

from __future__ import annotations

from bench.core.units import format_metric, format_seconds
from bench.record import Case, Measured, OutOfMemory, Record
from bench.report.pages.cells import outcome as status

#: How sure a predicted verdict is, as it stands after it.
SURE = {"high": "", "medium": "?", "low": "??"}
TIGHT = "it runs, with leaner and perhaps slower kernels than it would like."
#: What stands in for a card's memory where nobody published it; the verb that follows the cards' names.
MEMORY_ASSUMED = "is sold with. Nobody published what torch reports of it, which is up to 9% less"


def marked(text: str, kind: str) -> str:
    """`15 ms *published*`."""
    return f"{text} *{kind}*"


def time_cell(record: Record | None) -> str:
    """The median of a record, marked; OOM, or another outcome in a word; `-` for no record."""
    if record is None:
        return "-"
    if isinstance(record.outcome, OutOfMemory):
        return marked("OOM", record.kind)
    if not isinstance(record.outcome, Measured):
        return marked(status(record), record.kind)
    return marked(format_seconds(record.timing.median_s), record.kind) if record.timing else "-"


def memory_cell(record: Record | None) -> str:
    """The peak of a record as the docs give it, marked; OOM; `-` where it is not known."""
    if record is not None and isinstance(record.outcome, OutOfMemory):
        return marked("OOM", record.kind)
    percent = record.memory.percent if record and record.memory else None
    return "-" if percent is None else marked(format_metric("memory_percent", percent), record.kind if record else "")


def precision(case: Case, record: Record | None, *also: str) -> str:
    """`float16 (assumed), weights hub`: what tells a case from another of its size; `also` comes after the dtype."""
    said = [case.dtype + (" (assumed)" if record is not None and "dtype" in record.assumed else ""), *also]
    said += [f"weights {case.weights}"] if case.weights != "random" else []
    said += [case.variant] if case.variant != "default" else []
    return ", ".join(said)
