"""Where an image is to be computed: a card, a limited one, or what is free of one; or so many bytes of any. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from bench.config import card_names
from bench.config.gpus import Gpu
from bench.core.units import format_bytes
from bench.record import Record


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

    @property
    def is_memory_assumed(self) -> bool:
        """Whether the card's memory is what it is sold with, as nobody published what torch reports."""
        return self.gpu is not None and self.gpu.is_memory_assumed

    def is_of(self, record: Record) -> bool:
        """Whether a record was made on such a card, by this program or the docs'."""
        device = record.device
        return (
            record.remote is None
            and self.card is not None
            and card_names.is_card(
                device.name, device.total_bytes, self.card, self.total_bytes, nominal=self.is_memory_assumed
            )
        )
