"""Reading and writing of what a command was given, with errors that say what to do, and warnings of what was odd."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bench.commands.options import RESULTS
from bench.errors import BenchError, printable

if TYPE_CHECKING:
    from bench.record import Record

#: The most warnings that are printed at once: more would push everything else off the screen.
_MOST_WARNINGS = 20


def read_text(path: Path) -> str:
    """The text of a file. Raises BenchError."""
    from bench.store import is_named_pipe

    try:
        if is_named_pipe(path):
            raise BenchError(f"{path}: is a named pipe, and may never end. Write the text to a file.")
        return path.read_bytes().decode("utf-8", errors="replace")
    except OSError as error:
        raise BenchError(f"{path}: can't be read: {error.strerror}.") from None


def write_text(path: Path, text: str) -> None:
    """Put a whole file of text on the disk, and its folder. Raises BenchError."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Put a whole file on the disk, and its folder. Raises BenchError."""
    from bench.store import write_whole

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        raise BenchError(f"{path}: can't be written: {error.strerror}. Choose another folder with --out.") from None


def write_pages(folder: Path, pages: Mapping[str, bytes], *, quiet: bool) -> None:
    """Put whole files into a folder, and say so. Raises BenchError."""
    from bench.report.render.terminal import print_lines

    for name, content in pages.items():
        write_bytes(folder / name, content)
        if not quiet:
            print_lines([f"Wrote {folder / name}"])


def given_or_all(results: Sequence[Path] | None) -> list[Path]:
    """The results that were given; else results/ and the docs' published figures, wherever the command is run."""
    from bench.store import published

    if results:
        return list(results)
    shipped = published()
    folders = [path for path in (RESULTS, shipped) if path is not None and path.exists()]
    return folders or [RESULTS]  # reading it says that it is missing


def table_records(paths: Sequence[Path], *, strict: bool = False) -> list[Record]:
    """The records that tables show, out of files and folders, no predicted ones; warnings go to standard error.

    Bad lines are set aside with a warning; if `strict` the first raises ResultsError.
    """
    return records_and_predictions(paths, strict=strict)[0]


def records_and_predictions(paths: Sequence[Path], *, strict: bool = False) -> tuple[list[Record], list[Record]]:
    """The records that tables show, and apart from them the predicted ones."""
    from bench import store

    files, warnings = store.read(paths, strict=strict)
    records, notes = store.latest(files)
    warn([*warnings, *notes])
    predictions = [record for record in records if record.kind == "predicted"]
    return [record for record in records if record.kind != "predicted"], predictions


def warn(texts: Iterable[str]) -> None:
    """Print the first of these warnings on standard error, and how many more there are."""
    warnings = list(texts)
    for text in warnings[:_MOST_WARNINGS]:
        tell(f"warning: {text}")
    more = len(warnings) - _MOST_WARNINGS
    if more > 0:
        tell(f"warning: {more} more like these")


def tell_aliases(names: Iterable[str], *, quiet: bool = False) -> None:
    """Say which model each of these names stands for, where it is not a model's own."""
    from bench.workloads import models

    for name in dict.fromkeys(names):
        if name in models.aliases() and not quiet:
            tell(f"{name} has the {models.workload(name).part} of {models.get(name).key}, and goes by that name here.")


def tell(text: str) -> None:
    """Print a message on standard error, in one escaped line of bounded length, which a terminal wraps."""
    line = printable(text.replace("\n", " "))
    if not sys.stderr.isatty():
        typer.echo(line, err=True)
        return
    from bench.report.render.terminal import print_lines  # rich is slow to load, and a pipe needs none of it

    print_lines([line], err=True)
