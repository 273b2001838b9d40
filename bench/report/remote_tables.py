"""The tables of the page on endpoints: end to end, what it is made of, load. Reads records; imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from bench import stats
from bench.record import Load, Measured, Percentile, Record
from bench.report import markdown, run_details
from bench.report.markdown import safe
from bench.report.remote_parts import SERVER, SPLIT, exchange, medians, primary
from bench.units import format_bytes, format_count, format_percent, format_seconds

#: A generator of load that is itself later than this share of the median latency casts doubt on it.
_LATE = 0.1
_QUANTILES = (0.5, 0.9, 0.95, 0.99)

LATENCY_LEGEND = (
    "**End to end** is the median from the tensor (or image) in memory to the result in memory, over a new connection "
    "each time, through diffusers' own functions (*bench*: through this program's client, where a token is needed, "
    "which they can't send). **±** is half its 95% interval over the median. **First call** is the one before.",
    "**Kept** is the same through this program's client over one connection that is kept open.",
    "**Sent** and **Received** are the bytes of the bodies. **Checked** counts the requests whose body the server's "
    "checksum confirmed.",
)
PARTS_LEGEND = (
    "Medians of each part over a new connection, through this program's client; medians need not add up.",
    "**Prepare**: from memory to the bytes sent. **Upload**: until the last byte is handed to the operating system. "
    "**Wait**: from then to the response's headers, the network's way and the server's work included. **Decode**: from "
    "bytes to the image or tensor.",
    "*Server* columns are what the server says of itself; **Receive** overlaps the upload.",
)
LOAD_LEGEND = (
    "Open: requests come at random moments (Poisson) at that rate, whether or not earlier ones are answered, and "
    "latency counts from the moment at which a request was due. Closed: always so many at once. "
    "[ ]: 95% interval, from order statistics.",
    "**Late**: how late the generator itself was (p99). From a tenth of the median latency on it is marked *: then a "
    "busy client passes for a slow server.",
)


def latency(records: Sequence[Record]) -> str:
    """A row a case and transport; cases without a figure say why in a word."""
    headers = [*_HEAD, "Source", "End to end", "±", "First call", "Kept", "Sent", "Received", "Checked"]
    return markdown.table(headers, [[*_head(record), *_latency(record)] for record in records], "llll" + "r" * 7)


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
    cells = [[*_head(record), *(format_seconds(found.get(key)) for key in keys)] for record, found in rows]
    return markdown.table([*_HEAD, *(names[key] for key in keys)], cells, "lll" + "r" * len(keys))


def loads(records: Sequence[Record]) -> str | None:
    """A row a load; None where none was put on the endpoint."""
    rows = [(record, load) for record in records if record.remote for load in record.remote.loads]
    if not rows:
        return None
    headers = [*_HEAD, "Load", "For", "Sent", "Good", "Throughput", *(f"p{q * 100:g}" for q in _QUANTILES)]
    headers += ["Errors", "Late"]
    cells = [[*_head(record), *_load(load)] for record, load in rows]
    return markdown.table(headers, cells, "llll" + "r" * (4 + len(_QUANTILES)) + "lr")


_HEAD = ("Resolution", "Over", "Case")


def _head(record: Record) -> list[str]:
    """What a row is of, the table's model and operation aside."""
    case = record.case
    said = [case.dtype + (" (assumed)" if "dtype" in record.assumed else "")]
    said += [f"tiled {case.tile.tile}/{case.tile.overlap}"] if case.tile else []
    said += [f"batch {case.batch}"] if case.batch != 1 else []
    said += [f"{case.frames} frames"] if case.frames != 1 else []
    said.append(f"{case.weights} weights" + (" (assumed)" if "weights" in record.assumed else ""))
    said += [case.variant] if case.variant != "default" else []
    return [case.resolution, case.transport or "-", safe(", ".join(said))]


def _latency(record: Record) -> list[str]:
    source = record.kind if record.kind == "measured" else f"*{record.kind}*"
    if not isinstance(record.outcome, Measured):
        return [source, run_details.status(record), *["-"] * 6]
    first, kept, remote = primary(record), exchange(record, "bench", "kept"), record.remote
    timing = first.timing if first else record.timing
    through = " (*bench*)" if first is not None and first.client == "bench" else ""
    share = stats.uncertainty(timing.samples_s) if timing else None
    return [
        source,
        format_seconds(timing.median_s) + through if timing else "-",
        "-" if share is None else f"{share:.1%}",
        format_seconds(timing.first_call_s if timing else None),
        format_seconds(kept.timing.median_s if kept else None),
        format_bytes(remote.request_bytes if remote else None),
        format_bytes(remote.response_bytes if remote else None),
        f"{remote.checked:,}" if remote else "-",
    ]


def _load(load: Load) -> list[str]:
    by_quantile = {one.q: one for one in load.percentiles}
    return [
        _how(load),
        format_seconds(load.duration_s),
        f"{load.sent:,}",
        f"{load.succeeded:,}",
        f"{load.throughput_per_s:.3g} /s",
        *(_percentile(by_quantile.get(q)) for q in _QUANTILES),
        _errors(load),
        _lag(load),
    ]


def _how(load: Load) -> str:
    if load.kind == "closed":
        return f"closed, {load.concurrency or '?'} at once"
    share = f" ({format_percent(load.share)} of capacity)" if load.share is not None else ""
    return f"open, {load.rate_per_s:.3g} /s{share}" if load.rate_per_s is not None else "open"


def _percentile(one: Percentile | None) -> str:
    if one is None:
        return "-"
    between = f" [{', '.join(format_seconds(end) for end in one.interval_s)}]" if one.interval_s else ""
    return f"{format_seconds(one.seconds)}{between}"


def _errors(load: Load) -> str:
    """`12 503 busy`: by kind, and how many of them said when to come again."""
    said = [f"{count:,} x {safe(kind)}" for kind, count in sorted(load.errors.items())]
    said += [f"{format_count(load.retry_after, 'refusal')} with Retry-After"] if load.retry_after else []
    return "; ".join(said) or "none"


def _lag(load: Load) -> str:
    if load.lag_p99_s is None:
        return "-"
    middle = next((one.seconds for one in load.percentiles if one.q == 0.5), None)
    late = middle is not None and load.lag_p99_s >= _LATE * middle
    return format_seconds(load.lag_p99_s) + (" *" if late else "")
