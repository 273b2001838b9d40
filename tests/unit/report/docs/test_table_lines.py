"""Cells put into the lines of a table: in the layout that its columns have."""

from __future__ import annotations

import pytest

from bench.report.docs import table_lines

#: Tables of one name and two figures: header, rule and a row; the next row's cells; its line.
LAYOUTS = {
    "unpadded": (["| GPU | a | b |", "|---|---|---|", "| A | 1.5 | 20.25% |"], "| Beta | 10 | 3% |"),
    "no blanks": (["|GPU|a|b|", "|---|---|---|", "|A|1.5|20.25%|"], "|Beta|10|3%|"),
    "no outer bars": (["GPU | a | b", "--- | --- | ---", "A | 1.5 | 20.25%"], "Beta | 10 | 3%"),
    "indented": (["  | GPU | a | b |", "  |---|---|---|", "  | A | 1.5 | 20.25% |  "], "  | Beta | 10 | 3% |"),
    "padded on the right": (
        ["| GPU     | a       | b       |", "| ------- | ------- | ------- |", "| A       | 1.5     | 20.25%  |"],
        "| Beta    | 10      | 3%      |",
    ),
    "padded on the left": (
        [
            "|     GPU |       a |       b |",
            "| ------: | ------: | ------: |",
            "|       A |     1.5 |  20.25% |",
            "|   Gamma |    1.25 |      3% |",
        ],
        "|    Beta |      10 |      3% |",
    ),
    "aligned at the point": (
        [
            "| GPU     |       a |       b |",
            "|:--------|--------:|--------:|",
            "| A       |   1.5   |  20.25  |",
            "| Gamma   |   1.125 | OOM     |",
        ],
        "| Beta    |  10     |  3%     |",
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_an_added_line_has_the_layout_of_its_table(name: str) -> None:
    (header, rule, *rows), line = LAYOUTS[name]
    assert table_lines.layout(header, rule, rows, 2).added(["Beta", "10", "3%"]) == line


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_changed_line_keeps_the_cells_that_do_not_change(name: str) -> None:
    # given a line of a table
    (header, rule, *rows), _ = LAYOUTS[name]
    layout = table_lines.layout(header, rule, rows, 2)
    # when nothing changes, or one cell
    changed = layout.changed(rows[0], ["7", None])
    # then
    assert layout.changed(rows[0], [None, None]) == rows[0]
    assert changed.replace("7", "1.5").replace(" ", "") == rows[0].replace(" ", "")
    assert changed.rpartition("20.25")[2] == rows[0].rpartition("20.25")[2]


def test_a_line_that_is_wider_than_the_table_is_no_reason_to_write_others_so() -> None:
    # given a padded table to which a long name was added once
    rows = ["| A       |   1.5   |  20.25  |", "| B       |   2.5   |  10.25  |", "| A long name |   1.125 |   3     |"]
    layout = table_lines.layout("| GPU     |       a |       b |", "|:--------|--------:|--------:|", rows, 2)
    # when another line is added, then it is padded as the table is
    assert layout.added(["C", "0.25", "OOM"]) == "| C       |   0.25  | OOM     |"


def test_a_bar_with_a_backslash_ends_no_cell() -> None:
    layout = table_lines.layout("| GPU | a |", "|---|---|", [r"| A \| B | 1 |"], 1)
    assert layout.changed(r"| A \| B | 1 |", ["2"]) == r"| A \| B | 2 |"
    assert table_lines.first_cell(r"| A \| B | 1 |") == r"A \| B"
