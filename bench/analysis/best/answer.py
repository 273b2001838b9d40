"""The answer of a search: the fastest setting that fits, and the docs' default beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.analysis.best import settings, trials
from bench.analysis.best.search import Finished, Known, Search
from bench.analysis.best.trials import Trial, is_clearly_faster
from bench.record import Case, Device, PictureComparison, Record, alike_but_for, grouped
from bench.workloads import models

#: The name of the runs of a search, as the name of a sweep.
CONFIG = "best"


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
        listed: how many settings there are; None if only the records are known.
        ruled_out: how many of them were predicted not to fit, and so not tried; None as well.
    """

    best: Trial | None
    default: Trial | None
    safest: Trial | None
    equal: tuple[Trial, ...]
    trials: tuple[Trial, ...]
    listed: int | None = None
    ruled_out: int | None = None

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


@dataclass(frozen=True, slots=True)
class Finding:
    """An answer, where it holds, and what it changes in the picture.

    Attributes:
        image: the untiled case in the model's own precision.
        limit_bytes: the limit that was set; None for none.
        picture: the best against the default; None if they were not compared.
    """

    image: Case
    device: Device
    limit_bytes: int | None
    answer: Answer
    picture: PictureComparison | None = None


def of(search: Search, finished: Sequence[Finished]) -> Answer:
    """The answer after these rounds."""
    known = Known.of(search, finished)
    default = known.default()
    return _answer(
        tuple(known.trials.values()),
        {case for done in finished[-1:] for case in done.round.cases},
        None if default is None else known.trials.get(default),
        len(search.all),
        len(search.all) - len(search.possible),
    )


def of_records(records: Iterable[Record]) -> list[Finding]:
    """The findings that records of searches hold, one for each image, device and limit. They have no pictures.

    Other records of the same image and device count as well, because a later run may have measured a setting again.
    """
    local = [record for record in records if record.kind == "measured" and record.remote is None]
    groups = grouped(
        local, lambda r: (r.device.name, r.vram_limit_bytes, alike_but_for(r.case, "dtype", "tiling", "variant"))
    )
    return [_of_group(group) for group in groups if any(record.run.config == CONFIG for record in group)]


def _of_group(records: Sequence[Record]) -> Finding:
    first, own = records[0], models.get(records[0].case.model).dtype
    dtype = own if any(record.case.dtype == own for record in records) else first.case.dtype
    image = first.case.model_copy(update={"dtype": dtype, "tiling": "off", "variant": "default"})
    most_bytes = first.vram_limit_bytes or first.device.total_bytes
    tried = {record.case: trials.of(record, most_bytes) for record in records}
    calls = {r.case: r.measure.min_samples for r in records if r.measure is not None and r.run.config == CONFIG}
    last = {case for case, count in calls.items() if count == max(calls.values())}
    defaults = [tried[case] for case in settings.default(image) if case in tried and tried[case].status == "fits"]
    answer = _answer(tuple(tried.values()), last, next(iter(defaults), None))
    return Finding(image, first.device, first.vram_limit_bytes, answer)


def _answer(
    tried: Sequence[Trial],
    last: set[Case],
    default: Trial | None,
    listed: int | None = None,
    ruled_out: int | None = None,
) -> Answer:
    """The answer from what was tried; `last` are the settings of the last round, which had the most calls."""
    fitting = sorted((trial for trial in tried if trial.status == "fits"), key=lambda trial: trial.median_s)
    contenders = [trial for trial in fitting if trial.case in last] or fitting
    best, equal = _nearest(contenders)
    safe = [trial for trial in contenders if not settings.risk_of(trial.case)]
    return Answer(
        best=best,
        default=default,
        safest=_nearest(safe)[0] if best is not None and settings.risk_of(best.case) else None,
        equal=equal,
        trials=(*fitting, *(trial for trial in tried if trial.status != "fits")),
        listed=listed,
        ruled_out=ruled_out,
    )


def _nearest(contenders: Sequence[Trial]) -> tuple[Trial | None, tuple[Trial, ...]]:
    """Of the trials that are as fast as the first, the one nearest to the default, and the others."""
    if not contenders:
        return None, ()
    alike = [trial for trial in contenders if trial is contenders[0] or not is_clearly_faster(contenders[0], trial)]
    best = min(alike, key=lambda trial: settings.change(trial.case))
    return best, tuple(trial for trial in alike if trial is not best)
