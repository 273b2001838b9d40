"""One document in five forms, and what a table refuses."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from bench.report.document import (
    MARKS,
    Bullets,
    Cell,
    Column,
    Document,
    Picture,
    Section,
    Table,
    Terms,
    Text,
    legend,
    table,
    table_of,
)
from bench.report.render import console, csv_tables, html_page, json_text, markdown

HOSTILE = "<b>|*x*|\x1b[31m`_y_"
OOM = Cell(text="OOM", kind="published")
TIMES = table(
    [
        Column("Device", splits_table=True),
        Column("Size"),
        Column("Time", "seconds"),
        Column("Memory", "percent"),
        Column("Tiled", "seconds"),
        Column("What follows", may_wrap=True),
    ],
    [
        ["RTX 3070", "256", Cell(0.0151, kind="published"), Cell(5.6, kind="published"), None, "fits"],
        ["RTX 3070", "2048", OOM, OOM, Cell(2.5, kind="simulated"), "only remote fits"],
        [HOSTILE, "1024", Cell(0.5, kind="measured", note="tiling untried"), None, None, Cell("worse", tone="bad")],
    ],
    "Local times",
)
PAGE = Document(
    "Local or remote",
    (
        Text("Written by `bench hybrid`; do not edit."),
        Terms((("OOM", "out of memory, which is a result"),)),
        Section("Times", (TIMES, Picture("hybrid.png", "Time over resolution"))),
        Section("Details", (Bullets(("first", HOSTILE), "Left out"), Text("1 worse", "strong")), folded=True),
    ),
)


@pytest.mark.parametrize(
    ("name", "render"),
    [
        ("document.md", markdown.render),
        ("document.txt", console.render),
        ("document.html", html_page.render_article),
        ("document.json", json_text.render),
        ("document.csv", lambda page: "".join(csv_tables.render("page", page).values())),
    ],
)
def test_one_document_renders_to_five_forms(
    name: str, render: Callable[[Document], str], golden: Callable[[str, str], None]
) -> None:
    golden(name, render(PAGE))


@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_a_table_fits_the_width_of_the_terminal(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    lines = console.render(Document("", (TIMES,))).splitlines()
    assert max(len(line) for line in lines if "†" not in line or "15.1" in line) <= int(columns)
    assert any("15.1 ms†" in line for line in lines)


def test_a_terminal_prints_a_table_a_group_and_names_the_group_in_its_title() -> None:
    text = console.render(Document("", (TIMES,)))
    assert text.count("Local times, RTX 3070") == 1
    assert "Device" not in text


def test_markdown_shows_hostile_text_as_it_is() -> None:
    shown = MarkdownIt("gfm-like", {"linkify": False}).render(markdown.render(PAGE))
    assert "&lt;b&gt;|*x*|?[31m`_y_" in shown


def test_html_holds_hostile_text_as_text() -> None:
    class Reader(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.tags: list[str] = []
            self.text = ""

        def handle_starttag(self, tag: str, attrs: object) -> None:
            self.tags.append(tag)

        def handle_data(self, data: str) -> None:
            self.text += data

    reader = Reader()
    reader.feed(html_page.render_article(PAGE))
    assert "b" not in reader.tags
    assert "<b>|*x*|?[31m`_y_" in reader.text


def test_a_page_of_html_needs_no_other_file_and_suits_a_phone_and_dark_mode() -> None:
    class Reader(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.tags: list[tuple[str, dict[str, str | None]]] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.tags.append((tag, dict(attrs)))

    text = html_page.render(Document(f"Costs {HOSTILE}", (TIMES,)))
    reader = Reader()
    reader.feed(text)
    names = [tag for tag, _ in reader.tags]
    assert text.startswith("<!DOCTYPE html>")
    assert names[:2] == ["html", "head"]
    assert names.count("title") == names.count("style") == names.count("table") == 1
    assert ("meta", {"charset": "utf-8"}) in reader.tags
    assert "width=device-width" in next(attrs["content"] or "" for _, attrs in reader.tags if "content" in attrs)
    assert not any({"src", "href"} & attrs.keys() for _, attrs in reader.tags)
    assert "color-scheme: light dark" in text
    assert "b" not in names


def test_csv_files_are_named_after_page_sections_and_title_and_numbered_if_these_are_equal() -> None:
    one_table = table([Column("A")], [["x"]], "At 512x512")
    page = Document("Costs", (Section("SDXL (decode)", (one_table, one_table)), table([Column("A")], [["é"]], "é")))
    files = csv_tables.render("cost", page)
    assert list(files) == ["cost-sdxl-decode-at-512x512.csv", "cost-sdxl-decode-at-512x512-2.csv", "cost.csv"]
    assert files["cost.csv"].splitlines() == ["a", "é"]


def test_a_csv_file_of_a_very_long_title_has_a_name_that_file_systems_take() -> None:
    titles = [f"{'x' * 400} {number}" for number in range(12)]
    page = Document("", tuple(table([Column("A")], [["x"]], title) for title in titles))
    files = csv_tables.render("page", page)
    assert len(files) == len(titles)
    assert max(map(len, files)) < 120


def test_json_has_the_values_in_their_units() -> None:
    page = json.loads(json_text.render(PAGE))
    times = page["blocks"][2]["blocks"][0]
    assert times["columns"][2] | {"name": "Time", "unit": "seconds"} == times["columns"][2]
    assert times["rows"][0][2] | {"value": 0.0151, "kind": "published"} == times["rows"][0][2]


def test_json_of_a_name_with_half_a_surrogate_pair_can_be_written_and_read() -> None:
    """Such names come out of edited results, and of file names that are not UTF-8."""
    page = Document("a\ud800b", (table([Column("Device"), Column("Time", "seconds")], [["\udcffx", float("inf")]]),))

    read_again = json.loads(json_text.render(page).encode())

    assert read_again["title"] == "a?b"
    assert [cell["value"] for cell in read_again["blocks"][0]["rows"][0]] == ["?x", None]


def test_csv_has_a_column_of_kinds_beside_each_column_of_figures() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_tables.render_table(TIMES))))
    assert [row["time (seconds)"] for row in rows] == ["0.0151", "OOM", "0.5"]
    assert [row["time kind"] for row in rows] == ["published", "published", "measured"]
    assert "device kind" not in rows[0]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-x", "@sum", "\uff1d1+1", "\uff0b1", "\uff0dx", "\uff20sum"])
def test_csv_has_no_text_that_a_spreadsheet_runs(name: str) -> None:
    text = csv_tables.render_table(table([Column("Name")], [[name]]))
    assert text.splitlines()[1].strip('"').startswith("'")


def test_figures_are_marked_only_if_they_are_not_all_measured() -> None:
    def kinds(*cells: Cell) -> list[str]:
        return list(Document("", (table([Column("Time", "seconds")], [[cell] for cell in cells]),)).marks())

    assert kinds(Cell(1.0, kind="measured")) == []
    assert kinds(Cell(1.0, kind="measured"), Cell(1.0, kind="predicted")) == ["measured", "predicted"]
    assert kinds(Cell(1.0, kind="simulated")) == ["simulated"]
    assert legend([]) == ""
    assert MARKS["simulated"] in legend(["measured", "simulated"])


def test_a_table_with_a_column_of_kinds_has_no_marks() -> None:
    columns = [Column("Source", key="kind"), Column("Time", "seconds")]
    page = Document("", (table(columns, [["published", Cell(1.0, kind="published")]]),))
    assert page.marks() == []
    assert MARKS["published"] not in markdown.render(page)


def test_a_table_refuses_rows_of_another_length_and_two_columns_of_one_key() -> None:
    with pytest.raises(ValueError, match="cells"):
        table([Column("A"), Column("B")], [["x"]])
    with pytest.raises(ValueError, match="key"):
        Table((Column("A"), Column("a")), ())


def test_a_table_of_values_has_each_columns_header_and_cell_from_one_pair() -> None:
    made = table_of(
        [("256", 0.5), ("512", None)],
        (Column("Size"), lambda row: row[0]),
        (Column("Time", "seconds"), lambda row: Cell(row[1], kind="measured")),
        (Column("Calls", "count"), lambda row: 7),
        title="Times",
    )
    assert made.title == "Times"
    assert made.keys == ("size", "time", "calls")
    assert made.rows[1] == (Cell("512"), Cell(None, kind="measured"), Cell(7))
