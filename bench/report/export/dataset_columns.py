"""The columns of a Parquet dataset of records, of the same types in every file whatever its records hold.

Needs pyarrow, of the extra `parquet`: what imports this asks for the extra first.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import pyarrow as pa

from bench.record import Ceilings, Record, digest, metrics
from bench.report.export import frame
from bench.report.export.columns import Column, Type
from bench.report.export.record_columns import LOADING, RecordRow, is_known_axis, record_columns

#: The folder of a device is named `device=SLUG`, so the device's name has a column of another name.
PARTITION, DEVICE_NAME = "device", "device_name"
#: The axes that have no column of their own, and the stages of a call that has several: lists, because columns of their
#: own would differ from file to file.
OTHER_AXES, STAGES = "other_axes", "stages"
_TYPES: dict[Type, pa.DataType] = {
    "text": pa.string(),
    "count": pa.int64(),
    "number": pa.float64(),
    "flag": pa.bool_(),
    "moment": pa.timestamp("us", tz="UTC"),
}


def _line(record: Record) -> str:
    """The record as JSON; escaped by Python where pydantic refuses half a surrogate pair."""
    try:
        return record.to_json()
    except ValueError:
        return json.dumps(record.model_dump(), separators=(",", ":"))


#: What a dataset has besides the table of records. With `record` it loses nothing: who does not ask for the column does
#: not read it, because Parquet keeps columns apart.
_ADDED: tuple[Column[RecordRow], ...] = (
    Column("run_cases", "count", "cases of the run's plan", lambda row: row.record.run.cases),
    Column(
        "key",
        "text",
        "digest of what distinguishes records: case, device, identity, VRAM limit, kind and run",
        lambda row: digest(row.record.key),
    ),
    Column("record", "text", "the whole record as JSON, as a line of a results file", lambda row: _line(row.record)),
)
ADDED = tuple(column.name for column in _ADDED)


@cache
def _columns() -> tuple[Column[RecordRow], ...]:
    return (*record_columns(), LOADING, *_ADDED)


def stored_name(name: str) -> str:
    """The name in a dataset of a column of the table of records."""
    return DEVICE_NAME if name == PARTITION else name


def shown_name(name: str) -> str:
    """The reverse of `stored_name`."""
    return PARTITION if name == DEVICE_NAME else name


@cache
def file_schema() -> pa.Schema:
    """The schema of every file. Runs are small, so a file says nothing twice: `bench export --columns` describes it."""
    axis = pa.struct([("name", pa.string()), ("value", pa.int64())])
    stage = pa.struct([("name", pa.string()), ("time_s", pa.float64()), ("peak_bytes", pa.int64())])
    *others, key, record = [(stored_name(column.name), _TYPES[column.type]) for column in _columns()]
    return pa.schema([*others, (OTHER_AXES, pa.list_(axis)), (STAGES, pa.list_(stage)), key, record])


def table_of(records: Sequence[Record], ceilings: Sequence[Ceilings] = ()) -> pa.Table:
    """The table of these records, with the schema of every file."""
    by_device = {measured.device.name: measured for measured in ceilings}
    rows = [RecordRow(record, metrics.values(record, by_device.get(record.device.name))) for record in records]
    arrays = {stored_name(column.name): _array(column, rows) for column in _columns()}
    for name, cells in ((OTHER_AXES, map(_other_axes, records)), (STAGES, map(_stages, records))):
        arrays[name] = pa.array(list(cells), file_schema().field(name).type)
    return pa.table([arrays[name] for name in file_schema().names], schema=file_schema())


def _array(column: Column[RecordRow], rows: Sequence[RecordRow]) -> pa.Array:
    """The values of a column: as in the table of records, but without pandas, which takes ten times as long."""
    if column.type == "moment":
        series = frame.of_rows(rows, [column])[column.name]
        return pa.array(series, _TYPES[column.type])
    values = [column.of(row) for row in rows]
    if column.type == "text":
        values = [frame.in_unicode(value) if isinstance(value, str) else value for value in values]
    return pa.array(values, _TYPES[column.type])


def _other_axes(record: Record) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in record.case.axes.items() if not is_known_axis(name)]


def _stages(record: Record) -> list[dict[str, Any]]:
    if len(record.stages) < 2:
        return []
    return [
        {
            "name": stage.name,
            "time_s": stage.timing and stage.timing.median_s,
            "peak_bytes": stage.memory and stage.memory.peak_bytes,
        }
        for stage in record.stages
    ]
