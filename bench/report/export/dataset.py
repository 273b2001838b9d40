"""Writes records as a Parquet dataset: a folder `device=SLUG` for each device, and in it one file for each run.

A dataset is made from results and can be made again, so its files are replaced as wholes, but not flushed to the disk.
Needs pyarrow, of the extra `parquet`: what imports this asks for the extra first.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from pyarrow import parquet

from bench.record import Ceilings, Record
from bench.report.export.dataset_columns import PARTITION, table_of

#: Records that a run's file may wait with in memory, and how many files are open at once.
_ROWS, _OPEN = 4_000, 8
#: Runs are small: what a file says besides its values counts. Statistics are of the columns by which rows are chosen.
_FORM = {
    "compression": "zstd",
    "store_schema": False,
    "write_statistics": ["kind", "model", "operation", "width", "height", "outcome", "started_at", "run", "case"],
}


def write_dataset(records: Iterable[Record], folder: Path, ceilings: Sequence[Ceilings] = ()) -> list[Path]:
    """Write these records into `folder`, each into its run's file, and return the files in the order of their names.

    A file that is there already is replaced; files of other runs stay. The records may come from a stream of any
    length: if those of a run follow one another, only some thousands are in memory at once. `ceilings` are the measured
    rates of their devices, from which `ceiling_fraction` follows. Raises OSError.
    """
    with _Writers(folder, ceilings) as writers:
        for record in records:
            writers.add(record)
    return sorted(writers.written)


def parquet_of(records: Sequence[Record], ceilings: Sequence[Ceilings] = ()) -> bytes:
    """The content of a file of a dataset that has these records."""
    buffer = io.BytesIO()
    parquet.write_table(table_of(records, ceilings), buffer, **_FORM)
    return buffer.getvalue()


def run_path(folder: Path, record: Record) -> Path:
    """The file of a dataset that has the records of this one's run."""
    return folder / f"{PARTITION}={record.device.slug}" / f"{record.run.stem}.parquet"


class _Writers:
    """The files that are being written, those that were written to last being open."""

    def __init__(self, folder: Path, ceilings: Sequence[Ceilings]) -> None:
        self.written: set[Path] = set()
        self._folder, self._ceilings = folder, ceilings
        self._open: dict[Path, _Writer] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        try:
            while failure is None and self._open:
                self._close(next(iter(self._open)))
        finally:
            for writer in self._open.values():
                writer.discard()

    def add(self, record: Record) -> None:
        path = run_path(self._folder, record)
        writer = self._open.pop(path, None)
        if writer is None:
            if len(self._open) >= _OPEN:
                self._close(next(iter(self._open)))  # the one that waited longest
            writer = _Writer(path, self._ceilings, continued=path in self.written)
        self._open[path] = writer
        writer.add(record)

    def _close(self, path: Path) -> None:
        self._open.pop(path).finish()
        self.written.add(path)


class _Writer:
    """One file, which has its name only when it is complete. Programs that read datasets skip names with a dot."""

    def __init__(self, path: Path, ceilings: Sequence[Ceilings], *, continued: bool) -> None:
        self._path, self._ceilings = path, ceilings
        self._fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
        self._waiting: list[Record] = []
        self._file: parquet.ParquetWriter | None = None
        self._continued = continued

    def add(self, record: Record) -> None:
        self._waiting.append(record)
        if len(self._waiting) >= _ROWS:
            self._flush()

    def finish(self) -> None:
        """Write what waits, and give the file its name. Raises OSError, and leaves nothing behind if it fails."""
        try:
            self._flush()
            if self._file is not None:
                self._file.close()
            self._fresh.replace(self._path)
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Leave no file behind."""
        with suppress(OSError):
            if self._file is not None:
                self._file.close()
        self._fresh.unlink(missing_ok=True)

    def _flush(self) -> None:
        table = table_of(self._waiting, self._ceilings)
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = parquet.ParquetWriter(self._fresh, table.schema, **_FORM)
            if self._continued:  # the run's records did not follow one another
                for batch in parquet.ParquetFile(self._path).iter_batches(_ROWS):
                    self._file.write_batch(batch)
        self._file.write_table(table)
        self._waiting.clear()
