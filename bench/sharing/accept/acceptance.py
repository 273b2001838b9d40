"""Checks a bundle that somebody sent before it counts, and adds it to a results folder if it is accepted."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

from bench.analysis.plausibility import device_file_figures
from bench.analysis.plausibility.examine import examine, in_order
from bench.analysis.plausibility.finding import Finding
from bench.analysis.plausibility.judgement import Added, Answer, Judgement, Unreadable
from bench.config import Gpus, load_gpus
from bench.errors import BundleError
from bench.record import Ceilings, Record, Workspaces
from bench.sharing.accept import accepted_bundles, bundle_contents, supported_versions
from bench.sharing.accept.bundle_contents import BundledResults
from bench.sharing.accept.plausibility_facts import facts
from bench.sharing.bundles.bundle import Bundle, read
from bench.sharing.merge.given import Given
from bench.sharing.merge.merge_folders import merge
from bench.sharing.merge.merging import Conflict, MergeConflictError
from bench.store import read_ceilings
from bench.store.stand_in import record_stand_in, refuse_stand_in

_STAND_IN = "--stand-in, with a folder of its own"
_NEWEST = "a newer file must know all that an older one does"


@dataclass(frozen=True, slots=True)
class Request:
    """What to do with bundles.

    Attributes:
        out: the results folder that accepted ones are added to.
        digest: what the manifest's digest must be; None: that of the file beside the bundle, if there is one.
        allow_stand_in: whether figures of a stand-in for a device are accepted, into a folder not named `results`.
        is_dry: check, and write nothing.
    """

    out: Path
    digest: str | None = None
    allow_stand_in: bool = False
    is_dry: bool = False


def answer(path: Path, request: Request) -> Answer:
    """Read a bundle, check it and, if it is accepted, add it. Raises ResultsError if `out` can't be used."""
    try:
        bundle = read(path, request.digest)
    except BundleError as error:
        is_changed = error.exit_code == 1
        return Answer(Unreadable(str(path), str(error), "refused" if is_changed else "unreadable"))
    judgement, stand_in = judge(bundle, request)
    if judgement.verdict == "refused":
        return Answer(judgement)
    refuse_stand_in(request.out, stand_in)
    return _added(bundle, judgement, request)


def judge(bundle: Bundle, request: Request) -> tuple[Judgement, str | None]:
    """The verdict on a bundle, and the stand-in that its figures are of, if they are. Nothing is written."""
    results = bundle_contents.read(bundle)
    records = results.all_records
    stand_in = bundle.manifest.stand_in or next(filter(None, map(record_stand_in, records)), None)
    gpus = load_gpus()
    findings, coverage = examine(records, facts(records, request.out, gpus, _ceilings(results, request.out)))
    every = [
        *results.findings,
        *_stand_ins(bundle, records, request),
        *supported_versions.check(records),
        *_device_files(results, gpus),
        *findings,
    ]
    is_refused = any(finding.severity == "refused" for finding in every)
    is_present = accepted_bundles.path_of(request.out, bundle).is_file()
    judgement = Judgement(
        bundle=str(bundle.path),
        digest=bundle.digest,
        verdict="refused" if is_refused else "present" if is_present else "accepted",
        contents=bundle_contents.contents(bundle, results),
        findings=tuple(in_order(every)),
        coverage=coverage,
    )
    return judgement, stand_in


def _ceilings(results: BundledResults, out: Path) -> list[Ceilings]:
    """Those of the bundle, and those that `out` has, which come last and count."""
    bundled = [content for content in results.device_files.values() if isinstance(content, Ceilings)]
    return [*bundled, *(read_ceilings([out])[0] if out.is_dir() else [])]


def _stand_ins(bundle: Bundle, records: Sequence[Record], request: Request) -> list[Finding]:
    """Figures of a stand-in, unless they are asked for; and a manifest that says something else than the records."""
    where, in_manifest = str(bundle.path), bundle.manifest.stand_in
    marks = {record_stand_in(record) for record in records if record.device.kind != "endpoint"}
    findings = []
    if marks and marks != {in_manifest}:
        shown = ", ".join(sorted(mark or "none" for mark in marks))
        figure = f"its records name the stand-in {shown}"
        bound = f"its manifest names {in_manifest or 'none'}"
        findings.append(Finding("refused", "stand-in", where, figure, bound, "manifest.json"))
    stand_in = in_manifest or next(filter(None, map(record_stand_in, records)), None)
    if stand_in is not None and not request.allow_stand_in:
        figure = f"its figures are of a stand-in ({stand_in})"
        bound = "they describe no real device"
        findings.append(Finding("refused", "stand-in", where, figure, bound, f"accepted only with {_STAND_IN}"))
    return findings


def _device_files(results: BundledResults, gpus: Gpus) -> list[Finding]:
    findings: list[Finding] = []
    for name, content in results.device_files.items():
        if isinstance(content, Ceilings):
            entry = gpus.of_device(content.device.name, content.device.total_bytes)
            findings += device_file_figures.check_ceilings(content, entry[1] if entry else None, name)
        elif isinstance(content, Workspaces):
            findings += device_file_figures.check_workspaces(content, name)
    return findings


def _added(bundle: Bundle, judgement: Judgement, request: Request) -> Answer:
    """Merge the bundle's results into `out`, and write where they are from; refuse it for a conflict.

    Raises ResultsError.
    """
    with tempfile.TemporaryDirectory(prefix="bench-accept-") as place:
        results = Path(place) / "results"
        bundle.unpack(Path(place))
        _remove_others(results)
        try:
            given = [Given(results, bundle.path.name)]
            merged = merge(given, request.out, prefer_facts="first", dry_run=request.is_dry)
        except MergeConflictError as error:
            return Answer(_conflicting(judgement, error.conflicts))
    where = str(bundle.path)
    kept = [Finding("noted", "device files", where, text, "the first stays", _NEWEST) for text in merged.settled]
    judgement = replace(judgement, findings=(*judgement.findings, *kept))
    total = sum(run.cases for run in judgement.contents.runs)
    written = None if request.is_dry else accepted_bundles.write(request.out, bundle, judgement)
    provenance = None if written is None else str(written)
    return Answer(judgement, Added(str(request.out), merged.added, total - merged.added, provenance, request.is_dry))


def _remove_others(results: Path) -> None:
    """Remove files that are not results, which are not added."""
    patterns = ("*.jsonl", *(pattern for pattern, _, _ in bundle_contents.DEVICE_FILES))
    for path in results.rglob("*"):
        if path.is_file() and not any(fnmatch(path.name, pattern) for pattern in patterns):
            path.unlink()


def _conflicting(judgement: Judgement, conflicts: Sequence[Conflict]) -> Judgement:
    findings = [
        Finding(
            "refused",
            "conflict",
            conflict.what,
            "; ".join(map(str, conflict.differences)) or "it differs",
            f"{conflict.first} and {conflict.second} have one key",
            "the record's key",
        )
        for conflict in conflicts
    ]
    return replace(judgement, verdict="refused", findings=tuple(in_order([*findings, *judgement.findings])))
