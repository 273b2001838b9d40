"""Which cards `--devices` names, before any device is asked and afterwards."""

from __future__ import annotations

import pytest
from factories import refusal

from bench.device.base import check_cards, chosen_cards
from bench.errors import DeviceError


@pytest.mark.parametrize(
    ("text", "cards"),
    [("all", None), (" ALL ", None), ("0", (0,)), ("0,2", (0, 2)), ("2, 0", (2, 0)), ("cuda:0,cuda:2", (0, 2))],
)
def test_cards_are_named_by_numbers_or_all_at_once(text: str, cards: tuple[int, ...] | None) -> None:
    assert check_cards(text) == cards


@pytest.mark.parametrize("text", ["", "x", "0,", ",", "0,,1", "all,0", "-1", "0-2", "1.5", "\u0663", "9" * 5000, "0;1"])
def test_what_names_no_cards_is_refused_with_what_would(text: str) -> None:
    message = refusal(DeviceError, check_cards, text)
    assert "all" in message
    assert "0,2" in message
    assert len(message) < 200


@pytest.mark.parametrize("text", ["0,0", "1,0,01", "cuda:1,1"])
def test_a_card_that_is_named_twice_is_refused(text: str) -> None:
    assert "duplicate" in refusal(DeviceError, check_cards, text)


def test_all_are_those_that_torch_sees() -> None:
    assert chosen_cards("all", 3) == (0, 1, 2)
    assert chosen_cards("2,0", 3) == (2, 0)


def test_a_card_that_is_not_there_is_named_with_how_many_there_are() -> None:
    message = refusal(DeviceError, chosen_cards, "0,7", 2)
    assert "no card 7" in message
    assert "2 CUDA devices" in message


def test_without_a_card_the_reason_is_told_and_what_else_can_be_done() -> None:
    message = refusal(DeviceError, chosen_cards, "all", 0, "this torch is a CPU-only build.")
    assert "CPU-only" in message
    assert "--device cpu" in message
