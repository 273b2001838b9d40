"""The pages of the committed results have the same figures as before pages were documents.

`golden/pages_before/` holds the pages as they were then. Tables are paired in their order, and their rows are compared
whatever the order of rows and columns. How a page tells the kind of a figure is no part of the comparison: words in
italics then, marks now. Nor are a table's titles and the prose around it.
"""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from bench.analysis.cost import image_costs
from bench.analysis.hybrid import local_or_remote
from bench.analysis.hybrid.local_or_remote import Comparison
from bench.analysis.hybrid.scenario import EVERYTHING, Request, transports_of
from bench.analysis.speed.held_out import evaluate
from bench.commands.files import records_and_predictions
from bench.config import load_gpus, load_networks, load_prices
from bench.record import Ceilings, Record
from bench.report.document import MARKS, Cell, Column, Document, table
from bench.report.pages import cost_page, hybrid_page, measured_page, predicted_page, remote_page, time_model_page
from bench.report.render import markdown
from bench.store import read_ceilings

ROOT = Path(__file__).parents[3]
BEFORE = ROOT / "tests" / "golden" / "pages_before"
KINDS = "|".join(MARKS)
#: `15 ms *published*`, and `15 ms *pub*` of advice; a cell that says nothing else keeps the word.
KIND_WORD = re.compile(rf"(?<=\S) \*({KINDS}|meas|pub|pred|sim)\*")
#: Of kinds, and of times of advice that go beyond the fit.
MARK = re.compile(f"[{''.join(MARKS.values())}°]")
#: The interval of a percentile was `[1 s, 2 s]`, and is `(1 s to 2 s)`.
INTERVAL = re.compile(r"\[([^],]+), ([^],]+)\]")


@dataclass(frozen=True)
class Committed:
    """What the committed results hold."""

    records: list[Record]
    predictions: list[Record]
    ceilings: list[Ceilings]


@dataclass(frozen=True)
class Page:
    """A page to compare.

    Attributes:
        name: of its file, without the ending.
        made: the page in markdown, of the committed results.
        renamed: columns that have another name now; None for those that are gone, since they said the kind.
        cell: what is done to a cell of before, where the same figure is written differently now.
    """

    name: str
    made: Callable[[Committed], str]
    renamed: Mapping[str, str | None] = field(default_factory=dict)
    cell: Callable[[str], str] = str


@dataclass(frozen=True)
class Figures:
    """A table of a page: the names of its columns, and its rows in no order."""

    columns: tuple[str, ...]
    rows: Counter[tuple[str, ...]]


def _measured(name: str) -> Page:
    return Page(name, lambda known: markdown.render(measured_page.pages(known.records, known.ceilings)[f"{name}.md"]))


def _remote(known: Committed) -> str:
    return markdown.render(remote_page.page(remote_page.endpoints(known.records)))


def _time_model(known: Committed) -> str:
    evaluation = evaluate(known.records, known.predictions, load_gpus())
    assert evaluation is not None
    return markdown.render(time_model_page.page(evaluation))


def _advice(_: Committed) -> str:
    """The committed page: it takes torch to write it."""
    return (ROOT / "reports" / "advice.md").read_text()


PAGES = [
    Page("predicted", lambda known: markdown.render(predicted_page.page(known.predictions, known.records))),
    Page("advice", _advice),
    _measured("vae_encode"),
    _measured("vae_decode"),
    Page("remote", _remote, cell=lambda text: INTERVAL.sub(r"(\1 to \2)", text)),
    Page("time_model", _time_model, renamed={"Which is": "Meaning", "Worst is": "Worst case"}),
]


@cache
def committed() -> Committed:
    """The committed results."""
    records, predictions = records_and_predictions([ROOT / "results"])
    ceilings, _ = read_ceilings([ROOT / "results"])
    return Committed(records, predictions, ceilings)


def figures(text: str, page: Page | None = None) -> Iterator[Figures]:
    """The tables of a page in markdown, by the names and the writing of today if it is one of before."""
    for columns, *rows in map(_joined, _tables(text)):
        names = [page.renamed.get(name, name) if page else name for name in columns]
        kept = sorted(
            (place for place, name in enumerate(names) if name is not None), key=lambda place: str(names[place])
        )
        cells = [[_cell(row[place], page) for place in kept] for row in rows]
        yield Figures(tuple(str(names[place]) for place in kept), Counter(map(tuple, cells)))


