"""The file of verdicts: what is written is read again, and a diff of it shows what changed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from factories import refusal
from verdict_tables import a_question, verdicts

from bench.analysis.verdicts.questions import UNKNOWN, Card, Figures, Model, OnCard
from bench.analysis.verdicts.verdict_json import to_json
from bench.analysis.verdicts.verdict_reading import from_json
from bench.core.units import MIB
from bench.errors import BenchError


def test_what_is_written_is_read_again() -> None:
    table = verdicts(a_question(), a_question(model="flux", dtype="bfloat16", risk="overflows", cards=(UNKNOWN,)))
    table = replace(table, models=(*table.models, Model("flux", "Flux", (), "image", "image")))
    assert from_json(to_json(table), "verdicts.json") == table


def test_figures_are_rounded_and_what_is_usual_is_left_out() -> None:
    # given a predicted time without a cost, a published one, a least time, and one that is not known
    figures = (
        Figures(0, "fits", 1000 * MIB + 1, 1.23456, 1.23456),
        Figures(1, "tight", 2 * MIB, 0.0123456, 0.0123456, "published", "published", 0.0123456),
        Figures(2, "unsure", 2 * MIB, 0.5, None),
        Figures(3, "oom"),
    )
    question = a_question(cards=(OnCard(figures, 0, (0, 0)), UNKNOWN))
    # when
    (written,) = json.loads(to_json(verdicts(question)))["questions"]
    # then
    assert written["cards"] == [
        [0, [[0, 0, 1001, 1230, 1230], [1, 1, 2, 12.3, 12.3, 1, 1, 0.0123], [2, 3, 2, 500], [3, 2]]],
        0,
    ]


def test_the_best_way_on_the_card_is_there_beside_remote() -> None:
    (written,) = json.loads(to_json(verdicts()))["questions"]
    small, large = written["cards"]
    assert (small[0], small[2]) == ([-1, 1], 1)
    assert large[0] == 0
    assert len(large) == 2


def test_one_question_more_is_one_line_more() -> None:
    first, second = a_question(), a_question(width=512, height=512)
    lines, more = to_json(verdicts(first)).splitlines(), to_json(verdicts(first, second)).splitlines()
    assert len(more) == len(lines) + 1
    assert len(set(more) - set(lines)) == 2  # its own line, and the comma before it


def test_letters_beyond_ascii_and_markup_survive() -> None:
    named = replace(verdicts(), cards=(Card('Ü"</b>', None),))
    assert from_json(to_json(named), "verdicts.json").cards == named.cards


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version":1}', "null", '{"version":1,"networks":[]}'])
def test_a_broken_file_is_refused_by_its_name(text: str) -> None:
    assert "verdicts.json" in refusal(BenchError, from_json, text, "verdicts.json")


@pytest.mark.parametrize(("part", "edited"), [("ways", []), ("model", "nobody")])
def test_a_file_that_names_what_is_not_there_is_refused(part: str, edited: object) -> None:
    data = json.loads(to_json(verdicts()))
    data["questions"][0][part] = edited
    assert "verdicts.json" in refusal(BenchError, from_json, json.dumps(data), "verdicts.json")


@pytest.mark.parametrize(
    ("place", "edited"),
    [
        (["questions"], {"a": 1}),
        (["questions", 0, "width"], "1024"),
        (["questions", 0, "remote"], []),
        (["questions", 0, "ways", 0, "tile"], {"tile": "wide", "overlap": 0}),
        (["questions", 0, "cards", 0], "none"),
        (["questions", 0, "cards", 0, 0], [0]),
        (["questions", 0, "cards", 0, 1, 0, 0], "0"),
        (["questions", 0, "cards", 0, 1, 0, 1], 7),
        (["questions", 0, "cards", 0, 1, 0, 2], "1 GiB"),
        (["models", 0, "aliases"], 5),
        (["cards", 0, "name"], None),
        (["errors"], 3),
        (["version"], "1"),
    ],
)
def test_a_value_of_a_wrong_type_is_refused_with_what_to_do(place: list[str | int], edited: object) -> None:
    data = json.loads(to_json(verdicts()))
    held = data
    for step in place[:-1]:
        held = held[step]
    held[place[-1]] = edited

    refused = refusal(BenchError, from_json, json.dumps(data), "verdicts.json")

    assert "verdicts.json" in refused
    assert "make predictions" in refused


def test_a_file_of_another_version_is_refused() -> None:
    later = to_json(verdicts()).replace('"version":1', '"version":99', 1)
    assert "99" in refusal(BenchError, from_json, later, "verdicts.json")
