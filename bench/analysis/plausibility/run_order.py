"""The moments of records: one card measures one case after another, and no case before its run began."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from bench.analysis.plausibility.finding import Facts, Finding, Subject
from bench.core.units import format_seconds
from bench.record import Record, grouped

#: How far two readings of a machine's clock may disagree: NTP may set it between them (assumed). By more than the
#: second, no two cases of a card overlap; processors have no identity, so that a cluster of them may run two at once.
_SLACK_S, _FAR_S = 2.0, 60.0
#: A volunteer's clock may be this much ahead (assumed).
_AHEAD = timedelta(hours=26)
#: No case takes longer (30 days).
_LONGEST_S = 30 * 86400.0
#: How often a machine's clock may have been set back in the runs of a bundle.
_SET_BACK = 2
_ORDER = "a card measures one case after another"


def check(records: Sequence[Record], facts: Facts) -> Iterator[Finding]:
    """Moments of all records of a bundle.

    A clock that was set back between two cases explains what else would be refused, once or twice.
    """
    runs = grouped(records, lambda record: record.run.id)
    findings = list(_runs_at_once(records))
    for run in runs:
        yield from _own_moments(run, facts)
        findings += _before_their_run(run)
        findings += _overlaps([record for record in run if not record.interleaved_with])
    is_set_back = 0 < sum(map(_times_set_back, runs)) <= _SET_BACK
    for finding in findings:
        yield replace(finding, severity="doubtful") if is_set_back else finding


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _span(record: Record) -> tuple[datetime, datetime] | None:
    """When a case began and ended, as far as its record says; for interleaved cases their equal share of the time."""
    end, wall_s = _moment(record.recorded_at), record.wall_s or 0.0
    return None if end is None or wall_s > _LONGEST_S else (end - timedelta(seconds=wall_s), end)


def _times_set_back(records: Sequence[Record]) -> int:
    """How often a run's moments go back by far, from its begin on, in the order of its lines."""
    moments = [_moment(records[0].run.started_at), *(_moment(record.recorded_at) for record in records)]
    known = [moment for moment in moments if moment is not None]
    return sum((before - after).total_seconds() > _FAR_S for before, after in pairwise(known))


def _own_moments(records: Sequence[Record], facts: Facts) -> Iterator[Finding]:
    """Moments that are none, and those that are still to come."""
    now = _moment(facts.now)
    for record in records:
        subject = Subject.of(record)
        started, span = _moment(record.run.started_at), _span(record)
        if started is None or span is None:
            figure = f"started {record.run.started_at!r}, recorded {record.recorded_at!r}, wall_s {record.wall_s}"
            bound = "moments are UTC as 2026-01-31T12:00:00.000000Z, and a case takes less than 30 days"
            yield subject.refuse("moments", figure, bound, "the schema")
            continue
        if now is not None and span[1] > now + _AHEAD:
            yield subject.refuse(
                "moments", f"recorded_at is {record.recorded_at}", f"it is {facts.now}", "this machine"
            )


def _before_their_run(records: Sequence[Record]) -> Iterator[Finding]:
    """Cases that began before their run did."""
    for record in records:
        started, span = _moment(record.run.started_at), _span(record)
        if started is None or span is None or record.interleaved_with:
            continue
        early_s = (started - span[0]).total_seconds()
        if early_s > _FAR_S:
            figure = f"it began {format_seconds(early_s)} before its run"
            bound = f"the run began at {record.run.started_at}"
            yield Subject.of(record).refuse("moments", figure, bound, "run.started_at")


def _overlaps(records: Iterable[Record]) -> Iterator[Finding]:
    """Cases of a card, in the order of their lines, that began before the one before had ended."""
    for group in grouped(records, lambda record: (record.device.name, record.device.identity)):
        for before, record in pairwise(group):
            spans = _span(before), _span(record)
            if spans[0] is None or spans[1] is None:
                continue
            overlap_s = (spans[0][1] - spans[1][0]).total_seconds()
            if overlap_s > _SLACK_S:
                subject = Subject.of(record)
                is_one_card = record.device.identity is not None
                make = subject.refuse if overlap_s > _FAR_S and is_one_card else subject.doubt
                figure = f"wall_s {record.wall_s:g} s and recorded_at {record.recorded_at}"
                bound = f"the case before it ended {format_seconds(overlap_s)} after this one began"
                yield make("overlap", figure, bound, _ORDER)


def _runs_at_once(records: Sequence[Record]) -> Iterator[Finding]:
    """Two runs of one card at the same time. Only an identity tells cards of one name apart."""
    by_card = grouped(
        (record for record in records if record.device.identity is not None), lambda record: record.device.identity
    )
    for group in by_card:
        spans = []
        for run in grouped(group, lambda record: record.run.id):
            known = [span for record in run if (span := _span(record)) is not None]
            spans += [(*span, record) for span, record in zip(known, run, strict=False)]
        spans.sort(key=lambda span: span[0])
        for (_, end, before), (begin, _, record) in pairwise(spans):
            is_other = before.run.id != record.run.id
            if is_other and (end - begin).total_seconds() > _FAR_S and not record.interleaved_with:
                figure = f"recorded_at is {record.recorded_at}"
                bound = f"run {before.run.id} was measuring on this card"
                yield Subject.of(record).refuse("overlap", figure, bound, _ORDER)
