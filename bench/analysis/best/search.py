"""Which settings to measure next. The same results always give the same next round, so that a search can be continued.

1. A first look, with few calls: the docs' default, then each precision and each variant once.
2. Of the rest, those that are estimated to be quick, by predictions and by what was measured (`estimates`), until
   nothing promises to be quicker or a third of the settings is measured.
3. The same for variants that are compiled, which takes up to minutes for each: beside the best of the others.
4. Successive halving (Jamieson and Talwalkar 2016, AISTATS): the quickest third again with three times as many calls,
   until the two best clearly differ. The last round alternates its calls.

What is predicted not to fit is never measured, nor what needs more than a setting that ran out of memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.analysis.best import estimates, settings
from bench.analysis.best.settings import Setting
from bench.analysis.best.trials import EQUAL, Trial, is_clearly_faster
from bench.record import Case

#: The calls of each setting in a first look, and in each round of the halving.
FIRST_CALLS, HALVING_CALLS = 3, (9, 27)
#: The share of the settings that may be measured; of few settings two may, to have something to compare.
SHARE, FEWEST = 3, 2
#: Settings of one round whose estimates are looked at again after it.
_AT_ONCE = 4
#: A setting promises to be quicker if its estimate is at most this much slower than the best, and as much again for
#: each of its levels (its tile, say) that nothing was measured of. With 5% and nothing for levels, the search missed
#: the best in one of ten random worlds; its test says how often it does now.
_SLACK = 0.15
#: The same for settings that are compiled, which takes up to minutes for each; and how many of them the others leave
#: room for, of few settings a quarter.
_SLACK_COMPILED, _RESERVED = 0.05, 4
#: Settings slower than the best by more than this are not measured again.
_FAR = 1.5

Purpose = Literal["first look", "promising", "halving", "final"]


@dataclass(frozen=True, slots=True)
class Round:
    """Settings to measure, each with so many calls; `purpose` says why. The calls of a final round alternate."""

    cases: tuple[Case, ...]
    calls: int
    purpose: Purpose


@dataclass(frozen=True, slots=True)
class Finished:
    """A round with its trials, in the order of its cases."""

    round: Round
    trials: tuple[Trial, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """The settings of an image.

    Attributes:
        image: its untiled case.
        all: every setting, also those that can't fit.
        tries_combinations: whether each combination of variants is in the first look. On CUDA it has to be: there
            torch's group normalisation undoes channels-last unless it is compiled (pytorch issue 111824), so that both
            together may be quick though neither is. Elsewhere their factors are multiplied.
    """

    image: Case
    all: tuple[Setting, ...]
    tries_combinations: bool = True

    @property
    def most(self) -> int:
        """How many settings may be measured."""
        return max(FEWEST, len(self.all) // SHARE)

    @property
    def possible(self) -> tuple[Setting, ...]:
        """The settings that are not predicted to be out of memory."""
        return tuple(setting for setting in self.all if setting.forecast != "out_of_memory")


@dataclass(frozen=True, slots=True)
class Known:
    """What the finished rounds say. A setting's latest trial counts."""

    search: Search
    trials: dict[Case, Trial]

    @classmethod
    def of(cls, search: Search, finished: Sequence[Finished]) -> Known:
        """What these rounds say."""
        return cls(search, {trial.case: trial for done in finished for trial in done.trials})

    @property
    def fitting(self) -> list[Trial]:
        """The settings that fit, the quickest first."""
        return sorted((trial for trial in self.trials.values() if trial.status == "fits"), key=lambda t: t.median_s)

    @property
    def by_rank(self) -> list[Case]:
        """The settings that fit: those that are as fast as the quickest, the nearest to the default first; the rest."""
        fitting = self.fitting
        most_s = fitting[0].median_s * (1 + EQUAL) if fitting else 0.0
        first = sorted((t.case for t in fitting if t.median_s <= most_s), key=settings.change)
        return [*first, *(trial.case for trial in fitting if trial.median_s > most_s)]

    @property
    def left(self) -> int:
        """How many more settings may be measured."""
        return self.search.most - len(self.trials)

    @property
    def untried(self) -> list[Setting]:
        """The settings that can still be tried, those that are surest to fit and predicted to be quickest first."""
        trials = self.trials.values()
        compiles = not any(trial.status == "skipped" and _compiles(trial.case) for trial in trials)
        too_much = self._too_much()
        possible = [
            setting
            for setting in self.search.possible
            if setting.case not in self.trials
            and (setting.peak_bytes or 0) < too_much.get((setting.case.dtype, setting.case.variant), math.inf)
            and (compiles or not _compiles(setting.case))
        ]
        return sorted(possible, key=lambda s: (s.forecast != "fits", s.seconds, settings.change(s.case)))

    def _too_much(self) -> dict[tuple[str, str], int]:
        """The least predicted peak of settings that did not fit, of each precision and variant."""
        least: dict[tuple[str, str], int] = {}
        for setting in self.search.all:
            trial, peak = self.trials.get(setting.case), setting.peak_bytes
            if trial is not None and trial.status == "out_of_memory" and peak is not None:
                kind = setting.case.dtype, setting.case.variant
                least[kind] = min(peak, least.get(kind, peak))
        return least

    def default(self) -> Case | None:
        """The docs' default that fits, or that has still to be tried; None if none fits."""
        possible = {setting.case for setting in self.untried}
        for case in settings.default(self.search.image):
            trial = self.trials.get(case)
            if case in possible or (trial is not None and trial.status == "fits"):
                return case
        return None


