"""The tables of the page on endpoints: end to end, its parts, load."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TypeVar

from bench.core import stats
from bench.core.units import format_count, format_seconds
from bench.record import Exchange, Load, Measured, Percentile, Record, Timing
from bench.report.document import Cell, Column, Table, table_of
from bench.report.pages import cells
from bench.report.pages.remote_parts import SERVER, SPLIT, exchange, medians, primary
from bench.workloads.labels import extras, size_of

_Row = TypeVar("_Row")
_Columns = tuple[tuple[Column, Callable[[_Row], Cell | str | float | None]], ...]
_QUANTILES = (0.5, 0.9, 0.95, 0.99)

LATENCY_LEGEND = (
    (
        "End to end",
        "the median time from the tensor, image or prompt in memory to the result in memory, over a new connection "
        "each time, with diffusers' own functions. Marked `bench`: with this program's client, because diffusers has "
        "none that sends such requests, or none that sends the token that the endpoint needs",
    ),
    ("±", "half the 95% interval of the median, as a share of the median"),
    (
        "First call",
        "the request before the timed ones, from a client that was warm. The endpoint may be warm too, from the cases "
        "before",
    ),
    (
        "Kept",
        "the same with this program's client over one connection that stays open, measured after the others. "
        "Reopened: the endpoint closed the connection before most requests, so there is no such figure",
    ),
    ("Sent, Received", "the bytes of the bodies"),
    ("Checked", "how many requests had a body that the server confirmed by its checksum"),
)
PARTS_LEGEND = (
    (
        "Parts",
        "the median of each part of a request over a new connection, with this program's client. Medians need not add "
        "up to the median of the whole",
    ),
    ("Prepare", "from memory to the bytes to send"),
    (
        "Upload",
        "until the operating system has taken the last byte. The byte may leave much later, so a slow uplink shows in "
        "Wait",
    ),
    ("Wait", "from then until the headers of the response: the network both ways, and the server's work"),
    ("Decode", "from bytes to the image or tensor"),
    ("Server", "what the server reports about itself. Its Receive overlaps with the upload"),
)
LOAD_LEGEND = (
    (
        "Open",
        "requests come at random moments (Poisson) at the given rate, whether or not earlier ones are answered. "
        "Latency counts from the moment when a request was due",
    ),
    ("Closed", "the given number of requests is always in flight"),
    ("Sent, Good", "how many requests were sent, and how many of them were answered without an error"),
    ("Opened", "how many connections were opened; connections are kept and reused"),
    (
        "p50 to p99",
        "percentiles of the successful requests only, with their 95% interval from order statistics. "
        "Loads with errors are marked `errors`. A percentile needs enough answers beyond it: p99 needs 100",
    ),
    ("Throughput", "successful requests over the time of the load, until the last answer"),
    (
        "Late",
        "how late the generator sent its requests (p99), including its wait for a free place. From a tenth of the "
        "median latency it is marked `late`, because then a busy client looks like a slow server",
    ),
)


def latency(records: Sequence[Record]) -> Table:
    """One row per case and transport; cases without a figure give their outcome."""
    sources = any(record.kind != "measured" for record in records)
    return table_of(
        records,
        *_head(records, lambda record: record),
        *(((Column("Source", key="kind"), lambda record: record.kind),) if sources else ()),
        (Column("End to end", "seconds"), _end_to_end),
        (Column("±", "ratio", key="uncertainty"), _uncertainty),
        (Column("First call", "seconds"), _first_call),
        (Column("Kept", "seconds"), _kept),
        (Column("Sent", "bytes"), lambda record: record.remote.request_bytes if record.remote else None),
        (Column("Received", "bytes"), lambda record: record.remote.response_bytes if record.remote else None),
        (Column("Checked", "count"), lambda record: record.remote.checked if record.remote else None),
    )


def shared_case(records: Sequence[Record]) -> str | None:
    """The precision, weights and the like that all these records have in common; None if they differ."""
    cases = {_case(record) for record in records}
    return cases.pop() if len(cases) == 1 else None


def parts(records: Sequence[Record]) -> Table | None:
    """The median of each part of a request, without the parts that no record has; None if no request was split."""
    rows = []
    for record in records:
        split = exchange(record, "bench", "new")
        if split is not None and split.split is not None:
            rows.append((record, {**medians(split.split, SPLIT), **medians(split.server, SERVER)}))
    names = {**SPLIT, **{key: f"Server: {name.lower()}" for key, name in SERVER.items()}}
    keys = [key for key in names if any(key in seconds for _, seconds in rows)]
    if not keys:
        return None
    return table_of(rows, *_head(records, itemgetter(0)), *(_part(key, names[key]) for key in keys))


def _part(key: str, name: str) -> tuple[Column, Callable[[tuple[Record, dict[str, float]]], Cell]]:
    return Column(name, "seconds", key=key), lambda row: Cell(row[1].get(key), kind=row[0].kind)


def loads(records: Sequence[Record]) -> Table | None:
    """One row per load; None if the endpoint was not put under load."""
    rows = [(record, load) for record in records if record.remote for load in record.remote.loads]
    if not rows:
        return None
    return table_of(
        rows,
        *_head(records, itemgetter(0)),
        (Column("Load", in_heading=True), lambda row: Cell(row[1].title, note="errors" if row[1].errors else "")),
        (Column("For", "seconds"), lambda row: row[1].duration_s),
        (Column("Sent", "count"), lambda row: row[1].sent),
        (Column("Good", "count"), lambda row: row[1].succeeded),
        (
            Column("Throughput", right=True, key="throughput_per_s"),
            lambda row: Cell(row[1].throughput_per_s, f"{row[1].throughput_per_s:.3g} /s"),
        ),
        *map(_quantile, _QUANTILES),
        (Column("Errors", may_wrap=True), lambda row: _errors(row[1])),
        (Column("Opened", "count"), lambda row: row[1].connections),
        (Column("Late", "seconds"), lambda row: _lag(row[1])),
    )


def _quantile(q: float) -> tuple[Column, Callable[[tuple[Record, Load]], Cell]]:
    return Column(f"p{q * 100:g}", "seconds"), lambda row: _percentile(row[1], q)


def _head(records: Sequence[Record], record_of: Callable[[_Row], Record]) -> _Columns[_Row]:
    """The first columns: size and transport, and what else tells the records of one model and operation apart."""
    head: _Columns[_Row] = (
        (Column(cells.size_heading(record.case for record in records)), lambda row: size_of(record_of(row).case)),
        (Column("Over", in_heading=True), lambda row: record_of(row).case.transport),
    )
    case: _Columns[_Row] = ((Column("Case"), lambda row: _case(record_of(row))),)
    return head if shared_case(records) else (*head, *case)


def _case(record: Record) -> str:
    case = record.case
    texts = [case.dtype + (" (assumed)" if "dtype" in record.assumed else "")]
    texts += [f"tiled {case.tile.label}"] if case.tile else []
    texts += extras(case)
    texts.append(f"{case.weights} weights" + (" (assumed)" if "weights" in record.assumed else ""))
    texts += [case.variant] if case.variant != "default" else []
    return ", ".join(texts)


def _timing(record: Record) -> Timing | None:
    """The timing of the requests as a user has them; None for a case that was not measured."""
    if not isinstance(record.outcome, Measured):
        return None
    exchanged = primary(record)
    return exchanged.timing if exchanged else record.timing


def _end_to_end(record: Record) -> Cell:
    if not isinstance(record.outcome, Measured):
        return Cell(text=cells.outcome(record), kind=record.kind)
    timing, exchanged = _timing(record), primary(record)
    through = "bench" if exchanged is not None and exchanged.client == "bench" else ""
    return Cell(timing.median_s, kind=record.kind, note=through) if timing else Cell()


def _uncertainty(record: Record) -> Cell:
    timing = _timing(record)
    return cells.share(stats.uncertainty(timing.samples_s) if timing else None)


def _first_call(record: Record) -> Cell:
    timing = _timing(record)
    return Cell(timing.first_call_s, kind=record.kind) if timing else Cell()


def _kept(record: Record) -> Cell:
    kept: Exchange | None = exchange(record, "bench", "kept")
    if kept is None or not isinstance(record.outcome, Measured):
        return Cell()
    if 2 * kept.reopened > len(kept.timing.samples_s):
        return Cell(text="reopened")
    return Cell(kept.timing.median_s, kind=record.kind)


def _percentile(load: Load, q: float) -> Cell:
    """A percentile and its interval; a cell without a value if there are too few answers for it."""
    percentiles: dict[float, Percentile] = {percentile.q: percentile for percentile in load.percentiles}
    percentile = percentiles.get(q) if load.is_enough_for(q) else None
    if percentile is None:
        return Cell()
    return Cell(percentile.seconds, note=" to ".join(format_seconds(end) for end in percentile.interval_s or ()))


def _errors(load: Load) -> str:
    """`12 x 503 busy`: the errors by kind, and how many refusals came with a Retry-After."""
    texts = [f"{count:,} x {kind}" for kind, count in sorted(load.errors.items())]
    texts += [f"{format_count(load.retry_after, 'refusal')} with Retry-After"] if load.retry_after else []
    return "; ".join(texts) or "none"


def _lag(load: Load) -> Cell:
    return Cell(load.lag_p99_s, note="late" if load.is_late and load.lag_p99_s is not None else "")
