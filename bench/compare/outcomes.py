"""Cases matched by id, and how their outcomes changed. Imports `record`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from bench.compare.sides import Run
from bench.record import Case, Record, Skipped, describe

#: Measured is better than out of memory, which is a result, and that is better than no result.
_RANKS = {"measured": 2, "out_of_memory": 1, "crashed": 0, "failed": 0, "timed_out": 0}


@dataclass(frozen=True, slots=True)
class Pair:
    """A case that both sides have: its record of each run that tried it, never an empty row of them."""

    case: Case
    base: tuple[Record, ...]
    head: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class Matched:
    """The cases of both sides in the order of the base, and those of one side only."""

    pairs: tuple[Pair, ...]
    only_base: tuple[Case, ...]
    only_head: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class OutcomeChange:
    """A case that newly runs or newly does not, or does in another share of the runs; both sides in words."""

    case: Case
    verdict: Literal["better", "worse"]
    base: str
    head: str


def match(base: Sequence[Run], head: Sequence[Run]) -> Matched:
    """Match cases by id, never by place. A skipped case is as good as absent."""
    mine, theirs = _by_case(base), _by_case(head)
    return Matched(
        tuple(Pair(mine[one][0].case, mine[one], theirs[one]) for one in mine if one in theirs),
        tuple(records[0].case for one, records in mine.items() if one not in theirs),
        tuple(records[0].case for one, records in theirs.items() if one not in mine),
    )


def _by_case(runs: Sequence[Run]) -> dict[str, tuple[Record, ...]]:
    found: dict[str, tuple[Record, ...]] = {}
    for run in runs:
        for case_id, record in run.records.items():
            if not isinstance(record.outcome, Skipped):
                found[case_id] = (*found.get(case_id, ()), record)
    return found


def changes(pairs: Sequence[Pair]) -> tuple[OutcomeChange, ...]:
    """The cases whose outcome got better or worse.

    With several runs a side the share of measured ones decides, then, where it is the same, the mean rank.
    """
    found = []
    for pair in pairs:
        base, head = _standing(pair.base), _standing(pair.head)
        if base != head:
            verdict: Literal["better", "worse"] = "better" if head > base else "worse"
            found.append(OutcomeChange(pair.case, verdict, _words(pair.base), _words(pair.head)))
    return tuple(found)


def _standing(records: Sequence[Record]) -> tuple[Fraction, Fraction]:
    ranks = [_RANKS[record.outcome.status] for record in records]
    return Fraction(ranks.count(2), len(ranks)), Fraction(sum(ranks), len(ranks))


def _words(records: Sequence[Record]) -> str:
    """`measured`, or with several runs `measured in 2 of 3 runs, out of memory (device, run) in 1`."""
    counts = Counter(" ".join(describe(record.outcome).split()) for record in records)  # one line, whatever it raised
    if len(records) == 1:
        return next(iter(counts))
    (first, count), *others = counts.items()
    return ", ".join([f"{first} in {count} of {len(records)} runs", *(f"{what} in {many}" for what, many in others)])
