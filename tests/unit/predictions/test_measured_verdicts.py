"""Measured and published figures laid over verdicts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from endpoint_records import an_endpoint_record, facts, remote
from factories import GIB, a_case, a_device, measured, out_of_memory, published
from sides import compared
from verdict_tables import SMALL, TILE_512, UNTILED, a_question, verdicts

from bench.analysis.verdicts.answer import answer_for
from bench.analysis.verdicts.questions import REMOTE, Figures, OnCard, Question, Verdicts
from bench.core.units import MIB
from bench.predictions.measured_verdicts import overlaid
from bench.record import Axes, Case, Device, Memory, Tile

SIZE = (1024, 1024)
IMAGE = a_case(model="sdxl", operation="decode", size=1024)
TILED = a_case(model="sdxl", operation="decode", size=1024, tiling=Tile(tile=512, overlap=128))


def a_3070(**fields: Any) -> Device:
    return a_device(**{"name": SMALL, "total_bytes": 8353711390} | fields)


def ran(seconds: float, mib: int, **fields: Any) -> Any:
    """A measured case of so many seconds and MiB, on the RTX 3070 unless fields say else."""
    return measured(seconds, memory=Memory(percent=1.0, peak_bytes=mib * MIB), **{"device": a_3070()} | fields)


def question_in(table: Verdicts, **fields: Any) -> Question:
    (found,) = [each for each in table.questions if all(getattr(each, name) == fields[name] for name in fields)]
    return found


def test_a_measured_figure_replaces_the_prediction_and_keeps_the_rest() -> None:
    # given tiles of 512 that were predicted to take 2 s on a RTX 3070
    table = overlaid(verdicts(), [ran(1.25, 1500, case=TILED)])
    # then they take what was measured, the untiled image is as predicted, and so is the other card
    question = question_in(table, model="sdxl")
    untiled, tiled = question.on(0).ways
    assert (tiled.peak_bytes, tiled.least_s, tiled.most_s) == (1500 * MIB, 1.25, 1.25)
    assert (tiled.peak_kind, tiled.time_kind) == ("measured", "measured")
    assert (untiled, question.on(1)) == (a_question().on(0).ways[0], a_question().on(1))
    assert [card.is_device for card in table.cards] == [True, False]


def test_what_it_costs_follows_from_the_measured_time() -> None:
    quick, slow = (overlaid(verdicts(), [ran(s, 1500, case=TILED)]).questions[0].on(0).ways[1] for s in (1.0, 2.0))
    assert quick.cost_per_1000 is not None
    assert slow.cost_per_1000 == pytest.approx(2 * quick.cost_per_1000)


def test_a_measured_image_that_fits_after_all_is_recommended() -> None:
    answer = answer_for(overlaid(verdicts(), [ran(0.6, 6000, case=IMAGE)]), SMALL, "sdxl", "decode", SIZE)
    assert answer is not None
    assert answer.way == UNTILED
    assert answer.is_measured


def test_a_measured_out_of_memory_makes_the_way_out() -> None:
    # given tiles that were predicted to fit
    record = out_of_memory(case=TILED, device=a_3070())
    # when
    question = overlaid(verdicts(), [record]).questions[0]
    # then nothing is left on the card
    tiled = question.on(0).ways[1]
    assert (tiled.verdict, tiled.peak_kind, tiled.least_s, tiled.cost_per_1000) == ("oom", "measured", None, None)
    assert question.on(0).best == (REMOTE, REMOTE)
    assert question.on(0).here < 0


def test_under_a_limit_it_is_not_the_card_that_is_out_of_memory() -> None:
    limited = out_of_memory(case=TILED, device=a_3070(), vram_limit_bytes=GIB)
    assert overlaid(verdicts(), [limited]).questions == verdicts().questions


def test_what_ran_out_of_a_limit_on_an_unknown_device_says_nothing_of_it() -> None:
    limited = out_of_memory(case=a_case(), vram_limit_bytes=GIB)
    table = overlaid(verdicts(), [limited])
    assert table.questions == verdicts().questions
    assert table.cards[2].is_device


def test_a_measured_figure_is_preferred_to_a_published_one() -> None:
    records = [published(0.9, 50.0, case=IMAGE, device=a_3070(total_bytes=None)), ran(0.7, 4000, case=IMAGE)]
    untiled = overlaid(verdicts(), records).questions[0].on(0).ways[0]
    assert (untiled.least_s, untiled.time_kind, untiled.peak_kind) == (0.7, "measured", "measured")


def test_a_published_card_is_not_a_device_of_this_machine() -> None:
    table = overlaid(verdicts(), [published(0.9, 50.0, case=IMAGE, device=a_3070(total_bytes=None))])
    assert table.questions[0].on(0).ways[0].time_kind == "published"
    assert not any(card.is_device for card in table.cards)


def test_a_device_that_is_no_card_becomes_one_with_what_was_measured_alone() -> None:
    # given a CPU that was measured at a size of its own, with a model that has no verdicts
    cpu = a_device(kind="cpu", name="Test CPU", total_bytes=8 * GIB)
    table = overlaid(verdicts(), [ran(0.05, 300, case=a_case(), device=cpu)])
    # then
    assert table.cards[2].name == "Test CPU"
    assert table.cards[2].is_device
    assert table.models[1].key == "tiny"
    added = question_in(table, model="tiny")
    assert (added.width, added.dtype, [way.key for way in added.ways]) == (64, "float32", ["untiled"])
    assert [bool(added.on(card).ways) for card in range(3)] == [False, False, True]
    assert (added.on(2).here, added.on(2).best) == (0, (0, 0))
    assert table.questions[0] == verdicts().questions[0]


def test_a_cpu_that_ran_out_of_the_hosts_memory_is_out() -> None:
    cpu = a_device(kind="cpu", name="Test CPU", total_bytes=8 * GIB)
    record = out_of_memory(case=a_case(), device=cpu)
    record = record.model_copy(update={"outcome": record.outcome.model_copy(update={"where": "host"})})
    (figures,) = question_in(overlaid(verdicts(), [record]), model="tiny").on(2).ways
    assert figures.verdict == "oom"


def test_cards_of_one_name_and_unlike_memory_are_told_apart() -> None:
    sizes = (16 * GIB, 24 * GIB)
    records = [ran(0.05, 300, case=a_case(), device=a_device(total_bytes=size)) for size in sizes]
    names = [card.name for card in overlaid(verdicts(), records).cards[2:]]
    assert names == ["NVIDIA Test", "NVIDIA Test (24.0 GiB)"]


def test_a_machine_whose_memory_differs_by_a_few_pages_is_one_card() -> None:
    sizes = (8 * GIB, 8 * GIB - 40 * MIB)
    cpus = [a_device(kind="cpu", name="Test CPU", total_bytes=size) for size in sizes]
    assert len(overlaid(verdicts(), [ran(0.05, 300, case=a_case(), device=cpu) for cpu in cpus]).cards) == 3


def test_a_device_without_known_memory_shows_its_peak_alone() -> None:
    table = overlaid(verdicts(), [ran(0.05, 300, case=a_case(), device=a_device(total_bytes=None))])
    answer = answer_for(table, "NVIDIA Test", "tiny", "encode", (64, 64))
    assert answer is not None
    assert (answer.share, answer.way and answer.way.key) == (None, "untiled")
    assert "300 MiB" in answer.sentence


def test_a_measured_tile_that_is_new_takes_its_place_and_the_others_keep_their_figures() -> None:
    # given tiles larger than those that were predicted
    wide = Tile(tile=768, overlap=192)
    case = TILED.model_copy(update={"tiling": wide})
    # when
    question = overlaid(verdicts(), [ran(1.0, 3000, case=case)]).questions[0]
    # then
    assert [way.key for way in question.ways] == ["untiled", "768/192", "512/128"]
    assert [each.way for each in question.on(0).ways] == [0, 1, 2]
    assert [each.way for each in question.on(1).ways] == [0, 2]
    before = a_question().on(0).ways[1]
    assert question.on(0).ways[2] == replace(before, way=2)
    assert (question.on(0).here, question.on(1).here) == (1, 0)


def test_a_tile_that_covers_the_image_is_untiled() -> None:
    covering = IMAGE.model_copy(update={"tiling": Tile(tile=1024, overlap=256)})
    question = overlaid(verdicts(), [ran(0.6, 6000, case=covering)]).questions[0]
    assert question.ways == (UNTILED, TILE_512)
    assert question.on(0).ways[0].time_kind == "measured"


@pytest.mark.parametrize(
    "case",
    [
        a_case(model="sdxl", operation="decode", size=1024, batch=4),
        IMAGE.model_copy(update={"variant": "channels-last"}),
        IMAGE.model_copy(update={"model": "unknown"}),
        IMAGE.model_copy(update={"operation": "unknown"}),
        IMAGE.model_copy(update={"axes": Axes({"width": 1024, "height": 1024, "frames": 1, "batch": 1, "steps": 4})}),
        IMAGE.model_copy(update={"axes": Axes({"length": 16})}),
    ],
)
def test_other_calls_than_one_image_as_it_is_answer_nothing(case: Case) -> None:
    table = overlaid(verdicts(), [ran(0.6, 6000, case=case)])
    assert table.questions == verdicts().questions
    assert table.models == verdicts().models
    assert table.cards[0].is_device


def test_an_endpoint_is_no_card_and_its_measured_time_is_the_remote_one() -> None:
    # given an endpoint that was measured across a network, and took 0.1 s
    case = {"model": "sdxl", "size": 1024, "dtype": "float32"}
    record = an_endpoint_record(0.1, case=case, remote=remote(0.1, endpoint=facts(url="https://192.0.2.1")))
    # when
    comparison = compared([record])
    networks = {name: name for name in comparison.request.paths}
    table = replace(verdicts(), networks=networks)
    question = overlaid(table, [record], comparison).questions[0]
    # then
    name = next(iter(networks))
    assert record.timing is not None
    assert (question.remote[name].least_s, question.remote[name].kind) == (
        *(pytest.approx(record.timing.median_s), "measured"),
    )
    assert question.on(0).best[0] == REMOTE


def test_a_hazard_of_the_precision_stays_with_measured_figures() -> None:
    # given a card that only emulates bfloat16, on which it was measured all the same
    case = a_case(model="flux", operation="decode", size=1024, dtype="bfloat16")
    turing = a_device(name="Tesla T4", total_bytes=15633680957)
    question = question_in(overlaid(verdicts(), [ran(9.0, 3000, case=case, device=turing)]), model="flux")
    # then it is not recommended
    (figures,) = question.on(2).ways
    assert (figures.verdict, figures.time_kind, question.on(2).here) == ("emulated", "measured", -2)


def test_figures_of_another_precision_answer_for_the_card_that_needs_it() -> None:
    # given a question in bfloat16 with a way in float32, for a card without bfloat16
    wide = replace(UNTILED, key="float32 untiled")
    narrow = replace(UNTILED, dtype="bfloat16")
    known = OnCard((Figures(0, "emulated", 100 * MIB, 1.0, None), Figures(1, "fits", 200 * MIB, 3.0, 3.0)), 1, (1, 1))
    asked = a_question(model="flux", dtype="bfloat16", ways=(narrow, wide), cards=(known, known))
    # when float32 was measured
    case = a_case(model="flux", operation="decode", size=1024, dtype="float32")
    table = overlaid(verdicts(asked), [ran(2.0, 250, case=case)])
    # then both the question in bfloat16 and one in float32 know it
    answered = question_in(table, model="flux", dtype="bfloat16").on(0).ways[1]
    assert (answered.least_s, answered.time_kind) == (2.0, "measured")
    assert question_in(table, model="flux", dtype="float32").on(0).ways[0].least_s == 2.0
