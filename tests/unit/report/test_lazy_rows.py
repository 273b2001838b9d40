"""Rows are made when they are looked at, and are otherwise like a tuple of them."""

from __future__ import annotations

import json

import pytest

from bench.report.document import Cell, Column, Document, Table, table_of
from bench.report.lazy_rows import LazyRows
from bench.report.render import json_text, short_pages


def test_a_row_is_made_once_and_only_if_it_is_looked_at() -> None:
    made: list[int] = []
    rows = LazyRows(range(5), lambda number: made.append(number) or number * 10)

    assert (len(rows), made) == (5, [])
    assert (rows[1], rows[-1], rows[1]) == (10, 40, 10)
    assert made == [1, 4]
    assert rows[1:3] == (10, 20)
    assert made == [1, 4, 2]


def test_they_equal_a_tuple_of_the_same_rows_and_end_where_they_end() -> None:
    rows = LazyRows("ab", str.upper)
    assert rows == ("A", "B")
    assert tuple(rows) == ("A", "B")
    assert rows != ("A",)
    assert hash(rows) == hash(("A", "B"))
    assert list(rows) == ["A", "B"]
    with pytest.raises(IndexError):
        rows[2]


def of_many(made: list[int]) -> Table:
    return table_of(range(1000), (Column("Number"), lambda number: made.append(number) or str(number)))


def test_a_short_page_makes_no_cells_that_it_does_not_show() -> None:
    made: list[int] = []
    page = short_pages.shortened(Document("Many", (of_many(made),)))
    (table,) = page.tables()
    assert len(made) == len(table.rows) == short_pages.MOST_ROWS


def test_json_has_every_row() -> None:
    data = json.loads(json_text.render(Document("Many", (of_many([]),))))
    rows = data["blocks"][0]["rows"]
    assert [row[0]["value"] for row in rows] == [str(number) for number in range(1000)]
    assert set(rows[0][0]) == {"value", "text", "kind", "note", "tone"}
    assert of_many([]).rows[7] == (Cell("7"),)
