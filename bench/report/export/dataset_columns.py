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


@cache
def file_schema() -> pa.Schema:
    """The schema of every file, each field with its description."""
    axis = pa.struct([("name", pa.string()), ("value", pa.int64())])
    stage = pa.struct([("name", pa.string()), ("time_s", pa.float64()), ("peak_bytes", pa.int64())])
    lists = {
        OTHER_AXES: (pa.list_(axis), "axes of the case that have no column of their own"),
        STAGES: (pa.list_(stage), "median time and peak of each stage, if the call has several"),
    }
    plain = [(stored_name(column.name), _TYPES[column.type], column.description) for column in _columns()]
    *others, key, record = plain
    fields = [*others, *((name, kind, text) for name, (kind, text) in lists.items()), key, record]
    return pa.schema([pa.field(name, kind, metadata={"description": text}) for name, kind, text in fields])


def table_of(records: Sequence[Record], ceilings: Sequence[Ceilings] = ()) -> pa.Table:
    """The table of these records, with the schema of every file and what pandas needs to read its own types again."""
    by_device = {measured.device.name: measured for measured in ceilings}
    rows = [RecordRow(record, metrics.values(record, by_device.get(record.device.name))) for record in records]
    plain = frame.of_rows(rows, _columns()).rename(columns=stored_name)
    lists = {OTHER_AXES: [_other_axes(record) for record in records], STAGES: [_stages(record) for record in records]}
    table = pa.Table.from_pandas(plain, preserve_index=False)
    for name, values in lists.items():
        table = table.append_column(name, pa.array(values, file_schema().field(name).type))
    schema = file_schema().with_metadata({b"pandas": table.schema.metadata[b"pandas"]})
    return table.select(schema.names).cast(schema)


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
