"""Where an image is to be computed: a card, a limited one, or what is free of one; or so many bytes of any. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bench.config.gpus import Gpu
from bench.record import Device, Record
from bench.units import format_bytes

#: Drivers differ by a few per cent in what they report of one card, Windows and Linux by up to 5% (configs/gpus.yaml).
_ALIKE = 0.06
_MEMORY = re.compile(r" \d+GB")


@dataclass(frozen=True, slots=True)
class Place:
    """A card, or what there is of it.

    Attributes:
        card: its name in gpus.yaml; None where only memory is known.
        gpu: its rates; None where only memory is known.
        total_bytes: of the card.
        limit_bytes: what it is limited to; None: not at all.
        free_bytes: what is free of it while others hold the rest; None: all.
        capacities: what torch's pool may take there: with the largest CUDA context, one of the middle, the smallest.
    """

    card: str | None
    gpu: Gpu | None
    total_bytes: int
    limit_bytes: int | None
    free_bytes: int | None
    capacities: tuple[int, int, int]

    @property
    def whole_bytes(self) -> int:
        """What memory is a share of: the card, or its limit."""
        return self.total_bytes if self.limit_bytes is None else self.limit_bytes

    @property
    def usable_bytes(self) -> int:
        """What there is, CUDA context included."""
        return self.whole_bytes if self.free_bytes is None else self.free_bytes

    @property
    def label(self) -> str:
        """`NVIDIA GeForce RTX 3070, limited to 6.00 GiB, 4.00 GiB of it free`."""
        limit = "" if self.limit_bytes is None else f", limited to {format_bytes(self.limit_bytes)}"
        name = f"a card of {format_bytes(self.whole_bytes)}" if self.card is None else f"{self.card}{limit}"
        return name if self.free_bytes is None else f"{name}, {format_bytes(self.free_bytes)} of it free"

    def is_of(self, record: Record) -> bool:
        """Whether a record was made on such a card, by this program or the docs'."""
        return record.remote is None and self.card is not None and _named(record.device, self.card, self.total_bytes)


def _named(device: Device, card: str, total_bytes: int) -> bool:
    """Names of gpus.yaml go on with the memory where torch gives cards of different memory one name."""
    if device.name != card and not _MEMORY.fullmatch(card.removeprefix(device.name)):
        return False
    if device.total_bytes is None:
        return device.name == card
    return abs(device.total_bytes / total_bytes - 1) <= _ALIKE
