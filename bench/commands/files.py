"""The files that a command reads and writes: results, pages, text; with errors that say what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands.options import RESULTS
from bench.commands.stderr import warn
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.record import Record


def read_text(path: Path) -> str:
    """The text of a file. Raises BenchError."""
    from bench.store import is_named_pipe

    try:
        if is_named_pipe(path):
            raise BenchError(f"{path}: is a named pipe, which may never end. Write the text to a file first.")
        return path.read_bytes().decode("utf-8", errors="replace")
    except OSError as error:
        raise BenchError(f"{path}: can't be read: {error.strerror}.") from None


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, and create its folder. Raises BenchError."""
    from bench.store import write_whole

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        raise BenchError(f"{path}: can't be written: {error.strerror}. Choose another folder with --out.") from None


def write_pages(folder: Path, pages: Mapping[str, bytes], *, quiet: bool) -> None:
    """Write files into a folder, and print their names. Raises BenchError."""
    from bench.report.render.terminal import print_lines

    for name, content in pages.items():
        write_bytes(folder / name, content)
        if not quiet:
            print_lines([f"Wrote {folder / name}"])


def given_or_all(results: Sequence[Path] | None) -> list[Path]:
    """The given results, else results/ and the docs' published figures that are shipped."""
    from bench.store import published

    if results:
        return list(results)
    shipped = published()
    folders = [path for path in (RESULTS, shipped) if path is not None and path.exists()]
    return folders or [RESULTS]  # reading it reports that it is missing


def table_records(paths: Sequence[Path], *, strict: bool = False) -> list[Record]:
    """The records that tables show, without predicted ones; warnings are printed.

    Bad lines are left out with a warning; if `strict`, the first raises ResultsError.
    """
    return records_and_predictions(paths, strict=strict)[0]


def records_and_predictions(paths: Sequence[Path], *, strict: bool = False) -> tuple[list[Record], list[Record]]:
    """The records that tables show, and separately the predicted ones."""
    from bench import store

    files, warnings = store.read(paths, strict=strict)
    records, notes = store.latest(files)
    warn([*warnings, *notes])
    predictions = [record for record in records if record.kind == "predicted"]
    return [record for record in records if record.kind != "predicted"], predictions
