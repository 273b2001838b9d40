"""How long an option takes on a card: as measured there, else published of it, else by the model of times. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.advise.peaks import Peak, alike
from bench.advise.place import Place
from bench.hybrid.service import seconds
from bench.record import Case, Kind, Record
from bench.speed.held_out import Errors, errors, leave_one_card_out
from bench.speed.model import Model, fit
from bench.speed.observation import LEAST_S, Observation, fitted
from bench.speed.reach import beyond
from bench.work import Work


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
        kind: measured, published, predicted or simulated.
        errors: of the model, where it is predicted.
        beyond: in what a prediction goes beyond the times that the model was fitted on.
    """

    seconds: float
    kind: Kind
    errors: Errors | None = None
    beyond: tuple[str, ...] = ()

    @property
    def compared_s(self) -> float:
        """What other times are held against: of predictions below what the model was fitted on none is the quicker."""
        return max(self.seconds, LEAST_S) if self.kind == "predicted" else self.seconds


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

    A record counts if it had the same memory to use, or if here is enough all the same: with less of it kernels differ.
    """
    if peak.verdict not in {"fits", "tight"}:
        return None
    for record in alike(case, place, records):
        taken = seconds(record)
        same = place.free_bytes is None and record.vram_limit_bytes == place.limit_bytes
        if taken is not None and (same or peak.verdict == "fits"):
            return Time(taken, record.kind)
    if clock is None or place.gpu is None or not place.gpu.has_rates or work is None:
        return None
    told = beyond(case, place.gpu, clock.observations)
    told += (case.variant,) if case.variant != "default" else ()
    taken = clock.model.seconds(work, case.dtype, place.gpu)
    told += (f"times below {LEAST_S * 1e3:g} ms",) if taken < LEAST_S else ()
    return Time(taken, "predicted", clock.errors, told)
