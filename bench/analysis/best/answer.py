"""The answer of a search: the fastest setting that fits, and the docs' default beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis.best import settings
from bench.analysis.best.search import Finished, Known, Search
from bench.analysis.best.trials import Trial, is_clearly_faster


@dataclass(frozen=True, slots=True)
class Answer:
    """What a search found.

    Attributes:
        best: the recommendation: of the settings that are equally fast the one nearest to the default. None: no
            setting fits.
        default: the docs' default that fits; None if none does.
        safest: the fastest setting without a known risk, if the best has one; None otherwise.
        equal: other settings that are as fast as the best, by the last round.
        trials: every setting that was tried, the quickest first, then those that do not fit or run.
        ruled_out: how many settings were predicted not to fit, and so not tried.
        listed: how many settings there are.
    """

    best: Trial | None
    default: Trial | None
    safest: Trial | None
    equal: tuple[Trial, ...]
    trials: tuple[Trial, ...]
    ruled_out: int
    listed: int

    @property
    def speedup(self) -> float | None:
        """How many times as fast the best is as the default; None if there is no such pair."""
        if self.best is None or self.default is None:
            return None
        return self.default.median_s / self.best.median_s

    @property
    def counts(self) -> dict[str, int]:
        """The number of tried settings by status."""
        return dict(Counter(trial.status for trial in self.trials))


def of(search: Search, finished: Sequence[Finished]) -> Answer:
    """The answer after these rounds."""
    known = Known.of(search, finished)
    risks = {setting.case: setting.risk for setting in search.all}
    last = {case for done in finished[-1:] for case in done.round.cases}
    contenders = [trial for trial in known.fitting if trial.case in last] or known.fitting
    best, equal = _nearest(contenders)
    safe = [trial for trial in contenders if not risks[trial.case]]
    default_case = known.default()
    default = None if default_case is None else known.trials.get(default_case)
    others = [trial for trial in known.trials.values() if trial.status != "fits"]
    return Answer(
        best=best,
        default=default,
        safest=_nearest(safe)[0] if best is not None and risks[best.case] else None,
        equal=equal,
        trials=(*known.fitting, *others),
        ruled_out=len(search.all) - len(search.possible),
        listed=len(search.all),
    )


def _nearest(contenders: Sequence[Trial]) -> tuple[Trial | None, tuple[Trial, ...]]:
    """Of the trials that are as fast as the first, the one nearest to the default, and the others."""
    if not contenders:
        return None, ()
    alike = [trial for trial in contenders if trial is contenders[0] or not is_clearly_faster(contenders[0], trial)]
    best = min(alike, key=lambda trial: settings.change(trial.case))
    return best, tuple(trial for trial in alike if trial is not best)
