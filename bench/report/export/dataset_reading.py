"""Reads Parquet datasets of records lazily: only the folders of the devices and the columns that are asked for.

Needs pyarrow, of the extra `parquet`: what imports this asks for the extra first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import dataset

from bench.errors import ResultsError, known
from bench.record import Device
from bench.report.export.dataset_columns import ADDED, OTHER_AXES, STAGES, file_schema, shown_name, stored_name
from bench.report.export.record_columns import LOADING, axis_column, record_columns, stage_columns

#: The columns that distinguish cases of which tables show one record (`store.latest`), and what the choice rests on.
_CASE = ["case", "device_name", "vram_limit_bytes", "kind"]
_CHOICE = [*_CASE, "device_identity", "run", "run_cases", "started_at"]
_LISTS = [OTHER_AXES, STAGES]
#: The path of a row's file, which pyarrow knows of every row.
_FILE = "__filename"


def device_folders(folder: Path) -> dict[str, Path]:
    """The folders of a dataset by the slugs of their devices; none if the folder is no dataset."""
    folders = sorted(path for path in folder.glob("device=*") if path.is_dir()) if folder.is_dir() else []
    return {path.name.partition("=")[2]: path for path in folders}


@dataclass(frozen=True, slots=True)
class DatasetRows:
    """Rows of datasets.

    Attributes:
        frame: the rows.
        incomplete: of each unfinished run among them how many records it has, and how many cases its plan has.
        namesakes: of each device's name that several cards have, how many.
    """

    frame: pd.DataFrame
    incomplete: Mapping[str, tuple[int, int]]
    namesakes: Mapping[str, int]


def read_dataset(
    folders: Sequence[Path], devices: Sequence[str] = (), columns: Sequence[str] = (), *, all_runs: bool = False
) -> DatasetRows:
    """The records of datasets, in the columns of `frame.of_records`.

    `devices` are names or slugs, `columns` those of `bench export --columns` or of `dataset_columns.ADDED`; without
    them all but those added are read. Unless `all_runs`, a case has the record of its latest finished run. Raises
    ConfigError for a device or column that is not there, ResultsError for a file that can't be read.
    """
    stored = [stored_name(name) for name in columns] or [n for n in file_schema().names if n not in (*ADDED, *_LISTS)]
    fixed = [name for name in stored if name in file_schema().names]
    lists = _LISTS if not columns or len(fixed) < len(stored) else []
    choice = [] if all_runs else [*_CHOICE, _FILE]
    table = _table(list(_files(folders, devices)), list(dict.fromkeys([*fixed, *lists, *choice])))
    incomplete: dict[str, tuple[int, int]] = {}
    namesakes: dict[str, int] = {}
    if not all_runs:
        keys = _frame(table.select(choice))
        places, incomplete = _latest(keys)
        table = table.take(pa.array(places, pa.int64()))
        cards = keys.groupby("device_name", sort=False).device_identity.nunique()
        namesakes = {str(name): int(count) for name, count in cards.items() if count > 1}
    rows = _frame(table.select(fixed)).rename(columns=shown_name)
    axes, stages = (_axes(table), _stages(table)) if lists else ({}, {})
    rows = rows.assign(**axes, **stages)
    valid = [*map(shown_name, file_schema().names), *axes, *stages]
    names = [known("column", name, valid, "columns") for name in columns] or _order(rows, axes, stages)
    return DatasetRows(rows[names], incomplete, namesakes)


def _order(rows: pd.DataFrame, axes: Iterable[str], stages: Iterable[str]) -> list[str]:
    """The columns as `record_columns` has them for these rows."""
    names = [column.name for column in record_columns()]
    after = names.index("batch") + 1
    loading = [LOADING.name] if rows[LOADING.name].notna().any() else []
    return [*names[:after], *axes, *names[after:], *stages, *loading]


def _files(folders: Sequence[Path], devices: Sequence[str]) -> Iterator[Path]:
    """The files of these devices, or of all. Raises ConfigError for a device that has none."""
    datasets = [device_folders(folder) for folder in folders]
    slugs = list(dict.fromkeys(slug for of_device in datasets for slug in of_device))
    wanted = {_slug(name, slugs) for name in devices} or set(slugs)
    for of_device in datasets:
        for slug, folder in of_device.items():
            if slug in wanted:
                yield from sorted(path for path in folder.glob("*.parquet") if path.is_file())


def _slug(name: str, slugs: Sequence[str]) -> str:
    """The slug of a device that was given by its slug or its name. Raises ConfigError."""
    kinds = ("cuda", "cpu", "endpoint")
    possible = {name, *(Device.model_validate({"kind": kind, "name": name}).slug for kind in kinds)}
    return next((slug for slug in slugs if slug in possible), "") or known("device", name, slugs, "device")


def _table(files: Sequence[Path], columns: list[str]) -> pa.Table:
    if not files:
        raise ResultsError("The dataset has no files. Write it with `bench export --parquet`.")
    try:
        return dataset.dataset([str(file) for file in files], schema=file_schema()).to_table(columns=columns)
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:300]
        raise ResultsError(f"The dataset can't be read: {reason}. Export it again.") from None


def _frame(table: pa.Table) -> pd.DataFrame:
    types = {pa.int64(): pd.Int64Dtype(), pa.string(): pd.StringDtype()}
    frame: pd.DataFrame = table.to_pandas(types_mapper=types.get)
    return frame


def _latest(rows: pd.DataFrame) -> tuple[list[int], dict[str, tuple[int, int]]]:
    """The places of the rows that tables show, as `store.latest` chooses them, and the unfinished runs among them."""
    run = rows.groupby([_FILE, "run"], dropna=False, sort=False).ngroup().rename("number")
    cases = rows[["case", "device_name", "device_identity", "vram_limit_bytes", "kind"]]
    is_whole = run.map(pd.concat([run, cases], axis=1).drop_duplicates().groupby("number").size()) >= rows.run_cases
    order = pd.DataFrame(
        {
            "case": rows.groupby(_CASE, dropna=False, sort=False).ngroup(),
            "is_whole": is_whole.astype(bool),
            "started_at": rows.started_at,
            "place": range(len(rows)),
        }
    ).sort_values(["case", "is_whole", "started_at", "place"], na_position="first")
    shown = order.drop_duplicates("case", keep="last")
    partly = rows.iloc[shown.place[~shown.is_whole].tolist()].drop_duplicates("run")
    counts = rows.run.value_counts().to_dict()
    planned = zip(partly.run.tolist(), partly.run_cases.tolist(), strict=True)
    return shown.place.tolist(), {name: (counts[name], cases) for name, cases in planned}


def _axes(table: pa.Table) -> dict[str, pd.Series[Any]]:
    """The columns of the axes that have no fixed ones."""
    values: dict[str, dict[int, int]] = {}
    for place, axes in enumerate(table[OTHER_AXES].to_pylist()):
        for axis in axes or ():
            values.setdefault(axis_column(axis["name"]).name, {})[place] = axis["value"]
    return {name: _sparse(cells, table.num_rows, "Int64") for name, cells in values.items()}


def _stages(table: pa.Table) -> dict[str, pd.Series[Any]]:
    """The columns of the time and the peak of each of several stages."""
    columns: dict[str, pd.Series[Any]] = {}
    rows = table[STAGES].to_pylist()
    for name in dict.fromkeys(stage["name"] for stages in rows for stage in stages or ()):
        of_name = {place: stage for place, stages in enumerate(rows) for stage in stages or () if stage["name"] == name}
        time, peak = stage_columns(name)
        columns[time.name] = _sparse({at: stage["time_s"] for at, stage in of_name.items()}, len(rows), "float64")
        columns[peak.name] = _sparse({at: stage["peak_bytes"] for at, stage in of_name.items()}, len(rows), "Int64")
    return columns


def _sparse(cells: Mapping[int, Any], rows: int, dtype: Any) -> pd.Series[Any]:
    """A column with these cells, the others missing."""
    return pd.Series([cells.get(place) for place in range(rows)], dtype=dtype)
