"""Another VAE for the same latents as a way: after all others, told apart, and never for its time alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from factories import a_case
from sides import compared
from ways import IMAGE, a_place, a_way, away, foreseen

from bench.analysis.advise import local_ways
from bench.analysis.advise.ranking import rank
from bench.analysis.advise.ways import Advice, Local
from bench.predictions import advice, predicted_records
from bench.predictions.advice import Evidence, Scope
from bench.predictions.target_cards import TargetCard
from bench.report.pages import advice_words
from bench.traces import shipped
from bench.workloads import models


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> str:
    """The model that makes the same latents as `sd-v1` and `sdxl`, while the test runs."""
    monkeypatch.setattr(models, "smaller_alike", lambda key: ("tiny",) if key in {"sd-v1", "sdxl"} else ())
    return "tiny"


def another(seconds: float | None, verdict: str = "fits") -> Local:
    way = a_way(9, seconds, verdict, case=IMAGE.model_copy(update={"model": "tiny"}))
    return replace(way, option=replace(way.option, is_other_vae=True, risk="another decoder"))


def advised(*ways: Local, remote_s: float | None = None) -> Advice:
    return rank(IMAGE, a_place(), ways, away(remote_s))


def order(ranked: Advice) -> list[str]:
    return [each.way.option.label if isinstance(each.way, Local) else "remote" for each in ranked.ranked]


def test_another_vae_is_a_way_of_its_own_only_if_asked_for(other: str) -> None:
    image = a_case(model="sd-v1", operation="decode", size=1024, dtype="float16")
    assert not any(option.is_other_vae for option in local_ways.of(image))
    options = [option for option in local_ways.of(image, others=True) if option.is_other_vae]
    assert options[0].label == "tiny, untiled"
    assert {option.case.dtype for option in options} == {models.get(other).dtype}
    assert {option.other_model for option in options} == {other}
    assert all("quality" in option.risk for option in options)
    assert not any(option.is_exact or option.is_lower for option in options)
    # and in the precision that the user asked for
    fixed = local_ways.of(image, others=True, fixed=True)
    assert {option.case.dtype for option in fixed} == {"float16"}


def test_another_vae_comes_after_every_way_of_the_own_one_and_after_remote() -> None:
    ranked = advised(another(0.01), a_way(0, 1.0), a_way(1, 1.2), remote_s=3.0)
    assert order(ranked) == ["untiled", "tile 1024/256", "remote", "tiny, untiled"]
    # what it would gain is told, with what it costs
    assert ranked.quicker is not None
    assert "tiny, untiled" in ranked.quicker
    assert "another decoder" in ranked.quicker


def test_another_vae_is_recommended_only_if_nothing_else_runs_and_no_remote_time_is_known() -> None:
    own = a_way(0, None, "out_of_memory")
    assert order(advised(own, another(0.01), remote_s=3.0))[:2] == ["remote", "tiny, untiled"]
    alone = advised(own, another(0.01))
    assert order(alone)[0] == "tiny, untiled"
    assert alone.best is not None
    assert "another decoder" in alone.reason


def test_another_vae_that_is_out_of_memory_too_is_no_way() -> None:
    assert advised(a_way(0, None, "out_of_memory"), another(None, "out_of_memory")).best is None


def test_the_risk_of_another_vae_is_told_by_its_name() -> None:
    assert advice_words.risks([another(0.1)]) == ["tiny: another decoder."]


def test_models_of_one_latent_space_are_alike_with_the_fewest_parameters_last(toy_video: str) -> None:
    assert models.smaller_alike(toy_video) == ()
    for key in models.zoo():
        facts = models.workload(key).facts(key)
        for smaller in models.smaller_alike(key):
            theirs = models.workload(smaller).facts(smaller)
            assert theirs.latents == facts.latents
            assert (theirs.parameters or 0) < (facts.parameters or 0)


def test_another_vae_whose_trace_does_not_come_with_the_program_is_no_way(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a smaller VAE with a shipped trace, and one without, whose trace would take torch
    monkeypatch.setattr(shipped, "of_model", lambda key: None if key == "no-trace" else object())
    monkeypatch.setattr(local_ways, "of", lambda *_, **__: (_option("tiny"), _option("no-trace")))
    monkeypatch.setattr(predicted_records, "predict", lambda case, card: foreseen(1))
    monkeypatch.setattr(advice, "time_of", lambda *_: None)
    # when
    ways = advice._local_ways(IMAGE, TargetCard(a_place()), Evidence([], None, compared([]), None), Scope(lower=False))
    # then
    assert [way.option.other_model for way in ways] == ["tiny"]


def _option(key: str) -> local_ways.Option:
    return local_ways.Option(IMAGE.model_copy(update={"model": key}), 0, is_other_vae=True)
