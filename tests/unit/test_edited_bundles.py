"""The table of docs/sharing.md on edits that the checks catch is what `benchmarks/edited_bundles.py` prints."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import edited_bundles
import pytest

DOCUMENT = Path(__file__).parents[2] / "docs" / "sharing.md"


@pytest.fixture(scope="module")
def table() -> dict[str, dict[str, Counter[str]]]:
    return edited_bundles.counts(edited_bundles.TRIALS)


def test_the_docs_have_the_table(table: dict[str, dict[str, Counter[str]]]) -> None:
    text = DOCUMENT.read_text()
    assert edited_bundles.replaced(text, edited_bundles.markdown(table)) == text


def test_no_run_is_refused_or_doubtful_without_an_edit(table: dict[str, dict[str, Counter[str]]]) -> None:
    assert all(set(answers) == {"not noticed"} for answers in table["nothing at all"].values())


@pytest.mark.parametrize(
    "edit",
    [
        "a median / 3",
        "a case's times / 3, statistics computed again",
        "all times / 3, careful",
        "samples of a case copied from another",
        "a memory percentage / 2",
        "two cases of different size swapped",
        "another card's name",
        "the whole run once more, a day later",
    ],
)
def test_a_plain_edit_is_always_refused(table: dict[str, dict[str, Counter[str]]], edit: str) -> None:
    assert all(set(answers) == {"refused"} for answers in table[edit].values())
