"""The cards of verdicts, and those that records add to them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

from bench.analysis.advise.card import Place
from bench.analysis.verdicts.questions import Card
from bench.config import load_gpus
from bench.core.units import format_bytes
from bench.predictions.target_cards import place_of
from bench.record import Device, Record

#: The memory of a device that does not report it: what ran there, fits.
_UNKNOWN_BYTES = sys.maxsize


class VerdictCards:
    """The cards of verdicts, to which the devices of records are added that are none of them.

    Attributes:
        places: where each of the cards computes.
    """

    def __init__(self, cards: Sequence[Card]) -> None:
        self._file = load_gpus()
        self._cards = list(cards)
        self._indices = {card.name: index for index, card in enumerate(cards)}
        self._by_device: dict[tuple[str, str], int] = {}
        self.places = [place_of(card.name, self._file) for card in cards]

    @property
    def cards(self) -> tuple[Card, ...]:
        """Those of the verdicts in their order, then those that were added."""
        return tuple(self._cards)

    def index_of(self, record: Record) -> int:
        """The card that a record was made on, or else the device, added as a card. Notes whether it was measured."""
        device = record.device
        size = "memory unknown" if device.total_bytes is None else format_bytes(device.total_bytes)
        key = (device.name, size)
        if key not in self._by_device:
            listed = self._file.of_device(device.name, device.total_bytes)
            index = self._indices.get(listed[0]) if listed is not None else None
            self._by_device[key] = self._added(device, size) if index is None else index
        index = self._by_device[key]
        if record.kind == "measured" and not self._cards[index].is_device:
            self._cards[index] = replace(self._cards[index], is_device=True)
        return index

    def _added(self, device: Device, size: str) -> int:
        """A new card for a device; its name says its memory if another card has the name."""
        name = f"{device.name} ({size})" if device.name in self._indices else device.name
        self._indices[name] = len(self._cards)
        self._cards.append(Card(name, device.total_bytes))
        self.places.append(Place(device.name, None, device.total_bytes or _UNKNOWN_BYTES, None, (0, 0)))
        return len(self._cards) - 1