def next_round(search: Search, finished: Sequence[Finished]) -> Round | None:
    """The round that follows these; None if the answer is known, or if nothing fits."""
    known = Known.of(search, finished)
    halvings = [done for done in finished if done.round.purpose in ("halving", "final")]
    if not halvings:
        for may_compile in (False, True):
            if looks := _first_look(known, may_compile=may_compile):
                return Round(looks, FIRST_CALLS, "first look")
            if promising := _promising(known, may_compile=may_compile):
                return Round(promising, FIRST_CALLS, "promising")
    return _halving(known, halvings)


def _first_look(known: Known, *, may_compile: bool) -> tuple[Case, ...]:
    """The default, each precision and each variant that nothing was measured of, near to the best so far."""
    untried = [setting.case for setting in known.untried if may_compile or not _compiles(setting.case)]
    default = known.default()
    chosen: list[Case] = [default] if default is not None and default not in known.trials else []
    near = [*chosen, *known.by_rank, *settings.default(known.search.image)]
    seen = {name for case in near[: len(chosen) + len(known.fitting)] for name in (case.dtype, case.variant)}
    for dtype in dict.fromkeys(case.dtype for case in untried):
        plain = [case for case in untried if case.dtype == dtype and case.variant == "default"]
        if dtype not in seen and plain:
            chosen.append(plain[0])
    for variant in sorted(dict.fromkeys(case.variant for case in untried), key=lambda name: name.count("+")):
        if "+" in variant and not known.search.tries_combinations:
            continue
        alike = [case for case in untried if case.variant == variant]
        chosen += [] if variant in seen else [_nearest(alike, near)]
    return tuple(dict.fromkeys(chosen))[: max(0, known.left)]


def _nearest(cases: Sequence[Case], near: Sequence[Case]) -> Case:
    """The first of the cases with the precision and the tile of the first one of `near`; else with its precision."""
    for other in near:
        same = [case for case in cases if (case.dtype, case.tiling) == (other.dtype, other.tiling)]
        alike = same or [case for case in cases if case.dtype == other.dtype]
        if alike:
            return alike[0]
    return cases[0]


def _compiles(case: Case) -> bool:
    return case.is_variant("compiled")


def _promising(known: Known, *, may_compile: bool) -> tuple[Case, ...]:
    """The untried settings that are estimated to be quickest, if they may be quicker than the best."""
    reserved = 0 if may_compile else min(_RESERVED, known.search.most // 4)
    fitting, most = known.fitting, max(0, min(_AT_ONCE, known.left - reserved))
    candidates = [setting.case for setting in known.untried if may_compile or not _compiles(setting.case)]
    if not fitting:
        return tuple(candidates[:most])
    seconds = estimates.of(known.search.all, {trial.case: trial.median_s for trial in fitting})
    seen = {level for trial in fitting for level in estimates.levels(trial.case)}

    def least_s(case: Case) -> float:
        unseen = sum(level not in seen for level in estimates.levels(case))
        return seconds[case] / (1 + (_SLACK_COMPILED if _compiles(case) else _SLACK) * (1 + unseen))

    quick = [case for case in sorted(candidates, key=least_s) if least_s(case) <= fitting[0].median_s]
    return tuple(quick[:most])


def _halving(known: Known, halvings: Sequence[Finished]) -> Round | None:
    """The quickest of the last round again, with more calls, unless the two best clearly differ."""
    if len(halvings) >= len(HALVING_CALLS) or not known.fitting:
        return None
    again = {case for done in halvings[-1:] for case in done.round.cases}
    contenders = [trial for trial in known.fitting if not again or trial.case in again]
    if halvings and (len(contenders) < 2 or is_clearly_faster(contenders[0], contenders[1])):
        return None
    near = [trial.case for trial in contenders if trial.median_s <= contenders[0].median_s * _FAR]
    kept = near[: max(2, math.ceil(len(contenders) / SHARE))]
    beside = [_safest(contenders), known.default()]
    cases = tuple(dict.fromkeys([*kept, *(case for case in beside if case is not None)]))
    is_final = bool(halvings)
    return Round(cases, HALVING_CALLS[len(halvings)], "final" if is_final else "halving")


def _safest(contenders: Sequence[Trial]) -> Case | None:
    """The quickest setting without a known risk."""
    return next((trial.case for trial in contenders if not settings.risk_of(trial.case)), None)
