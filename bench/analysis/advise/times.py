"""How long an option takes on a card: measured if known, else published, else by the model of times.

The model's error holds for what it was fitted on. Beyond that it gives a range (`analysis.speed.extrapolation`). It
gives a least time for a tight fit, in which low-workspace kernels run or torch empties its cache, and for a precision
that the card emulates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis.advise.card import Place
from bench.analysis.advise.peaks import Peak, alike
from bench.analysis.advise.precision import is_emulated
from bench.analysis.hybrid.service import seconds
from bench.analysis.speed.clock import Clock
from bench.analysis.speed.extrapolation import Range
from bench.analysis.speed.held_out import Errors
from bench.analysis.speed.observation import LEAST_S
from bench.config.gpus import Gpu
from bench.core.units import format_between, format_seconds
from bench.core.work import Kernels
from bench.record import Case, Kind, Record

#: How a tight fit's time goes beyond what was fitted: times of the preferred kernels, with memory to spare.
TIGHT = "a tight fit"
#: How the time in a precision that the card does not compute in goes beyond it: nobody published how slow that is.
EMULATED = "an emulated precision"


@dataclass(frozen=True, slots=True)
class Time:
    """The time of one call, or of a remote call from end to end.

    Attributes:
        seconds: None if only a range is known.
        kind: measured, published, predicted or simulated.
        errors: of the model within its fit, if the time is predicted. They do not hold for a range.
        beyond: how a prediction goes beyond the times that the model was fitted on.
        between: the range; None if `seconds` is known.
    """

    seconds: float | None
    kind: Kind
    errors: Errors | None = None
    beyond: tuple[str, ...] = ()
    between: Range | None = None

    @property
    def least_s(self) -> float:
        """The least that it may be. Predictions below the shortest fitted time count as equal."""
        seconds = self.between.least_s if self.between else self.seconds or 0.0
        return max(seconds, LEAST_S) if self.kind == "predicted" else seconds

    @property
    def most_s(self) -> float:
        """The most that it may be, without the model's error; infinite if it is not bounded."""
        if self.between is None:
            return self.least_s
        return math.inf if self.between.most_s is None else max(self.between.most_s, self.least_s)

    @property
    def text(self) -> str:
        """`24 ms`, `11 ms to 245 ms`, `at least 11 ms`."""
        if self.between is None:
            return format_seconds(self.seconds)
        return format_between(self.between.least_s, self.between.most_s, "seconds")


def of(
    case: Case, place: Place, records: Sequence[Record], peak: Peak, clock: Clock | None, kernels: Kernels | None
) -> Time | None:
    """The time of a case in a place; None if it is not known or the case does not fit.

    A record counts if it had the same memory, or more while this place has enough. With less memory other kernels run,
    so a time under a tighter limit is not that of the whole card.
    """
    if peak.verdict not in {"fits", "tight"}:
        return None
    for record in alike(case, place, records):
        taken = seconds(record)
        if taken is not None and _counts(record, place, peak):
            return Time(taken, record.kind)
    if clock is None or place.gpu is None or not place.gpu.has_rates or kernels is None:
        return None
    slower = {TIGHT: peak.verdict == "tight", EMULATED: is_emulated(case.dtype, place)}
    return _predicted(case, place.gpu, kernels, clock, [word for word, is_slower in slower.items() if is_slower])


def _counts(record: Record, place: Place, peak: Peak) -> bool:
    """Whether a record's time holds in this place: its kernels were chosen with as much memory, or more."""
    if place.free_bytes is None and record.vram_limit_bytes == place.limit_bytes:
        return True
    had = place.total_bytes if record.vram_limit_bytes is None else record.vram_limit_bytes
    return had >= place.available_bytes and peak.verdict == "fits"


def _predicted(case: Case, gpu: Gpu, kernels: Kernels, clock: Clock, slower: Sequence[str]) -> Time | None:
    """The model's time: a range beyond its fit, a least time if the call is `slower`; None if it has no figures."""
    estimate = clock.estimate(case, gpu, kernels, slower)
    if estimate is None:
        return None
    between = estimate.between
    if between is not None and slower:
        between = Range(between.least_s, None)
    return Time(None if between else estimate.seconds, "predicted", clock.errors, estimate.beyond, between)
