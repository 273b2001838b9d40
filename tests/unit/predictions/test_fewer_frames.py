"""How many frames of a video would fit untiled, if the whole does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from factories import a_case
from sides import compared
from ways import a_place, a_way, away

from bench.analysis.advise.ranking import rank
from bench.analysis.advise.ways import Advice
from bench.predictions import advice as advising
from bench.predictions import what_would_change
from bench.predictions.advice import Evidence, Scope
from bench.predictions.target_cards import TargetCard
from bench.record import Case
from bench.report.pages import advice_changes


def _advice(image: Case, fits_up_to: int) -> Advice:
    """The untiled way alone, which fits a video of at most so many frames."""
    verdict = "fits" if image.axes["frames"] <= fits_up_to else "out_of_memory"
    way = a_way(0, 1.0, verdict, case=image)
    return rank(image, a_place(), [way], away())


@pytest.fixture
def changes(toy_video: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The changes of the advice for a video of so many frames, of which some fit."""

    def of(frames: int, fits_up_to: int) -> list[Any]:
        image = a_case(model=toy_video, operation="decode", size=512, frames=frames, dtype="bfloat16")
        evidence = Evidence([], None, compared([]), None)
        monkeypatch.setattr(advising, "rank", lambda image, *_: _advice(image, fits_up_to))
        advice = _advice(image, fits_up_to)
        changed = what_would_change.with_changes(advice, TargetCard(a_place()), evidence, Scope(lower=False))
        return [(change, changed) for change in changed.changes if change.condition == "fewer_frames"]

    return of


def test_the_longest_valid_video_that_fits_is_named(changes: Any) -> None:
    # given a card that holds 50 frames, of a model that takes 4k+1
    ((change, advice),) = changes(81, fits_up_to=50)
    # then
    assert change.at_frames == 49
    assert change.way.way.option.case.axes["frames"] == 49
    assert any("49 frames" in line for line in advice_changes.lines(replace(advice, changes=(change,))))


def test_a_video_that_fits_has_no_need_of_fewer_frames(changes: Any) -> None:
    assert changes(81, fits_up_to=81) == []


def test_nothing_is_told_if_not_even_one_frame_fits(changes: Any) -> None:
    assert changes(81, fits_up_to=0) == []
