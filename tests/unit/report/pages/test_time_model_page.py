"""The page on predicted times."""

from __future__ import annotations

from dataclasses import replace

from observed import TRUTH, WORKS, observed

from bench.analysis.speed.held_out import Cell
from bench.record import Tile
from bench.report.pages import time_model_page


def a_page() -> str:
    # given 100 ms predicted as 120 ms, and 1 s as 0.95 s
    cells = [
        Cell(observed("one", WORKS[0], "float16", 0.1), 0.12),
        Cell(observed("two", WORKS[1], "float32", 1.0), 0.95),
    ]
    return time_model_page.render(TRUTH, cells)


def cells_of(page: str, start: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith(start)
    ]


def test_median_and_worst_are_told_first() -> None:
    answer = a_page().split("\n\n")[2]

    assert "median error of 2 times is **12.5%** and the worst **20.0%**: one, SD v1.5 encode 512x512." in answer


def test_each_time_is_marked_and_has_its_error() -> None:
    rows = cells_of(a_page().partition("## Every cell")[2], "| one")

    assert rows == [
        ["one", "SD v1.5 encode", "float16", "512x512", "off", "100 ms *published*", "120 ms *predicted*", "+20.0%"]
    ]


def test_a_card_has_its_own_median_and_worst() -> None:
    summary = a_page().partition("## By card left out")[2].partition("## Every cell")[0]

    assert cells_of(summary, "| two") == [["two", "1", "5.0%", "-5.0%", "SD v1.5 encode 512x512"]]


def test_the_figures_are_told_as_shares_of_the_card_s_rates() -> None:
    figures = {row[0]: row[1:] for row in cells_of(a_page(), "| ")}

    assert figures["products, float16 and bfloat16"] == ["2.00", "50% of the rate"]
    assert figures["attention, float32"] == ["4.00", "25% of the rate"]
    assert figures["traffic"] == ["0.50", "200% of the bandwidth"]
    assert figures["launches"] == ["5 µs", "each"]


def test_what_was_seen_is_told() -> None:
    assert "fitted on SD v1.5 encode in float16; SD v1.5 encode in float32, each on cards of ampere alone" in a_page()


def test_a_tiled_case_says_its_tile() -> None:
    cell = Cell(observed("one", WORKS[0], "float16", 0.1), 0.12)
    tiled = cell.observed.case.model_copy(update={"tiling": Tile(tile=256, overlap=64)})
    page = time_model_page.render(TRUTH, [Cell(replace(cell.observed, case=tiled), 0.12)])

    assert "| 256, overlap 64 |" in " ".join(page.split())
    assert "SD v1.5 encode 512x512, tiles of 256" in page


def test_what_was_not_fitted_has_its_own_error_and_its_own_rows() -> None:
    # given a decode of 100 ms predicted as 80 ms, and one of 1 s as 1.1 s
    decodes = [
        Cell(replace(cell.observed, case=cell.observed.case.model_copy(update={"operation": "decode"})), predicted_s)
        for cell, predicted_s in (
            (Cell(observed("one", WORKS[0], "float16", 0.1), 0.12), 0.08),
            (Cell(observed("two", WORKS[1], "float32", 1.0), 0.95), 1.1),
        )
    ]
    fitted = [Cell(observed("one", WORKS[0], "float16", 0.1), 0.12)]
    page = time_model_page.render(TRUTH, fitted, decodes)

    # then the first figure is still of what was fitted, and the others stand apart
    assert "median error of 1 times is **20.0%**" in page
    assert "**15.0%** in the median of 2 times and **20.0%** at worst: one, SD v1.5 decode 512x512." in page
    rows = cells_of(page.partition("## Every cell")[2], "| two")
    assert rows == [
        ["two", "SD v1.5 decode", "float32", "512x512", "off", "1.00 s *published*", "1.10 s *predicted*", "+10.0%"]
    ]
    assert "It was fitted on SD v1.5 encode in float16, " in page
