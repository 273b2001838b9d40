"""The tables of the page on endpoints: end to end, what it is made of, load. Reads records; imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from bench.core import stats
from bench.core.units import format_bytes, format_count, format_seconds
from bench.record import Exchange, Load, Measured, Percentile, Record
from bench.report.pages import run_details
from bench.report.pages.remote_parts import SERVER, SPLIT, exchange, medians, primary
from bench.report.render import markdown
from bench.report.render.markdown import safe
from bench.workloads.labels import extras, size_of

_QUANTILES = (0.5, 0.9, 0.95, 0.99)

LATENCY_LEGEND = (
    "**End to end** is the median from the tensor (or image) in memory to the result in memory, over a new connection "
    "each time, through diffusers' own functions (*bench*: through this program's client, where a token is needed, "
    "which they can't send). **±** is half its 95% interval over the median. **First call** is the one before: the "
    "first that the endpoint got of this case from a client that was warm. The endpoint may be warm too, from the rows "
    "before.",
    "**Kept** is the same through this program's client over one connection that is kept open, in a block of its own "
    "after the others; *reopened*: the endpoint closed it before most requests, so that there is no such figure.",
    "**Sent** and **Received** are the bytes of the bodies. **Checked** counts the requests whose body the server's "
    "checksum confirmed.",
)
PARTS_LEGEND = (
    "Medians of each part over a new connection, through this program's client; medians need not add up.",
    "**Prepare**: from memory to the bytes sent. **Upload**: until the operating system has taken the last byte, which "
    "may be long before it has left: a slow uplink shows in Wait. **Wait**: from then to the response's headers, the "
    "network's way and the server's work included. **Decode**: from bytes to the image or tensor.",
    "*Server* columns are what the server says of itself; **Receive** overlaps the upload.",
)
LOAD_LEGEND = (
    "Open: requests come at random moments (Poisson) at that rate, whether or not earlier ones are answered, and "
    "latency counts from the moment at which a request was due. Closed: always so many at once. Connections are kept "
    "and used again; **Opened** is how many there were.",
    "Percentiles are of the good answers alone: beside errors they tell of those that got through, and rows with "
    "errors are marked !. [ ]: 95% interval, from order statistics. A percentile beyond which no answer is to be "
    "expected (p99 of fewer than 100) is left out.",
    "**Throughput**: good answers over the time of the load, until the last of them.",
    "**Late**: how late the generator itself was (p99), its wait for a free place included. From a tenth of the median "
    "latency on it is marked *: then a busy client passes for a slow server.",
)


def latency(records: Sequence[Record]) -> str:
    """A row a case and transport; cases without a figure say why in a word."""
    sources = any(record.kind != "measured" for record in records)
    head = _Head(records)
    headers = [*head.names, *(["Source"] if sources else [])]
    headers += ["End to end", "±", "First call", "Kept", "Sent", "Received", "Checked"]
    rows = [[*head.of(record), *([_source(record)] if sources else []), *_latency(record)] for record in records]
    return markdown.table(headers, rows, "l" * (len(headers) - 7) + "r" * 7)


def alike(records: Sequence[Record]) -> str | None:
    """What all rows of a model and operation have in common, said once above them; None where they differ."""
    said = {_case(record) for record in records}
    return said.pop() if len(said) == 1 else None


def parts(records: Sequence[Record]) -> str | None:
    """What the time went to, columns without any figure left out; None where nothing was split."""
    rows = []
    for record in records:
        split = exchange(record, "bench", "new")
        if split is not None and split.split is not None:
            rows.append((record, {**medians(split.split, SPLIT), **medians(split.server, SERVER)}))
    names = {**SPLIT, **{key: f"Server: {name.lower()}" for key, name in SERVER.items()}}
    keys = [key for key in names if any(key in found for _, found in rows)]
    if not keys:
        return None
    head = _Head(records)
    cells = [[*head.of(record), *(format_seconds(found.get(key)) for key in keys)] for record, found in rows]
    headers = [*head.names, *(names[key] for key in keys)]
    return markdown.table(headers, cells, "l" * len(head.names) + "r" * len(keys))


def loads(records: Sequence[Record]) -> str | None:
    """A row a load; None where none was put on the endpoint."""
    rows = [(record, load) for record in records if record.remote for load in record.remote.loads]
    if not rows:
        return None
    head = _Head(records)
    headers = [*head.names, "Load", "For", "Sent", "Good", "Throughput", *(f"p{q * 100:g}" for q in _QUANTILES)]
    headers += ["Errors", "Opened", "Late"]
    cells = [[*head.of(record), *_load(load)] for record, load in rows]
    align = "l" * (len(head.names) + 1) + "r" * (4 + len(_QUANTILES)) + "lrr"
    return markdown.table(headers, cells, align)


class _Head:
    """What rows are of, the table's model and operation aside; what is the same in all is left out."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._with_case = alike(records) is None
        self.names = ("Resolution", "Over", *(("Case",) if self._with_case else ()))

    def of(self, record: Record) -> list[str]:
        """The first cells of a record's row."""
        case = record.case
        return [size_of(case), case.transport or "-", *([_case(record)] if self._with_case else [])]


