"""The docs' own times: how far off the model is on what it has not seen, and the range beyond that."""

from __future__ import annotations

from dataclasses import replace

import pytest
from factories import a_case

from bench.analysis.speed.evaluation import Evaluation, evaluate
from bench.analysis.speed.fit import LEAST
from bench.analysis.speed.held_out import errors
from bench.config import load_gpus
from bench.predictions.time_model import kernels_of
from bench.store import published, read_latest
from bench.traces import tracing
from bench.workloads.models import zoo


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    folder = published()
    assert folder is not None
    records, warnings = read_latest([folder], strict=True)
    assert warnings == []
    found = evaluate(records, kernels_of, load_gpus())
    assert found is not None
    return found


def test_a_card_s_times_are_predicted_from_the_others_within_the_aims(evaluation: Evaluation) -> None:
    found = errors(evaluation.cards)

    # all that is above 10 ms on both pages: of 128 figures 2 are out of memory, 12 are of 10 ms or less
    assert found.cells == 114
    assert found.median < 0.05
    assert abs(found.worst.error) < 0.20


def test_other_forms_are_left_out_if_nobody_asks_for_them(evaluation: Evaluation) -> None:
    folder = published()
    assert folder is not None

    without = evaluate(read_latest([folder])[0], kernels_of, load_gpus(), has_trials=False)

    assert evaluation.trials
    assert without == replace(evaluation, trials=())


def test_an_architecture_s_times_are_predicted_from_the_other_s(evaluation: Evaluation) -> None:
    found = errors(evaluation.architectures)

    assert found.cells == 114
    assert found.median < 0.10
    assert abs(found.worst.error) < 0.20


def test_group_normalisation_takes_time_of_its_own_by_these_times_alone(evaluation: Evaluation) -> None:
    assert evaluation.clock.model.normalisation > 0.5


def test_no_figure_is_quicker_than_the_hardware(evaluation: Evaluation) -> None:
    figures = zip(evaluation.clock.model.figures, LEAST.figures, strict=True)
    assert all(figure >= least for figure, least in figures)


def test_a_larger_image_takes_no_less_time_a_pixel_on_a_card_that_was_never_fitted(evaluation: Evaluation) -> None:
    hopper = load_gpus().cards["NVIDIA H200"]
    cases = [a_case(model="flux", operation="decode", size=size, dtype="bfloat16") for size in (512, 1024, 2048)]
    times = [evaluation.clock.estimate(case, hopper, tracing.kernels_of(case)) for case in cases]
    seconds = [time.seconds for time in times if time]
    assert seconds[1] > 3.9 * seconds[0]
    assert seconds[2] > 4 * seconds[1]


def test_a_time_on_an_architecture_that_was_never_fitted_is_in_its_range(evaluation: Evaluation) -> None:
    # Given the decode that was printed as 89.9 ms on a Hopper
    check = evaluation.checks[0]
    assert check.published.case.model == "flux"
    assert check.estimate is not None
    between = check.estimate.between

    assert between is not None
    assert between.most_s is not None
    assert between.least_s < check.published.seconds < between.most_s
    assert between.most_s <= 3 * between.least_s
    assert any(word.startswith("hopper") for word in check.estimate.beyond)


def test_the_published_times_of_flux_2_are_in_no_fit_and_those_of_other_kernels_have_no_estimate(
    evaluation: Evaluation,
) -> None:
    # Given the four rows of one pull request
    rows = [check for check in evaluation.checks if check.published.case.model == "flux2"]
    assert [(check.published.case.axes["width"], check.published.seconds) for check in rows] == [
        *((1024, 0.0976), (2048, 0.4372), (1024, 0.0293), (2048, 0.1681))
    ]
    # Then none is among the times that were fitted, and what ran fused kernels is not predicted
    assert "flux2" not in {seen.case.model for seen in evaluation.fitted}
    assert [check.estimate for check in rows[2:]] == [None, None]


@pytest.mark.skipif("flux2" not in zoo(), reason="the zoo has no FLUX.2 yet")
def test_flux_2_is_predicted_as_a_range_because_it_was_never_timed(evaluation: Evaluation) -> None:
    eager = [check for check in evaluation.checks if check.published.setting == "eager"]
    assert len(eager) == 2
    for check in eager:
        assert check.estimate is not None
        assert check.estimate.between is not None
        assert any("FLUX.2" in word or "Flux 2" in word for word in check.estimate.beyond)
