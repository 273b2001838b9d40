"""The parts of a request's time, for the tables and the plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from bench.core import stats
from bench.record import Exchange, Record
from bench.workloads.labels import size_order

#: The parts of `Split` and their names for people, in the order in which a request passes through them.
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
#: What the server does while the client waits. It receives earlier, while the client still uploads.
_WITHIN_WAIT = ("queue_s", "deserialize_s", "serialize_s")


def exchange(
    record: Record, client: Literal["diffusers", "bench"], connection: Literal["new", "kept"]
) -> Exchange | None:
    """The record's exchange by that client over that kind of connection; None if it has none."""
    return record.remote.exchange(client, connection) if record.remote else None


def primary(record: Record) -> Exchange | None:
    """The record's requests as a user makes them; None if it has none."""
    return record.remote.primary if record.remote else None


def medians(parts: object | None, names: Mapping[str, str]) -> dict[str, float]:
    """The median of each part that has seconds, in the order of `names`. `parts` is a `Split` or `ServerTimes`."""
    rows: dict[str, Sequence[float]] = {key: getattr(parts, key, ()) for key in names}
    return {key: stats.median(row) for key, row in rows.items() if row}


def stack(record: Record) -> dict[str, float]:
    """The parts of one request over a new connection: name for people -> seconds. Empty if nothing was split.

    Each is a median of its own, so their sum is close to the request's median but need not equal it. If the server
    reports what it did, the wait is divided into its computing, its other work, and the rest, which is the network.
    """
    split = exchange(record, "bench", "new")
    if split is None:
        return {}
    client, server = medians(split.split, SPLIT), medians(split.server, SERVER)
    if not client:
        return {}
    wait = client.get("server_s", 0.0)
    compute = min(server.get("compute_s", 0.0), wait)
    work = min(sum(server.get(key, 0.0) for key in _WITHIN_WAIT), wait - compute)
    parts = {
        "prepare": client.get("prepare_s", 0.0),
        "connect": client.get("connect_s", 0.0) + client.get("tls_s", 0.0),
        "upload": client.get("upload_s", 0.0),
        "server: compute": compute,
        "server: queue and codecs": work,
        "way and rest" if server else "wait for the server": wait - compute - work,
        "download": client.get("download_s", 0.0),
        "decode": client.get("decode_s", 0.0),
    }
    return {name: seconds for name, seconds in parts.items() if seconds > 0}


def order(record: Record) -> tuple[object, ...]:
    """A sort key: small images first, and the transports of one size in a fixed order."""
    case = record.case
    transports = ("jpg", "png", "mp4", "pt-partial", "pt", "predict", "tensor")
    place = transports.index(case.transport) if case.transport else len(transports)
    return (size_order(case), case.dtype, place, case.id)
