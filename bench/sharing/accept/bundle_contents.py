"""The records and device files of a bundle, and what is wrong with their form: lines, keys, places, kinds."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Any

from pydantic import ValidationError

from bench.analysis.plausibility.finding import Finding
from bench.analysis.plausibility.judgement import Contents, RunContents
from bench.core.units import format_count
from bench.errors import ResultsError, in_plain_words, printable
from bench.record import (
    CEILINGS_VERSION,
    PICTURES_VERSION,
    WORKSPACES_VERSION,
    Ceilings,
    Device,
    Frozen,
    PictureComparisons,
    Record,
    Workspaces,
    grouped,
)
from bench.sharing.bundles.bundle import Bundle
from bench.store.line import TornLineError, record_of

#: The files of a device besides those of records: the pattern of their name, their content, its newest version.
DEVICE_FILES: tuple[tuple[str, type[Frozen], int], ...] = (
    ("ceilings.json", Ceilings, CEILINGS_VERSION),
    ("workspaces.json", Workspaces, WORKSPACES_VERSION),
    ("quality-*.json", PictureComparisons, PICTURES_VERSION),
)
_FORMAT = "the format of results"


@dataclass(frozen=True, slots=True)
class BundledResults:
    """What was read of a bundle.

    Attributes:
        records: by file.
        device_files: the content of each, by file.
        findings: what is wrong with the form.
    """

    records: Mapping[str, list[Record]] = field(default_factory=dict)
    device_files: Mapping[str, Frozen] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    @property
    def all_records(self) -> list[Record]:
        """The records of all files."""
        return [record for records in self.records.values() for record in records]


def read(bundle: Bundle) -> BundledResults:
    """The results of a bundle, with a finding for each line or file that can't be used."""
    findings: list[Finding] = []
    records: dict[str, list[Record]] = {}
    device_files: dict[str, Frozen] = {}
    for name, content in sorted(bundle.files.items()):
        if not name.startswith("results/"):
            continue
        if name.endswith(".jsonl"):
            records[name] = _lines(name, content, findings)
            continue
        kind = next((row for row in DEVICE_FILES if fnmatch(PurePosixPath(name).name, row[0])), None)
        if kind is None:
            findings.append(Finding("noted", "files", name, "not a results file", "not added", _FORMAT))
            continue
        parsed = _device_file(name, content, kind[1], kind[2], findings)
        if parsed is not None:
            device_files[name] = parsed
    results = BundledResults(records, device_files)
    findings += _form(bundle, results)
    return BundledResults(records, device_files, tuple(findings))


def _lines(name: str, content: bytes, findings: list[Finding]) -> list[Record]:
    records = []
    lines = content.split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            records.append(record_of(line, f"line {number}"))
            _refuse_hidden(line, f"line {number}")
        except TornLineError as error:
            is_end = number == len(lines)
            bound = "its end is not counted" if is_end else "each line is a record"
            figure = "the last line is cut off" if is_end else str(error)
            findings.append(Finding("noted" if is_end else "refused", "lines", name, figure, bound, _FORMAT))
        except ResultsError as error:
            findings.append(Finding("refused", "lines", name, str(error), "each line is a record", _FORMAT))
    return records


def _refuse_hidden(line: bytes, where: str) -> None:
    """Raise ResultsError for a line that other readers of JSON may read otherwise: a key twice, or a mark before it."""

    def pairs(items: list[tuple[str, Any]]) -> None:
        if len({key for key, _ in items}) < len(items):
            raise ResultsError(f"{where} has a key twice.")

    if not line.lstrip(b" ").startswith(b"{"):
        raise ResultsError(f"{where} does not begin with a brace.")
    json.loads(line, object_pairs_hook=pairs)


