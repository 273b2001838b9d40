"""Which bundle results came from, and what was found in it: a JSON file in the device's folder, beside its results."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field

from bench.analysis.plausibility.judgement import Judgement
from bench.record import Frozen, timestamp
from bench.sharing.bundles.bundle import Bundle
from bench.store.disk import reported, write_whole

#: The schema version of such a file.
ACCEPTED_VERSION = 1
#: The most characters of a folder's name, which a manifest could make too long for the system.
_LONGEST = 200


class Doubt(Frozen):
    """A finding that did not refuse the bundle."""

    severity: str
    check: str
    text: str


class Accepted(Frozen):
    """The content of `results/<device>/bundle-<digest>.json`."""

    schema_version: int = ACCEPTED_VERSION
    bundle: str = Field(description="name of the bundle's file")
    digest: str = Field(description="SHA-256 of its manifest.json")
    accepted_at: str
    files: dict[str, str] = Field(description="its files of results, each with its SHA-256")
    findings: tuple[Doubt, ...] = ()


def path_of(out: Path, bundle: Bundle) -> Path:
    """The file in a results folder that says that this bundle was accepted."""
    return out / bundle.manifest.device.slug[:_LONGEST] / f"bundle-{bundle.digest[:12]}.json"


def write(out: Path, bundle: Bundle, judgement: Judgement) -> Path:
    """Write the file, unless it is there: the first time counts. Raises ResultsError."""
    path = path_of(out, bundle)
    if path.exists():
        return path
    content = Accepted(
        bundle=bundle.path.name,
        digest=bundle.digest,
        accepted_at=timestamp(datetime.now(UTC)),
        files={entry.name: entry.sha256 for entry in bundle.manifest.files if entry.name.startswith("results/")},
        findings=tuple(Doubt(severity=each.severity, check=each.check, text=each.text) for each in judgement.findings),
    )
    with reported(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content.model_dump_json(indent=2).encode() + b"\n")
    return path
