"""What records are judged by: predictions, the rule that stops sampling, known cards, and earlier results."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.analysis.plausibility.finding import Facts, case_on_device, rates_of
from bench.config import Gpus
from bench.errors import ResultsError
from bench.record import Ceilings, Record, timestamp
from bench.run.stopping import StoppingRule
from bench.sharing.accept.expectations import Expectations
from bench.store import read_all

#: The most characters of a folder's name, which records could make too long for the system.
_LONGEST = 200


def facts(records: Sequence[Record], out: Path, gpus: Gpus, ceilings: Sequence[Ceilings] = ()) -> Facts:
    """What records are judged by: predictions, the rule that stops sampling, cards, and earlier results in `out`."""
    known: dict[tuple[str, str, str | None, int | None], tuple[Record, ...]] = {}
    for record in _earlier(records, out):
        key = case_on_device(record)
        known[key] = (*known.get(key, ()), record)
    return Facts(
        expect=Expectations(gpus, out),
        replay=replayed,
        now=timestamp(datetime.now(UTC)),
        cards=dict(gpus.cards),
        known=known,
        ceilings={rates_of(each): each for each in ceilings},
    )


def replayed(record: Record) -> tuple[int, str] | None:
    """How many of a record's samples its rule takes, and why it stops; None if it would take more than there are."""
    timing = record.timing
    if timing is None or record.measure is None:
        return None
    rule = StoppingRule(record.measure)
    for count, seconds in enumerate(timing.samples_s, start=1):
        rule.add(seconds)
        if rule.stopped_by is not None:
            return count, rule.stopped_by
    return None


def _earlier(records: Sequence[Record], out: Path) -> list[Record]:
    """The measured records of the same devices that `out` has."""
    slugs = dict.fromkeys(record.device.slug for record in records)
    folders = [out / slug for slug in slugs if len(slug) <= _LONGEST]
    try:
        records_there, _ = read_all([folder for folder in folders if folder.is_dir()])
    except ResultsError:  # a folder of only bad lines: `bench report` says so
        return []
    return [record for record in records_there if record.kind == "measured"]
