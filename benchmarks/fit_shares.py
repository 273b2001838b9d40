"""Fit the shares of convolutions' workspaces to both docs pages, also with each card left out, and say how far off.

    python benchmarks/fit_shares.py

For each width of values and architecture it searches the shares (`bench/vram/shares.py`) over a grid for the least sum
of the relative errors of the published peaks, on the logarithmic scale. Then it fits again without each card, and
predicts that card. A minute or two; no GPU, no torch.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench import store
from bench.analysis.memory import published_peaks
from bench.core.units import ITEM_BYTES
from bench.predictions.target_cards import TargetCard, choose_cards
from bench.record import Case, Record
from bench.vram import shares, verdict
from bench.vram.shares import Shares

PUBLISHED = Path(__file__).parents[1] / "results" / "published"
#: Narrow convolutions: from 3/4 to 9/4 by a twelfth. Wide ones: at least one copy of input and output.
GRID = tuple(
    Shares(wide=1 + wide / 8, narrow=narrow / 12, image=image)
    for wide in range(5)
    for narrow in range(9, 28)
    for image in (0, 1)
)
#: Predicted peaks by case, card and shares.
_RESERVED: dict[tuple[str, str, Shares], int | None] = {}


@dataclass(frozen=True)
class Peak:
    """A published peak of a case on a card."""

    case: Case
    card: TargetCard
    published_bytes: int

    def ratio(self, tried: Shares) -> float | None:
        """Predicted over published peak with these shares; None if the prediction is out of memory."""
        key = self.case.id, self.card.name, tried
        if key not in _RESERVED:
            backend = replace(self.card.backend(self.case), shares=tried, band=(1.0,))
            peaks = verdict.predict(self.case, backend, self.card.memory())[2]
            _RESERVED[key] = None if peaks is None else peaks.reserved_bytes
        reserved_bytes = _RESERVED[key]
        return None if reserved_bytes is None else reserved_bytes / self.published_bytes


def main() -> None:
    """Print the fitted shares of each group, the chosen ones, and the errors of all cells, seen and left out."""
    groups = peaks_by_group()
    errors: dict[str, list[float]] = {"chosen shares": [], "fitted to all": [], "card left out": []}
    for (item_bytes, architecture), peaks in groups.items():
        best, chosen = fitted(peaks), shares.FITTED[item_bytes, architecture]
        print(f"{item_bytes} bytes, {architecture}: chosen {said(chosen)}; fitted {said(best)}", flush=True)
        errors["chosen shares"] += errors_of(peaks, chosen)
        errors["fitted to all"] += errors_of(peaks, best)
        for card in dict.fromkeys(peak.card.name for peak in peaks):
            without = fitted([peak for peak in peaks if peak.card.name != card])
            errors["card left out"] += errors_of([peak for peak in peaks if peak.card.name == card], without)
            print(f"  without {card}: {said(without)}", flush=True)
    for name, found in errors.items():
        print(f"{name}: {len(found)} peaks, median error {statistics.median(found):.1%}, worst {max(found):.1%}")


def peaks_by_group() -> dict[tuple[int, str], list[Peak]]:
    """The published peaks of both pages by bytes per value and architecture."""
    cards = {card.name: replace(card, calibrated={}) for card in choose_cards([], None, PUBLISHED)[0]}
    groups: dict[tuple[int, str], list[Peak]] = {}
    for record in _records():
        card = cards[record.device.name]
        size = published_peaks.peak_bytes(record, card.place.total_bytes)
        if size is not None and card.kernels is not None:
            key = ITEM_BYTES[record.case.dtype], card.kernels[0]
            groups.setdefault(key, []).append(Peak(record.case, card, size))
    return groups


def fitted(peaks: Sequence[Peak]) -> Shares:
    """The shares of the grid with the least sum of errors; the first of several."""
    return min(GRID, key=lambda tried: sum(_distance(peak.ratio(tried)) for peak in peaks))


def errors_of(peaks: Iterable[Peak], tried: Shares) -> list[float]:
    """The relative errors of the peaks that are predicted."""
    ratios = (peak.ratio(tried) for peak in peaks)
    return [abs(ratio - 1) for ratio in ratios if ratio is not None]


def said(found: Shares) -> str:
    """The shares in words."""
    return f"wide {found.wide:.3g}, narrow {found.narrow:.3g}, image {found.image:g}"


def _distance(ratio: float | None) -> float:
    return 1.0 if ratio is None else abs(math.log(ratio))


def _records() -> list[Record]:
    return [record for name in ("vae_encode", "vae_decode") for record in _read(name)]


def _read(name: str) -> Sequence[Record]:
    return store.read_file(PUBLISHED / f"{name}.jsonl").records


if __name__ == "__main__":
    main()
