"""Documents as one short page of markdown."""

from __future__ import annotations

import re

import pytest

from bench.report.document import Bullets, Cell, Column, Document, Section, Table, Terms, Text, detail
from bench.report.render import markdown, page_files, short_pages


def _table(rows: int, name: str = "row") -> Table:
    return Table((Column("Name"),), tuple((Cell(f"{name} {number}"),) for number in range(rows)))


def _page(document: Document) -> str:
    (content,) = page_files.render("cost", document, "markdown").values()
    return content.decode()


def test_details_are_left_out_of_markdown_alone() -> None:
    # given a section with a table, and a detail; and one of nothing but details
    document = Document(
        "Costs",
        (
            Section("One", (_table(2), detail("All figures", _table(2, "detail")))),
            Section("Two", (detail("Parts", _table(2, "part")),)),
        ),
        (Terms((("row", "a line"),)),),
    )
    # when, then
    page = _page(document)
    assert re.findall(r"(?:row|detail|part) \d", page) == ["row 0", "row 1"]
    assert "All figures" not in page
    assert "Two" not in page
    for form in ("html", "json", "csv"):
        whole = b"".join(page_files.render("cost", document, form).values()).decode()
        assert {"row 1", "detail 1", "part 1"} <= set(re.findall(r"(?:row|detail|part) \d", whole)), form


def test_a_document_is_one_page_of_markdown_however_long_it_is() -> None:
    # given a table and a list that are too long
    document = Document("Costs", (Section("One", (_table(5000),)), Bullets(tuple(f"item {n}" for n in range(500)))))
    # when
    page = _page(document)
    # then the first rows are there, and how many others there are
    assert page.count("\n") <= short_pages.MOST_LINES
    assert "row 0 " in page
    assert f"{5000 - short_pages.MOST_ROWS} more rows" in page
    assert f"{500 - short_pages.MOST_ITEMS} more" in page


def test_very_many_sections_are_cut_and_the_others_counted() -> None:
    # given
    document = Document("Endpoints", tuple(Section(f"Endpoint {n}", (_table(20),)) for n in range(300)), (Text("End"),))
    # when
    page = _page(document)
    # then the first are whole, some of the others are named, and the legend is still there
    assert page.count("\n") <= short_pages.MOST_LINES + 20
    assert "## Endpoint 0\n" in page
    assert "## Endpoint 299\n" not in page
    assert re.search(r"and \d+ more", page)
    assert page.endswith("End\n")


def test_only_markdown_is_shortened() -> None:
    document = Document("Costs", (Section("One", (_table(400),)),))
    for form in ("html", "json", "csv"):
        assert b"row 399" in b"".join(page_files.render("cost", document, form).values())


@pytest.mark.parametrize("longer", ["NVIDIA GeForce RTX 4090", "x"])
def test_a_new_row_changes_no_other_line(longer: str) -> None:
    before = markdown.render_table(Table((Column("Name"), Column("Size")), ((Cell("a"), Cell("1")),)))
    after = markdown.render_table(
        Table((Column("Name"), Column("Size")), ((Cell("a"), Cell("1")), (Cell(longer), Cell("2"))))
    )
    assert after.splitlines()[:-1] == before.splitlines()


def test_a_column_of_one_kind_has_its_mark_at_its_name() -> None:
    # given a column of published figures, and one of two kinds
    columns = (Column("Card"), Column("Time", "seconds"), Column("Peak", "bytes"))
    rows = (
        (Cell("a"), Cell(1.0, kind="published"), Cell(1, kind="published")),
        (Cell("b"), Cell(), Cell(2, kind="measured")),
    )
    # when
    header, _, first, second = markdown.render_table(Table(columns, rows)).splitlines()
    # then
    assert header == "| Card | Time† | Peak |"
    assert first.count("†") == 1
    assert second.count("†") == 0
