"""Bundles: written so that the same content gives the same digest, read so that nothing changed or harmful gets in."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.errors import BundleError, ChangedBundleError, ResultsError
from bench.record import Device
from bench.sharing.bundles import archive, bundle
from bench.sharing.bundles.manifest import MANIFEST, MANIFEST_VERSION, About, StepReport

DEVICE = Device(kind="cuda", name="NVIDIA H200", identity="sha256:0123456789ab")
ABOUT = About(
    device=DEVICE,
    versions={"hybrid-bench": "0.1.0", "torch": "2.11.0"},
    ended_at="2026-11-29T20:15:00.000000Z",
    seconds=300.0,
    steps=(StepReport(name="docs", status="ran", seconds=100.0, exit_code=0),),
)
FILES = {"results/nvidia-h200/run.jsonl": b'{"a": 1}\n', "logs/docs.log": b"done\n"}


def write(tmp_path: Path, **changed: object) -> bundle.Bundle:
    return bundle.write(FILES, tmp_path, ABOUT.model_copy(update=changed))


def packed(tmp_path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """The bundle with its files changed, packed again without its digest beside it."""
    written = write(tmp_path)
    files = archive.unpacked(written.path.read_bytes(), "")
    change(files)
    written.path.write_bytes(archive.packed(files))
    bundle.beside(written.path).unlink()
    return written.path


def tarred(tmp_path: Path, *members: tarfile.TarInfo, tail: bytes = b"") -> Path:
    """An archive of a bundle's files and of these members."""
    raw = io.BytesIO(gzip.decompress(write(tmp_path).path.read_bytes()))
    with tarfile.open(fileobj=raw, mode="a") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    path = tmp_path / "made.bench.tar.gz"
    path.write_bytes(gzip.compress(raw.getvalue() + tail))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, target
    return info


def test_what_is_written_is_read(tmp_path: Path) -> None:
    written = write(tmp_path)
    assert written.path.name == "nvidia-h200-20261129T201500Z.bench.tar.gz"
    read = bundle.read(written.path, written.digest)
    assert read == written
    assert read.files == FILES
    assert read.manifest.steps[0].status == "ran"
    manifest = archive.unpacked(written.path.read_bytes(), "")[MANIFEST]
    assert bundle.beside(written.path).read_text() == f"{hashlib.sha256(manifest).hexdigest()}  manifest.json\n"


def test_the_same_content_gives_the_same_bytes_and_no_owner(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a"), write(tmp_path / "b")
    assert first.path.read_bytes() == second.path.read_bytes()
    with tarfile.open(first.path) as tar:
        assert {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in tar} == {(0, 0, "", "", 0)}
        assert tar.getnames() == sorted([MANIFEST, *FILES])


def test_it_can_be_tarred_again_by_hand(tmp_path: Path) -> None:
    written = write(tmp_path)
    with tarfile.open(written.path) as tar:
        tar.extractall(tmp_path / "by-hand", filter="data")
    again = tmp_path / "again.bench.tar.gz"
    with tarfile.open(again, "w:gz") as tar:
        tar.add(tmp_path / "by-hand", "./")
    assert bundle.read(again, written.digest).files == FILES


def test_unpack_writes_the_files_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / "made").unpack(tmp_path / "unpacked")
    there = {
        str(path.relative_to(tmp_path / "unpacked")): path.read_bytes() for path in tmp_path.glob("unpacked/*/**/*.*")
    }
    assert there == FILES


@pytest.mark.parametrize("digest", ["0" * 64, "nothing", ""])
def test_another_digest_is_refused(tmp_path: Path, digest: str) -> None:
    with pytest.raises(BundleError, match="digest"):
        bundle.read(write(tmp_path).path, digest)


@pytest.mark.parametrize("text", [f"{'0' * 64}  manifest.json\n", "", "no digest"])
def test_the_digest_beside_a_bundle_is_checked(tmp_path: Path, text: str) -> None:
    path = write(tmp_path).path
    bundle.beside(path).write_text(text)
    with pytest.raises(BundleError, match="digest"):
        bundle.read(path)


