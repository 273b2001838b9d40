"""Each card left out of the fit in turn: what its own times have no say in, and the errors by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from factories import a_case, a_device, published
from observed import WORKS, all_observed, observed
from predictions import a_predicted_record

from bench.analysis.speed.held_out import Cell, errors, evaluate, leave_one_card_out
from bench.analysis.speed.observation import Observation
from bench.config import load_gpus


def slower(observations: tuple[Observation, ...], card: str, factor: float) -> tuple[Observation, ...]:
    return tuple(replace(one, seconds=one.seconds * factor) if one.card == card else one for one in observations)


def test_times_that_the_model_explains_are_predicted_without_error() -> None:
    cells = leave_one_card_out(all_observed())

    assert [cell.error for cell in cells] == pytest.approx([0] * len(cells), abs=1e-6)


def test_every_observation_has_its_cell_in_the_order_given() -> None:
    seen = all_observed()

    assert [cell.observed for cell in leave_one_card_out(seen)] == list(seen)


def test_a_card_s_own_times_have_no_say_in_its_predictions() -> None:
    # given the same card at three times its times
    before = leave_one_card_out(all_observed())
    after = leave_one_card_out(slower(all_observed(), "two", 3))

    for one, other in zip(before, after, strict=True):
        if one.observed.card == "two":
            assert other.predicted_s == one.predicted_s


def test_the_other_cards_times_have() -> None:
    before = leave_one_card_out(all_observed())
    after = leave_one_card_out(slower(slower(all_observed(), "two", 3), "three", 3))

    for one, other in zip(before, after, strict=True):
        if one.observed.card == "one":
            assert other.predicted_s == pytest.approx(3 * one.predicted_s)


def test_one_card_alone_leaves_nothing_to_fit() -> None:
    with pytest.raises(ValueError, match="fitted on times of both"):
        leave_one_card_out([one for one in all_observed() if one.card == "one"])


def test_what_was_not_fitted_is_predicted_without_any_time_of_its_card() -> None:
    # given a time that is not fitted, of a card that was fitted on and of one that was not
    seen = all_observed()
    others = [replace(seen[0], seconds=7.0), replace(seen[0], card="four", seconds=7.0)]

    one, four = leave_one_card_out(seen, others)
    one_slower, four_slower = leave_one_card_out(slower(seen, "one", 3), others)

    assert [cell.observed for cell in (one, four)] == others
    assert one_slower.predicted_s == one.predicted_s
    assert four_slower.predicted_s != four.predicted_s
    assert leave_one_card_out(seen, []) == ()


def test_errors_by_hand() -> None:
    # given 2 s predicted as 2.2, 1.5 and 2.02 s
    cells = [Cell(observed("one", WORKS[0], "float16", 2.0), predicted_s) for predicted_s in (2.2, 1.5, 2.02)]

    found = errors(cells)

    assert [cell.error for cell in cells] == pytest.approx([0.1, -0.25, 0.01])
    assert (found.cells, found.median, found.worst) == (3, pytest.approx(0.1), cells[1])


def test_times_are_evaluated_if_a_prediction_says_what_their_case_computes() -> None:
    # given published times of two cards in two precisions, and a prediction of each case
    cases = [a_case(model="sd-v1", size=1024, dtype=dtype) for dtype in ("float16", "float32")]
    cards = [a_device(name=f"NVIDIA GeForce RTX {number}") for number in (3090, 4090)]
    records = [
        published(0.1 + 0.1 * place, case=case, device=card) for card in cards for place, case in enumerate(cases)
    ]
    predictions = [a_predicted_record(1, case=case) for case in cases]
    # then all are in it; without a prediction, or of one card, there is nothing to fit
    evaluation = evaluate(records, predictions, load_gpus())
    assert evaluation is not None
    assert [cell.observed.seconds for cell in evaluation.fitted] == [0.1, 0.2, 0.1, 0.2]
    assert evaluation.not_fitted == ()
    assert evaluate(records, [], load_gpus()) is None
    assert evaluate(records[:2], predictions, load_gpus()) is None
