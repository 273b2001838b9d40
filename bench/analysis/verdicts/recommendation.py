"""The recommendation for a question on a card, by the rule of `bench advise` (`analysis.advise.ranking`)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.analysis.advise import ranking
from bench.analysis.advise.local_ways import Option
from bench.analysis.advise.peaks import Fate, Peak
from bench.analysis.advise.precision import Hazard
from bench.analysis.advise.times import Time
from bench.analysis.advise.ways import Local
from bench.analysis.speed.extrapolation import Range
from bench.analysis.speed.held_out import Errors
from bench.analysis.verdicts.questions import NOTHING, REMOTE, RUNS, Figures, OnCard, Question, Remote, Verdict, case_of
from bench.record import Case, Confidence, Kind

_HAZARDS: dict[Hazard, Verdict] = {"emulated": "emulated", "black_images": "black"}


def verdict_of(peak: Peak, hazard: Hazard | None) -> Verdict:
    """The verdict on a way with this peak, on a card where its precision has this hazard."""
    if not peak.runs:
        return "unsupported" if peak.verdict == "unsupported" else "oom"
    if hazard is not None:
        return _HAZARDS[hazard]
    if peak.verdict == "fits":
        return "fits" if peak.is_comfortable else "unsure"
    return "tight"


def recommended(
    question: Question, case: Case, figures: Sequence[Figures], networks: Sequence[str], errors: Errors | None
) -> OnCard:
    """The answer on a card with these figures, over each network.

    `case` is any of the question's, `errors` are those of predicted times.
    """
    ways = [_local(question, case, each, errors) for each in figures]
    remotes = [_remote_time(question.remote.get(name), errors) for name in networks]
    first = ranking.first_local(ways)
    here = next((each.way for way, each in zip(ways, figures, strict=True) if way is first), NOTHING)
    best = tuple(REMOTE if ranking.is_remote_first(remote, first) else here for remote in remotes)
    return OnCard(tuple(figures), here, best)


def _local(question: Question, case: Case, figures: Figures, errors: Errors | None) -> Local:
    """The way as the ranking takes it."""
    hazard = next((name for name, verdict in _HAZARDS.items() if verdict == figures.verdict), None)
    option = Option(case_of(question.ways[figures.way], case), figures.way, hazard=hazard)
    return Local(option, peak_of(figures), _time(figures.least_s, figures.most_s, figures.time_kind, errors))


def peak_of(figures: Figures) -> Peak:
    """The peak and verdict as `bench advise` has them."""
    confidence: Confidence = "low" if figures.verdict == "unsure" else "high"
    runs = figures.verdict in RUNS
    reserved_bytes, needed_bytes = (figures.peak_bytes, None) if runs else (None, figures.peak_bytes)
    fate: dict[Verdict, Fate] = {"tight": "tight", "oom": "out_of_memory", "unsupported": "unsupported"}
    return Peak(
        figures.peak_kind, fate.get(figures.verdict, "fits"), confidence, reserved_bytes, needed_bytes, reason=""
    )


def _remote_time(remote: Remote | None, errors: Errors | None) -> Time | None:
    return None if remote is None else _time(remote.least_s, remote.most_s, remote.kind, errors)


def _time(least_s: float | None, most_s: float | None, kind: Kind, errors: Errors | None) -> Time | None:
    if least_s is None:
        return None
    errors = errors if kind == "predicted" else None
    if least_s == most_s:
        return Time(least_s, kind, errors)
    return Time(None, kind, errors, between=Range(least_s, None if most_s is None or math.isinf(most_s) else most_s))
