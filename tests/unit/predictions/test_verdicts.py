"""The verdicts that come with the program, and how they are built."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from factories import refusal

from bench import store
from bench.analysis.speed import shipped
from bench.analysis.verdicts import recommendation, verdict_json, verdict_reading
from bench.analysis.verdicts.answer import answer_for
from bench.analysis.verdicts.questions import REMOTE, Question, Verdicts, case_of, order_of
from bench.config import load_gpus, load_networks
from bench.errors import BenchError
from bench.predictions import advice as advising
from bench.predictions import verdicts
from bench.predictions.advice import Scope
from bench.predictions.measured_verdicts import overlaid
from bench.record import Case
from bench.workloads import models

CARD = "NVIDIA GeForce RTX 3070"
#: The most bytes of the file, which the page carries.
MOST_BYTES = 1_500_000


@pytest.fixture(scope="module")
def table() -> Verdicts:
    return verdicts.load()


def image_of(question: Question) -> Case:
    """The untiled case of a question."""
    frames = {} if question.frames is None else {"frames": question.frames}
    axes = models.sized(question.model, question.width, question.height, **frames)
    return Case(model=question.model, operation=question.operation, axes=axes, dtype=question.dtype)


def test_every_card_and_every_real_model_of_the_zoo_has_verdicts(table: Verdicts) -> None:
    assert [card.name for card in table.cards] == list(load_gpus().cards)
    assert list(table.networks) == list(load_networks().networks)
    assert [model.key for model in table.models] == list(verdicts.keys_of_zoo())
    assert not [key for key in verdicts.keys_of_zoo() if key.startswith(("tiny", "fault"))]


def test_the_questions_are_those_that_are_asked_of_each_model_in_order(table: Verdicts) -> None:
    asked = [image for model in table.models for image in verdicts.images_of(model.key)]
    assert [image_of(question) for question in table.questions] == asked
    assert all(len(question.cards) == len(table.cards) for question in table.questions)


def test_the_file_is_small_and_as_it_would_be_written(table: Verdicts) -> None:
    data = store.verdicts().read_bytes()
    assert len(data) <= MOST_BYTES
    assert verdict_json.to_json(table).encode() == data


def test_the_best_way_is_the_one_that_advice_ranks_first_among_the_figures(table: Verdicts) -> None:
    networks, errors = tuple(table.networks), shipped.load().clock.errors
    for question in table.questions:
        case = image_of(question)
        for answer in question.cards[::5]:
            assert recommendation.recommended(question, case, answer.ways, networks, errors) == answer, question.key


def test_ways_are_in_the_order_of_how_much_they_change_the_picture(table: Verdicts) -> None:
    for question in table.questions:
        assert list(question.ways) == sorted(question.ways, key=lambda way: order_of(way, question.dtype))
        assert len({way.key for way in question.ways}) == len(question.ways)
        cases = [case_of(way, image_of(question)) for way in question.ways]
        assert [verdicts.way_of(case, question.dtype) for case in cases] == list(question.ways)


def test_the_published_records_change_nothing(table: Verdicts) -> None:
    folder = store.published()
    assert folder is not None
    records, _ = store.read_latest([folder])
    laid, cards = overlaid(table, records), len(table.cards)
    for question, before in zip(laid.questions, table.questions, strict=False):
        cut = replace(question, cards=question.cards[:cards])
        assert verdict_json.to_json(replace(table, questions=(cut,))) == (
            verdict_json.to_json(replace(table, questions=(before,)))
        )


@pytest.fixture(scope="module")
def built() -> Verdicts:
    """The verdicts of one small model on one card, built now."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verdicts, "EDGES", (1024,))
        return verdicts.build(["taesd"], [CARD])


def test_the_file_says_what_would_be_built_now(table: Verdicts, built: Verdicts) -> None:
    index = [card.name for card in table.cards].index(CARD)
    for question in built.questions:
        written = next(each for each in table.questions if each.key == question.key)
        text = verdict_json.to_json(replace(built, questions=(question,)))
        rounded = verdict_reading.from_json(text, "").questions[0]
        assert (rounded.on(0), rounded.remote) == (written.on(index), written.remote)


def test_the_answer_is_that_of_advice(built: Verdicts) -> None:
    # given the advice for the same image on the same card
    sources = verdicts._sources([CARD])
    (image, *_) = verdicts.images_of("taesd")
    image = image.model_copy(update={"axes": models.square("taesd", 1024)})
    (advice,) = advising.advise([image], sources.cards, sources.evidence, Scope(lower=False))
    # when
    answer = answer_for(built, CARD, "taesd", image.operation, (1024, 1024))
    # then
    assert answer is not None
    assert advice.best is not None
    best = answer.question.ways[answer.best].key if answer.best != REMOTE else "remote"
    way = advice.best.way
    assert best == (verdicts.way_of(way.option.case, image.dtype).key if hasattr(way, "option") else "remote")
    peaks = {verdicts.way_of(way.option.case, image.dtype).key: way.peak.reserved_bytes for way in advice.local}
    assert {answer.question.ways[each.way].key: each.peak_bytes for each in answer.on_card.ways} == peaks


def test_an_unreadable_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "verdicts", lambda: tmp_path / "verdicts.json")
    assert "verdicts.json" in refusal(BenchError, verdicts.load)


def test_without_the_published_times_nothing_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "published", lambda: None)
    assert "results/published" in refusal(BenchError, verdicts.build, ["taesd"])


def test_a_video_is_asked_in_its_own_size_and_in_a_smaller_one_with_fewer_frames() -> None:
    sizes = {
        (image.axes["width"], image.axes["height"], image.axes["frames"]) for image in verdicts.images_of("wan-2.1")
    }
    usual = (*(models.usual_size("wan-2.1") or ()), models.axes("wan-2.1")["frames"].usual)
    assert usual in sizes
    (smaller,) = sizes - {usual}
    assert all(less < own for less, own in zip(smaller, usual, strict=True) if own is not None)
    assert not models.workload("wan-2.1").check(next(verdicts.images_of("wan-2.1")))
