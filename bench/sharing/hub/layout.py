"""Which files a dataset repository has, and what belongs to each: no network, no `huggingface_hub`.

    README.md                              the dataset card
    contents.json                          what is in each file of results
    results/<device>/<run>.jsonl           the lines that the tool wrote, one file a run
    results/<device>/ceilings.json         facts of the device; also workspaces.json, quality-*.json
    parquet/device=<device>/<run>.parquet  the same records as a flat table, for the hub's viewer

`<device>` is `Device.slug`, `<run>` is `Run.stem`. Anybody may have written a repository, so only names of these forms
are taken from it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from bench.errors import ConfigError, printable
from bench.record.urls import without_secrets

CARD = "README.md"
CONTENTS = "contents.json"
RESULTS = "results"
PARQUET = "parquet"
#: The most bytes of a file of results that is read from a repository: such a run would have a million cases.
MOST_BYTES = 4 << 30
#: The most bytes of any other file: a card, a table of contents, facts of a device.
MOST_SMALL_BYTES = 64 << 20

#: A device's folder and the name of a run's files (`Run.stem`): no other folder can be in them.
_SLUG = r"[a-z0-9]+(?:-[a-z0-9]+){0,60}"
_NAME = r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,119}"
_RUN = re.compile(rf"{RESULTS}/(?P<device>{_SLUG})/(?P<run>{_NAME})\.jsonl", re.ASCII)
_FACTS = re.compile(
    rf"{RESULTS}/(?P<device>{_SLUG})/(?:ceilings|(?:cudnn-[0-9A-Za-z]{{1,40}}/)?workspaces|quality-[0-9A-Za-z]{{1,40}})\.json",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a repository at a commit: its size, and the digest by which the hub knows its content.

    `sha256` is set if the content is stored outside git (LFS, Xet); `oid` is then that of the pointer.
    """

    path: str
    size: int
    oid: str
    sha256: str | None = None

    def holds(self, content: bytes) -> bool:
        """Whether this is the file's content."""
        if len(content) != self.size:
            return False
        return sha256(content) == self.sha256 if self.sha256 else git_oid(content) == self.oid


def check_endpoint(text: str) -> None:
    """Raise ConfigError unless HF_ENDPOINT is empty or an address: `huggingface_hub` reads it when it is loaded."""
    if not text:
        return
    try:
        parts = urlsplit(text)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and not re.search(r"\s", text)
    except ValueError:
        is_address = False
    if not is_address:
        shown = printable(without_secrets(text), 80)
        raise ConfigError(
            f"HF_ENDPOINT: {shown!r} is not the address of a hub. Set it to one like https://host, or unset it."
        )


def sha256(content: bytes) -> str:
    """The SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


def git_oid(content: bytes) -> str:
    """The name that git gives to a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def run_path(device: str, run: str) -> str:
    """The path of a run's lines."""
    return f"{RESULTS}/{device}/{run}.jsonl"


def table_path(path: str) -> str:
    """The path of the table that belongs to a run's lines."""
    device, name = PurePosixPath(path).parts[1:]
    return f"{PARQUET}/device={device}/{name.removesuffix('.jsonl')}.parquet"


def run_device(path: str) -> str | None:
    """The device's folder of a path, if it is that of a run's lines."""
    match = _RUN.fullmatch(path)
    return None if match is None else match["device"]


def facts_device(path: str) -> str | None:
    """The device's folder of a path, if it is that of a file with facts of a device."""
    match = _FACTS.fullmatch(path)
    return None if match is None else match["device"]
