"""What was looked at of a bundle, what was found, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bench.analysis.plausibility.examine import Coverage
from bench.analysis.plausibility.finding import Finding, Severity

#: present: the same bundle was accepted before.
Verdict = Literal["accepted", "present", "refused"]


@dataclass(frozen=True, slots=True)
class RunContents:
    """A run of a bundle: its file, how many of its cases it has, and how many ended in each way."""

    file: str
    config: str
    cases: int
    planned: int
    outcomes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a bundle.

    Attributes:
        devices: of the records.
        versions: packages as the manifest has them.
        runs: each file of records.
        also: other files, by their names in the bundle.
    """

    devices: tuple[str, ...]
    versions: Mapping[str, str]
    driver: str | None
    stand_in: str | None
    runs: tuple[RunContents, ...]
    also: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Judgement:
    """A bundle that was read and checked.

    Attributes:
        bundle: its path.
        digest: SHA-256 of its manifest.
        findings: the worst first.
        coverage: how many records could be held against predictions.
    """

    bundle: str
    digest: str
    verdict: Verdict
    contents: Contents
    findings: tuple[Finding, ...]
    coverage: Coverage

    def count(self, severity: Severity) -> int:
        """How many findings are of a severity."""
        return sum(finding.severity == severity for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A bundle that can't be read, or is not what its digest says."""

    bundle: str
    reason: str
    verdict: Literal["refused", "unreadable"]


@dataclass(frozen=True, slots=True)
class Added:
    """What an accepted bundle brought to a results folder.

    Attributes:
        folder: the results folder.
        records: how many were added; `present`: how many of its records were there already.
        provenance: the file that says which bundle they came from.
        is_dry: nothing was written.
    """

    folder: str
    records: int
    present: int
    provenance: str | None = None
    is_dry: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one bundle: its judgement, and what it brought if it was accepted."""

    judgement: Judgement | Unreadable
    added: Added | None = None

    @property
    def exit_code(self) -> int:
        """0 accepted, 1 refused, 2 unreadable."""
        return {"accepted": 0, "present": 0, "refused": 1, "unreadable": 2}[self.judgement.verdict]