def edited(files: dict[str, bytes]) -> None:
    files["logs/docs.log"] = b"DONE\n"


def longer(files: dict[str, bytes]) -> None:
    files["logs/docs.log"] += b"more"


def without_a_file(files: dict[str, bytes]) -> None:
    del files["logs/docs.log"]


def with_another_file(files: dict[str, bytes]) -> None:
    files["logs/other.log"] = b""


def without_manifest(files: dict[str, bytes]) -> None:
    del files[MANIFEST]


def not_json(files: dict[str, bytes]) -> None:
    files[MANIFEST] = b"{"


def no_object(files: dict[str, bytes]) -> None:
    files[MANIFEST] = b"[]"


def nested(files: dict[str, bytes]) -> None:
    files[MANIFEST] = b"[" * 200_000


def with_manifest(**changed: object) -> Callable[[dict[str, bytes]], None]:
    def change(files: dict[str, bytes]) -> None:
        files[MANIFEST] = json.dumps(json.loads(files[MANIFEST]) | changed).encode()

    return change


def naming(name: str) -> Callable[[dict[str, bytes]], None]:
    """A manifest and an archive that agree about a file of this name."""

    def change(files: dict[str, bytes]) -> None:
        files[name] = b""
        entries = [{"name": name, "bytes": 0, "sha256": hashlib.sha256(b"").hexdigest()}]
        with_manifest(files=json.loads(files[MANIFEST])["files"] + entries)(files)

    return change


#: Names that no bundle has, whatever its manifest says.
NAMES = (
    *("../x", "/etc/x", "results/../x", "results/.git/x", "x", "logs", "results/a\\b", "logs/c:d"),
    *("logs/docs.log/x", "LOGS/docs.log", "logs/DOCS.log", "logs/a b", "logs/a\nb", "logs/../logs/x"),
)


@pytest.mark.parametrize(
    "change",
    [
        *(edited, longer, without_a_file, with_another_file, without_manifest, not_json, no_object, nested),
        *(with_manifest(files=[]), with_manifest(device=None), with_manifest(seconds="nan"), with_manifest(other=1)),
        *(with_manifest(ended_at="now"), with_manifest(schema_version=0), with_manifest(files=[{"name": "/etc/x"}])),
        *map(naming, NAMES),
    ],
)
def test_what_is_not_as_the_manifest_says_is_refused(
    tmp_path: Path, change: Callable[[dict[str, bytes]], None]
) -> None:
    with pytest.raises(BundleError):
        bundle.read(packed(tmp_path, change))


@pytest.mark.parametrize("change", [edited, longer])
def test_a_changed_file_ends_with_1_and_an_unreadable_one_with_2(
    tmp_path: Path, change: Callable[[dict[str, bytes]], None]
) -> None:
    with pytest.raises(ChangedBundleError) as changed:
        bundle.read(packed(tmp_path, change))
    assert changed.value.exit_code == 1
    with pytest.raises(BundleError) as unreadable:
        bundle.read(packed(tmp_path, not_json))
    assert unreadable.value.exit_code == 2


def test_a_newer_version_says_to_update(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="Update"):
        bundle.read(packed(tmp_path, with_manifest(schema_version=MANIFEST_VERSION + 1, anything=1)))


@pytest.mark.parametrize(
    "made",
    [
        member("logs/link", tarfile.SYMTYPE, target="/etc/passwd"),
        member("logs/link", tarfile.LNKTYPE, target="logs/docs.log"),
        member("logs/pipe", tarfile.FIFOTYPE),
        member("logs/disk", tarfile.BLKTYPE),
        member("logs/tty", tarfile.CHRTYPE),
        member("logs/sparse", tarfile.GNUTYPE_SPARSE),
        member("/logs/docs.log"),
        member("../docs.log"),
        member("..", tarfile.DIRTYPE),
        member("logs/docs.log", size=5),
        member("./logs/docs.log", size=5),
        member("Manifest.json"),
    ],
    ids=lambda made: f"{made.name} {made.type!r}",
)
def test_harmful_members_are_refused(tmp_path: Path, made: tarfile.TarInfo) -> None:
    with pytest.raises(BundleError):
        bundle.read(tarred(tmp_path, made))


