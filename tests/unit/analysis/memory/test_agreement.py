"""How well estimates agree with published cells: errors, verdicts, ranges."""

from __future__ import annotations

import pytest
from factories import a_case, published

from bench.analysis.memory.agreement import Cell, Guess, agreement

RECORD = published(0.1, 10.0, case=a_case())


def a_cell(published_bytes: int | None, guess: Guess, rounding_bytes: int = 2) -> Cell:
    return Cell(RECORD, published_bytes, rounding_bytes, {"mine": guess})


def test_errors_verdicts_and_ranges_over_several_cells() -> None:
    cells = [
        a_cell(100, Guess(110, True, (90, 120))),
        a_cell(100, Guess(75, True, (70, 97))),  # 97 and 2 of rounding do not reach 100
        a_cell(100, Guess(101, True, (102, 204))),  # 102 less 2 does
        a_cell(None, Guess(None, False, (50, 60))),  # rightly out of memory
        a_cell(None, Guess(200, True)),  # wrongly not
        a_cell(100, Guess(None, False)),  # wrongly out of memory
    ]
    found = agreement(cells, "mine")
    assert (found.peaks, found.median, found.worst) == (3, pytest.approx(0.1), pytest.approx(-0.25))
    assert (found.cells, found.right) == (6, 4)
    assert (found.within, found.banded) == (2, 3)
    # widths 1.33, 1.39, 2 and 1.2
    assert found.width == pytest.approx((120 / 90 + 97 / 70) / 2)


def test_without_peaks_and_ranges_there_are_no_errors_and_no_width() -> None:
    found = agreement([a_cell(None, Guess(None, False))], "mine")
    assert (found.peaks, found.median, found.worst, found.banded, found.width) == (0, None, None, 0, None)
