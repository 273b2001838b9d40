"""The content of a bundle's `manifest.json`: where its figures come from, and the digest of each file in it."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError

from bench.errors import BundleError, in_plain_words
from bench.record import Device, Frozen

#: The schema version of `manifest.json`.
MANIFEST_VERSION = 1
MANIFEST = "manifest.json"

StepStatus = Literal["ran", "failed", "overran", "did not fit", "interrupted", "not here"]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
#: As `record.timestamp` writes it.
Moment = Annotated[str, StringConstraints(pattern=r"^\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\d(\.\d+)?Z$")]
#: A folder or two below `results` or `logs`; no part begins with a dot, so that none leads elsewhere or is hidden.
FileName = Annotated[
    str, StringConstraints(pattern=r"^(results|logs)(/[A-Za-z0-9_][A-Za-z0-9_.+=-]{0,149}){1,4}$", max_length=400)
]


class StepReport(Frozen):
    """What became of a step of a tour."""

    name: str = Field(max_length=100)
    status: StepStatus
    seconds: float = Field(default=0.0, ge=0)
    exit_code: int | None = None
    note: str = Field(default="", description="the last line that it printed, or why it did not run")


class BundledFile(Frozen):
    """A file of a bundle, and what it holds."""

    name: FileName
    bytes: int = Field(ge=0)
    sha256: Sha256
    what: str = Field(default="", max_length=300, description="what it holds, in a line")


class About(Frozen):
    """What a manifest says besides its files.

    `versions` has those of `hybrid-bench`, `python`, `torch` and others that are installed. `replaced` counts the
    markers that stand for what was removed.
    """

    device: Device
    versions: dict[str, str]
    driver: str | None = None
    os: str | None = None
    stand_in: str | None = Field(
        default=None, description="what stood in for the device in a test; such figures are of no device. null if real"
    )
    ended_at: Moment = Field(description="when the last step ended, in UTC")
    seconds: float = Field(ge=0, description="how long the steps took together")
    steps: tuple[StepReport, ...] = ()
    replaced: dict[str, int] = Field(default={}, description="markers in the files, and how often each stands there")


class Manifest(About):
    """The content of `manifest.json`."""

    schema_version: int = Field(default=MANIFEST_VERSION, ge=1)
    files: tuple[BundledFile, ...]

    def to_bytes(self) -> bytes:
        """Its only form: the digest of a bundle is that of these bytes."""
        return json.dumps(self.model_dump(mode="json"), indent=2, sort_keys=True).encode() + b"\n"


def parsed(data: bytes, where: str) -> Manifest:
    """The manifest of these bytes. Raises BundleError, which names the bundle by `where`."""
    try:
        content: Any = json.loads(data)
    except (ValueError, RecursionError):
        raise BundleError(f"{where}: {MANIFEST} is not valid JSON. Ask for the bundle again.") from None
    version = content.get("schema_version") if isinstance(content, dict) else None
    if isinstance(version, int) and version > MANIFEST_VERSION:
        raise BundleError(
            f"{where} has schema version {version}, and this program reads up to {MANIFEST_VERSION}. "
            "Update Hybrid Bench to read it."
        )
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise BundleError(
            f"{where}: {MANIFEST} is not that of a bundle: `{field}` {in_plain_words(first)}. Ask for the bundle again."
        ) from None
