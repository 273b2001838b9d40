"""Estimates of times that were not measured, from predictions and from what was measured.

A time is its prediction times a factor for each of its precision, tile and variant. The factors are fitted to the
logarithms of what was measured, by turns (backfitting), and shrunk where few settings show them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from bench.analysis.best.settings import Setting
from bench.record import Case

#: How many measured settings the prediction weighs as much as: for tiles, whose work is predicted well, and for others.
_PRIOR_OF_TILES, _PRIOR = 1.0, 0.01
_ROUNDS = 60
#: The level that all settings share.
_ALL = ""


def levels(case: Case) -> tuple[str, ...]:
    """What a setting has a factor for: its precision, its tile, and each variant, also of several together.

    The default variant has none, so that the factors of others are beside it, and combine.
    """
    parts = [part for part in case.variant.split("+") if part != "default"]
    return (case.dtype, _tile(case), *parts, *([case.variant] if len(parts) > 1 else []))


def _tile(case: Case) -> str:
    return f"tile {case.tile.label}" if case.tile else "untiled"


def of(settings: Iterable[Setting], measured: Mapping[Case, float]) -> dict[Case, float]:
    """The estimated seconds of each setting.

    `measured` has the seconds of at least one of the settings.
    """
    settings = list(settings)
    rows = [
        ((_ALL, *levels(setting.case)), math.log(measured[setting.case] / setting.seconds))
        for setting in settings
        if setting.case in measured
    ]
    factors = {level: 0.0 for names, _ in rows for level in names}
    factors[_ALL] = math.fsum(offset for _, offset in rows) / len(rows)
    tiles = {names[2] for names, _ in rows}
    shown_by = {level: [row for row in rows if level in row[0]] for level in factors}
    for _ in range(_ROUNDS):
        for level, shown in shown_by.items():
            rest = sum(offset - sum(factors[other] for other in names if other != level) for names, offset in shown)
            prior = 0.0 if level == _ALL else _PRIOR_OF_TILES if level in tiles else _PRIOR
            factors[level] = rest / (len(shown) + prior)

    def log_factor(case: Case) -> float:
        return math.fsum(factors.get(level, 0.0) for level in (_ALL, *levels(case)))

    return {s.case: s.seconds * math.exp(log_factor(s.case)) for s in settings}
