"""Durable writes (append, or replace a whole file), and the preparation and locking of results folders."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from bench.errors import ResultsError
from bench.record import Device

#: Where commands write results, and read them unless others are named.
RESULTS = Path("results")
_PACKAGE = Path(__file__).resolve().parents[1]


def write_whole(path: Path, data: bytes) -> None:
    """Create or replace a file as a whole, durably, with the permissions of the older file. Raises OSError.

    If that fails, the older file stays.
    """
    fresh = path.with_name(f"{path.name}.{_writer()}.new")
    fresh.unlink(missing_ok=True)
    try:
        append_bytes(fresh, data)
        with suppress(FileNotFoundError):
            fresh.chmod(stat.S_IMODE(path.stat().st_mode))
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _writer() -> str:
    """A name for this thread's temporary files: several runs of one process may write in one folder."""
    return f"{os.getpid()}-{threading.get_ident()}"


def published() -> Path | None:
    """The folder of the docs' figures: from the wheel, or from a checkout's `results/`; None if it is missing."""
    folders = (_PACKAGE / "published", _PACKAGE.parent / "results" / "published")
    return next((folder for folder in folders if folder.is_dir()), None)


def verdicts() -> Path:
    """The file of the verdicts that come with the program: in the wheel, or in a checkout's `results/`."""
    return _shipped("verdicts.json")


def pipeline_memory() -> Path:
    """The file of the memory of pipelines that comes with the program, in the same places."""
    return _shipped("pipelines.json")


def _shipped(name: str) -> Path:
    in_wheel = _PACKAGE / name
    return in_wheel if in_wheel.is_file() else _PACKAGE.parent / "results" / "predicted" / name


def usual_folders() -> list[Path]:
    """Where results are if none are named: results/ and the docs' figures. Only results/ if neither exists."""
    folders = [folder for folder in (RESULTS, published()) if folder is not None and folder.exists()]
    return folders or [RESULTS]


def is_named_pipe(path: Path) -> bool:
    """Whether the path is a named pipe, which may never end.

    Pipes under /dev (`<(...)`, /dev/stdin) are allowed: the user's shell writes them.
    """
    return path.parts[:2] != ("/", "dev") and path.is_fifo()


def append_bytes(path: Path, data: bytes) -> None:
    """Append to a file and flush it to the disk. On failure cut the file back to its length before."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        before = os.fstat(fd).st_size
        try:
            _write_all(fd, data)
            os.fsync(fd)
        except OSError:
            os.ftruncate(fd, before)
            raise
    finally:
        os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _sync_folder(folder: Path) -> None:
    """Make a new file's name durable. Windows can't open folders, and does not need it."""
    if os.name == "posix":
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """Raise an OSError of the block as a ResultsError that says what to do."""
    try:
        yield
    except OSError as error:
        raise ResultsError(
            f"Can't write {path}: {error.strerror}. Finished results are kept. Make room, or choose another "
            "folder with --out, then run the same command again to continue."
        ) from None


def prepare_folder(folder: Path) -> None:
    """Create a results folder and check that a file can be written in it. Raises ResultsError."""
    probe = folder / f".write-check-{_writer()}"
    with reported(folder):
        if folder.exists() and not folder.is_dir():
            raise ResultsError(f"{folder} is a file, but results need a folder. Choose another path with --out.")
        folder.mkdir(parents=True, exist_ok=True)
        _sync_folder(folder.parent)
        try:
            probe.write_bytes(b"x")
        finally:
            probe.unlink(missing_ok=True)


@contextmanager
def device_lock(folder: Path, identity: str | None = None) -> Iterator[None]:
    """Lock a device for one run, because two runs at once would spoil each other's figures.

    `identity` distinguishes the device from others of its name, which share its folder. A device without an identity
    could be any of them, so it locks them all. The locks end with the process, however it ends. Raises ResultsError if
    another run has locked the device.
    """
    with ExitStack() as locks:
        free = [locks.enter_context(_locked(folder / ".lock", is_shared=identity is not None))]
        if identity is not None:
            free.append(locks.enter_context(_locked(folder / f".lock-{identity.rpartition(':')[2]}")))
        if not all(free):
            raise ResultsError(
                f"{folder}: another `bench run` is measuring on this device, and two at once would spoil both. "
                "Wait for it, or stop it."
            )
        yield


@contextmanager
def sweep_lock(results: Path) -> Iterator[None]:
    """Lock a results folder for one sweep on a cluster: a second one would wait for the cards of the first.

    Raises ResultsError if another command holds it.
    """
    prepare_folder(results)
    with _locked(results / ".lock-cluster") as is_free:
        if not is_free:
            raise ResultsError(
                f"{results}: another `bench run --on` writes to this folder. Wait for it, stop it, or choose another "
                "folder with --out."
            )
        yield


@contextmanager
def device_folder(results: Path, device: Device) -> Iterator[Path]:
    """A device's results folder, with the device locked until the block ends.

    Raises ResultsError as `prepare_folder` and `device_lock` do.
    """
    folder = results / device.slug
    prepare_folder(folder)
    with device_lock(folder, device.identity):
        yield folder


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Claim a run's results file, which need not exist yet. Yields whether the claim succeeded.

    The claim ends with the process at the latest.
    """
    lock = path.with_name(f".{path.stem}.lock")
    with _locked(lock) as is_free:
        try:
            yield is_free
        finally:
            if is_free:
                lock.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path, *, is_shared: bool = False) -> Iterator[bool]:
    """Lock a file, shared or not. Yields whether that succeeded; True if the system has no locks."""
    try:
        import fcntl  # noqa: PLC0415 - POSIX only
    except ImportError:  # Windows: no lock, and no promise about two runs at once
        yield True
        return
    while True:
        with reported(path.parent):
            lock = path.open("w")
        with lock:
            try:
                fcntl.flock(lock, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            except OSError:  # some network file systems have no locks
                yield True
                return
            if _is_at(path, lock.fileno()):
                yield True
                return


def _is_at(path: Path, fd: int) -> bool:
    """Whether an open file is still the one of that name: who held it before may have removed it."""
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False
