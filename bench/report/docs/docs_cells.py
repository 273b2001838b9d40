"""The figures of one row as the cells of the docs' two dialects, those of their encode and decode pages."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from bench.report.docs.docs_grid import Figures

Dialect = Literal["encode", "decode"]

#: A change of more digits says nothing, and is more than decimal arithmetic keeps (28).
_MOST_DIGITS = 20
OOM, GAP = "OOM", "n/a"


def cells(dialect: Dialect, untiled: Figures, tiled: Figures) -> list[str]:
    """Time, memory, tiled time and tiled memory as a dialect prints them, without padding."""
    time, memory, tiled_time, tiled_memory = numbers(dialect, untiled, tiled)
    return [time, memory, with_change(time, tiled_time) if dialect == "decode" else tiled_time, tiled_memory]


def numbers(dialect: Dialect, untiled: Figures, tiled: Figures) -> list[str]:
    """The same without the change of the tiled time.

    The encode dialect has six significant digits, as `DataFrame.to_markdown` prints numbers. The decode dialect has
    three decimals of a time, without zeros at the end of the untiled one, and two of a percentage.
    """
    if dialect == "encode":
        return [_printed(value, "{:g}") for figures in (untiled, tiled) for value in rounded(figures)]
    time, tiled_time = (_printed(figures.time_s, "{:.3f}") for figures in (untiled, tiled))
    memory, tiled_memory = (_printed(figures.memory_percent, "{:.2f}%") for figures in (untiled, tiled))
    return [time.rstrip("0").rstrip("."), memory, tiled_time, tiled_memory]


def rounded(figures: Figures) -> tuple[float | None, float | None]:
    """The figures as the encode dialect prints them: the time to three decimals, the percentage as it is."""
    return (None if figures.time_s is None else round(figures.time_s, 3), figures.memory_percent)


def _printed(value: float | None, form: str) -> str:
    if value is None:
        return OOM
    return GAP if math.isnan(value) else form.format(value)


def with_change(untiled: str, tiled: str) -> str:
    """A printed tiled time with its change from the untiled one: `0.050 (0%)`, `0.257 (+0.4%)`, `0.009 (-12%)`.

    Without a change if either is not a time, if the untiled time is 0, or if the change is absurdly large. In decimal,
    so that a reader with a calculator gets the same digits.
    """
    if GAP in (untiled, tiled) or OOM in (untiled, tiled) or not Decimal(untiled):
        return tiled
    if Decimal(untiled) == Decimal(tiled):
        return f"{tiled} (0%)"
    change = (Decimal(tiled) / Decimal(untiled) - 1) * 100
    if change.adjusted() > _MOST_DIGITS:
        return tiled
    step = Decimal("0.1") if abs(change) < 1 else Decimal(1)
    return f"{tiled} ({change.quantize(step, ROUND_HALF_UP):+}%)"