def test_bytes_that_are_part_of_no_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="belong to no file"):
        bundle.read(tarred(tmp_path, tail=b"hidden"))


def test_a_size_beyond_the_archive_is_refused(tmp_path: Path) -> None:
    huge = member("logs/huge", size=0)
    huge.size = 2**40
    raw = gzip.decompress(write(tmp_path).path.read_bytes()).rstrip(b"\0")
    raw += b"\0" * (-len(raw) % 512) + huge.tobuf(tarfile.GNU_FORMAT)
    path = tmp_path / "huge.bench.tar.gz"
    path.write_bytes(gzip.compress(raw))
    with pytest.raises(BundleError):
        bundle.read(path)


def test_bombs_and_crowds_are_refused_within_the_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path).path
    for limit in ("MOST_PACKED", "MOST_UNPACKED", "MOST_FILES"):
        with monkeypatch.context() as patch:
            patch.setattr(archive, limit, 2)
            with pytest.raises(BundleError):
                bundle.read(path)


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", b"PK\x03\x04", gzip.compress(b"", mtime=0), gzip.compress(b"x" * 5000, mtime=0)],
    ids=["empty", "text", "zip", "gzip of nothing", "gzip of text"],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.bench.tar.gz"
    path.write_bytes(data)
    with pytest.raises(BundleError):
        bundle.read(path)


def test_a_folder_or_a_missing_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing", tmp_path / ("x" * 300)):
        with pytest.raises(BundleError):
            bundle.read(path)


def test_nothing_is_written_where_the_check_refuses(tmp_path: Path) -> None:
    def refuse(made: bundle.Bundle) -> None:
        assert made.files == FILES
        raise BundleError("no")

    with pytest.raises(BundleError, match="no"):
        bundle.write(FILES, tmp_path / "out", ABOUT, check=refuse)
    assert not (tmp_path / "out").exists()


def test_a_name_that_no_bundle_has_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="can't be in a bundle"):
        bundle.write({"../x": b""}, tmp_path, ABOUT)


def test_a_stand_in_s_bundle_is_not_written_among_results(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="stand-in"):
        write(tmp_path / "results", stand_in="torch_cuda")
    assert write(tmp_path / "scratch", stand_in="torch_cuda").manifest.stand_in == "torch_cuda"


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> bundle.Bundle:
    return write(tmp_path_factory.mktemp("sent"))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(min_value=0), flipped=st.integers(1, 255))
def test_a_changed_byte_is_refused_or_changes_nothing(sent: bundle.Bundle, place: int, flipped: int) -> None:
    data = bytearray(sent.path.read_bytes())
    data[place % len(data)] ^= flipped
    changed = sent.path.with_name("changed.bench.tar.gz")
    changed.write_bytes(data)
    try:
        read = bundle.read(changed)
    except BundleError:
        return
    assert (read.manifest, read.files, read.digest) == (sent.manifest, sent.files, sent.digest)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(min_value=0), flipped=st.integers(1, 255))
def test_a_changed_byte_in_the_tar_is_refused_by_the_digest_or_changes_nothing(
    sent: bundle.Bundle, place: int, flipped: int
) -> None:
    raw = bytearray(gzip.decompress(sent.path.read_bytes()))
    raw[place % len(raw)] ^= flipped
    changed = sent.path.with_name("changed.bench.tar.gz")
    changed.write_bytes(gzip.compress(raw, compresslevel=1))
    try:
        read = bundle.read(changed, sent.digest)
    except BundleError:
        return
    assert (read.manifest, read.files) == (sent.manifest, sent.files)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kept=st.integers(min_value=0))
def test_what_was_cut_off_is_refused(sent: bundle.Bundle, kept: int) -> None:
    data = sent.path.read_bytes()
    cut = sent.path.with_name("cut.bench.tar.gz")
    cut.write_bytes(data[: kept % len(data)])
    with pytest.raises(BundleError):
        bundle.read(cut)
