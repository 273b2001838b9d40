"""Cases matched by id, and how their outcomes changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.analysis.compare.sides import Run
from bench.core.units import one_line
from bench.record import Case, Measured, Record, Skipped, describe
from bench.workloads.labels import label_of


@dataclass(frozen=True, slots=True)
class Pair:
    """A case that both sides have, with at least one record a side: one for each run that tried it.

    With a `stage` the records are of that stage alone.
    """

    case: Case
    base: tuple[Record, ...]
    head: tuple[Record, ...]
    stage: str | None = None


@dataclass(frozen=True, slots=True)
class Matched:
    """The cases of both sides in the order of the base, and those of one side only.

    `skipped` has the ids of one-sided cases that the other side skipped.
    """

    pairs: tuple[Pair, ...]
    only_base: tuple[Case, ...]
    only_head: tuple[Case, ...]
    skipped: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class OutcomeChange:
    """A case that newly runs, no longer runs, or fails for another reason than before; both sides in words."""

    case: Case
    verdict: Literal["better", "worse", "changed"]
    base: str
    head: str

    @property
    def label(self) -> str:
        return label_of(self.case)


def match(base: Sequence[Run], head: Sequence[Run]) -> Matched:
    """Match cases by id, never by position. A skipped case counts as absent."""
    of_base, of_head = _by_case(base), _by_case(head)
    only_base = {case_id: records[0].case for case_id, records in of_base.items() if case_id not in of_head}
    only_head = {case_id: records[0].case for case_id, records in of_head.items() if case_id not in of_base}
    return Matched(
        tuple(Pair(records[0].case, records, of_head[name]) for name, records in of_base.items() if name in of_head),
        tuple(only_base.values()),
        tuple(only_head.values()),
        frozenset((_skipped(head) & only_base.keys()) | (_skipped(base) & only_head.keys())),
    )


def _skipped(runs: Sequence[Run]) -> set[str]:
    return {case_id for run in runs for case_id, record in run.records.items() if isinstance(record.outcome, Skipped)}


def _by_case(runs: Sequence[Run]) -> dict[str, tuple[Record, ...]]:
    by_case: dict[str, tuple[Record, ...]] = {}
    for run in runs:
        for case_id, record in run.records.items():
            if not isinstance(record.outcome, Skipped):
                by_case[case_id] = (*by_case.get(case_id, ()), record)
    return by_case


def any_measured(records: Iterable[Record]) -> bool:
    """Whether any of the records is a measurement."""
    return any(isinstance(record.outcome, Measured) for record in records)


def changes(pairs: Sequence[Pair]) -> tuple[OutcomeChange, ...]:
    """The cases whose outcomes changed.

    A case is worse if every run of base measured it and some run of head could not, and better the other way round. If
    runs of both sides could not, it is at most `changed`: if their outcomes differ.
    """
    verdicts = [(pair, _verdict(_statuses(pair.base), _statuses(pair.head))) for pair in pairs]
    return tuple(
        OutcomeChange(pair.case, verdict, _words(pair.base), _words(pair.head)) for pair, verdict in verdicts if verdict
    )


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
    (first, count), *rest = counts.items()
    return ", ".join([f"{first} in {count} of {len(records)} runs", *(f"{outcome} in {n}" for outcome, n in rest)])
