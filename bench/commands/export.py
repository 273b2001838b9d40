"""`bench export`: every figure of the results as one flat table, for spreadsheets, notebooks and other programs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.files import given_or_all, refuse_nothing, write_bytes
from bench.commands.options import Quiet, Results
from bench.commands.stderr import tell, warn
from bench.core.units import format_count
from bench.errors import BenchError, printable

if TYPE_CHECKING:
    from bench.record import Record

_PARQUET = ".parquet"
#: What needs pyarrow, in a message.
_USER = "`bench export --parquet`"

AsCsv = Annotated[bool, typer.Option("--csv", help="Write CSV. The default, unless --out ends in .parquet.")]
AsParquet = Annotated[
    bool,
    typer.Option(
        "--parquet",
        help="Write Parquet, to --out: a file, or with a name that ends in / a dataset of a file for each run. Needs "
        "pyarrow: pip install pyarrow.",
    ),
]
OutFile = Annotated[
    str | None, typer.Option("--out", "-o", metavar="FILE", help="Write to this file, or FOLDER/, instead of printing.")
]
AllRuns = Annotated[
    bool, typer.Option("--all-runs", help="Every record, not only those of the latest finished run of each case.")
]
ListColumns = Annotated[
    bool, typer.Option("--columns", help="List the columns and what they hold, and export nothing.")
]


def export(
    results: Results = None,
    as_csv: AsCsv = False,
    as_parquet: AsParquet = False,
    out_name: OutFile = None,
    all_runs: AllRuns = False,
    columns: ListColumns = False,
    quiet: Quiet = False,
) -> None:
    """Write the results as one flat table, with a row for each case and a column for each figure.

    Times are in seconds and memory in bytes, as the columns' names say.
    Published and predicted records are rows too: the column `kind` says which
    they are. CSV is printed unless --out names a file.

    With --parquet --out FOLDER/ the records of all runs are written as a dataset
    partitioned by device, which `bench.load` and other programs read lazily.

    Exit codes: 0 done; 2 wrong usage, no results, results that can't be read, a
    package that is missing, or a file that can't be written.
    """
    if columns:
        _list_columns()
        return
    out = None if out_name is None else Path(out_name)
    is_parquet = _is_parquet(out, as_csv=as_csv, as_parquet=as_parquet)
    paths = given_or_all(results)
    _refuse_output_as_results(paths)
    if out is not None and _is_folder(out_name, out, is_parquet=is_parquet):
        _write_dataset(paths, out, quiet=quiet)
        return
    records = _records(paths, all_runs=all_runs)
    content = _content(records, paths, is_parquet=is_parquet)
    if out is None:
        typer.echo(content.decode(), nl=False)
        return
    write_bytes(out, content)
    if not quiet:
        tell(f"Wrote {len(records):,} records to {out}")


def _is_parquet(out: Path | None, *, as_csv: bool, as_parquet: bool) -> bool:
    """Whether Parquet is written. Raises BenchError for options that contradict each other, and PackageError."""
    from bench import packages

    if as_csv and as_parquet:
        raise BenchError("--csv and --parquet are two formats. Give one of them.")
    ending = "" if out is None else out.suffix.lower()
    if ending == ".jsonl":
        raise BenchError(f"--out {out}: .jsonl files hold results. Choose a name that ends in .csv or .parquet.")
    if (as_csv and ending == _PARQUET) or (as_parquet and ending == ".csv"):
        given = "--csv" if as_csv else "--parquet"
        raise BenchError(
            f"{given} --out {out}: the file's name ends in {ending}. Give another name, or the other format."
        )
    if not (as_parquet or ending == _PARQUET):
        return False
    if out is None:
        raise BenchError("--parquet needs a file to write. Add --out FILE.parquet.")
    packages.require(_USER, packages.PARQUET)
    return True


def _is_folder(name: str | None, path: Path, *, is_parquet: bool) -> bool:
    """Whether --out names a folder, for a dataset. Raises BenchError if the format is another."""
    is_folder = (name or "").endswith(("/", os.sep)) or path.is_dir()
    if is_folder and not is_parquet:
        raise BenchError(f"--out {path} is a folder, and only Parquet is written into one. Add --parquet.")
    return is_folder


def _write_dataset(paths: list[Path], out: Path, *, quiet: bool) -> None:
    from bench import packages, store

    ceilings, warnings = store.read_ceilings(paths)
    packages.load(_USER, packages.PARQUET)
    from bench.report.export.dataset import write_dataset

    count = 0

    def records() -> Iterator[Record]:
        nonlocal count
        for file in store.each_file(paths, warnings):
            count += len(file.records)
            yield from file.records

    try:
        files = write_dataset(records(), out, ceilings)
    except OSError as error:
        raise BenchError(f"{out}: can't be written: {error.strerror}. Choose another folder with --out.") from None
    warn(warnings)
    refuse_nothing(files, paths)
    others = len(set(out.glob("device=*/*.parquet")) - set(files))
    if others:
        warn([f"{out} keeps {format_count(others, 'file')} of other runs. Delete the folder first to leave them out."])
    if not quiet:
        tell(f"Wrote {count:,} records of {len(files):,} runs to {out}")


def _refuse_output_as_results(paths: list[Path]) -> None:
    """Raise BenchError for a name that was meant for --out."""
    for path in paths:
        if path.suffix.lower() in {".csv", _PARQUET} and not path.exists():
            name = printable(str(path), 80)
            raise BenchError(f"There is no results file {name}. To write the table to it, add --out {name}.")


def _records(paths: list[Path], *, all_runs: bool) -> list[Record]:
    from bench import store

    records, warnings = store.read_all(paths) if all_runs else store.read_latest(paths)
    warn(warnings)
    refuse_nothing(records, paths)
    return records


def _content(records: list[Record], paths: list[Path], *, is_parquet: bool) -> bytes:
    from bench import packages
    from bench.report.export import files, frame
    from bench.store import read_ceilings

    ceilings, warnings = read_ceilings(paths)
    warn(warnings)
    table = frame.of_records(records, ceilings)
    if not is_parquet:
        return files.to_csv(table)
    packages.load(_USER, packages.PARQUET)
    return files.to_parquet(table)


def _list_columns() -> None:
    from bench.report.document import Column, Document, table_of
    from bench.report.export.record_columns import record_columns
    from bench.report.render import console

    table = table_of(
        record_columns(),
        (Column("Column"), lambda column: column.name),
        (Column("Type"), lambda column: column.type),
        (Column("Description", may_wrap=True), lambda column: column.description),
    )
    console.show(Document("Columns", (table,)))
