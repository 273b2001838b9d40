"""What was really measured, or printed, is plausible: the checks must not cry wolf."""

from __future__ import annotations

from pathlib import Path

import pytest
import sent_bundles
import volunteer_records

from bench.analysis.plausibility.examine import examine
from bench.config import load_gpus
from bench.record import Record
from bench.sharing.accept.plausibility_facts import facts
from bench.store import published, read, read_ceilings

ROOT = Path(__file__).parents[4]


def found_in(records: tuple[Record, ...]) -> list[str]:
    ceilings, _ = read_ceilings([ROOT / "results"])
    findings, _ = examine(records, facts(records, volunteer_records.NOWHERE, load_gpus(), ceilings))
    return [finding.text for finding in findings]


@pytest.mark.parametrize("path", sent_bundles.MEASURED, ids=lambda path: path.name)
def test_nothing_is_found_in_runs_that_were_measured(path: Path) -> None:
    (file,), _ = read([path])
    assert found_in(file.records) == []


def test_nothing_is_found_in_requests_to_an_endpoint() -> None:
    files, _ = read(list((ROOT / "results").glob("endpoint-*")))
    assert files
    assert [found_in(file.records) for file in files] == [[] for _ in files]


def test_nothing_is_found_in_the_docs_figures() -> None:
    folder = published()
    assert folder is not None
    files, _ = read([folder])
    assert [found_in(file.records) for file in files] == [[] for _ in files]


@pytest.mark.parametrize("card", volunteer_records.cards())
def test_nothing_is_found_in_runs_made_up_around_the_docs_figures(card: str) -> None:
    records = sent_bundles.records_of(card)
    findings, coverage = examine(records, facts(records, volunteer_records.NOWHERE, load_gpus()))
    assert [finding.text for finding in findings] == []
    assert coverage.predicted == coverage.timed == coverage.counted == len(records)