def _case(record: Record) -> str:
    case = record.case
    said = [case.dtype + (" (assumed)" if "dtype" in record.assumed else "")]
    said += [f"tiled {case.tile.tile}/{case.tile.overlap}"] if case.tile else []
    said += extras(case)
    said.append(f"{case.weights} weights" + (" (assumed)" if "weights" in record.assumed else ""))
    said += [case.variant] if case.variant != "default" else []
    return safe(", ".join(said))


def _source(record: Record) -> str:
    return record.kind if record.kind == "measured" else f"*{record.kind}*"


def _latency(record: Record) -> list[str]:
    if not isinstance(record.outcome, Measured):
        return [run_details.status(record), *["-"] * 6]
    first, kept, remote = primary(record), exchange(record, "bench", "kept"), record.remote
    timing = first.timing if first else record.timing
    through = " (*bench*)" if first is not None and first.client == "bench" else ""
    share = stats.uncertainty(timing.samples_s) if timing else None
    return [
        format_seconds(timing.median_s) + through if timing else "-",
        "-" if share is None else f"{share:.1%}",
        format_seconds(timing.first_call_s if timing else None),
        _kept(kept),
        format_bytes(remote.request_bytes if remote else None),
        format_bytes(remote.response_bytes if remote else None),
        f"{remote.checked:,}" if remote else "-",
    ]


def _kept(kept: Exchange | None) -> str:
    if kept is not None and 2 * kept.reopened > len(kept.timing.samples_s):
        return "reopened"
    return format_seconds(kept.timing.median_s if kept else None)


def _load(load: Load) -> list[str]:
    by_quantile = {one.q: one for one in load.percentiles}
    return [
        load.title + (" !" if load.errors else ""),
        format_seconds(load.duration_s),
        f"{load.sent:,}",
        f"{load.succeeded:,}",
        f"{load.throughput_per_s:.3g} /s",
        *(_percentile(by_quantile.get(q) if load.is_enough_for(q) else None) for q in _QUANTILES),
        _errors(load),
        "-" if load.connections is None else f"{load.connections:,}",
        _lag(load),
    ]


def _percentile(one: Percentile | None) -> str:
    if one is None:
        return "-"
    between = f" [{', '.join(format_seconds(end) for end in one.interval_s)}]" if one.interval_s else ""
    return f"{format_seconds(one.seconds)}{between}"


def _errors(load: Load) -> str:
    """`12 x 503 busy`: by kind, and how many of them said when to come again."""
    said = [f"{count:,} x {safe(kind)}" for kind, count in sorted(load.errors.items())]
    said += [f"{format_count(load.retry_after, 'refusal')} with Retry-After"] if load.retry_after else []
    return "; ".join(said) or "none"


def _lag(load: Load) -> str:
    if load.lag_p99_s is None:
        return "-"
    return format_seconds(load.lag_p99_s) + (" *" if load.is_late else "")
