"""The rows of the page's tables: the measured and published cases, and the requests to endpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bench.core import stats
from bench.record import Measured, Record, grouped, metrics
from bench.report.pages import cells, run_details
from bench.report.site.shown import rounded, shown
from bench.workloads import models
from bench.workloads.labels import extras, whole_size_of

#: More rows make the page too large to load: 10,000 with a figure in every column take 1.4 MB.
MOST_ROWS = 10_000
#: The most rows of each other table.
_MOST_OTHERS = 3_000
_Value = str | float | None


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a table: its header, the unit of its numbers, and its value of a record.

    `extra`: shown only if the reader asks for it.
    """

    name: str
    unit: str
    value: Callable[[Record], _Value]
    extra: bool = False


@dataclass(frozen=True, slots=True)
class RecordTable:
    """A table of the page.

    Attributes:
        key: its name in the page's data.
        fields: its columns after device, model and operation.
        groups: rows of one device, model and operation, with those three names.
        left_out: devices whose rows are not on the page, because it would be too large.
    """

    key: str
    fields: tuple[Field, ...]
    groups: tuple[tuple[tuple[str, str, str], tuple[tuple[_Value, ...], ...]], ...]
    left_out: int = 0

    @property
    def rows(self) -> int:
        """How many rows the table has."""
        return sum(len(rows) for _, rows in self.groups)

    def columns(self) -> list[dict[str, Any]]:
        """The columns as the page's script reads them."""
        return [{"name": field.name, "unit": field.unit, "extra": field.extra} for field in self.fields]


def measured(records: Sequence[Record], most: int = MOST_ROWS) -> RecordTable:
    """The cases that this program measured on a device."""
    return _table("measured", _CASE, [r for r in run_details.local(records) if r.kind == "measured"], most)


def published(records: Sequence[Record], most: int = _MOST_OTHERS) -> RecordTable:
    """The cases whose figures others published."""
    fields = tuple(field for field in _CASE if field.name not in _NOT_PUBLISHED)
    return _table("published", fields, [r for r in run_details.local(records) if r.kind == "published"], most)


def endpoints(records: Sequence[Record], most: int = _MOST_OTHERS) -> RecordTable:
    """The requests to endpoints: a row for each case and transport."""
    return _table("endpoints", _REQUEST, [r for r in records if r.device.kind == "endpoint"], most)


def _table(key: str, fields: tuple[Field, ...], records: Sequence[Record], most: int) -> RecordTable:
    """The table of these records; if they are too many, of the devices that ran last."""
    kept, left_out = newest(records, most)
    groups = grouped(
        run_details.in_order(kept), lambda record: (device(record), record.case.model, record.case.operation)
    )
    return RecordTable(
        key,
        fields,
        tuple(
            (
                (device(group[0]), models.title(group[0].case.model), group[0].case.operation),
                tuple(tuple(field.value(record) for field in fields) for record in group),
            )
            for group in groups
        ),
        left_out,
    )


def newest(records: Sequence[Record], most: int) -> tuple[list[Record], int]:
    """The records of the devices that ran last, at most `most` in all, and how many devices are left out.

    The records of one device stay together, and the first device is always among them.
    """
    if len(records) <= most:
        return list(records), 0
    devices = grouped(records, device)
    by_time = sorted(devices, key=lambda group: run_details.begun_last(group).run.started_at, reverse=True)
    names, count = set[str](), 0
    for group in by_time:
        if names and count + len(group) > most:
            break
        names.add(device(group[0]))
        count += len(group)
    return [record for record in records if device(record) in names][:most], len(devices) - len(names)


def device(record: Record) -> str:
    """The record's device as the page names it."""
    return shown(run_details.device_label(record))


def _precision(record: Record, *also: str) -> str:
    assumed = " (assumed)" if "dtype" in record.assumed else ""
    return shown(f"{cells.precision_text(record.case, *also)}{assumed}")


def _way(record: Record) -> str | None:
    way = cells.way(record.case)
    return f"{way} (assumed)" if record.case.tile is not None and "tiling" in record.assumed else way


