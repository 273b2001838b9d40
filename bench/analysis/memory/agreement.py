"""How well estimates of memory agree with published cells: errors of the peak, verdicts, ranges."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.record import Record


@dataclass(frozen=True, slots=True)
class Guess:
    """An estimate of one published cell.

    Attributes:
        reserved_bytes: the peak of torch's pool; None if it is out of memory.
        runs: whether it fits, if only tightly.
        band: the least and the most that may be reserved; None if only one figure is given.
    """

    reserved_bytes: int | None
    runs: bool
    band: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the docs' tables, and what each estimate says of it.

    Attributes:
        published_bytes: the peak; None if the card ran out of memory.
        rounding_bytes: how far the published peak may be from the true one.
        guesses: by the name of the estimate.
    """

    record: Record
    published_bytes: int | None
    rounding_bytes: int
    guesses: Mapping[str, Guess]

    def error(self, name: str) -> float | None:
        """The relative error of an estimate's peak; None if it has no peak, or nothing was published."""
        reserved_bytes = self.guesses[name].reserved_bytes
        if self.published_bytes is None or reserved_bytes is None:
            return None
        return reserved_bytes / self.published_bytes - 1

    def is_right(self, name: str) -> bool:
        """Whether an estimate is right that the case runs, or that it does not."""
        return self.guesses[name].runs == (self.published_bytes is not None)

    def is_in_band(self, name: str) -> bool | None:
        """Whether the published peak is within an estimate's range; None without either."""
        band = self.guesses[name].band
        if band is None or self.published_bytes is None:
            return None
        return band[0] - self.rounding_bytes <= self.published_bytes <= band[1] + self.rounding_bytes


@dataclass(frozen=True, slots=True)
class Agreement:
    """One estimate over several cells.

    Attributes:
        peaks: cells in which both have a peak.
        median, worst: errors of these peaks; the median of their sizes, and the largest with its sign.
        cells, right: all cells, and those with a right verdict.
        within, banded: cells within the range, of those with a range and a published peak.
        width: the median of the range's upper over its lower end; None without ranges.
    """

    peaks: int
    median: float | None
    worst: float | None
    cells: int
    right: int
    within: int
    banded: int
    width: float | None


def agreement(cells: Sequence[Cell], name: str) -> Agreement:
    """How well the estimate of this name agrees with the cells."""
    errors = [error for cell in cells if (error := cell.error(name)) is not None]
    within = [is_in for cell in cells if (is_in := cell.is_in_band(name)) is not None]
    bands = [band for cell in cells if (band := cell.guesses[name].band) is not None]
    return Agreement(
        peaks=len(errors),
        median=statistics.median(map(abs, errors)) if errors else None,
        worst=max(errors, key=abs) if errors else None,
        cells=len(cells),
        right=sum(cell.is_right(name) for cell in cells),
        within=sum(within),
        banded=len(within),
        width=statistics.median(high / low for low, high in bands) if bands else None,
    )
