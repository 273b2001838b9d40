"""Each card left out of the fit in turn: what its own times have no say in, and the errors by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from observed import WORKS, all_observed, observed

from bench.analysis.speed import held_out
from bench.analysis.speed.fit import Equation, equation
from bench.analysis.speed.held_out import Cell, architecture_of, card_of, errors, leave_one_out
from bench.analysis.speed.observation import Observation
from bench.analysis.speed.parts import Form


def slower(observations: tuple[Observation, ...], card: str, factor: float) -> tuple[Observation, ...]:
    return tuple(replace(one, seconds=one.seconds * factor) if one.card == card else one for one in observations)


def test_times_that_the_model_explains_are_predicted_without_error() -> None:
    cells = leave_one_out(all_observed(), card_of)

    assert [cell.error for cell in cells] == pytest.approx([0] * len(cells), abs=1e-6)


def test_every_observation_has_its_cell_in_the_order_given() -> None:
    seen = all_observed()

    assert [cell.observed for cell in leave_one_out(seen, card_of)] == list(seen)


def test_a_card_s_own_times_have_no_say_in_its_predictions() -> None:
    # given the same card at three times its times
    before = leave_one_out(all_observed(), card_of)
    after = leave_one_out(slower(all_observed(), "two", 3), card_of)

    for one, other in zip(before, after, strict=True):
        if one.observed.card == "two":
            assert other.predicted_s == one.predicted_s


def test_the_other_cards_times_have() -> None:
    # given the products of other cards at three times their times
    before = leave_one_out(all_observed(), card_of)
    after = leave_one_out(slower(slower(all_observed(), "two", 3), "three", 3), card_of)

    for one, other in zip(before, after, strict=True):
        if one.observed.card == "one":
            assert other.predicted_s == pytest.approx(3 * one.predicted_s)


def test_an_architecture_left_out_takes_all_its_cards_with_it() -> None:
    # given two cards of one compute capability and one of another, which is three times as slow
    seen = tuple(
        replace(one, gpu=one.gpu.model_copy(update={"compute_capability": "8.9"})) if one.card == "three" else one
        for one in slower(all_observed(), "three", 3)
    )

    for cell in leave_one_out(seen, architecture_of):
        expected = 1 / 3 - 1 if cell.observed.card == "three" else 3 - 1
        assert cell.error == pytest.approx(expected, abs=1e-5)


def test_one_card_alone_leaves_nothing_to_fit() -> None:
    with pytest.raises(ValueError, match="fitted on times of both"):
        leave_one_out([one for one in all_observed() if one.card == "one"], card_of)


def test_errors_by_hand() -> None:
    # given 2 s predicted as 2.2, 1.5 and 2.02 s
    cells = [Cell(observed("one", WORKS[0], "float16", 2.0), predicted_s) for predicted_s in (2.2, 1.5, 2.02)]

    found = errors(cells)

    assert [cell.error for cell in cells] == pytest.approx([0.1, -0.25, 0.01])
    assert cells[1].log_error == pytest.approx(math.log(0.75))
    assert (found.cells, found.median, found.worst) == (3, pytest.approx(0.1), cells[1])


def test_what_a_time_says_of_the_figures_is_found_once_for_all_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    # given times of many cards, whose parts take longer to find than a fit takes
    seen, counted = all_observed(), []

    def count(observation: Observation, *form: Form) -> Equation:
        counted.append(observation)
        return equation(observation, *form)

    monkeypatch.setattr(held_out, "equation", count)
    # when
    leave_one_out(seen, card_of)
    # then
    assert counted == list(seen)
