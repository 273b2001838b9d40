"""What of a request's time went where, out of a record: for the tables and the plot alike. Pure.

Imports `record` and `stats`; never `remote`, torch or matplotlib.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from bench.core import stats
from bench.record import Exchange, Record, by_size

#: A part of `Split` and its name for people, in the order in which a request passes through them.
SPLIT = {
    "prepare_s": "Prepare",
    "connect_s": "Connect",
    "tls_s": "TLS",
    "upload_s": "Upload",
    "server_s": "Wait",
    "download_s": "Download",
    "decode_s": "Decode",
}
SERVER = {
    "receive_s": "Receive",
    "queue_s": "Queue",
    "deserialize_s": "Deserialize",
    "compute_s": "Compute",
    "serialize_s": "Serialize",
}
#: What the server does while the client waits for its answer: it receives while the client still uploads.
_WITHIN_WAIT = ("queue_s", "deserialize_s", "serialize_s")


def exchange(
    record: Record, client: Literal["diffusers", "bench"], connection: Literal["new", "kept"]
) -> Exchange | None:
    """The record's exchange by that client over that kind of connection, if it has one."""
    return record.remote.exchange(client, connection) if record.remote else None


def primary(record: Record) -> Exchange | None:
    """The record's requests as a user has them, if it has any."""
    return record.remote.primary if record.remote else None


def medians(parts: object | None, names: Mapping[str, str]) -> dict[str, float]:
    """The median of each part that has seconds, in the order of `names`. `parts` is a `Split` or `ServerTimes`."""
    rows: dict[str, Sequence[float]] = {key: getattr(parts, key, ()) for key in names}
    return {key: stats.median(row) for key, row in rows.items() if row}


def stack(record: Record) -> dict[str, float]:
    """The parts of one request over a new connection: name for people -> seconds.

    Each is a median of its own, so that their sum is about the request's median and need not be it.
    The wait is taken apart where the server says what it did: its computing, its other work, and what is left, which
    is the way there and back. Empty where nothing was split.
    """
    split = exchange(record, "bench", "new")
    found = medians(split.split, SPLIT) if split else {}
    if not found:
        return {}
    server = medians(split.server, SERVER) if split else {}
    wait = found.get("server_s", 0.0)
    compute = min(server.get("compute_s", 0.0), wait)
    other = min(sum(server.get(key, 0.0) for key in _WITHIN_WAIT), wait - compute)
    parts = {
        "prepare": found.get("prepare_s", 0.0),
        "connect": found.get("connect_s", 0.0) + found.get("tls_s", 0.0),
        "upload": found.get("upload_s", 0.0),
        "server: compute": compute,
        "server: queue and codecs": other,
        "way and rest" if server else "wait for the server": wait - compute - other,
        "download": found.get("download_s", 0.0),
        "decode": found.get("decode_s", 0.0),
    }
    return {name: seconds for name, seconds in parts.items() if seconds > 0}


def order(record: Record) -> tuple[object, ...]:
    """Small images first, and of one size the transports in a fixed order."""
    case = record.case
    transports = ("jpg", "png", "pt-partial", "pt")
    place = transports.index(case.transport) if case.transport else len(transports)
    return (*by_size(case), case.dtype, place, case.id)
