"""The answer to one question on one card."""

from __future__ import annotations

from dataclasses import replace

import pytest
from factories import refusal
from verdict_tables import LARGE, SMALL, TILE_512, UNTILED, a_question, verdicts

from bench.analysis.verdicts.answer import answer_for, answers_on
from bench.analysis.verdicts.questions import NOTHING, REMOTE, Figures, OnCard, Verdict
from bench.core.units import MIB
from bench.errors import ConfigError

SIZE = (1024, 1024)


def test_a_part_of_the_cards_name_and_an_alias_are_enough() -> None:
    answer = answer_for(verdicts(), "4090", "kolors", "decode", SIZE)
    assert answer is not None
    assert (answer.card.name, answer.model.key, answer.way) == (LARGE, "sdxl", UNTILED)
    assert answer.share == pytest.approx(8000 * MIB / 25386477944)


def test_remote_is_recommended_with_the_best_way_on_the_card_beside_it() -> None:
    answer = answer_for(verdicts(), SMALL, "sdxl", "decode", SIZE)
    assert answer is not None
    assert (answer.best, answer.way, answer.figures) == (REMOTE, None, None)
    assert answer.here is not None
    assert answer.question.ways[answer.here.way] == TILE_512
    sentence = answer.sentence
    assert sentence.index("remote over Fibre (500 ms, simulated)") < sentence.index("tile 512, overlap 128 fits")
    assert "untiled does not fit" in sentence


def test_over_another_network_another_way_is_recommended() -> None:
    answer = answer_for(verdicts(), SMALL, "sdxl", "decode", SIZE, network="slow-4g")
    assert answer is not None
    assert answer.way == TILE_512
    assert "(25%, 2.00 s, predicted)" in answer.sentence
    assert "Slow 4G (9.00 s, simulated)" in answer.sentence


def test_a_measured_figure_has_no_kind_and_mixed_ones_have_each_their_own() -> None:
    # given a card whose peak was measured and whose time is predicted, and one of which all was measured
    half = Figures(0, "fits", 100 * MIB, 1.0, None, "measured", "predicted")
    whole = Figures(0, "fits", 100 * MIB, 1.0, 1.0, "measured", "measured")
    table = verdicts(a_question(remote={}, cards=(OnCard((half,), 0, (0, 0)), OnCard((whole,), 0, (0, 0)))))
    # when
    answers = [answer_for(table, name, "sdxl", "decode", SIZE) for name in (SMALL, LARGE)]
    # then
    assert [each.sentence.partition("untiled fits ")[2] for each in answers if each] == [
        "(1%, at least 1.00 s predicted).",
        "(<1%, 1.00 s).",
    ]


@pytest.mark.parametrize(
    ("verdict", "words"),
    [("oom", "nothing fits"), ("unsupported", "torch does not support this card"), ("emulated", "no float32 here")],
)
def test_where_nothing_runs_and_no_remote_time_is_known_the_answer_says_so(verdict: Verdict, words: str) -> None:
    table = verdicts(a_question(remote={}, cards=(OnCard((Figures(0, verdict),), NOTHING, (NOTHING, NOTHING)),)))
    answer = answer_for(table, SMALL, "sdxl", "decode", SIZE)
    assert answer is not None
    assert (answer.way, answer.here, answer.remote) == (None, None, None)
    assert answer.nothing == words
    assert words in answer.sentence


def test_the_models_own_precision_is_answered_unless_another_is_asked_for_or_alone_known() -> None:
    half = a_question(dtype="float16", ways=(replace(UNTILED, dtype="float16"),), cards=(a_question().cards[0],))
    both = verdicts(half, a_question())
    assert [
        answer.question.dtype
        for dtype in (None, "float16")
        if (answer := answer_for(both, SMALL, "sdxl", "decode", SIZE, dtype=dtype))
    ] == ["float32", "float16"]
    (alone,) = [answer_for(verdicts(half), SMALL, "sdxl", "decode", SIZE)]
    assert alone is not None
    assert "in float16" in alone.label


def test_the_frames_of_a_video_are_part_of_its_size() -> None:
    clips = [a_question(model="wan-2.1", width=832, height=480, frames=frames) for frames in (41, 81)]
    table = replace(verdicts(*clips), models=(replace(verdicts().models[0], key="wan-2.1", title="Wan 2.1"),))
    longest, short = (answer_for(table, SMALL, "wan", "decode", size) for size in ((832, 480), (832, 480, 41)))
    assert longest is not None
    assert short is not None
    assert (longest.question.frames, short.question.frames) == (81, 41)
    assert "81 frames" in longest.label


@pytest.mark.parametrize(
    ("device", "operation", "size"),
    [(SMALL, "encode", SIZE), (SMALL, "decode", (1024, 768)), (SMALL, "decode", (1, 1))],
)
def test_what_nobody_asked_before_has_no_answer(device: str, operation: str, size: tuple[int, int]) -> None:
    assert answer_for(verdicts(), device, "sdxl", operation, size) is None


def test_a_card_of_which_nothing_is_known_has_no_answer() -> None:
    assert answer_for(verdicts(a_question(cards=a_question().cards[:1])), LARGE, "sdxl", "decode", SIZE) is None


def test_an_unknown_card_and_model_are_refused() -> None:
    assert "5090" in refusal(ConfigError, answer_for, verdicts(), "5090", "sdxl", "decode", SIZE)
    assert "sdxll" in refusal(ConfigError, answer_for, verdicts(), SMALL, "sdxll", "decode", SIZE)


def test_answers_on_a_device_are_those_of_which_something_was_measured() -> None:
    run = Figures(0, "fits", 100 * MIB, 1.0, 1.0, "measured", "measured")
    timed = a_question(width=512, height=512, cards=(OnCard((run,), 0, (0, 0)),))
    answers = answers_on(verdicts(a_question(), timed), "3070")
    assert [answer.question.width for answer in answers] == [512]
    assert answers_on(verdicts(a_question(), timed), LARGE) == []
