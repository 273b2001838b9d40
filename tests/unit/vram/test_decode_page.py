"""Predictions against the docs' decode tables: verdicts, peaks in their bands, totals.

The page prints memory with two decimals of which the second is always 0: it was rounded to one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import store
from bench.config import load_gpus
from bench.core.units import GIB, MIB
from bench.predictions.target_cards import choose_cards
from bench.record import Measured, Prediction, Record
from bench.vram import cudnn
from bench.vram.verdict import predict
from bench.workloads.labels import label_of

_PUBLISHED = Path(__file__).parents[3] / "results" / "published" / "vae_decode.jsonl"
_PAGE = Path(__file__).parents[2] / "golden" / "vae_decode_tables.md"
RECORDS = store.read_file(_PUBLISHED).records
CARDS = {card.name: card for card in choose_cards([], None, _PUBLISHED.parent)[0]}  # as shipped: no calibration
#: Half of the last digit that is printed.
_HALF_DIGIT = 0.05
_REFERENCE = "NVIDIA GeForce RTX 4090"


def _name(record: Record) -> str:
    return f"{record.device.name.removeprefix('NVIDIA GeForce ')}, {label_of(record.case)}"


def _predicted(record: Record) -> Prediction:
    card = CARDS[record.device.name]
    return predict(record.case, card.backend(record.case), card.memory())[0]


def _percent(record: Record) -> float:
    assert record.memory is not None
    assert record.memory.percent is not None
    return record.memory.percent


def test_there_are_twenty_four_rows_each_untiled_and_tiled() -> None:
    assert len(RECORDS) == 48
    assert len({record.device.name for record in RECORDS}) == 6
    assert len([record for record in RECORDS if record.case.tile]) == 24
    assert all(isinstance(record.outcome, Measured) for record in RECORDS)


def test_the_page_rounds_memory_to_one_decimal() -> None:
    printed = re.findall(r"(\d+\.\d\d)%", _PAGE.read_text())
    assert len(printed) == 48
    assert all(text.endswith("0") for text in printed)


@pytest.mark.parametrize("record", RECORDS, ids=_name)
def test_the_verdict_is_right_and_the_published_peak_lies_in_the_band(record: Record) -> None:
    found, total = _predicted(record), CARDS[record.device.name].place.total_bytes
    peak, half = (percent / 100 * total for percent in (_percent(record), _HALF_DIGIT))
    assert found.verdict in {"fits", "tight"}
    assert found.reserved_low_bytes - half <= peak <= found.reserved_high_bytes + half


def test_the_bands_are_those_of_fitted_shares() -> None:
    # all six cards are of architectures that the pages fitted: none of their bands is that of a mere rule
    assert {_predicted(record).workspaces for record in RECORDS} == {"published"}
    assert min(cudnn.PUBLISHED_BAND) >= 0.6
    assert max(cudnn.PUBLISHED_BAND) <= 1.15


@pytest.mark.parametrize("card", ["NVIDIA GeForce RTX 4080", "NVIDIA GeForce RTX 4070 Ti"])
def test_the_total_of_a_card_follows_from_the_page(card: str) -> None:
    # Given the percentages of a card, and of the RTX 4090, whose total is known and whose peaks are the same
    total_gib = load_gpus().cards[card].memory_bytes / GIB
    low, high = _range_of_total_gib(card)
    # Then the total is the middle of what they leave, to the last place that is given
    assert total_gib == pytest.approx((low + high) / 2, abs=0.001)
    assert (high - low) / total_gib < 0.005


def _range_of_total_gib(card: str) -> tuple[float, float]:
    """What a card's total can be, if each of its peaks is one of the RTX 4090's: whole even MiB, as on both pages."""
    ranges = list(_ranges(card))
    return max(low for low, _ in ranges), min(high for _, high in ranges)


def _ranges(card: str) -> Iterator[tuple[float, float]]:
    reference_gib = round(CARDS[_REFERENCE].place.total_bytes / GIB, 3)
    same = {record.case.id: _percent(record) for record in RECORDS if record.device.name == _REFERENCE}
    for record in RECORDS:
        if record.device.name == card:
            peaks = [
                peak_gib
                for peak_mib in range(2, 20_000, 2)
                for peak_gib in [round(peak_mib * MIB / GIB, 3)]
                if abs(peak_gib / reference_gib * 100 - same[record.case.id]) <= _HALF_DIGIT
            ]
            percent = _percent(record)
            yield min(peaks) / (percent + _HALF_DIGIT) * 100, max(peaks) / (percent - _HALF_DIGIT) * 100
