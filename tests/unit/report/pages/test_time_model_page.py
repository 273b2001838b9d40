"""The page on predicted times."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from documents import rows_of, section
from factories import a_case
from observed import TRUTH, WORKS, observed

from bench.analysis.speed.clock import Clock, Estimate
from bench.analysis.speed.evaluation import Check, Evaluation, Trial
from bench.analysis.speed.extrapolation import Range, Scope
from bench.analysis.speed.fit import LEAST
from bench.analysis.speed.held_out import Cell, errors
from bench.analysis.speed.never_fitted import PublishedElsewhere
from bench.analysis.speed.observation import Observation
from bench.analysis.speed.parts import Form
from bench.record import Tile
from bench.report.document import Document, Text
from bench.report.pages import time_model_page
from bench.report.render import markdown

#: 100 ms and 1 s, which are predicted as 120 ms and 0.95 s without their card.
SEEN = (observed("one", WORKS[0], "float16", 0.1), observed("two", WORKS[1], "float32", 1.0))
CELLS = (Cell(SEEN[0], 0.12), Cell(SEEN[1], 0.95))


def evaluation(cells: Sequence[Cell] = CELLS, **fields: Any) -> Evaluation:
    """An evaluation of these cells, whose times are all fitted."""
    seen = tuple(cell.observed for cell in cells if isinstance(cell.observed, Observation))
    return Evaluation(**{"clock": Clock(TRUTH, Scope.of(seen)), "fitted": seen, "cards": tuple(cells)} | fields)


PAGE = time_model_page.page(evaluation())


def texts(page: Document) -> list[str]:
    """The paragraphs at the top of a page."""
    return [block.text for block in page.blocks if isinstance(block, Text)]


def test_median_and_worst_are_told_first() -> None:
    answer = texts(PAGE)[0]
    assert "all 2 times" in answer
    assert "12.5%" in answer
    assert answer.endswith("20.0%: one, SD v1.5 encode 512x512.")


def test_each_time_is_marked_with_its_kind_and_has_its_error() -> None:
    (row,) = rows_of(section(PAGE, "All times"), "Card left out", "one")
    assert list(row.values())[:8] == [
        *("one", "SD v1.5 encode", "float16", "512x512", "off", "100 ms†", "120 ms‡", "+20.0%")
    ]
    assert PAGE.marks() == ["published", "predicted"]


def test_a_card_has_its_own_median_and_worst() -> None:
    (row,) = rows_of(section(PAGE, "Error of each card"), "Card left out", "two")
    assert list(row.values()) == ["two", "1", "5.0%", "-5.0%", "SD v1.5 encode 512x512"]


def test_the_figures_are_told_as_shares_of_the_card_s_rates() -> None:
    figures = {row["Part"]: (row["Figure"], row["Meaning"]) for row in rows_of(PAGE, "Part")}

    assert figures["products, float16 and bfloat16"] == ("2.00", "50% of the rate")
    assert figures["attention, float32"] == ("4.00", "25% of the rate")
    assert figures["memory"] == ("1.25", "80% of the bandwidth")
    assert figures["cache"] == ("3.00", "21 bytes a cycle and multiprocessor")
    assert figures["launches"] == ("5 µs", "each")


def test_a_figure_that_is_as_low_as_the_hardware_allows_is_marked() -> None:
    clock = Clock(LEAST, Scope.of(SEEN))
    figures = {row["Part"]: row["Meaning"] for row in rows_of(time_model_page.page(evaluation(clock=clock)), "Part")}
    marked = {part for part, meaning in figures.items() if "that is allowed" in meaning}
    assert marked == {part for part in figures if part not in {"group normalisation", "launches"}}


def test_an_architecture_left_out_has_its_own_errors_and_a_column_of_them() -> None:
    # given the same times, predicted as 130 ms and 0.8 s without their architecture
    architectures = (Cell(SEEN[0], 0.13), Cell(SEEN[1], 0.8))
    page = time_model_page.page(evaluation(architectures=architectures))
    (row,) = rows_of(section(page, "Error of each architecture"), "Architecture left out")
    assert (row["Architecture left out"], row["Times"], row["Median error"]) == ("ampere (8.6)", "2", "25.0%")
    assert row["Worst case"] == "one, SD v1.5 encode 512x512"
    errors_shown = [row["Error without its architecture"] for row in rows_of(page, "Tiles")]
    assert errors_shown == ["+30.0%", "-20.0%"]
    assert any("25.0%" in text and "architecture" in text for text in texts(page))


def test_the_range_beyond_the_fit_is_told_with_its_factor_or_as_unknown() -> None:
    ranged = Clock(TRUTH, Scope.of(SEEN), spread=1.66)
    assert any("1.66" in text for text in texts(time_model_page.page(evaluation(clock=ranged))))
    assert not any("multiplied" in text for text in texts(PAGE))


def test_a_time_that_was_never_fitted_stands_beside_its_range_with_its_source() -> None:
    published = PublishedElsewhere("NVIDIA H200", SEEN[0].case, 0.09, "under autocast", "a pull request")
    check = Check(published, Estimate(0.07, ("hopper",), Range(0.05, 0.1)))
    (row,) = rows_of(section(time_model_page.page(evaluation(checks=(check,))), "Beyond the fit"), "Published")
    assert (row["Published"], row["From"], row["To"]) == ("90 ms", "50 ms‡", "100 ms‡")
    assert (row["Setting"], row["Source"]) == ("under autocast", "a pull request")
    # And the page tells what was known when the rule was chosen, and that it was changed
    page = markdown.render(section(time_model_page.page(evaluation(checks=(check,))), "Beyond the fit"))
    assert {"H200", "Student's t", "3.1"} <= set(re.findall(r"Student's t|H200|3\.1", page))


def test_a_time_whose_kernels_are_not_modelled_has_no_range_and_does_not_count() -> None:
    # Given a time of other kernels
    other = PublishedElsewhere("NVIDIA H200", SEEN[0].case, 0.03, "fused", "a pull request", has_usual_kernels=False)
    trials = (Trial(Form(), Clock(TRUTH, Scope.of(SEEN)), (Check(other, None),)),)
    page = time_model_page.page(evaluation(checks=(Check(other, None),), trials=trials))
    # Then
    (row,) = rows_of(section(page, "Beyond the fit"), "Published")
    assert (row["Published"], row["Setting"], row["From"], row["To"]) == ("30 ms", "fused", "-", "-")
    assert rows_of(page, "Not fitted, in the range")[0]["Not fitted, in the range"] == "0 of 0"


def test_what_the_wider_range_of_another_class_decides_is_told(toy_video: str) -> None:
    # Given two times of a class that was never fitted: one within the factor of 1.5, one within its square
    case = a_case(model=toy_video, frames=17)
    checks = tuple(
        Check(PublishedElsewhere("", case, seconds, "", ""), Estimate(1.0, ("other",), Range(0.44, 2.25)))
        for seconds in (1.4, 2.0)
    )
    clock = Clock(TRUTH, Scope.of(SEEN), spread=1.5)
    page = markdown.render(section(time_model_page.page(evaluation(checks=checks, clock=clock)), "Beyond the fit"))
    # Then
    assert "2 are of another class" in page
    assert "1 would be in their range" in page


def test_what_other_forms_of_the_model_would_do_is_shown() -> None:
    scope = Scope.of(SEEN)
    check = Check(PublishedElsewhere("", SEEN[0].case, 0.09, "", ""), Estimate(0.07, ("hopper",), Range(0.05, 0.1)))
    trials = (
        Trial(Form(0.25), Clock(TRUTH, scope, errors(CELLS))),
        Trial(Form(every_launch=True), Clock(TRUTH, scope, errors(CELLS[:1]), errors(CELLS[1:])), (check,)),
    )
    rows = rows_of(
        section(time_model_page.page(evaluation(trials=trials)), "Other forms of the model"), "Worst, card left out"
    )
    assert [list(row.values()) for row in rows] == [
        ["0.25", "blends", "12.5%", "20.0%", "-", "-", "0.50", "0 of 0"],
        ["0.5", "all", "20.0%", "20.0%", "5.0%", "5.0%", "0.50", "1 of 1"],
    ]


def test_what_was_seen_is_told() -> None:
    page = markdown.render(section(PAGE, "Limits"))
    assert "SD v1.5 encode in float16; SD v1.5 encode in float32" in page


def test_a_tiled_case_says_its_tile() -> None:
    tiled = SEEN[0].case.model_copy(update={"tiling": Tile(tile=256, overlap=64)})
    page = time_model_page.page(evaluation([Cell(replace(SEEN[0], case=tiled), 0.12)]))

    assert rows_of(page, "Tiles")[0]["Tiles"] == "256, overlap 64"
    assert rows_of(page, "Worst case")[0]["Worst case"] == "SD v1.5 encode 512x512, tiles of 256"


def test_sizes_are_in_natural_order_within_a_card() -> None:
    cases = [a_case(model="sd-v1", size=size, dtype="float16") for size in (512, 256, 2048, 1024)]
    cells = [Cell(replace(SEEN[0], card=card, case=case), 0.12) for case in cases for card in ("a", "b")]
    rows = rows_of(time_model_page.page(evaluation(cells)), "Size")
    natural = ["256x256", "512x512", "1024x1024", "2048x2048"]
    assert [(row["Card left out"], row["Size"]) for row in rows] == [(card, size) for card in "ab" for size in natural]
