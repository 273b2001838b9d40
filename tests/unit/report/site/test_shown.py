"""Texts and numbers as the page's data hold them."""

from __future__ import annotations

import json

import pytest

from bench.report.site.libraries import script_text
from bench.report.site.shown import json_lines, json_text, rounded, shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://me:secret@host/vae", "https://host/vae"),
        ("https://me:p@ss@host/a@b", "https://host/a@b"),
        ("https://host/vae?token=secret#part", "https://host/vae"),
        ("ssh: me@host", "ssh: me@host"),
        ("at http://u:p@a/ and http://u:p@b/", "at http://a/ and http://b/"),
        ("two\nlines", "two?lines"),
    ],
)
def test_texts_are_on_one_line_and_without_passwords(text: str, expected: str) -> None:
    assert shown(text) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (float("inf"), None),
        (float("nan"), None),
        (0.123456, 0.1235),
        (123456.0, 123500),
        (3.0, 3),
        (0, 0),
    ],
)
def test_numbers_have_few_digits(value: float | None, expected: float | None) -> None:
    assert rounded(value) == expected


def test_json_ends_no_script_and_stays_the_same_value() -> None:
    value = ["</script>", "<!--", 1.5, None]
    assert "<" not in json_text(value)
    assert json.loads(json_text(value)) == value


def test_each_item_of_a_list_is_on_a_line_of_its_own() -> None:
    text = json_lines([{"a": 1}, {"b": [2, 3]}])
    assert text.splitlines() == ['[{"a":1},', '{"b":[2,3]}]']


@pytest.mark.parametrize("ending", ["</script>", "</SCRIPT ", "<!--", "<script"])
def test_a_program_in_the_page_can_not_end_its_element(ending: str) -> None:
    assert ending not in script_text(f'x = "{ending}"; y = 1 < 2')
    assert "1 < 2" in script_text(f'x = "{ending}"; y = 1 < 2')
