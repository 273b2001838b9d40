"""Cases matched by id, and how their outcomes changed. Imports `record` and `units`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.analysis.compare.sides import Run
from bench.core.units import one_line
from bench.record import Case, Measured, Record, Skipped, describe


@dataclass(frozen=True, slots=True)
class Pair:
    """A case that both sides have: its record of each run that tried it, never an empty row of them.

    With a `stage` the records are of that stage alone.
    """

    case: Case
    base: tuple[Record, ...]
    head: tuple[Record, ...]
    stage: str | None = None


@dataclass(frozen=True, slots=True)
class Matched:
    """The cases of both sides in the order of the base, and those of one side only.

    `skipped` are the ids of those of one side only that the other has, but skipped.
    """

    pairs: tuple[Pair, ...]
    only_base: tuple[Case, ...]
    only_head: tuple[Case, ...]
    skipped: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class OutcomeChange:
    """A case that newly runs, newly does not, or still does not but for another reason; both sides in words."""

    case: Case
    verdict: Literal["better", "worse", "changed"]
    base: str
    head: str


def match(base: Sequence[Run], head: Sequence[Run]) -> Matched:
    """Match cases by id, never by place. A skipped case is as good as absent."""
    of_base, of_head = _by_case(base), _by_case(head)
    only_base = {one: records[0].case for one, records in of_base.items() if one not in of_head}
    only_head = {one: records[0].case for one, records in of_head.items() if one not in of_base}
    return Matched(
        tuple(Pair(of_base[one][0].case, of_base[one], of_head[one]) for one in of_base if one in of_head),
        tuple(only_base.values()),
        tuple(only_head.values()),
        frozenset((_skipped(head) & only_base.keys()) | (_skipped(base) & only_head.keys())),
    )


def _skipped(runs: Sequence[Run]) -> set[str]:
    return {one for run in runs for one, record in run.records.items() if isinstance(record.outcome, Skipped)}


def _by_case(runs: Sequence[Run]) -> dict[str, tuple[Record, ...]]:
    found: dict[str, tuple[Record, ...]] = {}
    for run in runs:
        for case_id, record in run.records.items():
            if not isinstance(record.outcome, Skipped):
                found[case_id] = (*found.get(case_id, ()), record)
    return found


def any_measured(records: Iterable[Record]) -> bool:
    """Whether one of the runs measured the case."""
    return any(isinstance(record.outcome, Measured) for record in records)


def changes(pairs: Sequence[Pair]) -> tuple[OutcomeChange, ...]:
    """The cases whose outcomes changed.

    Worse is a case that a run of head could not measure and every run of base could, better the other way round. Where
    runs of both sides could not there is no verdict, whatever their share, but what else became of them is told.
    """
    found = []
    for pair in pairs:
        verdict = _verdict(_statuses(pair.base), _statuses(pair.head))
        if verdict:
            found.append(OutcomeChange(pair.case, verdict, _words(pair.base), _words(pair.head)))
    return tuple(found)


def _statuses(records: Sequence[Record]) -> set[str]:
    return {record.outcome.status for record in records}


def _verdict(base: set[str], head: set[str]) -> Literal["better", "worse", "changed"] | None:
    if base == head:
        return None
    if base == {"measured"}:
        return "worse"
    return "better" if head == {"measured"} else "changed"


def _words(records: Sequence[Record]) -> str:
    """`measured`, or with several runs `measured in 2 of 3 runs, out of memory (device, run) in 1`."""
    counts = Counter(one_line(" ".join(describe(record.outcome).split())) for record in records)
    if len(records) == 1:
        return next(iter(counts))
    (first, count), *others = counts.items()
    return ", ".join([f"{first} in {count} of {len(records)} runs", *(f"{what} in {many}" for what, many in others)])
