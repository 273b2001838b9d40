"""How long an option takes on a card: as measured there, else published of it, else by the model of times. Pure.

Where the model can't give a time with an error of its own, on an architecture that no fitted time is of or with the
leaner kernels of a tight fit, it gives a range, or a least time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis.advise.card import Place
from bench.analysis.advise.peaks import Peak, alike
from bench.analysis.hybrid.service import seconds
from bench.analysis.speed.extrapolation import Range, beyond, bounds, is_seen
from bench.analysis.speed.fit import Model, fit
from bench.analysis.speed.held_out import Errors, errors, leave_one_card_out
from bench.analysis.speed.observation import LEAST_S, Observation, fitted
from bench.config.gpus import Gpu
from bench.core.units import format_seconds
from bench.core.work import Work
from bench.record import Case, Kind, Record

#: What a tight fit's time goes beyond: times are of the kernels that are preferred while memory is free.
TIGHT = "leaner kernels of a tight fit"


@dataclass(frozen=True, slots=True)
class Clock:
    """The model of times, what it was fitted on, and how far it is off on a card left out; None: one card alone."""

    model: Model
    observations: tuple[Observation, ...]
    errors: Errors | None


@dataclass(frozen=True, slots=True)
class Time:
    """Seconds of one call, or of a remote one from end to end.

    Attributes:
        seconds: None where only a range is known.
        kind: measured, published, predicted or simulated.
        errors: of the model, where it is predicted. They are not those of a time that goes beyond the fit.
        beyond: in what a prediction goes beyond the times that the model was fitted on.
        between: the range; None where `seconds` is known.
    """

    seconds: float | None
    kind: Kind
    errors: Errors | None = None
    beyond: tuple[str, ...] = ()
    between: Range | None = None

    @property
    def least_s(self) -> float:
        """The least that it may be. Predictions below what the model was fitted on are all as quick."""
        seconds = self.between.least_s if self.between else self.seconds or 0.0
        return max(seconds, LEAST_S) if self.kind == "predicted" else seconds

    @property
    def most_s(self) -> float:
        """The most that it may be, without the model's error; infinite where nothing says."""
        if self.between is None:
            return self.least_s
        return math.inf if self.between.most_s is None else max(self.between.most_s, self.least_s)

    @property
    def text(self) -> str:
        """`24 ms`, `11 ms to 245 ms`, `at least 11 ms`."""
        if self.between is None:
            return format_seconds(self.seconds)
        least, most_s = format_seconds(self.between.least_s), self.between.most_s
        return f"at least {least}" if most_s is None else f"{least} to {format_seconds(most_s)}"


def clock(observations: Sequence[Observation]) -> Clock | None:
    """The model fitted on the encodes that were observed; None where those are too few to fit one on."""
    observations = fitted(observations)
    try:
        model = fit(observations)
    except ValueError:
        return None
    try:
        found = errors(leave_one_card_out(observations))
    except ValueError:
        found = None
    return Clock(model, tuple(observations), found)


def of(
    case: Case, place: Place, records: Sequence[Record], peak: Peak, clock: Clock | None, work: Work | None
) -> Time | None:
    """The time of a case in a place, None: nobody knows, or it does not fit.

    A record counts if it had the same memory to use, or more and here is enough all the same: with less memory kernels
    differ, so a time under a tighter limit is not that of the whole card.
    """
    if peak.verdict not in {"fits", "tight"}:
        return None
    for record in alike(case, place, records):
        taken = seconds(record)
        if taken is not None and _counts(record, place, peak):
            return Time(taken, record.kind)
    if clock is None or place.gpu is None or not place.gpu.has_rates or work is None:
        return None
    return _predicted(case, place.gpu, work, clock, is_tight=peak.verdict == "tight")


def _counts(record: Record, place: Place, peak: Peak) -> bool:
    """Whether a record's time is one of this place: kernels were chosen with as much memory, or with more of it."""
    if place.free_bytes is None and record.vram_limit_bytes == place.limit_bytes:
        return True
    had = place.total_bytes if record.vram_limit_bytes is None else record.vram_limit_bytes
    return had >= place.usable_bytes and peak.verdict == "fits"


def _predicted(case: Case, gpu: Gpu, work: Work, clock: Clock, *, is_tight: bool) -> Time:
    """The model's time; a range where the architecture is not in the fit, a least time where the fit is tight."""
    taken = clock.model.seconds(work, case.dtype, gpu)
    past_fit = beyond(case, gpu, clock.observations)
    past_fit += (case.variant,) if case.variant != "default" else ()
    past_fit += (TIGHT,) if is_tight else ()
    between = None
    if not is_seen(gpu, clock.observations):
        worst = abs(clock.errors.worst.error) if clock.errors else None
        between = bounds(work, case.dtype, gpu, clock.model, clock.observations, worst)
        between = Range(between.least_s, None) if is_tight else between
    elif is_tight:
        between = Range(taken, None)
    elif taken < LEAST_S:
        past_fit += (f"times below {LEAST_S * 1e3:g} ms",)
    return Time(None if between else taken, "predicted", clock.errors, past_fit, between)
