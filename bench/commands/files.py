"""The files that a command reads and writes: results, pages, text; with errors that say what to do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from bench.commands.stderr import warn
from bench.core.units import format_count
from bench.errors import BenchError, ResultsError

if TYPE_CHECKING:
    from bench.record import Record
    from bench.report.document import Document

#: More files than this are counted when they are written, not named.
_FEW_FILES = 3
#: A page, or a plot, which is drawn when it is written and may be None.
Page: TypeAlias = "Document | Callable[[], bytes | None]"
#: Pages and plots by file name. A page is named as in markdown.
Pages: TypeAlias = "dict[str, Page]"


def read_text(path: Path) -> str:
    """The text of a file. Raises BenchError."""
    return _content(path).decode("utf-8", errors="replace")


def _content(path: Path) -> bytes:
    from bench.store import is_named_pipe

    try:
        if is_named_pipe(path):
            raise BenchError(f"{path} is a named pipe, which may never end. Write the text to a file first.")
        return path.read_bytes()
    except OSError as error:
        raise BenchError(f"Can't read {path}: {error.strerror}. Check the path and its permissions.") from None


def read_exactly(path: Path) -> str:
    """The text of a file whose every byte can be written back by `replace_exactly`. Raises BenchError."""
    return _content(path).decode("utf-8", errors="surrogateescape")


def replace_exactly(path: Path, text: str) -> None:
    """Replace the text of a file as a whole: of the file that a link names, with its permissions. Raises BenchError."""
    from bench.store import write_whole

    try:
        target = path.resolve(strict=True)
        if not target.is_file():
            raise BenchError(f"{path} is not a regular file, so it can't be replaced. Copy it to a file first.")
        if not target.stat().st_mode & 0o222 or not os.access(target, os.W_OK):  # the administrator may write anything
            raise BenchError(f"{path} is read-only. Make it writable, or use --check.")
        write_whole(target, text.encode("utf-8", errors="surrogateescape"))
    except OSError as error:
        raise BenchError(f"Can't write {path}: {error.strerror}. Check the path and its permissions.") from None


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, and create its folder. Raises BenchError."""
    from bench.store import write_whole

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        raise BenchError(f"{path}: can't be written: {error.strerror}. Choose another folder with --out.") from None


def write_pages(
    folder: Path,
    pages: Mapping[str, Page] | Iterator[tuple[str, Page]],
    form: str = "markdown",
    *,
    quiet: bool,
    whole: bool = False,
) -> list[Path]:
    """Write pages and their plots into a folder, and print the files' names. CSV has no plots.

    Each page is written as soon as `pages` has it. Pages of markdown are short unless they are to be `whole`. A file
    that says what it would say anyway is left as it is. Returns all files. Raises BenchError.
    """
    from bench.report.render.terminal import print_lines

    written: dict[Path, bool] = {}
    for name, page in pages.items() if isinstance(pages, Mapping) else pages:
        for path, content in _files_of(folder / name, page, form, whole=whole):
            written[path] = not _says_the_same(path, content)
            if written[path]:
                write_bytes(path, content)
    if not quiet:
        changed = [path for path, is_changed in written.items() if is_changed]
        print_lines(_written(folder, changed, len(written)))
    return list(written)


def _files_of(path: Path, page: Page, form: str, *, whole: bool) -> Iterator[tuple[Path, bytes]]:
    """The files of a page in a format, or the plot, if there is one."""
    from bench.report.document import Document
    from bench.report.render import page_files

    if isinstance(page, Document):
        for name, text in page_files.render(path.stem, page, form, whole=whole).items():
            yield path.with_name(name), text
    elif form != "csv" and (content := page()) is not None:
        yield path, content


def _written(folder: Path, changed: Sequence[Path], count: int) -> list[str]:
    """The files that were written, one a line if they are few, and how many stay as they were."""
    same = count - len(changed)
    stay = [f"{folder}: {format_count(same, 'file')} unchanged"] if same else []
    if len(changed) > _FEW_FILES:
        return [f"Wrote {len(changed)} files to {folder}", *stay]
    return [*(f"Wrote {path}" for path in changed), *stay]


def _says_the_same(path: Path, content: bytes) -> bool:
    """Whether the file has this content, or, of a picture, shows the same."""
    from bench.report.plots import drawn

    try:
        earlier = path.read_bytes() if path.is_file() else None
    except OSError:
        return False
    return earlier == content or (earlier is not None and path.suffix == ".png" and drawn.is_same(earlier, content))


def given_or_all(results: Sequence[Path] | None) -> list[Path]:
    """The given results, else results/ and the docs' published figures that are shipped."""
    from bench.store import usual_folders

    return list(results) if results else usual_folders()  # reading a missing one reports that


def table_records(paths: Sequence[Path], *, strict: bool = False) -> list[Record]:
    """The records that tables show, without predicted ones; warnings are printed.

    Bad lines are left out with a warning; if `strict`, the first raises ResultsError.
    """
    return records_and_predictions(paths, strict=strict)[0]


def records_and_predictions(paths: Sequence[Path], *, strict: bool = False) -> tuple[list[Record], list[Record]]:
    """The records that tables show, and separately the predicted ones."""
    from bench import store

    records, warnings = store.read_latest(paths, strict=strict)
    warn(warnings)
    predictions = [record for record in records if record.kind == "predicted"]
    return [record for record in records if record.kind != "predicted"], predictions


def refuse_nothing(records: Sequence[object], paths: Sequence[Path]) -> None:
    """Raise ResultsError if there are no records to make pages of."""
    if not records:
        places = ", ".join(map(str, paths))
        raise ResultsError(f"{places}: no results there. `bench run` writes results; name their folder or files.")
