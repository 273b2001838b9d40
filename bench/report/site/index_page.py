"""`reports/index.html` from values: the answer for a card, plots, tables and machines, in one file.

The values stand in it as JSON, which the page's own script shows: nothing is asked of a network, and the content
security policy of the page would refuse it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from bench.analysis.cost.image_costs import Costs
from bench.analysis.verdicts.device_card import card_of
from bench.analysis.verdicts.questions import Verdicts
from bench.config import load_gpus
from bench.record import Record
from bench.report.document import spans
from bench.report.pages import run_details
from bench.report.site import cost_curves, libraries, machines, record_rows, verdict_lines
from bench.report.site.record_rows import RecordTable
from bench.report.site.shown import json_lines, json_text, shown

#: The file's name.
PAGE = "index.html"
#: What readers ask of most.
_USUAL_MODEL = "sdxl"
#: The page's own scripts, in the order in which they need each other.
_SCRIPTS = ("words.js", "choice.js", "answer.js", "plots.js", "tables.js", "page.js")
#: More machines are folded: a phone shows one or two of them at a time.
_MACHINES_AT_FIRST = 6
_ASSETS = files("bench.report.site") / "assets"


@dataclass(frozen=True, slots=True)
class Contents:
    """What the page shows.

    Attributes:
        verdicts: overlaid with what was measured and published; None if they are not installed.
        records: of all kinds but predicted.
        costs: what images cost where their time was measured or published.
    """

    verdicts: Verdicts | None
    records: Sequence[Record]
    costs: Costs


def render(contents: Contents) -> bytes:
    """The page. The same contents give the same bytes. Raises PackageError if a library is missing."""
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - only who writes the page pays for it

    tables = [make(contents.records) for make in (record_rows.measured, record_rows.published, record_rows.endpoints)]
    shown_machines, unshown_machines = machines.machines(contents.records)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = environment.from_string(_asset("page.html")).render(
        style=_asset("page.css"),
        tables_style=libraries.tables_style(),
        tables_script=libraries.tables_script(),
        plots_scripts=libraries.plots_scripts(),
        scripts=[_asset(name) for name in _SCRIPTS],
        data=_data(contents, tables),
        tables=tables,
        has_verdicts=contents.verdicts is not None and bool(contents.verdicts.questions and contents.verdicts.cards),
        errors=contents.verdicts.errors if contents.verdicts is not None else None,
        spans=spans,
        machines=shown_machines,
        machines_at_first=_MACHINES_AT_FIRST,
        unshown_machines=unshown_machines,
    )
    return f"{text}\n".encode()


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


def _data(contents: Contents, tables: Sequence[RecordTable]) -> str:
    """The page's data as JSON, with each question, row and image on a line of its own."""
    columns = {table.key: table.columns() for table in tables}
    rows = (f"{json_text(table.key)}:{json_lines(record_rows.group_lines(table))}" for table in tables)
    parts = [
        f'"verdicts":{verdict_lines.json_of(contents.verdicts)}',
        f'"usual":{json_text(_usual(contents))}',
        f'"columns":{json_text(columns)}',
        '"rows":{' + ",\n".join(rows) + "}",
        f'"currency":{json_text(contents.costs.prices.currency)}',
        f'"volumes":{json_text(cost_curves.VOLUMES)}',
        f'"costs":{json_lines(cost_curves.curves(contents.costs))}',
    ]
    return "{" + ",\n".join(parts) + "}"


def _usual(contents: Contents) -> dict[str, str | None]:
    """What the page shows first: the GPU that was measured last, and the call that the docs begin with."""
    measured = [record for record in contents.records if record.kind == "measured" and record.device.kind == "cuda"]
    cards = contents.verdicts.cards if contents.verdicts is not None else ()
    card = card_of(run_details.begun_last(measured).device, cards, load_gpus()) if measured else None
    return {"card": shown(card.name) if card else None, "model": _USUAL_MODEL, "operation": "decode"}
