"""The place where an image would be computed: a card, part of its memory, or an unnamed card of a given memory."""

from __future__ import annotations

from dataclasses import dataclass

from bench.config import card_names
from bench.config.gpus import Gpu
from bench.core.units import format_bytes, pool_bytes
from bench.record import AllocatorKind, Record


@dataclass(frozen=True, slots=True)
class Place:
    """A card, and how much of it may be used.

    Attributes:
        card: its name in gpus.yaml; None if only its memory is known.
        gpu: its rates; None if only its memory is known.
        total_bytes: of the card.
        limit_bytes: what it is limited to; None for no limit.
        free_bytes: what is free while other processes use the rest; None for all.
        context_bytes: the least and the most that the CUDA context takes.
        allocator: the allocator of torch whose memory is predicted.
    """

    card: str | None
    gpu: Gpu | None
    total_bytes: int
    limit_bytes: int | None
    context_bytes: tuple[int, int]
    free_bytes: int | None = None
    allocator: AllocatorKind = "native"

    @property
    def limit_or_total_bytes(self) -> int:
        """The memory that shares are of: the limit, or the whole card."""
        return self.total_bytes if self.limit_bytes is None else self.limit_bytes

    @property
    def available_bytes(self) -> int:
        """The memory that may be used, including the CUDA context."""
        return self.limit_or_total_bytes if self.free_bytes is None else self.free_bytes

    @property
    def capacities(self) -> tuple[int, int, int]:
        """Bytes that torch's pool may take with the largest, a middle and the smallest CUDA context."""
        return pool_bytes(self.available_bytes, self.context_bytes)

    @property
    def label(self) -> str:
        """`NVIDIA GeForce RTX 3070, limited to 6.00 GiB, 4.00 GiB of it free`."""
        limit = "" if self.limit_bytes is None else f", limited to {format_bytes(self.limit_bytes)}"
        name = f"a card of {format_bytes(self.limit_or_total_bytes)}" if self.card is None else f"{self.card}{limit}"
        return name if self.free_bytes is None else f"{name}, {format_bytes(self.free_bytes)} of it free"

    @property
    def is_memory_assumed(self) -> bool:
        """Whether `total_bytes` is what the card is sold with, because nobody published what torch reports."""
        return self.gpu is not None and self.gpu.is_memory_assumed

    def is_of(self, record: Record) -> bool:
        """Whether a record of this program or the docs was made on such a card."""
        device = record.device
        return (
            record.remote is None
            and self.card is not None
            and card_names.is_card(
                device.name, device.total_bytes, self.card, self.total_bytes, nominal=self.is_memory_assumed
            )
        )