def _tables(text: str) -> list[list[list[str]]]:
    """The rows of each table, its header first, as GitHub would show them; what is in italics is between stars."""
    tables: list[list[list[str]]] = []
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append([])
        elif token.type in ("th_open", "td_open"):
            tables[-1][-1].append("")
        elif token.type == "inline" and tables and token.level > 3:
            tables[-1][-1][-1] = "".join(map(_shown, token.children or ()))
    return tables


def _joined(table: list[list[str]]) -> list[list[str]]:
    """A table of advice with way, share and time of an image in one cell, as they were: `untiled: 12%, 43 ms`."""
    places = [place for place, name in enumerate(table[0]) if name == "Share" and table[0][place + 1] == "Time"]
    for place in reversed(places):
        table[0][place : place + 2] = []
        for row in table[1:]:
            figures = ", ".join(text for text in row[place : place + 2] if text != "-")
            row[place - 1 : place + 2] = [f"{row[place - 1]}: {figures}" if figures else row[place - 1]]
    return table


def _shown(token: Token) -> str:
    if token.type in ("em_open", "em_close"):
        return "*"
    return "" if token.type in ("strong_open", "strong_close") else token.content.replace("\N{ZERO WIDTH SPACE}", "")


def _cell(text: str, page: Page | None) -> str:
    """A cell without marks, and without words for its kind beside other text."""
    plain = KIND_WORD.sub("", page.cell(text) if page else text)
    return MARK.sub("", plain.replace("*", "")).strip()


def before(name: str) -> str:
    """A page as it was."""
    return gzip.decompress((BEFORE / f"{name}.md.gz").read_bytes()).decode()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_the_figures_that_it_had(page: Page) -> None:
    old, new = list(figures(before(page.name), page)), list(figures(page.made(committed())))
    assert old
    assert [table.columns for table in new] == [table.columns for table in old]
    for number, (was, now) in enumerate(zip(old, new, strict=True)):
        assert {"lost": was.rows - now.rows, "new": now.rows - was.rows} == {"lost": {}, "new": {}}, f"table {number}"


QUANTITY = re.compile(r"\d[\d.,]*(?:x\d+)?(?: ?(?:[munk]?s|min|h|%|[GMK]iB|[kMG]?B|[kMG]?bit/s))?|OOM|never|always")


def _compared(known: Committed) -> Comparison:
    networks = load_networks()
    paths = {name: network.path for name, network in networks.networks.items()}
    request = Request(paths, networks.files, transports_of([], EVERYTHING), None)
    return local_or_remote.compare(known.records, request, EVERYTHING)


def _hybrid(known: Committed) -> Document:
    return hybrid_page.page(_compared(known), load_networks().networks, known.records)


def _cost(known: Committed) -> Document:
    return cost_page.page(image_costs.compare(known.records, _compared(known), load_prices()))


def _quantities(text: str) -> Counter[str]:
    """The figures in the tables of a page, each as often as it stands there."""
    cells = (cell for rows in _tables(text) for row in rows for cell in row)
    return Counter(quantity for cell in cells for quantity in QUANTITY.findall(cell))


@pytest.mark.parametrize(("name", "made"), [("hybrid", _hybrid), ("cost", _cost)])
def test_a_page_whose_columns_were_split_has_lost_no_figure(name: str, made: Callable[[Committed], Document]) -> None:
    old, new = _quantities(before(name)), _quantities(markdown.render(made(committed())))

    assert sum(old.values()) > 1000
    assert old - new == Counter()


def test_figures_are_compared_whatever_their_order_and_marks() -> None:
    old = "| Size | Time |\n|---|--:|\n| 512 | 15 ms *published* |\n| 256 | OOM *measured* |\n| a\\|b | *published* |\n"
    cells = [["a|b", "published"], ["256", Cell(text="OOM", kind="measured")], ["512", Cell(0.015, kind="published")]]
    new = markdown.render(Document("", (table([Column("Size"), Column("Time", "seconds")], cells),)))
    assert list(figures(old)) == list(figures(new))


@pytest.mark.parametrize(
    "other",
    ["| Size |\n|---|\n| 512 |\n", "| Size |\n|---|\n| 256 |\n| 256 |\n", "| Edge |\n|---|\n| 256 |\n| 512 |\n"],
)
def test_a_row_that_is_lost_doubled_or_of_another_column_is_noticed(other: str) -> None:
    assert list(figures("| Size |\n|---|\n| 256 |\n| 512 |\n")) != list(figures(other))
