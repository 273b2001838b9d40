"""The page on predicted times."""

from __future__ import annotations

from dataclasses import replace

from documents import rows_of, section
from factories import a_case
from observed import TRUTH, WORKS, observed

from bench.analysis.speed.held_out import Cell, Evaluation
from bench.record import Tile
from bench.report.document import Document, Text
from bench.report.pages import time_model_page
from bench.report.render import markdown

#: 100 ms predicted as 120 ms, and 1 s as 0.95 s.
FITTED = (Cell(observed("one", WORKS[0], "float16", 0.1), 0.12), Cell(observed("two", WORKS[1], "float32", 1.0), 0.95))
PAGE = time_model_page.page(Evaluation(TRUTH, FITTED, ()))


def texts(page: Document) -> list[str]:
    """The paragraphs at the top of a page."""
    return [block.text for block in page.blocks if isinstance(block, Text)]


def test_median_and_worst_are_told_first() -> None:
    answer = texts(PAGE)[1]
    assert "all 2 times" in answer
    assert "12.5%" in answer
    assert answer.endswith("20.0%: one, SD v1.5 encode 512x512.")


def test_each_time_is_marked_with_its_kind_and_has_its_error() -> None:
    (row,) = rows_of(section(PAGE, "All times"), "Card left out", "one")
    assert list(row.values()) == ["one", "SD v1.5 encode", "float16", "512x512", "off", "100 ms†", "120 ms‡", "+20.0%"]
    assert PAGE.marks() == ["published", "predicted"]


def test_a_card_has_its_own_median_and_worst() -> None:
    (row,) = rows_of(section(PAGE, "Error of each card"), "Card left out", "two")
    assert list(row.values()) == ["two", "1", "5.0%", "-5.0%", "SD v1.5 encode 512x512"]


def test_the_figures_are_told_as_shares_of_the_card_s_rates() -> None:
    figures = {row["Part"]: (row["Figure"], row["Meaning"]) for row in rows_of(PAGE, "Part")}

    assert figures["products, float16 and bfloat16"] == ("2.00", "50% of the rate")
    assert figures["attention, float32"] == ("4.00", "25% of the rate")
    assert figures["traffic"] == ("0.50", "200% of the bandwidth")
    assert figures["launches"] == ("5 µs", "each")


def test_what_was_seen_is_told() -> None:
    page = markdown.render(section(PAGE, "Limits"))
    assert "SD v1.5 encode in float16; SD v1.5 encode in float32" in page
    assert "ampere" in page


def test_a_tiled_case_says_its_tile() -> None:
    cell = FITTED[0]
    tiled = cell.observed.case.model_copy(update={"tiling": Tile(tile=256, overlap=64)})
    page = time_model_page.page(Evaluation(TRUTH, (Cell(replace(cell.observed, case=tiled), 0.12),), ()))

    assert rows_of(page, "Tiles")[0]["Tiles"] == "256, overlap 64"
    assert rows_of(page, "Worst case")[0]["Worst case"] == "SD v1.5 encode 512x512, tiles of 256"


def test_sizes_are_in_natural_order_within_a_card() -> None:
    cases = [a_case(model="sd-v1", size=size, dtype="float16") for size in (512, 256, 2048, 1024)]
    cells = [Cell(replace(FITTED[0].observed, card=card, case=case), 0.12) for case in cases for card in ("a", "b")]
    rows = rows_of(time_model_page.page(Evaluation(TRUTH, tuple(cells), ())), "Size")
    natural = ["256x256", "512x512", "1024x1024", "2048x2048"]
    assert [(row["Card left out"], row["Size"]) for row in rows] == [(card, size) for card in "ab" for size in natural]


def test_what_was_not_fitted_has_its_own_error_and_its_own_rows() -> None:
    # given a decode of 100 ms predicted as 80 ms, and one of 1 s as 1.1 s
    decodes = [
        Cell(replace(cell.observed, case=cell.observed.case.model_copy(update={"operation": "decode"})), predicted_s)
        for cell, predicted_s in zip(FITTED, (0.08, 1.1), strict=True)
    ]
    page = time_model_page.page(Evaluation(TRUTH, FITTED[:1], tuple(decodes)))

    # then the first figure is still of what was fitted, and the others stand apart
    fitted, beyond = texts(page)[1:]
    assert "20.0%" in fitted
    assert "15.0%" in beyond
    assert "20.0%: one, SD v1.5 decode 512x512." in beyond
    (row,) = rows_of(section(page, "All times"), "Card left out", "two")
    assert list(row.values())[1:] == ["SD v1.5 decode", "float32", "512x512", "off", "1.00 s†", "1.10 s‡", "+10.0%"]
    assert "SD v1.5 encode in float16, " in markdown.render(section(page, "Limits"))