def _time(record: Record) -> _Value:
    """Seconds, or how the case ended if it was not measured."""
    if not isinstance(record.outcome, Measured):
        return cells.outcome(record)
    return rounded(record.timing.median_s) if record.timing else None


def _samples(record: Record) -> float | None:
    return len(record.timing.samples_s) or None if record.timing else None


def _uncertainty(record: Record) -> float | None:
    return rounded(stats.uncertainty(record.timing.samples_s), 2) if record.timing else None


def _noise(record: Record) -> float | None:
    return rounded(record.timing.noise, 2) if record.timing else None


def _percent(record: Record) -> float | None:
    return rounded(record.memory.percent) if record.memory else None


def _peak(record: Record) -> float | None:
    return rounded(record.memory.peak_bytes) if record.memory else None


def _metric(name: str) -> Callable[[Record], float | None]:
    return lambda record: rounded(metrics.value(name, record))


def _end_to_end(record: Record) -> _Value:
    exchanged = record.remote.primary if record.remote else None
    if not isinstance(record.outcome, Measured) or exchanged is None:
        return _time(record)
    return rounded(exchanged.timing.median_s)


def _kept(record: Record) -> float | None:
    """Seconds over one connection that stays open; None if the endpoint closed it before most requests."""
    kept = record.remote.exchange("bench", "kept") if record.remote else None
    if kept is None or 2 * kept.reopened > len(kept.timing.samples_s):
        return None
    return rounded(kept.timing.median_s)


def _throughput(record: Record) -> float | None:
    """The most requests a second that were answered under a load without errors."""
    loads = record.remote.loads if record.remote else ()
    return rounded(max((load.throughput_per_s for load in loads if not load.errors), default=None))


def _url(record: Record) -> str | None:
    return shown(record.remote.endpoint.url) if record.remote else None


_SIZE = Field("Size", "size", lambda record: shown(whole_size_of(record.case)))
_PRECISION = Field("Precision", "text", _precision)
_BEGUN = Field("Run (UTC)", "text", lambda record: shown(cells.begun(record)), extra=True)
_CASE = (
    _SIZE,
    _PRECISION,
    Field("Way", "text", _way),
    Field("Time", "seconds", _time),
    Field("±", "ratio", _uncertainty),
    Field("Memory", "percent", _percent),
    Field("Peak", "bytes", _peak),
    Field("Samples", "count", _samples, extra=True),
    Field("Noise", "ratio", _noise, extra=True),
    Field("First call", "seconds", _metric("first_call"), extra=True),
    Field("Peak allocated", "bytes", _metric("peak_allocated"), extra=True),
    Field("Weights", "bytes", _metric("weights"), extra=True),
    Field("FLOPs/s", "flops/s", _metric("achieved"), extra=True),
    Field("Energy", "joules", _metric("energy"), extra=True),
    _BEGUN,
)
#: What the docs do not print.
_NOT_PUBLISHED = {"±", "Samples", "Noise", "First call", "Peak allocated", "Weights", "FLOPs/s", "Energy", "Run (UTC)"}
_REQUEST = (
    _SIZE,
    Field("Over", "text", lambda record: record.case.transport),
    Field("End to end", "seconds", _end_to_end),
    Field("Kept open", "seconds", _kept),
    Field("Sent", "payload bytes", lambda record: record.remote.request_bytes if record.remote else None),
    Field("Received", "payload bytes", lambda record: record.remote.response_bytes if record.remote else None),
    Field("Computes", "seconds", lambda record: rounded(record.remote.compute_s) if record.remote else None),
    Field("Requests/s", "amount", _throughput),
    Field("Precision", "text", lambda record: _precision(record, *extras(record.case))),
    Field("Address", "text", _url, extra=True),
    _BEGUN,
)


def group_lines(table: RecordTable) -> Iterator[Any]:
    """The groups as the page's script reads them: `[device, model, operation, rows]`."""
    return ([*names, rows] for names, rows in table.groups)
