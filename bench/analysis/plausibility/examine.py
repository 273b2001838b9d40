"""All checks of the records of a bundle, in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.analysis.plausibility import (
    clock_grid,
    device_facts,
    expected_figures,
    left_out,
    memory_figures,
    other_results,
    outcome_figures,
    run_order,
    sample_statistics,
    siblings,
    telemetry_figures,
)
from bench.analysis.plausibility.finding import SEVERITIES, Expected, Facts, Finding, Subject, rates_of
from bench.record import Record


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many records could be held against what.

    Attributes:
        records: all of them.
        predicted: those whose memory was predicted.
        timed: those whose time was predicted, or bounded by the card's rates.
        counted: those whose operations are known without torch.
        not_predicted: why others were not, each reason with its number of records.
    """

    records: int
    predicted: int
    timed: int
    counted: int
    not_predicted: tuple[tuple[str, int], ...]


def examine(records: Sequence[Record], facts: Facts) -> tuple[list[Finding], Coverage]:
    """What is odd about these records, the worst first, and how many could be checked against predictions."""
    known: dict[int, Expected] = {id(record): facts.expect(record) for record in records}
    findings = [finding for record in records for finding in _of_record(Subject.of(record), known[id(record)], facts)]
    findings += run_order.check(records, facts)
    findings += siblings.check(records, lambda record: known[id(record)])
    findings += other_results.check(records, facts)
    return in_order(findings), _coverage(known)


def in_order(findings: Sequence[Finding]) -> list[Finding]:
    """The findings, the worst first; else as they are."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def _of_record(subject: Subject, expected: Expected, facts: Facts) -> Iterator[Finding]:
    yield from left_out.check(subject)
    yield from sample_statistics.check(subject, facts)
    yield from memory_figures.check(subject)
    yield from device_facts.check(subject, facts)
    yield from telemetry_figures.check(subject)
    yield from outcome_figures.check(subject, expected)
    yield from expected_figures.check(subject, expected, facts.ceilings.get(rates_of(subject.record)))
    if subject.record.environment is None or subject.record.environment.stand_in is None:
        yield from clock_grid.check(subject)  # the clock of a stand-in is not the device's


def _coverage(known: dict[int, Expected]) -> Coverage:
    every = list(known.values())
    reasons = Counter(expected.why_not for expected in every if expected.why_not)
    return Coverage(
        records=len(every),
        predicted=sum(expected.memory is not None for expected in every),
        timed=sum(expected.time is not None for expected in every),
        counted=sum(expected.flops is not None for expected in every),
        not_predicted=tuple(reasons.most_common()),
    )
