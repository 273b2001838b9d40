"""Long documents as several pages of markdown."""

from __future__ import annotations

import re

from bench.report.document import Bullets, Cell, Column, Document, Section, Table, Terms, Text
from bench.report.render import long_pages, markdown, page_files


def _table(rows: int, name: str = "row") -> Table:
    return Table((Column("Name"),), tuple((Cell(f"{name} {number}"),) for number in range(rows)))


def _lines(document: Document) -> int:
    return len(markdown.render(document).splitlines())


def _names(document: Document) -> list[str]:
    return re.findall(r"(?:row|item|one|two|three|term) \d+", markdown.render(document))


def test_a_document_that_fits_a_page_is_that_page() -> None:
    # given
    document = Document("Costs", (Text("Legend"), Section("One", (_table(200),))))
    # when, then
    assert long_pages.divided("cost", document) == {"cost": document}


def test_a_long_document_is_divided_between_sections() -> None:
    # given three sections that don't fit one page
    sections = [Section(name.title(), (_table(120, name),)) for name in ("one", "two", "three")]
    document = Document("Costs", (Text("Legend"), *sections))
    # when
    pages = long_pages.divided("cost", document)
    # then no section is cut, and nothing is lost, doubled or moved
    assert list(pages) == ["cost", "cost_2"]
    assert all(_lines(page) <= long_pages.MOST_LINES for page in pages.values())
    assert [name for page in pages.values() for name in _names(page)] == _names(document)
    assert "(continued)" not in "".join(map(markdown.render, pages.values()))
    # and the first part says where the third section is, and it where the legend is
    assert "`cost_2.md` (Three)" in markdown.render(pages["cost"])
    assert "`cost.md`" in markdown.render(pages["cost_2"])


def test_a_section_longer_than_a_page_is_divided_too() -> None:
    # given a section of a long table, and lists of the same length
    long = Section("Cards", (_table(700), Section("Folded", (_table(400, "two"),), folded=True)))
    items = Bullets(tuple(f"item {number}" for number in range(500)), "Why")
    terms = Terms(tuple((f"term {number}", "a word") for number in range(500)))
    document = Document("Costs", (Text("Legend"), items, terms, long))
    # when
    pages = long_pages.divided("cost", document)
    # then
    assert len(pages) > 5
    assert all(_lines(page) <= long_pages.MOST_LINES for page in pages.values())
    assert [name for page in pages.values() for name in _names(page)] == _names(document)


def test_only_markdown_is_divided() -> None:
    # given
    document = Document("Costs", (Section("One", (_table(400),)),))
    # when, then
    assert set(page_files.render("cost", document, "markdown")) == {"cost.md", "cost_2.md"}
    assert set(page_files.render("cost", document, "json")) == {"cost.json"}
    assert set(page_files.render("cost", document, "html")) == {"cost.html"}
