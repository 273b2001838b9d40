"""The records of results that go on a docs page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.errors import listed
from bench.record import Record, grouped
from bench.report.docs.docs_grid import names_of, refuse_other_kinds, single_images, with_rows
from bench.workloads import models
from bench.workloads.labels import label_of

_KINDS = ("measured", "published")
_MOST_LABELS = 4


def choose(records: Sequence[Record]) -> tuple[list[Record], list[str]]:
    """The records for a page's tables, and notes on those that are left out.

    Published figures are used only if nothing was measured, because the page may have newer ones. If several cases fit
    one cell, and one of them is the docs' own (in the model's precision and with its tile), that one is used. Raises
    DocsError if there are records of other kinds, or none that tables in the form of the docs can show.
    """
    shown = with_rows(records, _KINDS)
    refuse_other_kinds(shown, _KINDS)
    used = [record for record in shown if record.kind == "measured"] or shown
    plain, notes = single_images(used)
    cells = grouped(plain, _cell)
    chosen = [record for cell in cells for record in ([each for each in cell if _is_docs_own(each)] or cell)]
    return chosen, notes


def doubts(records: Iterable[Record]) -> list[str]:
    """A note on records that a page shows and that are not of the docs' own cases."""
    other = [record for record in records if not _is_docs_own(record)]
    if not other:
        return []
    return [
        "A docs table has no column for precision, tile or weights, so readers will take these cases to be in the "
        f"model's own precision, with its own tile and random weights, which they are not: {_labels(other)}."
    ]


def _labels(records: Iterable[Record]) -> str:
    return listed((label_of(record.case) for record in records), _MOST_LABELS)


def _cell(record: Record) -> tuple[object, ...]:
    """The cells of a page that a record's figures belong in."""
    case = record.case
    return case.model, case.operation, names_of(record), case.tile is not None


def _is_docs_own(record: Record) -> bool:
    """Whether a case is the one that the docs' tables are about, as far as they say."""
    case = record.case
    if case.model not in models.zoo():
        return False
    tile = models.workload(case.model).default_tile(case.model)
    return case.dtype == models.get(case.model).dtype and case.tile in (None, tile) and case.weights == "random"
