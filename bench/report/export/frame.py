"""Flat tables as pandas DataFrames, whose columns have the same types whatever the rows hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import pandas as pd

from bench.record import Ceilings, Record, metrics
from bench.report.export.columns import Column, Type
from bench.report.export.record_columns import RecordRow, record_columns

#: The type of a column in pandas. Texts and counts have their own missing value, in pandas 2 and 3 alike.
_DTYPES: dict[Type, Any] = {
    "text": "string",
    "count": "Int64",
    "number": "float64",
    "flag": "bool",
    "moment": "datetime64[us, UTC]",
}
_Row = TypeVar("_Row")


def of_records(records: Sequence[Record], ceilings: Sequence[Ceilings] = ()) -> pd.DataFrame:
    """A row for each record, in their order.

    `ceilings` are the measured rates of the records' devices, from which `ceiling_fraction` follows.
    """
    by_device = {measured.device.name: measured for measured in ceilings}
    rows = [RecordRow(record, metrics.values(record, by_device.get(record.device.name))) for record in records]
    return of_rows(rows, record_columns(records))


def of_rows(rows: Sequence[_Row], columns: Sequence[Column[_Row]]) -> pd.DataFrame:
    """A frame of these columns, with a row for each of the rows."""
    return pd.DataFrame({column.name: _series([column.of(row) for row in rows], column.type) for column in columns})


def _series(values: Sequence[Any], kind: Type) -> pd.Series[Any]:
    cells: Any = values
    if kind == "text":
        cells = [value if value is None else in_unicode(value) for value in values]
    if kind == "moment":  # a record may hold any text there
        cells = pd.to_datetime(pd.Series(values, dtype="object"), utc=True, errors="coerce", format="ISO8601")
    series: pd.Series[Any] = pd.Series(cells, dtype=_DTYPES[kind])
    return series


def in_unicode(text: str) -> str:
    """The text with a question mark for each half of a surrogate pair: JSON may escape one, but no file can hold it."""
    return text if text.isascii() else text.encode(errors="replace").decode()
