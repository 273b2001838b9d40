"""The place where an image would be computed: a card, part of its memory, or an unnamed card of a given memory."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Literal

from bench.config import card_names
from bench.config.gpus import RATES, Gpu
from bench.core.units import format_bytes, pool_bytes
from bench.record import AllocatorKind, Record

Os = Literal["linux", "windows"]
#: The largest share of a card that Windows keeps from programs: 3.2 of 22 GiB in ollama issue 9167 (Windows 10). The
#: smallest is nothing, for a card without a display; ComfyUI sets 600 to 700 MiB aside (`comfy/model_management.py`).
WINDOWS_KEEPS_MOST = 0.15
_CAPABILITY = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")


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
        os: the operating system; "windows" includes WSL, which uses the same driver.
        compute_capability: of a card that gpus.yaml does not have; None if it is not known.
    """

    card: str | None
    gpu: Gpu | None
    total_bytes: int
    limit_bytes: int | None
    context_bytes: tuple[int, int]
    free_bytes: int | None = None
    allocator: AllocatorKind = "native"
    os: Os = "linux"
    compute_capability: str | None = None

    @property
    def limit_or_total_bytes(self) -> int:
        """The memory that shares are of: the limit, or the whole card."""
        return self.total_bytes if self.limit_bytes is None else self.limit_bytes

    @property
    def available_bytes(self) -> int:
        """The memory that may be used, including the CUDA context."""
        return self.limit_or_total_bytes if self.free_bytes is None else self.free_bytes

    @property
    def overhead_bytes(self) -> tuple[int, int]:
        """The least and the most of the available memory that torch's pool can't have: CUDA context and Windows.

        What is free is free of Windows already. A limit leaves the rest of the card to Windows.
        """
        least, most = self.context_bytes
        if self.os == "linux" or self.free_bytes is not None:
            return least, most
        beyond_limit = self.total_bytes - self.limit_or_total_bytes
        return least, most + max(0, round(WINDOWS_KEEPS_MOST * self.total_bytes) - beyond_limit)

    @property
    def capacities(self) -> tuple[int, int, int]:
        """Bytes that torch's pool may take with the largest, a middle and the smallest overhead."""
        return pool_bytes(self.available_bytes, self.overhead_bytes)

    def with_available(self, available_bytes: int) -> Place:
        """The place with this much memory available: free, or under a higher limit, or on a card with as much.

        Such a card has the same rates, but no name: records of this one do not hold for it.
        """
        if available_bytes <= self.limit_or_total_bytes:
            return replace(self, free_bytes=available_bytes)
        if available_bytes <= self.total_bytes:
            return replace(self, limit_bytes=available_bytes, free_bytes=None)
        return replace(self, card=None, total_bytes=available_bytes, limit_bytes=None, free_bytes=None)

    def needed_bytes(self, pool_bytes: int) -> int:
        """The least memory for `with_available` that gives torch's pool this much, whatever the overhead."""
        needed_bytes = pool_bytes + self.context_bytes[1]
        left_by_windows = round((1 - WINDOWS_KEEPS_MOST) * self.total_bytes)
        if self.os == "linux" or needed_bytes <= max(self.limit_or_total_bytes, left_by_windows):
            return needed_bytes
        return math.ceil(needed_bytes / (1 - WINDOWS_KEEPS_MOST))

    @property
    def capability(self) -> tuple[int, int] | None:
        """The compute capability, `(8, 6)`; None if it is not known, or a record has another text in its place."""
        text = self.gpu.compute_capability if self.gpu else self.compute_capability
        match = _CAPABILITY.fullmatch(text or "")
        return None if match is None else (int(match[1]), int(match[2]))

    @property
    def label(self) -> str:
        """`NVIDIA GeForce RTX 3070, limited to 6.00 GiB, 4.00 GiB of it free, on Windows`."""
        limit = "" if self.limit_bytes is None else f", limited to {format_bytes(self.limit_bytes)}"
        name = f"a card of {format_bytes(self.limit_or_total_bytes)}" if self.card is None else f"{self.card}{limit}"
        free = "" if self.free_bytes is None else f", {format_bytes(self.free_bytes)} of it free"
        return f"{name}{free}{', on Windows' if self.os == 'windows' else ''}"

    @property
    def is_memory_assumed(self) -> bool:
        """Whether `total_bytes` is what the card is sold with, because nobody published what torch reports."""
        return self.gpu is not None and self.gpu.is_memory_assumed

    @property
    def unknown_rates(self) -> tuple[str, ...]:
        """The fields of gpus.yaml without which no time is predicted for the card; all if it is not in the file.

        Empty if only the memory is known.
        """
        if self.gpu is not None:
            return self.gpu.unknown_rates
        return () if self.card is None else RATES

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
