"""A Parquet dataset of very many simulated records: what it takes to write, and to read one device of it or all.

`write_dataset` makes a row of a record in a tenth of a millisecond, which for 10 million would be a quarter of an hour.
So `write` lets it make the rows of a pool of records, and writes these again and again in its layout, with its schema
and its compression, with other figures in each file: no file has a record's text twice, so its bytes are those of
distinct records. The texts in the column `record` are the pool's.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scale
from pyarrow import parquet

import bench
from bench.record import Record
from bench.report.export import dataset
from bench.report.export.dataset_columns import DEVICE_NAME, PARTITION, table_of

from . import made_runs

#: Runs of the docs' sweep in each file: 8,320 records.
RUNS_OF_A_FILE = 260
RECORDS_OF_A_FILE = RUNS_OF_A_FILE * len(scale.CASES)
#: Columns of a table of times, which is what most readers want.
FIGURES = ("model", "operation", "width", "height", "time_s", "peak_bytes")
#: What fits in memory of all records.
NUMBERS = ("time_s", "peak_bytes")


@dataclass(frozen=True, slots=True)
class Dataset:
    """What was written, and the CPU time of all processes that did."""

    records: int
    files: int
    bytes: int
    cpu_s: float


def write(folder: Path, records: int, devices: int, processes: int) -> Dataset:
    """Write `records` records of so many devices, a file for each of `RUNS_OF_A_FILE` runs of one device."""
    files = -(-records // RECORDS_OF_A_FILE)
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        shares = [pool.submit(_write_part, folder, records, devices, first, processes) for first in range(processes)]
        parts = [share.result() for share in shares]
    return Dataset(records, files, sum(size for size, _ in parts), sum(cpu_s for _, cpu_s in parts))


def _write_part(folder: Path, records: int, devices: int, first: int, step: int) -> tuple[int, float]:
    """Write every `step`-th file from the `first` on; return their bytes and the CPU seconds."""
    pool = made_runs.pool(1, RUNS_OF_A_FILE)[0]
    table = table_of([record.model_copy(update={"kind": "simulated"}) for record in pool])
    moments = np.random.default_rng(first)
    total = 0
    for number in range(first, -(-records // RECORDS_OF_A_FILE), step):
        card = scale.device(number % devices)
        rows = _varied(table, moments, f"{number:06}", card.name).slice(0, records - number * RECORDS_OF_A_FILE)
        path = folder / f"{PARTITION}={card.slug}" / f"{number:06}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(rows, path, **dataset._FORM)
        total += path.stat().st_size
    return total, time.process_time()


def _varied(table: pa.Table, moments: np.random.Generator, run: str, device: str) -> pa.Table:
    """The rows beginning with another one, as those of another run and device, with other figures."""
    first = int(moments.integers(table.num_rows))
    rows = pa.concat_tables([table.slice(first), table.slice(0, first)])
    for place, field in enumerate(table.schema):
        if pa.types.is_floating(field.type):
            factors = pa.array(moments.lognormal(0, 0.01, table.num_rows))
            rows = rows.set_column(place, field, pc.multiply(rows[field.name], factors))
        elif field.name in {DEVICE_NAME, "run"}:
            text = device if field.name == DEVICE_NAME else run
            rows = rows.set_column(place, field, pa.array([text] * table.num_rows, field.type))
    return rows


def read(folder: Path, device: str | None, columns: Sequence[str]) -> tuple[int, int]:
    """Read all records of a device, or of all, with `bench.load`: its rows, and the bytes of the frame in memory."""
    frame = bench.load(folder, device=device or (), columns=columns, all_runs=True)
    return len(frame), int(frame.memory_usage(deep=True).sum())


def files_of(folder: Path, slug: str) -> list[Path]:
    """The files of a device."""
    return sorted((folder / f"{PARTITION}={slug}").glob("*.parquet"))


def write_runs_with_the_tool(folder: Path, runs: int, cases: int) -> tuple[int, int]:
    """Write a device's records with `write_dataset`, so many cases a run: the number of files, and their bytes."""
    files = dataset.write_dataset(_runs(runs, cases), folder)
    return len(files), sum(file.stat().st_size for file in files)


def _runs(runs: int, cases: int) -> list[Record]:
    records = made_runs.pool(1, -(-runs * cases // len(scale.CASES)))[0][: runs * cases]
    named = [records[0].run.model_copy(update={"id": f"run-{number}", "cases": cases}) for number in range(runs)]
    return [record.model_copy(update={"run": named[place // cases]}) for place, record in enumerate(records)]
