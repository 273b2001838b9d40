"""Peaks that were published or measured, each beside the prediction of the same case on the same card."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.analysis.memory.published_peaks import decimals, peak_bytes, rounding_bytes
from bench.config import card_names
from bench.core.units import MIB
from bench.record import OutOfMemory, Prediction, Record, grouped

#: The outcomes that can confirm or contradict a prediction.
_ENDED = ("measured", "out_of_memory")


@dataclass(frozen=True, slots=True)
class KnownPeak:
    """A peak that was published or measured, and its prediction.

    Attributes:
        rounding_bytes: how far the known peak may be from the true one.
    """

    known: Record
    predicted: Record
    prediction: Prediction
    rounding_bytes: int = 2 * MIB

    @property
    def known_bytes(self) -> int | None:
        """The peak reserved, of a published percentage by the docs' arithmetic; None if out of memory or not known."""
        return peak_bytes(self.known, self.predicted.vram_limit_bytes or self.predicted.device.total_bytes)

    @property
    def predicted_bytes(self) -> int | None:
        """The predicted peak reserved."""
        return self.predicted.memory.peak_reserved_bytes if self.predicted.memory else None

    @property
    def out_of_memory(self) -> bool:
        """Whether the card really ran out of memory."""
        return isinstance(self.known.outcome, OutOfMemory)

    @property
    def ratio(self) -> float | None:
        """Predicted over known peak reserved."""
        if self.known_bytes is None or self.predicted_bytes is None:
            return None
        return self.predicted_bytes / self.known_bytes

    @property
    def allocated_ratio(self) -> float | None:
        """Predicted over known peak allocated. Only measured records have it: no page publishes it."""
        known = self.known.memory.peak_allocated_bytes if self.known.memory else None
        predicted = self.predicted.memory.peak_allocated_bytes if self.predicted.memory else None
        return None if not known or predicted is None else predicted / known

    @property
    def within(self) -> bool | None:
        """Whether the known peak is in the predicted band; None if there is no known peak."""
        known = self.known_bytes
        if known is None:
            return None
        low, high = self.prediction.reserved_low_bytes, self.prediction.reserved_high_bytes
        return low - self.rounding_bytes <= known <= high + self.rounding_bytes

    @property
    def right(self) -> bool:
        """Whether the predicted verdict is right: tight counts as fits, and so does unsupported (by another torch)."""
        return (self.prediction.verdict == "out_of_memory") == self.out_of_memory


def known_peaks(predictions: Iterable[Record], known: Sequence[Record]) -> list[KnownPeak]:
    """The known peaks of CUDA cards that have a prediction under the same limit, in the order of `known`.

    They count as made with torch's native allocator, so predictions for another one are left out.
    """
    native = [each for each in predictions if each.prediction is None or each.prediction.allocator == "native"]
    groups = grouped(native, lambda prediction: (prediction.case.id, prediction.vram_limit_bytes))
    by_case = {(group[0].case.id, group[0].vram_limit_bytes): group for group in groups}
    digits = decimals(known)
    peaks = []
    for record in known:
        same_case = by_case.get((record.case.id, record.vram_limit_bytes), [])
        match = next((prediction for prediction in same_case if _is_of(record, prediction)), None)
        if match is not None and match.prediction is not None and record.outcome.status in _ENDED:
            total = match.vram_limit_bytes or match.device.total_bytes or 0
            peaks.append(KnownPeak(record, match, match.prediction, rounding_bytes(record, total, digits)))
    return peaks


def unmatched(peaks: Iterable[KnownPeak], known: Iterable[Record]) -> dict[str, int]:
    """How many published cases of each card have no prediction."""
    matched = {id(peak.known) for peak in peaks}
    counts: dict[str, int] = {}
    for record in known:
        if record.kind == "published" and record.outcome.status in _ENDED and id(record) not in matched:
            counts[record.device.name] = counts.get(record.device.name, 0) + 1
    return counts


def _is_of(record: Record, prediction: Record) -> bool:
    device, card = record.device, prediction.device
    nominal = "total_bytes" in prediction.assumed
    return card_names.is_card(device.name, device.total_bytes, card.name, card.total_bytes, nominal=nominal)
