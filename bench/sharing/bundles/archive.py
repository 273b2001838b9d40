"""The bytes of a `.tar.gz`: written so that the same files give the same bytes, read so that no file can do harm.

Nothing is unpacked onto the disk: an archive is read into memory, within limits.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from bench.errors import BundleError, ChangedBundleError, listed, printable

#: The most bytes of an archive, of all of its files together, and the most files. A tour's bundle has about 1 MB.
MOST_PACKED, MOST_UNPACKED, MOST_FILES = 64 * 2**20, 256 * 2**20, 2000
_BLOCK = 512


def packed(files: Mapping[str, bytes]) -> bytes:
    """A `.tar.gz` of the files in the order of their names, without times, owners, or the names of users.

    The same files give the same tar. The compressed bytes may differ between versions of zlib.
    """
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(files[name]), 0o644
            archive.addfile(member, io.BytesIO(files[name]))
    return gzip.compress(tar.getvalue(), mtime=0)


def unpacked(data: bytes, where: str) -> dict[str, bytes]:
    """The files of a `.tar.gz`. Raises BundleError, which names the archive by `where`; ChangedBundleError if damaged.

    Refused are links, devices, absolute paths and those with `..`, two files of one name, files beyond the limits, and
    bytes that are not part of the archive.
    """
    raw = _decompressed(data, where)
    files: dict[str, bytes] = {}
    folded: set[str] = set()
    for name, content in _members(raw, where):
        if name.casefold() in folded:
            raise BundleError(f"{where} has two files named {printable(name, 80)!r}. Ask for the bundle again.")
        if len(files) >= MOST_FILES:
            raise BundleError(f"{where} has more than {MOST_FILES:,} files, which no bundle of this program has.")
        folded.add(name.casefold())
        files[name] = content
    folders = {str(folder) for name in folded for folder in PurePosixPath(name).parents} & folded
    if folders:
        raise BundleError(f"{where} has a file and a folder named {listed(sorted(folders), 2)}. Ask for it again.")
    return files


def _decompressed(data: bytes, where: str) -> bytes:
    if len(data) > MOST_PACKED:
        raise BundleError(f"{where} has {len(data):,} bytes, and at most {MOST_PACKED:,} are read.")
    stream = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        raw = stream.decompress(data, MOST_UNPACKED + 1)
    except zlib.error as error:
        if data[:2] != b"\x1f\x8b":
            raise BundleError(f"{where} is not a .tar.gz ({error}). Ask for the bundle again.") from None
        raise ChangedBundleError(f"{where} is damaged ({error}). Ask for the bundle again.") from None
    if len(raw) > MOST_UNPACKED:
        raise BundleError(f"{where} unpacks to more than {MOST_UNPACKED:,} bytes, and no more are read.")
    if not stream.eof:
        raise ChangedBundleError(f"{where} is incomplete: its end is missing. Ask for the bundle again.")
    if stream.unused_data:
        raise ChangedBundleError(
            f"{where} has {len(stream.unused_data):,} bytes after its end. Ask for the bundle again."
        )
    return raw


def _members(raw: bytes, where: str) -> Iterator[tuple[str, bytes]]:
    """Name and content of each regular file of a tar; folders are passed over."""
    stream = io.BytesIO(raw)
    try:
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                if member.isdir() and not member.size and not _leads_out(member.name):
                    continue
                _check_member(member, name, len(raw), where)
                file = archive.extractfile(member)
                yield name, file.read() if file else b""
            rest = raw[archive.offset :]
    except (tarfile.TarError, ValueError, OverflowError, RecursionError, EOFError) as error:
        reason = printable(str(error), 80)
        raise ChangedBundleError(f"{where} is damaged, or not a tar ({reason}). Ask for the bundle again.") from None
    if rest.strip(b"\0"):
        raise ChangedBundleError(f"{where} has bytes that belong to no file. Ask for the bundle again.")


def _check_member(member: tarfile.TarInfo, name: str, most: int, where: str) -> None:
    shown = repr(printable(name, 80))
    if member.type not in {tarfile.REGTYPE, tarfile.AREGTYPE} or member.sparse is not None:
        raise BundleError(f"{where}: {shown} is a link or a device, not a regular file, so the bundle is refused.")
    if _leads_out(name):
        raise BundleError(f"{where}: {shown} is a path that leads out of the bundle, so the bundle is refused.")
    if not 0 <= member.size <= most:
        raise BundleError(f"{where} is damaged: {shown} has a size of {member.size:,} bytes. Ask for the bundle again.")


def _leads_out(name: str) -> bool:
    return name.startswith("/") or "\\" in name or ":" in name or ".." in name.split("/") or "\0" in name
