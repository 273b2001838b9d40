"""The output of `bench accept`: what is in a bundle, what was checked, what was found, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.analysis.plausibility.finding import SEVERITIES, Finding, Severity
from bench.analysis.plausibility.judgement import Added, Answer, Contents, Judgement, RunContents, Unreadable
from bench.core.units import format_count
from bench.record import grouped
from bench.report.document import Block, Bullets, Cell, Column, Document, Text, Tone, table

#: How many records of one check are listed; the rest are counted.
_MOST_SHOWN = 2
_TONES: dict[Severity, Tone] = {"refused": "bad", "doubtful": "warning", "noted": "quiet"}
_COLUMNS = (Column("", key="severity"), Column("", key="check", in_heading=True), Column("", key="text", may_wrap=True))
#: Packages that a bundle's description names, in this order.
_SHOWN = ("hybrid-bench", "torch", "diffusers", "transformers")


def document(answer: Answer, *, quiet: bool = False) -> Document:
    """The page of one bundle; if quiet only what refuses it."""
    judgement = answer.judgement
    if isinstance(judgement, Unreadable):
        return Document("", (Text(judgement.reason), Text(_unread(judgement), tone="bad")))
    shown = [finding for finding in judgement.findings if not quiet or finding.severity == "refused"]
    blocks: list[Block] = [] if quiet else [*_contents(judgement), Bullets(tuple(_checked(judgement)), "Checked")]
    if shown:
        blocks.append(table(_COLUMNS, list(_rows(shown))))
    if not quiet or judgement.verdict == "refused":
        blocks.append(Text(_verdict(judgement, answer.added), tone="bad" if judgement.verdict == "refused" else "good"))
    return Document("", tuple(blocks))


def _unread(judgement: Unreadable) -> str:
    return "Refused. Nothing was added." if judgement.verdict == "refused" else "Nothing was added."


def _contents(judgement: Judgement) -> Iterator[Block]:
    contents = judgement.contents
    yield Text(f"{judgement.bundle}", tone="strong")
    yield Text(f"digest {judgement.digest}", tone="quiet")
    devices = ", ".join(contents.devices) or "no device"
    yield Text(devices)
    yield Text(", ".join(_versions(contents)))
    if contents.stand_in is not None:
        yield Text(f"made with a stand-in: {contents.stand_in}", tone="warning")
    rows = tuple(map(_run, contents.runs))
    also = tuple(f"{name}" for name in contents.also if name.startswith("results/"))
    logs = sum(name.startswith("logs/") for name in contents.also)
    yield Bullets((*rows, *also, *([f"{format_count(logs, 'log')}, not added"] if logs else [])), "In it")


def _run(run: RunContents) -> str:
    """`docs: 46 of 48 cases (44 measured, 2 out of memory)`."""
    outcomes = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in run.outcomes.items())
    return f"{run.config}: {run.cases} of {format_count(run.planned, 'case')} ({outcomes})"


def _versions(contents: Contents) -> Iterator[str]:
    yield from (f"{name} {contents.versions[name]}" for name in _SHOWN if name in contents.versions)
    if contents.driver is not None:
        yield f"driver {contents.driver}"


def _checked(judgement: Judgement) -> Iterator[str]:
    coverage = judgement.coverage
    count = format_count(coverage.records, "record")
    yield "digests of all files, schema of each line, keys, places, versions"
    yield f"{count} against themselves, their clock, and each other"
    yield "earlier results of the card"
    if coverage.counted:
        yield f"{coverage.counted} against operations, weights and tiles of their case"
    if coverage.predicted:
        yield f"{coverage.predicted} against the memory that `bench predict` gives"
    if coverage.timed:
        yield f"{coverage.timed} against the card's rated rates and the model of times"
    for reason, skipped in coverage.not_predicted:
        yield f"not against predictions: {skipped} ({reason})"


def _rows(findings: Sequence[Finding]) -> Iterator[tuple[Cell, ...]]:
    """The first findings of each check, and how many more there are."""
    for severity in SEVERITIES:
        alike = grouped((f for f in findings if f.severity == severity), lambda finding: finding.check)
        for group in alike:
            for finding in group[:_MOST_SHOWN]:
                yield Cell(severity, tone=_TONES[severity]), Cell(finding.check), Cell(finding.text)
            if len(group) > _MOST_SHOWN:
                yield Cell(""), Cell(""), Cell(f"and {len(group) - _MOST_SHOWN} more of this check", tone="quiet")


def _verdict(judgement: Judgement, added: Added | None) -> str:
    doubts = judgement.count("doubtful")
    if judgement.verdict == "refused" or added is None:
        return f"Refused for {format_count(judgement.count('refused'), 'finding')}. Nothing was added."
    word = "Accepted" if not doubts else f"Accepted with {format_count(doubts, 'doubt')}: look at them"
    again = " This bundle was accepted before." if judgement.verdict == "present" else ""
    verb = "would be added" if added.is_dry else "added"
    there = f", {added.present} were there already" if added.present else ""
    where = f" Wrote {added.provenance}." if added.provenance and judgement.verdict == "accepted" else ""
    return f"{word}.{again} {format_count(added.records, 'record')} {verb} to {added.folder}{there}.{where}"
