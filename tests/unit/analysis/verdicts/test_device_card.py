"""The card that a device is, among those that records were laid over."""

from __future__ import annotations

from dataclasses import replace

from factories import GIB, a_device
from verdict_tables import LARGE, verdicts

from bench.analysis.verdicts.device_card import card_of
from bench.analysis.verdicts.questions import Card
from bench.config import load_gpus

LISTED = verdicts().cards
ADDED = (Card("Test (R)", 16 * GIB, is_device=True), Card("Test (R) (24.0 GiB)", 24 * GIB, is_device=True))


def name_of(name: str, total_bytes: int) -> str | None:
    card = card_of(a_device(name=name, total_bytes=total_bytes), (*LISTED, *ADDED), load_gpus())
    return card and card.name


def test_a_card_of_the_file_is_found_by_the_memory_that_its_driver_reports() -> None:
    assert name_of(LARGE, 25_300_000_000) == LARGE


def test_of_two_added_cards_of_one_name_the_one_of_that_memory_is_the_devices() -> None:
    assert [name_of("Test (R)", size * GIB) for size in (16, 24, 80)] == ["Test (R)", "Test (R) (24.0 GiB)", None]


def test_what_was_not_added_is_no_card() -> None:
    assert name_of("Another Test", 16 * GIB) is None
    unmeasured = replace(ADDED[0], is_device=False)
    assert card_of(a_device(name="Test (R)", total_bytes=16 * GIB), [unmeasured], load_gpus()) is None
