"""`bench.load`: results as a DataFrame."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench import packages, store
from bench.api.argument_types import Names, Paths
from bench.api.arguments import named_errors, texts, warn
from bench.errors import BenchError, known
from bench.record import Device, Record
from bench.report.export import frame
from bench.store.choice import incomplete_note, shared_name_note

if TYPE_CHECKING:
    import pandas as pd


def load(
    results: Paths | None = None, *, device: Names = (), columns: Names = (), all_runs: bool = False
) -> pd.DataFrame:
    """The records of results files and folders, or of a Parquet dataset that `bench export` wrote, a row each.

    `bench export --columns` lists the columns. Times are in seconds and memory in bytes. The column `kind` says
    whether a row was measured, published or predicted.

    Args:
        results: files and folders; by default results/ if it exists, and the docs' published figures. Of a dataset only
            the files of the chosen devices are opened, and in them only the chosen columns.
        device: devices by name or by the name of their folder; by default all.
        columns: columns by name; by default all. A dataset also has `run_cases`, `key` and `record`.
        all_runs: give every record. Otherwise a case that was run several times has the record of its latest finished
            run, as in the pages of `bench report`.

    Raises ResultsError, a BenchError, if a path does not exist or has no usable line. Lines that can't be used and runs
    that did not finish are Python warnings.
    """
    paths = [Path(path) for path in paths_of(results)] or store.usual_folders()
    devices, names = texts(device), texts(columns)
    with named_errors():
        if any(_is_dataset(path) for path in paths):
            rows, notes = _of_datasets(paths, devices, names, all_runs=all_runs)
        else:
            rows, notes = _of_results(paths, devices, names, all_runs=all_runs)
    warn(notes)
    return rows


def _is_dataset(path: Path) -> bool:
    return path.is_dir() and any(folder.is_dir() for folder in path.glob("device=*"))


def _of_datasets(
    paths: Sequence[Path], devices: Sequence[str], names: Sequence[str], *, all_runs: bool
) -> tuple[pd.DataFrame, list[str]]:
    others = [path for path in paths if not _is_dataset(path)]
    if others:
        raise BenchError(f"{others[0]} is not a dataset, but {next(iter(paths))} is. Load them one after the other.")
    packages.load("`bench.load` of a dataset", packages.PARQUET)
    from bench.report.export.dataset_reading import read_dataset  # noqa: PLC0415 - of the extra `parquet`

    rows = read_dataset(paths, devices, names, all_runs=all_runs)
    incomplete = [incomplete_note(run, *counts) for run, counts in rows.incomplete.items()]
    return rows.frame, [*incomplete, *(shared_name_note(name, cards) for name, cards in rows.namesakes.items())]


def _of_results(
    paths: Sequence[Path], devices: Sequence[str], names: Sequence[str], *, all_runs: bool
) -> tuple[pd.DataFrame, list[str]]:
    records, notes = store.read_all(paths) if all_runs else store.read_latest(paths)
    ceilings, more = store.read_ceilings(paths)
    rows = frame.of_records(_on(records, devices), ceilings)
    if names:
        rows = rows[[known("column", name, list(rows.columns), "columns") for name in names]]
    return rows, [*notes, *more]


def _on(records: Sequence[Record], devices: Sequence[str]) -> Sequence[Record]:
    """The records of these devices, or of all. Raises ConfigError for a device without any."""
    if not devices:
        return records
    by_name: dict[str, Device] = {}
    for record in records:
        by_name.setdefault(record.device.name, record.device)
        by_name.setdefault(record.device.slug, record.device)
    wanted = {by_name[known("device", name, by_name, "device")].slug for name in devices}
    return [record for record in records if record.device.slug in wanted]


def paths_of(results: Paths | None) -> list[str | os.PathLike[str]]:
    """One path, or each of several; none for None."""
    if results is None:
        return []
    return [results] if isinstance(results, (str, os.PathLike)) else list(results)
