"""A Parquet dataset of very many simulated records: what it takes to write, and to read one device of it or all.

`write_dataset` makes a row of a record in a tenth of a millisecond, which for 10 million would be a quarter of an hour.
So `write` lets it make the rows of a pool of records, and writes these again and again in its layout, with its schema
and its compression, in another order and with other figures in each file: no file has a record's text twice, so its
bytes are those of distinct records. The texts in the column `record` are the pool's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scale
from pyarrow import dataset, parquet

from bench.record import Record
from bench.report.export.dataset import write_dataset
from bench.report.export.dataset_columns import DEVICE_NAME, PARTITION, table_of

from . import made_runs

#: Runs of the docs' sweep in each file: 8,320 records.
RUNS_OF_A_FILE = 260
#: Columns of a table of times, which is what most readers want.
FIGURES = ["model", "operation", "width", "height", "time_s", "peak_bytes"]


@dataclass(frozen=True, slots=True)
class Dataset:
    """What was written."""

    records: int
    files: int
    bytes: int


def write(folder: Path, records: int, devices: int) -> Dataset:
    """Write `records` records of so many devices, a file for each of `RUNS_OF_A_FILE` runs of one device."""
    table = table_of(made_runs.pool(1, RUNS_OF_A_FILE)[0])
    moments = np.random.default_rng(0)
    written = files = total = 0
    while written < records:
        card = scale.device(files % devices)
        rows = _varied(table, moments, f"{files:06}", card.name).slice(0, records - written)
        path = folder / f"{PARTITION}={card.slug}" / f"{files:06}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(rows, path, compression="zstd")
        written, files, total = written + rows.num_rows, files + 1, total + path.stat().st_size
    return Dataset(written, files, total)


def _varied(table: pa.Table, moments: np.random.Generator, run: str, device: str) -> pa.Table:
    """The rows in another order, as those of another run and device, with other figures."""
    rows = table.take(pa.array(moments.permutation(table.num_rows)))
    for place, field in enumerate(table.schema):
        if pa.types.is_floating(field.type):
            factors = pa.array(moments.lognormal(0, 0.01, table.num_rows))
            rows = rows.set_column(place, field, pc.multiply(rows[field.name], factors))
        elif field.name in {DEVICE_NAME, "run"}:
            text = device if field.name == DEVICE_NAME else run
            rows = rows.set_column(place, field, pa.array([text] * table.num_rows, field.type))
    return rows


def read_device(folder: Path, slug: str, columns: list[str] | None) -> tuple[int, int, int]:
    """Read one device: its rows, the files that were looked into, and the bytes of the table in memory."""
    whole = dataset.dataset(folder, partitioning="hive")
    of_device = dataset.field(PARTITION) == slug
    table = whole.to_table(columns=columns, filter=of_device)
    return table.num_rows, len(list(whole.get_fragments(filter=of_device))), table.nbytes


def scan_all(folder: Path, columns: list[str]) -> tuple[int, int, int]:
    """Read some columns of all devices batch by batch, keeping none: rows, files, and bytes of all batches."""
    whole = dataset.dataset(folder, partitioning="hive")
    rows = size = 0
    for batch in whole.to_batches(columns=columns):
        rows, size = rows + batch.num_rows, size + batch.nbytes
    return rows, len(whole.files), size


def write_runs_with_the_tool(folder: Path, runs: int, cases: int) -> tuple[int, int]:
    """Write a device's records with `write_dataset`, so many cases a run: the number of files, and their bytes."""
    files = write_dataset(_runs(runs, cases), folder)
    return len(files), sum(file.stat().st_size for file in files)


def _runs(runs: int, cases: int) -> list[Record]:
    records = made_runs.pool(1, -(-runs * cases // len(scale.CASES)))[0][: runs * cases]
    named = [records[0].run.model_copy(update={"id": f"run-{number}", "cases": cases}) for number in range(runs)]
    return [record.model_copy(update={"run": named[place // cases]}) for place, record in enumerate(records)]
