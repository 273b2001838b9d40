"""The card of verdicts that a device is, after records were laid over them."""

from __future__ import annotations

from collections.abc import Iterable

from bench.analysis.verdicts.questions import Card
from bench.config import Gpus, card_names
from bench.record import Device


def card_of(device: Device, cards: Iterable[Card], gpus: Gpus) -> Card | None:
    """The card of gpus.yaml, or the one that was added for the device; None if there is neither.

    The name of an added card ends with its memory if there is another card of the device's name.
    """
    listed = gpus.of_device(device.name, device.total_bytes)
    if listed is not None:
        return next((card for card in cards if card.name == listed[0]), None)
    of_name = (card for card in cards if card.name == device.name or card.name.startswith(f"{device.name} ("))
    return next((card for card in of_name if card.is_device and is_of_card(device, card)), None)


def is_of_card(device: Device, card: Card) -> bool:
    """Whether a card that was added for a device of this name is the device's.

    A machine's memory differs by a few pages from run to run.
    """
    return card_names.is_card(device.name, device.total_bytes, device.name, card.memory_bytes)