def _device_file(name: str, content: bytes, model: type[Frozen], newest: int, findings: list[Finding]) -> Frozen | None:
    def refuse(figure: str) -> None:
        findings.append(Finding("refused", "files", name, figure, "its name says what it holds", _FORMAT))

    try:
        data: Any = json.loads(content)
        version = data.get("schema_version") if isinstance(data, dict) else None
        if isinstance(version, int) and version > newest:
            refuse(f"it has schema version {version}, and this program reads up to {newest}")
            return None
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        refuse(printable(f"`{'.'.join(map(str, first['loc']))}` {in_plain_words(first)}", 200))
    except (ValueError, RecursionError):
        refuse("it is not valid JSON")
    return None


def _form(bundle: Bundle, results: BundledResults) -> Iterator[Finding]:
    """Findings on places, keys, kinds, runs and devices."""
    every = results.all_records
    if not every:
        yield Finding("refused", "records", str(bundle.path), "it has no records", "there is nothing to add", _FORMAT)
    for name, records in results.records.items():
        yield from _places(name, records)
    for name, content in results.device_files.items():
        device: Device = content.device  # type: ignore[attr-defined] # all three have one
        if PurePosixPath(name).parent.name != device.slug:
            bound = f"files of {device.name} are in {device.slug}/"
            yield Finding("refused", "places", name, "it is in another device's folder", bound, _FORMAT)
    for key, count in Counter(record.key for record in every).items():
        if count > 1:
            where = f"run {key[-1]}"
            bound = "each case is there once"
            yield Finding("refused", "keys", where, f"case {key[0]} has {count} records", bound, "the record's key")
    yield from _runs(every)
    yield from _devices(bundle, every)


def _places(name: str, records: list[Record]) -> Iterator[Finding]:
    path = PurePosixPath(name)
    for slug in {record.device.slug for record in records} - {path.parent.name}:
        bound = f"its records are of {slug}"
        yield Finding("refused", "places", name, f"it is in the folder {path.parent.name}", bound, _FORMAT)
    for run_id in {record.run.id for record in records} - {path.stem}:
        bound = "a run is one file, named by its id"  # unless it was merged
        yield Finding("doubtful", "places", name, f"it has records of run {run_id}", bound, _FORMAT)
    for kind in {record.kind for record in records} - {"measured"}:
        yield Finding("refused", "kinds", name, f"it has {kind} records", "a bundle has measured ones", _FORMAT)


def _runs(records: list[Record]) -> Iterator[Finding]:
    for run in grouped(records, lambda record: record.run.id):
        where, planned = f"run {run[0].run.id}", run[0].run.cases
        if len({record.run for record in run}) > 1:
            yield Finding(
                "refused", "runs", where, "its records describe it differently", "a run has one plan", _FORMAT
            )
        count = len({record.case.id for record in run})
        if count > planned:
            figure = f"it has {format_count(count, 'case')}"
            yield Finding("refused", "runs", where, figure, f"{planned} were planned", "run.cases")
        elif count < planned:
            figure = f"it has {count} of {format_count(planned, 'case')}"
            yield Finding("noted", "runs", where, figure, "it is unfinished", "run.cases")


def _devices(bundle: Bundle, records: list[Record]) -> Iterator[Finding]:
    """The device of the manifest is that of the records; endpoints on it have their own."""
    expected = bundle.manifest.device
    others = {record.device.name for record in records if record.device.kind != "endpoint"} - {expected.name}
    for name in sorted(others):
        figure, bound = f"it has records of {name}", f"its manifest says {expected.name}"
        yield Finding("doubtful", "device", str(bundle.path), figure, bound, "manifest.json")


def contents(bundle: Bundle, results: BundledResults) -> Contents:
    """What is in a bundle, in short."""
    runs = tuple(
        RunContents(
            file=name,
            config=records[0].run.config,
            cases=len({record.case.id for record in records}),
            planned=records[0].run.cases,
            outcomes=dict(Counter(record.outcome.status for record in records)),
        )
        for name, records in results.records.items()
        if records
    )
    manifest = bundle.manifest
    return Contents(
        devices=tuple(dict.fromkeys(record.device.name for record in results.all_records)),
        versions=dict(manifest.versions),
        driver=manifest.driver,
        stand_in=manifest.stand_in,
        runs=runs,
        also=tuple(sorted(name for name in bundle.files if name not in results.records)),
    )
