"""The cards of verdicts, and those that records add to them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

from bench.analysis.advise.card import Place
from bench.analysis.verdicts.device_card import is_of_card
from bench.analysis.verdicts.questions import Card
from bench.config import load_gpus
from bench.core.units import format_bytes
from bench.predictions.target_cards import place_of
from bench.record import Record

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
        self._added: dict[str, list[int]] = {}
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
            self._by_device[key] = self._card_of(record, size)
        index = self._by_device[key]
        if record.kind == "measured" and not self._cards[index].is_device:
            self._cards[index] = replace(self._cards[index], is_device=True)
        return index

    def _card_of(self, record: Record, size: str) -> int:
        """The card of a record's device: one that is there, one of gpus.yaml, or else the device itself."""
        listed = self._file.of_device(record.device.name, record.device.total_bytes)
        if listed is None:
            return self._device_of(record, size)
        name = listed[0]
        if name in self._indices:
            return self._indices[name]
        place = place_of(name, self._file)
        return self._add(name, place, place.total_bytes)

    def _add(self, name: str, place: Place, memory_bytes: int | None) -> int:
        self._indices[name] = len(self._cards)
        self._cards.append(Card(name, memory_bytes, place.is_memory_assumed))
        self.places.append(place)
        return len(self._cards) - 1

    def _device_of(self, record: Record, size: str) -> int:
        """The card that was added for a device, or a new one; its name says its memory if another card has the name."""
        device, gpu = record.device, record.environment.gpu if record.environment else None
        for index in self._added.get(device.name, ()):
            if is_of_card(device, self._cards[index]):
                return index
        name = f"{device.name} ({size})" if device.name in self._indices else device.name
        total_bytes = device.total_bytes or _UNKNOWN_BYTES
        capability = gpu.compute_capability if gpu else None
        place = Place(device.name, None, total_bytes, None, (0, 0), compute_capability=capability)
        index = self._add(name, place, device.total_bytes)
        self._added.setdefault(device.name, []).append(index)
        return index
