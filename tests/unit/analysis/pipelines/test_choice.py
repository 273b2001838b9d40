"""Which way to run a pipeline is recommended on a card, and why the ways before it are not."""

from __future__ import annotations

from bench.analysis.pipelines import choice
from bench.analysis.pipelines.memory_map import Component, OnCard, PipelineMemory, StagePeak, Way
from bench.analysis.pipelines.reasons import recommendation
from bench.record import Confidence, Verdict

CARD = "A card"
GIB = 2**30


def a_way(variant: str, verdict: Verdict, confidence: Confidence = "high", *, is_tiled: bool = False) -> Way:
    stages = (
        StagePeak("denoise", 5 * GIB, 6 * GIB, 7 * GIB, (7 * GIB, 7 * GIB)),
        StagePeak("decode", 5 * GIB, 8 * GIB, 9 * GIB, (8 * GIB, 10 * GIB)),
    )
    return Way(variant, is_tiled, stages, 0, {CARD: OnCard(verdict, confidence, "decode")})


def a_pipeline(*ways: Way) -> PipelineMemory:
    components = (Component("unet", "a-pipeline", "float16", 5 * GIB),)
    return PipelineMemory("a-pipeline", {"width": 512, "height": 512}, "float16", components, ways)


def test_the_first_way_that_surely_runs_is_recommended() -> None:
    # Given that the whole does not fit, model offload fits with low confidence, and tiles are tight
    pipeline = a_pipeline(
        a_way("default", "out_of_memory"),
        a_way("model-offload", "fits", "low"),
        a_way("default", "tight", "medium", is_tiled=True),
        a_way("without-vae", "fits"),
    )
    advice = recommendation(pipeline, CARD)
    # Then tiles come first, and what would come before them is named with the stage that decides
    assert advice.way == pipeline.way("default", is_tiled=True)
    assert [(each.way.variant, each.stage.name) for each in advice.passed_over] == [
        ("default", "decode"),
        ("model-offload", "decode"),
    ]
    assert advice.remote == pipeline.way("without-vae")
    # And what may run before it is worth a try
    assert choice.worth_a_try(pipeline, CARD) == pipeline.way("model-offload")


def test_nothing_before_the_recommended_way_is_worth_a_try_if_none_of_it_runs() -> None:
    # Given that a way after the recommended one runs with low confidence
    fitting = a_pipeline(
        a_way("default", "out_of_memory"), a_way("model-offload", "fits"), a_way("without-vae", "fits", "low")
    )
    # Then neither it, nor the recommended one, nor what is out of memory is named
    assert choice.worth_a_try(fitting, CARD) is None
    assert choice.worth_a_try(a_pipeline(a_way("default", "out_of_memory")), CARD) is None


def test_a_way_that_may_run_is_better_than_none() -> None:
    pipeline = a_pipeline(a_way("default", "out_of_memory"), a_way("sequential-offload", "tight", "low"))
    advice = recommendation(pipeline, CARD)
    assert advice.way == pipeline.way("sequential-offload")
    assert advice.remote is None
    assert choice.worth_a_try(pipeline, CARD) is None


def test_nothing_is_recommended_if_nothing_runs() -> None:
    advice = recommendation(a_pipeline(a_way("default", "out_of_memory")), CARD)
    assert (advice.way, advice.on_card) == (None, None)
    assert len(advice.passed_over) == 1


def test_a_recommended_remote_way_is_not_named_again() -> None:
    advice = recommendation(a_pipeline(a_way("default", "out_of_memory"), a_way("without-text", "fits")), CARD)
    assert advice.way is not None
    assert (advice.way.variant, advice.remote) == ("without-text", None)


def test_the_order_has_each_way_once_and_the_whole_card_first() -> None:
    assert len(set(choice.ORDER)) == len(choice.ORDER)
    assert choice.ORDER[0] == ("default", False)
    assert {variant for variant, _ in choice.ORDER} >= set(choice.REMOTE)


def test_the_largest_stage_is_that_of_the_highest_peak() -> None:
    way = a_way("default", "fits")
    assert way.largest.name == "decode"
