"""A bundle: what one card measured, as one file that can be sent. `DEVICE-SLUG-UTCDATE.bench.tar.gz`.

It holds `manifest.json` and the files that the manifest names, with their sizes and SHA-256: `results/SLUG/...` as the
tool wrote them, and `logs/...`. The bundle's digest is the SHA-256 of `manifest.json`, which is also written beside the
bundle (`NAME.sha256`). A digest shows that nothing changed on the way. It does not show who made a bundle.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from bench.errors import BundleError, ChangedBundleError, listed, printable
from bench.record import Device
from bench.sharing.bundles import archive
from bench.sharing.bundles.manifest import MANIFEST, About, BundledFile, Manifest, parsed
from bench.store.disk import is_named_pipe, reported, write_whole
from bench.store.stand_in import refuse_stand_in

SUFFIX = ".bench.tar.gz"
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that was read or written: its manifest, its files by name, and the digest of its manifest."""

    path: Path
    manifest: Manifest
    files: Mapping[str, bytes] = field(repr=False)
    digest: str

    def unpack(self, folder: Path) -> None:
        """Write the files below a folder, which is made. Raises ResultsError. Nothing else is ever unpacked."""
        for name, content in self.files.items():
            path = folder / name
            with reported(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, content)


def write(
    files: Mapping[str, bytes],
    out: Path,
    about: About,
    *,
    what: Mapping[str, str] | None = None,
    check: Callable[[Bundle], None] = lambda _: None,
) -> Bundle:
    """Write a bundle of these files, by their names in it, and its digest beside it, into the folder `out`.

    `what` says of a name what the file holds. `check` gets the bundle as it will be read from the final bytes, before
    anything is written, and may raise. Raises BundleError if a name can't be in a bundle, and ResultsError if `out`
    can't be written, or if a stand-in's figures would be in a folder of results.
    """
    refuse_stand_in(out, about.stand_in)
    try:
        entries = [
            BundledFile(
                name=name,
                bytes=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
                what=(what or {}).get(name, ""),
            )
            for name, content in sorted(files.items())
        ]
    except ValidationError as error:
        wrong = printable(str(error.errors()[0]["input"]), 80)
        raise BundleError(f"{wrong!r} can't be in a bundle. A name is results/DEVICE/FILE or logs/FILE.") from None
    manifest = Manifest(**dict(about), files=tuple(entries))
    data = archive.packed({MANIFEST: manifest.to_bytes(), **files})
    path = out / file_name(about.device, about.ended_at)
    bundle = _read(data, path)
    check(bundle)
    with reported(path):
        out.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
        write_whole(beside(path), f"{bundle.digest}  {MANIFEST}\n".encode())
    return bundle


def read(path: Path, digest: str | None = None) -> Bundle:
    """A bundle, checked: each file is there with the size and SHA-256 that the manifest says, and no other file.

    `digest` is compared with the manifest's; without it, the one in the file beside the bundle, if there is one. Raises
    ChangedBundleError if a file or the digest differs, BundleError if it can't be read. Nothing is written.
    """
    try:
        if is_named_pipe(path) or path.is_dir():
            raise BundleError(f"{path} is not a file. Give the bundle itself, named ...{SUFFIX}.")
        if path.stat().st_size > archive.MOST_PACKED:
            raise BundleError(f"{path} is larger than {archive.MOST_PACKED:,} bytes, and no more are read.")
        data = path.read_bytes()
        wanted = digest if digest is not None else _digest_beside(path)
    except OSError as error:
        raise BundleError(f"Can't read {path}: {error.strerror}.") from None
    bundle = _read(data, path)
    if wanted is not None and not hmac.compare_digest(wanted.strip().lower().encode(), bundle.digest.encode()):
        raise ChangedBundleError(
            f"The digest of {path} is {bundle.digest}, but {printable(wanted, 80)} was expected. It was changed, or "
            "the digest is that of another bundle: ask for both again."
        )
    return bundle


def file_name(device: Device, ended_at: str) -> str:
    """`nvidia-h100-80gb-hbm3-20261129T201500Z.bench.tar.gz`."""
    moment = datetime.fromisoformat(ended_at).strftime("%Y%m%dT%H%M%SZ")
    return f"{device.slug[:100]}-{moment}{SUFFIX}"


def beside(path: Path) -> Path:
    """The file beside a bundle that holds its digest, as `sha256sum` would write it of `manifest.json`."""
    return path.with_name(f"{path.name}.sha256")


def _digest_beside(path: Path) -> str | None:
    try:
        text = beside(path).read_text(errors="replace")
    except FileNotFoundError:
        return None
    first = (text.split() or [""])[0].lower()
    if not _DIGEST.fullmatch(first):
        raise BundleError(f"{beside(path)} has no digest in it. Ask for it again, or delete the file to go without.")
    return first


def _read(data: bytes, path: Path) -> Bundle:
    """A bundle of these bytes, all of it checked. Raises BundleError."""
    files = archive.unpacked(data, str(path))
    raw = files.pop(MANIFEST, None)
    if raw is None:
        raise BundleError(f"{path} has no {MANIFEST}, so it is not a bundle of `bench contribute`.")
    manifest = parsed(raw, str(path))
    names = [entry.name for entry in manifest.files]
    if len(set(names)) < len(names):
        raise BundleError(f"{path}: {MANIFEST} names a file twice. Ask for the bundle again.")
    differing = sorted(files.keys() ^ set(names))
    if differing:
        raise BundleError(
            f"{path} and its {MANIFEST} do not have the same files: {listed(differing, 4)}. Ask for the bundle again."
        )
    for entry in manifest.files:
        content = files[entry.name]
        if len(content) != entry.bytes or hashlib.sha256(content).hexdigest() != entry.sha256:
            raise ChangedBundleError(
                f"{path}: {entry.name} was changed after the bundle was made ({MANIFEST} has another digest). "
                "Ask for the bundle again."
            )
    return Bundle(path, manifest, files, hashlib.sha256(raw).hexdigest())
